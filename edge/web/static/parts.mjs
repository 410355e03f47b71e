// Parts of a page that are asked for anew and put in the place of what is shown: [data-part] has their address.

import { loggedOut } from "./unsent.mjs";

const GATHER_MS = 500, UNSEEN_MS = 10_000;
const states = new Map();

function stateOf(element) {
  if (!states.has(element)) states.set(element, { busy: false, wanted: false, waiting: 0, at: -Infinity, html: null, after: () => {}, unseen: false });
  return states.get(element);
}

// Asks for the part again: at once, then not for GATHER_MS, whose wishes become one. A page that nobody looks at asks
// when it is shown; for a part that is also for those who do not look (`unseen`: a count in the title) now and then.
// Calls `after(element)` when it changed.
export function refresh(element, after = () => {}, unseen = false) {
  if (!element?.dataset.part) return;
  const state = stateOf(element);
  Object.assign(state, { after, unseen, wanted: true });
  plan(element, state);
}

function plan(element, state) {
  if (!state.wanted || state.busy || state.waiting || (document.hidden && !state.unseen)) return;
  const wait = state.at + (document.hidden ? UNSEEN_MS : GATHER_MS) - performance.now();
  if (wait > 0) {
    state.waiting = setTimeout(() => {
      state.waiting = 0;
      run(element, state);
    }, wait);
  } else run(element, state);
}

async function run(element, state) {
  Object.assign(state, { busy: true, wanted: false, at: performance.now() });
  try {
    const html = element.dataset.part ? await ask(element.dataset.part) : null;
    if (html !== null) fill(element, html, state.after);
  } catch {
    // The server is away for a moment: the next round tells.
  } finally {
    state.busy = false;
  }
  plan(element, state);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const [element, state] of states) {
    clearTimeout(state.waiting);
    state.waiting = 0;
    plan(element, state);
  }
});

// What the server says that the part is now. Calls `after(element)` when that is another thing than before.
export function fill(element, html, after = () => {}) {
  const state = stateOf(element);
  if (html === state.html) return;
  state.html = html;
  put(element, html);
  after(element);
}

export async function ask(address, options = {}) {
  const answer = await fetch(address, { headers: { Accept: "text/html" }, ...options });
  if (answer.redirected) {
    loggedOut();
    return null;
  }
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
