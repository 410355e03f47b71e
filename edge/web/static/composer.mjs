// Beside a text that is being written: what is left, how many parts, in which alphabet and why; drafts, Enter, and a
// message that is in the thread as soon as it is sent.

import { listOf, refreshThread, shown, unsent } from "./center.mjs";
import { count } from "./counter.mjs";
import { fill } from "./parts.mjs";
import { keep, kept, loggedOut, refused, untell } from "./unsent.mjs";
import { _ } from "./words.mjs";

const ALPHABETS = { GSM7: "GSM-7", UCS2: "UCS-2", LATIN1: "Latin-1", ASCII: "ASCII" };
const DRAFT_MS = 800, DRAFT_AGAIN_MS = 2_000, DRAFT_SELDOM_MS = 60_000;
const TRIES = 2, AGAIN_MS = 1500;
const thread = document.getElementById("thread");

// -- the counter ----------------------------------------------------------------------------------------------

function words(found, rules) {
  if (found.not_encodable !== undefined) return _("half of a character, which cannot be sent");
  if (found.too_long) return _("too long: %s parts, at most %s", found.too_long, rules.maximum_parts);
  const left = rules.exact ? _("%s left", found.units_left) : _("about %s left", found.units_left);
  const parts = found.parts === 1 ? _("1 part") : _("%s parts", found.parts);
  const said = [left, parts, ALPHABETS[found.encoding]];
  if (found.offending) said.push(_("because of %s", Array.from(found.offending).slice(0, 5).join(" ")));
  return said.join(" · ");
}

// What stands for a character in the GSM alphabet; undefined when nothing does.
function plain(character, rules) {
  const known = rules.replacements?.[character];
  if (known !== undefined) return known;
  const bare = character.normalize("NFD").replace(/\p{M}/gu, "");
  return bare !== character && bare && Array.from(bare).every((c) => rules.basic.includes(c)) ? bare : undefined;
}

function offer(text, found, rules, show) {
  const place = document.getElementById("replacement");
  if (!place) return;
  place.replaceChildren();
  const offending = Array.from(found.offending ?? "").slice(0, 40);
  const changes = rules.basic ? offending.map((c) => [c, plain(c, rules)]) : [];
  if (!changes.length || changes.some(([, instead]) => instead === undefined)) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.textContent = _("Replace: %s", changes.map(([c, instead]) => `${c} → ${instead || "∅"}`).join(", "));
  button.addEventListener("click", () => {
    for (const [c, instead] of changes) text.value = text.value.replaceAll(c, instead);
    show();
    text.focus();
  });
  place.append(button);
}

for (const line of document.querySelectorAll("[data-rules]")) {
  const rules = JSON.parse(line.dataset.rules);
  const text = document.getElementById(line.dataset.counts);
  const show = () => {
    // A form sends each newline as CR LF and the server stores LF: that is what counts.
    const found = count(text.value, rules);
    line.textContent = words(found, rules);
    offer(text, found, rules, show);
    fit(text);
  };
  text.addEventListener("input", show);
  line.hidden = false;
  show();
}

function fit(text) {
  text.rows = Math.min(10, Math.max(Number(text.defaultValue.includes("\n")) + 1, text.value.split("\n").length));
}

// -- the answer -----------------------------------------------------------------------------------------------

const form = document.getElementById("composer");
const first = document.getElementById("new");
const text = form?.elements.text;
const DRAFTED = form ? ["text"] : ["to", "from", "text"];
let saving = 0, wait = DRAFT_AGAIN_MS;

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
  const body = new URLSearchParams({ csrf: place.elements.csrf.value, do: "draft", part: "draft", ...now });
  const answer = await fetch(place.action, { method: "POST", body, keepalive: now.text.length < 20_000 }).catch(() => null);
  if (answer?.ok && !answer.redirected) {
    wait = DRAFT_AGAIN_MS;
    // Whom it is to is kept in the window alone while there is no text.
    if (same() && (form || now.text.trim())) keep(null);
  } else if (answer?.redirected) loggedOut();
  else if (answer?.status === 403) refused(answer);
  else if (same()) {
    later(wait);
    wait = Math.min(wait * 2, DRAFT_SELDOM_MS);
  }
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

async function deliver(item, written, key, tries = 1) {
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", body: fields({ text: written, key, part: "thread" }) });
  } catch {
    return again(item, written, key, tries);
  }
  if (answer.status === 503) return again(item, written, key, tries);
  unsent.delete(item);
  item.remove();
  if (answer.ok && !answer.redirected) {
    if (!text.value) keep(null);
    fill(thread, await answer.text(), shown);
    return refreshThread(); // it may have been overtaken by one that knows more
  }
  text.value = text.value ? `${written}\n${text.value}` : written;
  text.dispatchEvent(new Event("input"));
  return refused(answer);
}

// Nobody knows whether it arrived; the key sees to it that it goes once all the same.
function again(item, written, key, tries) {
  if (tries < TRIES) return setTimeout(deliver, AGAIN_MS, item, written, key, tries + 1);
  const note = item.querySelector(".note");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.textContent = _("Try again");
  button.addEventListener("click", () => {
    note.textContent = _("sending…");
    deliver(item, written, key);
  });
  note.replaceChildren(_("not sent: the server does not answer"), " ", button);
}

function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (octet) => octet.toString(16).padStart(2, "0")).join("");
}

if (form) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.newest !== "yes") return; // an older page is shown: the answer leads to the newest
    event.preventDefault();
    const written = text.value, key = form.elements.key.value;
    text.value = "";
    text.dispatchEvent(new Event("input"));
    notLater(); // it is no draft any more: the server sees to that
    keep({ text: written, key });
    form.elements.key.value = newKey();
    text.focus();
    deliver(bubble(written), written, key);
  });
  text.addEventListener("input", () => {
    keep({ text: text.value });
    later(DRAFT_MS);
  });
  addEventListener("pagehide", () => saving && save());
  const left = kept();
  if (left && left.text !== text.value) {
    text.value = left.text;
    if (left.key) form.elements.key.value = left.key; // should it have arrived after all, it goes once
    text.dispatchEvent(new Event("input"));
  }
  // The first message of a conversation has arrived: it is no more being written on the page that it was sent from.
  if (location.hash && document.referrer && new URL(document.referrer).pathname === "/new") keep(null, "/new");
}

// -- the first message to somebody -----------------------------------------------------------------------------

if (first) {
  const left = kept();
  if (left && first.dataset.fresh === "yes") {
    const { from, to, text: area } = first.elements;
    to.value = left.to;
    area.value = left.text;
    if ([...from.options].some((option) => option.value === left.from && !option.disabled)) from.value = left.from;
    area.dispatchEvent(new Event("input"));
  }
  const keepAll = () => {
    const now = drafted();
    keep(now.to || now.text ? now : null);
    later(DRAFT_MS);
  };
  for (const event of ["input", "change"]) first.addEventListener(event, keepAll);
  first.addEventListener("submit", notLater); // it is no draft any more: the server sees to that
  addEventListener("pagehide", () => saving && save());
}

// -- every text ---------------------------------------------------------------------------------------------------

// What was said of a field is no more true when it is changed.
for (const field of document.querySelectorAll("#composer [name], #new [name]")) {
  field.addEventListener("input", () => {
    untell();
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
