// The Message Center: both panes stay as they are in the store, and what is shown is read.

import "./drawer.mjs";
import "./keys.mjs";
import { refreshDrawer } from "./drawer.mjs";
import { onChange, start } from "./live.mjs";
import { refresh } from "./parts.mjs";
import { _ } from "./words.mjs";

const people = document.getElementById("people");
const thread = document.getElementById("thread");
const bar = document.getElementById("bar");
const news = document.getElementById("news");
const title = document.title;
// Events tell of states; should one be lost, a page that waits for it asks after all.
const ANXIOUS_MS = 5_000, SELDOM_MS = 60_000;
let known = new Set(inbound());
let atEnd = true;
let wait = ANXIOUS_MS, looking = 0;

// Bubbles that are not in the store yet, as far as this page knows: they stay below the others.
export const unsent = new Set();

function inbound() {
  return thread ? [...thread.querySelectorAll(".bubble.mo")].map((bubble) => bubble.id) : [];
}

function count() {
  const unread = Number(people?.querySelector("[data-unread]")?.dataset.unread ?? 0);
  document.title = unread ? `(${unread}) ${title}` : title;
}

function toEnd() {
  thread.scrollTop = thread.scrollHeight;
}

// What is at the end has grown: it stays in sight, if it was.
export function follow() {
  if (atEnd) toEnd();
}

async function read() {
  const newest = inbound().at(-1);
  if (!newest || document.hidden || !thread.dataset.part) return;
  const form = document.getElementById("state") ?? document.getElementById("composer");
  if (!form) return;
  const body = new URLSearchParams({ csrf: form.elements.csrf.value, do: "read", part: "read", message: newest.slice(1) });
  await fetch(form.getAttribute("action"), { method: "POST", body }).catch(() => {});
}

// The thread has changed: tell of what is new, follow its end if it was in sight.
export function shown() {
  const fresh = inbound().filter((id) => !known.has(id));
  known = new Set(inbound());
  for (const bubble of unsent) listOf(thread).append(bubble);
  wait = ANXIOUS_MS;
  look();
  follow();
  if (!fresh.length) return;
  news.textContent = fresh.length === 1 ? _("One new message.") : _("%s new messages.", fresh.length);
  read();
}

export function refreshThread() {
  refresh(thread, shown);
}

function look() {
  clearTimeout(looking);
  if (!thread.dataset.part || !thread.querySelector(".bubble.queued, .bubble.sending, .bubble.sent")) return;
  looking = setTimeout(() => {
    refreshThread();
    look();
  }, wait);
  wait = Math.min(wait * 2, SELDOM_MS);
}

// The list of bubbles; made, when nothing has been said yet.
export function listOf(element) {
  let list = element.querySelector(".thread");
  if (!list) {
    list = document.createElement("ol");
    list.className = "thread";
    list.setAttribute("role", "list");
    element.replaceChildren(list);
  }
  return list;
}

// Of deliveries the thread shows nothing. What is deleted has no place any more: it may have been anywhere.
function concerns(change) {
  const here = thread?.dataset.part?.split("?")[0];
  if (!here) return false;
  const isHere = ({ did, peer }) => !did || here === `/conversations/${encode(did)}/${encode(peer)}`;
  return change.gap || change.changes.some((place) => ofMessages(place) && isHere(place));
}

function ofMessages({ kind }) {
  return kind.startsWith("message.") || kind.startsWith("conversation.");
}

function encode(name) {
  return encodeURIComponent(name).replaceAll("%2B", "+").replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

onChange((change) => {
  if (change.gap || change.changes.some(ofMessages)) refresh(people, count, true);
  if (concerns(change)) {
    refreshThread();
    refresh(bar);
  }
  refreshDrawer(change);
});

// Nobody tells of contacts: who comes back from changing one finds its name.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  refresh(bar);
  refresh(people, count, true);
});

if (thread) {
  thread.addEventListener("scroll", () => {
    atEnd = thread.scrollTop + thread.clientHeight >= thread.scrollHeight - 60;
  });
  if (!location.hash) toEnd();
  document.addEventListener("visibilitychange", read);
  look();
}
count();
start();
