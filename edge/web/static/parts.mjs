// Parts of a page that are asked for anew and put in the place of what is shown: [data-part] has their address.

import { loggedOut } from "./unsent.mjs";

const GATHER_MS = 500, UNSEEN_MS = 10_000, AGAIN_MS = 1_000, AGAIN_MOST_MS = 5_000;
const TOO_MANY = 429, SERVER_ERROR = 500;
const states = new Map();

function stateOf(element) {
  if (!states.has(element)) states.set(element, {
    busy: false, wanted: false, waiting: 0, at: -Infinity, pause: 0, html: null, after: () => {}, unseen: false,
  });
  return states.get(element);
}

// Asks for the part again: at once, then not for GATHER_MS, whose wishes become one. A page that nobody looks at asks
// when it is shown; for a part that is also for those who do not look (`unseen`: a count in the title) now and then.
// What fails is asked for again soon, then less soon. Calls `after(element)` when it changed.
export function refresh(element, after = () => {}, unseen = false) {
  if (!element?.dataset.part) return;
  const state = stateOf(element);
  Object.assign(state, { after, unseen, wanted: true });
  if (state.pause) hasten(state);
  plan(element, state);
}

function hasten(state) {
  clearTimeout(state.waiting);
  state.waiting = 0;
  state.pause = 0;
}

function plan(element, state) {
  if (!state.wanted || state.busy || state.waiting || (document.hidden && !state.unseen)) return;
  const wait = state.at + Math.max(document.hidden ? UNSEEN_MS : GATHER_MS, state.pause) - performance.now();
  if (wait > 0) {
    state.waiting = setTimeout(() => {
      state.waiting = 0;
      run(element, state);
    }, wait);
  } else run(element, state);
}

async function run(element, state) {
  const before = state.pause;
  Object.assign(state, { busy: true, wanted: false, at: performance.now(), pause: 0 });
  const html = element.dataset.part ? await ask(element.dataset.part).catch(() => undefined) : null;
  state.busy = false;
  if (html === undefined) { // the server is away for a moment
    state.wanted = true;
    state.pause = Math.min(before * 2 || AGAIN_MS, AGAIN_MOST_MS);
  } else if (html !== null) fill(element, html, state.after);
  plan(element, state);
}

function catchUp() {
  if (document.hidden) return;
  for (const [element, state] of states) {
    hasten(state);
    plan(element, state);
  }
}

document.addEventListener("visibilitychange", catchUp);
addEventListener("online", catchUp);

// What the server says that the part is now. Calls `after(element)` when that is another thing than before.
export function fill(element, html, after = () => {}) {
  const state = stateOf(element);
  if (html === state.html) return;
  state.html = html;
  put(element, html);
  after(element);
}

// What is at the address; null for what is not there, or not for who asks. Fails when there is no answer of use.
export async function ask(address, options = {}) {
  const answer = await fetch(address, { headers: { Accept: "text/html" }, ...options });
  if (answer.redirected) {
    loggedOut();
    return null;
  }
  if (answer.status >= SERVER_ERROR || answer.status === TOO_MANY) throw new Error(String(answer.status));
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
