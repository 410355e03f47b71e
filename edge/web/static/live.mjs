// What changes in the account, told to every page of it that is open. One page holds the stream and passes on to the
// others what it hears (a browser has few connections to a host); when it is closed, another one takes over. While there
// is no stream, everything is looked at now and then.

const POLL_MS = 5000;
const AGAIN_MS = 60_000;
const EVERYTHING = { gap: true, changes: [] };
const listeners = new Set();
const others = "BroadcastChannel" in window ? new BroadcastChannel("trunkline-live") : null;
let polling = 0;

// Calls `listener(change)`: `change.gap` says that anything may have changed, else `change.changes` has the places.
export function onChange(listener) {
  listeners.add(listener);
}

function tell(change) {
  for (const listener of listeners) listener(change);
}

function announce(change) {
  others?.postMessage(change);
  tell(change);
}

function poll(on) {
  if (on === Boolean(polling)) return;
  clearInterval(polling);
  polling = on ? setInterval(announce, POLL_MS, EVERYTHING) : 0;
}

function listen() {
  const source = new EventSource("/live");
  source.addEventListener("open", () => {
    poll(false);
    announce(EVERYTHING); // what changed between the making of the page and now
    document.documentElement.dataset.live = "stream";
  });
  source.addEventListener("change", (event) => announce(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    document.documentElement.dataset.live = "polling";
    poll(true);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  });
}

export function start() {
  others?.addEventListener("message", (event) => tell(event.data));
  if (!navigator.locks) return listen();
  const hold = () => new Promise(listen); // never given back: the browser does that
  navigator.locks.request("trunkline-live", { ifAvailable: true }, (lock) => {
    if (lock) return hold();
    document.documentElement.dataset.live = "shared";
    tell(EVERYTHING);
    navigator.locks.request("trunkline-live", hold);
    return undefined;
  });
}
