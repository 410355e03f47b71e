// What became of a message, beside the list; without a script its link leads to a page of its own.

import { ask, put } from "./parts.mjs";

const drawer = document.getElementById("drawer");
const content = document.getElementById("drawer-content");
let shown = null;

async function show(address) {
  const html = await ask(`${address}?part=matrix`);
  if (html === null) return location.assign(address);
  shown = address;
  put(content, html);
  if (!drawer.open) drawer.showModal();
}

export async function refreshDrawer() {
  if (!drawer?.open) return;
  const html = await ask(`${shown}?part=matrix`);
  if (html !== null) put(content, html);
}

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
  await refreshDrawer();
});
