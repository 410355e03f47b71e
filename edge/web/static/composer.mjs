// A text that is being written: drafts, Enter, and a message that is in the thread as soon as it is sent.

import { follow, listOf, refreshThread, shown, unsent } from "./center.mjs";
import "./lengths.mjs";
import { fill } from "./parts.mjs";
import { keep, kept, loggedOut, refusal, settled, untell, wait, waiting } from "./unsent.mjs";
import { _ } from "./words.mjs";

const DRAFT_MS = 800, DRAFT_AGAIN_MS = 2_000, DRAFT_SELDOM_MS = 60_000;
const KNOWN = 8, KEEPALIVE_OCTETS = 60_000; // of what is sent while a page is left a browser takes 64 KiB
const TRIES = 2, AGAIN_MS = 1500, ANSWER_MS = 60_000;
const KEY_HOLDS_MS = 23 * 3_600_000; // the server knows a key for a day
const thread = document.getElementById("thread");

// -- the answer -----------------------------------------------------------------------------------------------

const form = document.getElementById("composer");
const first = document.getElementById("new");
const text = form?.elements.text;
const DRAFTED = form ? ["text"] : ["to", "from", "text"];
let saving = 0, pause = DRAFT_AGAIN_MS;
let asked = null; // the key under which this first message was sent, if it was
// What the server may have of this first message: the one it was begun with or has answered for, then those that it
// has not answered for. What else it has is of another window, and stays: then this one is `aside`.
let known = first ? [first.elements.begun.value] : [];
let aside = false;

function fields(more) {
  return new URLSearchParams({ csrf: form.elements.csrf.value, ...more });
}

// What is written so far, by field.
function drafted() {
  return Object.fromEntries(DRAFTED.map((name) => [name, (form ?? first).elements[name].value]));
}

// The draft, as the server has it for all of his devices. What it did not take is tried again.
async function save() {
  notLater();
  const place = form ?? first, now = drafted(), same = () => DRAFTED.every((name) => now[name] === drafted()[name]);
  const { csrf, begun } = place.elements, before = begun.value, one = asOne(now);
  const body = new URLSearchParams({ csrf: csrf.value, do: "draft", part: "draft", begun: before, ...now });
  for (const other of known) body.append("begun", other);
  // The server forgets it by this when it is sent, whatever it is then.
  if (now.text.trim()) begun.value = one;
  if (first && now.text.trim()) learn(one);
  const keepalive = body.toString().length < KEEPALIVE_OCTETS;
  const answer = await fetch(place.action, { method: "POST", body, keepalive }).catch(() => null);
  if (answer?.status === 204) {
    pause = DRAFT_AGAIN_MS;
    if (known.includes(one)) known = known.slice(known.indexOf(one));
    if (aside) untell();
    aside = false;
    // Whom it is to is kept in the window alone while there is no text, and so is a key.
    if (same() && (form || now.text.trim()) && !asked) keep(null);
    return;
  }
  begun.value = before;
  if (answer?.redirected) return loggedOut();
  const why = [403, 409].includes(answer?.status) ? await refusal(answer).catch(() => null) : null;
  const told = aside;
  aside = answer?.status === 409;
  if (why) return told && aside ? undefined : why.tell();
  if (same()) {
    later(pause);
    pause = Math.min(pause * 2, DRAFT_SELDOM_MS);
  }
}

// A first message as the server reads what it was.
function asOne(written) {
  return DRAFTED.map((name) => written[name]).join("\n");
}

function learn(one) {
  const others = known.filter((other) => other !== one);
  known = [...others.slice(0, 1), ...others.slice(1).slice(-KNOWN), one];
}

function later(ms) {
  clearTimeout(saving);
  saving = setTimeout(save, ms);
}

function notLater() {
  clearTimeout(saving);
  saving = 0;
}

function bubble(written) {
  const item = document.createElement("li");
  item.className = "bubble mt sending-now";
  const words = document.createElement("p");
  words.className = "text";
  words.dir = "auto";
  words.textContent = written;
  const note = document.createElement("div");
  note.className = "note";
  note.textContent = _("sending…");
  item.append(words, note);
  unsent.add(item);
  listOf(thread).append(item);
  thread.scrollTop = thread.scrollHeight;
  return item;
}

// One after the other, in the order in which they were sent.
let line = Promise.resolve();

function send(item, sent) {
  item.querySelector(".note").textContent = _("sending…");
  const next = () => deliver(item, sent);
  line = line.then(next, next);
}

async function deliver(item, sent) {
  for (let tries = 0; tries < TRIES; tries++) {
    if (tries) await new Promise((go) => setTimeout(go, AGAIN_MS));
    const { html, why } = await ask(sent).catch(() => ({}));
    if (html) {
      settle(item, sent);
      fill(thread, html, shown);
      return refreshThread(); // it may have been overtaken by one that knows more
    }
    if (why?.ended && sent.doubtful) {
      doubt(item, sent);
      return why.tell();
    }
    if (why) {
      settle(item, sent);
      giveBack(sent.text);
      return why.tell();
    }
    sent.doubtful = true;
  }
  return doubt(item, sent);
}

// What our server says of it: `html`, the thread that has it, or `why` it does not take it; neither when the answer is
// another one: then nobody knows.
async function ask({ text: written, key, begun }) {
  const body = fields({ text: written, key, begun, part: "thread" });
  const answer = await fetch(form.action, { method: "POST", body, signal: AbortSignal.timeout(ANSWER_MS) });
  if (!answer.ok || answer.redirected) return { why: await refusal(answer) };
  const html = await answer.text();
  return html.includes('<li class="bubble ') ? { html } : {};
}

function settle(item, { key }) {
  settled(key);
  unsent.delete(item);
  item.remove();
}

// Back into the box: after what came back before, and before what is being written.
let back = "";

function giveBack(written) {
  const before = back && text.value.startsWith(back) ? back : "";
  back = before ? `${before}\n${written}` : written;
  const rest = text.value.slice(before.length).replace(/^\n/, "");
  text.value = rest ? `${back}\n${rest}` : back;
  text.dispatchEvent(new Event("input"));
}

// Nobody knows whether it arrived; the key sees to it that it goes once all the same.
function doubt(item, sent) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.textContent = _("Try again");
  button.addEventListener("click", () => send(item, sent));
  item.querySelector(".note").replaceChildren(_("perhaps not sent: no answer from the server"), " ", button);
  follow();
}

// What was sent from this page before it was loaded again, and may not have arrived.
function resume() {
  settled(form.elements.key.value); // a form that came back has its text itself
  for (const sent of waiting()) {
    // The draft of it may be in the box: it is none any more.
    if (text.value && [sent.text, sent.begun].includes(text.value)) text.value = "";
    sent.doubtful = true;
    const item = bubble(sent.text);
    if (Date.now() - sent.at < KEY_HOLDS_MS) send(item, sent);
    else doubt(item, sent);
  }
  text.dispatchEvent(new Event("input"));
}

function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (octet) => octet.toString(16).padStart(2, "0")).join("");
}

if (form) {
  if (form.dataset.newest === "yes") resume();
  form.addEventListener("submit", (event) => {
    const sent = { text: text.value, key: form.elements.key.value, begun: form.elements.begun.value, at: Date.now() };
    wait(sent);
    if (form.dataset.newest !== "yes") { // an older page is shown: the answer leads to the newest, where it is settled
      notLater();
      return keep(null);
    }
    event.preventDefault();
    text.value = "";
    text.dispatchEvent(new Event("input"));
    notLater(); // it is no draft any more: the server sees to that
    keep(null);
    form.elements.key.value = newKey();
    text.focus();
    send(bubble(sent.text), sent);
    return undefined;
  });
  text.addEventListener("input", () => {
    keep({ text: text.value });
    later(DRAFT_MS);
  });
  addEventListener("pagehide", () => saving && save());
  const left = kept();
  if (left && left.text !== text.value) {
    text.value = left.text;
    text.dispatchEvent(new Event("input"));
  }
  // The first message of a conversation has arrived: it is no more being written on the page that it was sent from.
  if (location.hash && document.referrer && new URL(document.referrer).pathname === "/new") {
    const arrived = document.getElementById(location.hash.slice(1))?.querySelector(".text")?.textContent;
    if (kept("/new")?.text.trim() === arrived?.trim()) keep(null, "/new");
  }
}

// -- the first message to somebody -----------------------------------------------------------------------------

if (first) {
  const left = kept();
  if (left && first.dataset.fresh === "yes") {
    const { from, to, text: area } = first.elements;
    to.value = left.to;
    area.value = left.text;
    if ([...from.options].some((option) => option.value === left.from && !option.disabled)) from.value = left.from;
    if (left.key) first.elements.key.value = left.key; // should it have arrived after all, it goes once
    area.dispatchEvent(new Event("input"));
  }
  asked = left?.key;
  if (left?.begun) { // it is not what the page was made with: what is kept may be of another window by now
    known = left.begun;
    learn(asOne(left));
    const { begun } = first.elements;
    if (first.dataset.fresh !== "yes") learn(begun.value);
    else if (!known.includes(begun.value)) begun.value = asOne(left);
  }
  const keepAll = () => {
    const now = drafted();
    keep(now.to || now.text ? { ...now, key: asked, begun: known } : null);
    later(DRAFT_MS);
  };
  for (const event of ["input", "change"]) first.addEventListener(event, keepAll);
  first.addEventListener("submit", () => {
    notLater(); // it is no draft any more: the server sees to that
    asked = first.elements.key.value;
    keep({ ...drafted(), key: asked, begun: known });
  });
  addEventListener("pagehide", () => saving && save());
}

// -- every text ---------------------------------------------------------------------------------------------------

// What was said of a field is no more true when it is changed.
for (const field of document.querySelectorAll("#composer [name], #new [name]")) {
  field.addEventListener("input", () => {
    if (!aside) untell();
    document.getElementById(`${field.name}-problem`)?.remove();
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  });
}

for (const area of document.querySelectorAll("form textarea[name=text]")) {
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    const enter = area.form.dataset.enter === "on";
    if ((enter && !event.shiftKey) || event.ctrlKey || event.metaKey) {
      event.preventDefault();
      area.form.requestSubmit();
    }
  });
}
