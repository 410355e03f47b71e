// What somebody has written and the server does not have yet: it stays in this tab, for him alone, until the server has
// it or he logs out. So a log-in that ends while he writes takes nothing away.

import { _ } from "./words.mjs";

const PREFIX = "unsent ", SENT = " sent";
const login = document.querySelector(".who .login")?.textContent ?? "";

function name(path) {
  return `${PREFIX}${login} ${path}`;
}

// The fields of the page at this path, as they were left; null when there is nothing.
export function kept(path = location.pathname) {
  try {
    return JSON.parse(sessionStorage.getItem(name(path)));
  } catch {
    return null;
  }
}

// null: the server has it.
export function keep(fields, path = location.pathname) {
  try {
    if (fields) sessionStorage.setItem(name(path), JSON.stringify(fields));
    else sessionStorage.removeItem(name(path));
  } catch {
    // The browser keeps nothing for us: then it is only on the page.
  }
}

// The texts of this conversation that were sent while nobody has said yet that they arrived, in their order: each with
// `text`, `key`, `begun` as the form has them, and `at` (ms).
export function waiting() {
  return kept(location.pathname + SENT) ?? [];
}

export function wait(sent) {
  keep([...waiting(), sent], location.pathname + SENT);
}

// It arrived, or the server has refused it.
export function settled(key) {
  const others = waiting().filter((sent) => sent.key !== key);
  keep(others.length ? others : null, location.pathname + SENT);
}

export function forgetAll() {
  try {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
  } catch {
    // It kept nothing.
  }
}

// -- what is said of it -----------------------------------------------------------------------------------------

// A sentence at the form; `link` is [words, address] of what helps.
export function tell(sentence, link) {
  const place = document.getElementById("setback");
  const said = document.createElement("p");
  said.className = "problem";
  said.append(sentence);
  if (link) {
    const anchor = document.createElement("a");
    [anchor.textContent, anchor.href] = link;
    said.append(" ", anchor);
    place.dataset.lasting = "yes";
  }
  place.replaceChildren(said);
}

// What was wrong was with another text. What needs the writer's help stays.
export function untell() {
  const place = document.getElementById("setback");
  if (place && !place.dataset.lasting) place.replaceChildren();
}

// The log-in is over: who writes is told so, others are shown the log-in.
export function loggedOut() {
  const place = document.getElementById("setback");
  if (!place || !(kept() || waiting().length)) return location.reload();
  if (place.dataset.lasting) return undefined;
  const here = encodeURIComponent(location.pathname + location.search);
  return tell(_("You are logged out. What you have written stays in this window."), [_("Log in"), `/login?next=${here}`]);
}

// Why our server refused: `tell()` says it; `ended` is a log-in that is over, which tells nothing of what was asked before.
// null: the answer is none of ours (a proxy's, it may be), or the server does not know itself. Of a page only the part
// that is meant for this place is shown.
export async function refusal(answer) {
  if (answer.redirected && new URL(answer.url).pathname === "/login") return { ended: true, tell: loggedOut };
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const said = answer.ok || answer.status >= 500 ? null : page.querySelector("[data-setback]");
  if (!said) return null;
  if (said.dataset.setback !== "stale") return { ended: false, tell: () => tell(said.textContent) };
  const sentence = _("You have logged in anew since this page was opened. What you have written stays.");
  return { ended: true, tell: () => tell(sentence, [_("Load it again"), location.href]) };
}
