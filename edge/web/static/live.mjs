// Lists that keep themselves fresh.

import { _ } from "./words.mjs";

const PERIOD_MS = 2000;
const list = document.querySelector("[data-refresh]");
const news = document.getElementById("news");

function received(root) {
  return [...root.querySelectorAll("li.mo")];
}

let shown = null;

async function refresh() {
  const answer = await fetch(list.dataset.refresh, { headers: { Accept: "text/html" } });
  if (answer.redirected) return location.reload(); // logged out
  if (!answer.ok) return;
  const html = await answer.text();
  if (html === shown) return;
  const first = shown === null;
  shown = html;
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const known = new Set(received(list).map((item) => item.id));
  const added = received(fresh).filter((item) => !known.has(item.id));
  if (first && !added.length && fresh.textContent === list.textContent) return;
  swap(fresh);
  if (added.length && news) {
    news.textContent = added.length === 1 ? _("One new message.") : _("%s new messages.", added.length);
  }
}

function swap(fresh) {
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const page = document.scrollingElement;
  const thread = fresh.querySelector(".thread");
  const atEnd = thread && page.scrollTop + page.clientHeight >= page.scrollHeight - 40;
  list.replaceChildren(...fresh.childNodes);
  if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  if (atEnd) page.scrollTop = page.scrollHeight;
}

async function poll() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    // The server is away for a moment: the next round tells.
  }
  setTimeout(poll, PERIOD_MS);
}

if (list) {
  if (list.querySelector(".thread") && !location.hash) document.scrollingElement.scrollTop = document.scrollingElement.scrollHeight;
  setTimeout(poll, PERIOD_MS);
}
