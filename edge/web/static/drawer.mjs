// What became of a message, beside the list; without a script its link leads to a page of its own.

import { ask, fill, refresh } from "./parts.mjs";

const drawer = document.getElementById("drawer");
const content = document.getElementById("drawer-content");
let shown = null;

async function show(address) {
  const part = `${address}?part=matrix`;
  const html = await ask(part).catch(() => null);
  if (html === null) return location.assign(address);
  shown = address;
  content.dataset.part = part;
  fill(content, html);
  if (!drawer.open) drawer.showModal();
}

// `change` as `live.mjs` tells it; only what concerns the message that is shown matters.
export function refreshDrawer(change) {
  if (change.gap || change.changes.some(({ message }) => shown === `/messages/${message}`)) refresh(content);
}

drawer?.addEventListener("close", () => {
  shown = null;
  delete content.dataset.part;
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-drawer]");
  if (!link || !drawer || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link.getAttribute("href"));
});

content?.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-in-drawer]");
  if (!form) return;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form, event.submitter));
  fields.set("part", "matrix");
  await fetch(form.getAttribute("action"), { method: "POST", body: fields });
  refresh(content);
});
