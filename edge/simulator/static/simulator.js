// Keeps the phones up to date: asks for the version, and for the view when it is another one.

const PERIOD_MS = 1000;
const view = document.getElementById("view");

async function refresh() {
  const state = await (await fetch(`/simulator/state?version=${view.dataset.version}`)).json();
  if (!state.changed) return;
  const answer = await fetch("/simulator/view");
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.closest("#view button")?.value;
  view.replaceChildren(...fresh.body.childNodes);
  view.dataset.version = answer.headers.get("x-version");
  toTheEnd();
  if (focused) view.querySelector(`button[value="${CSS.escape(focused)}"]`)?.focus();
}

function toTheEnd() {
  for (const list of view.querySelectorAll(".phone ol")) list.scrollTop = list.scrollHeight;
}

async function poll() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    // The server is away for a moment: the next round tells.
  }
  setTimeout(poll, PERIOD_MS);
}

toTheEnd();
poll();
