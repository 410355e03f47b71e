// Comfort only; every page works without it. Times in the reader's zone; lists that keep themselves fresh.

const PERIOD_MS = 2000;
const list = document.querySelector("[data-refresh]");
const news = document.getElementById("news");
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.textContent = short.format(at);
    time.title = full.format(at);
  }
}

// The lines between days, which the server can only draw in UTC.
function localDays(root) {
  for (const line of root.querySelectorAll("li.day")) line.remove();
  let last = null;
  for (const bubble of root.querySelectorAll("li.bubble")) {
    const name = day.format(new Date(bubble.querySelector("time").dateTime));
    if (name === last) continue;
    last = name;
    const line = document.createElement("li");
    line.className = "day";
    line.textContent = name;
    bubble.before(line);
  }
}

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
  localTimes(fresh);
  localDays(fresh);
  const known = new Set(received(list).map((item) => item.id));
  const added = received(fresh).filter((item) => !known.has(item.id));
  if (first && !added.length && fresh.textContent === list.textContent) return;
  swap(fresh);
  if (added.length && news) {
    news.textContent = added.length === 1 ? "One new message." : `${added.length} new messages.`;
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

localTimes(document);
localDays(document);
if (list) {
  if (list.querySelector(".thread") && !location.hash) document.scrollingElement.scrollTop = document.scrollingElement.scrollHeight;
  setTimeout(poll, PERIOD_MS);
}
