// Parts of a page that are asked for anew and put in the place of what is shown: [data-part] has their address.

const states = new WeakMap();

// Asks for the part again. While one answer is awaited, more wishes become one. Resolves to true when it changed.
export async function refresh(element, after = () => {}) {
  if (!element?.dataset.part) return;
  const state = states.get(element) ?? { busy: false, again: false, html: null };
  states.set(element, state);
  if (state.busy) {
    state.again = true;
    return;
  }
  state.busy = true;
  try {
    do {
      state.again = false;
      const html = await ask(element.dataset.part);
      if (html !== null && html !== state.html) {
        state.html = html;
        put(element, html);
        after(element);
      }
    } while (state.again);
  } catch {
    // The server is away for a moment: the next round tells.
  } finally {
    state.busy = false;
  }
}

export async function ask(address, options = {}) {
  const answer = await fetch(address, { headers: { Accept: "text/html" }, ...options });
  if (answer.redirected && new URL(answer.url).pathname === "/login") location.reload();
  return answer.ok ? answer.text() : null;
}

export function put(element, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const focused = element.contains(document.activeElement) ? mark(document.activeElement) : null;
  const chosen = [...element.querySelectorAll("input:checked")].map((box) => box.value);
  const open = element.scrollTop;
  element.replaceChildren(...fresh.childNodes);
  for (const box of element.querySelectorAll("input[type=checkbox]")) box.checked = chosen.includes(box.value);
  element.scrollTop = open;
  if (focused) element.querySelector(focused)?.focus({ preventScroll: true });
}

function mark(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const address = element.getAttribute("href");
  return address ? `a[href="${CSS.escape(address)}"]` : null;
}
