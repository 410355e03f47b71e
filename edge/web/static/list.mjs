// The classic list: it keeps itself fresh, and all of a page can be selected at once.

import "./keys.mjs";
import { refreshDrawer } from "./drawer.mjs";
import { onChange, start } from "./live.mjs";
import { refresh } from "./parts.mjs";

const list = document.getElementById("list");
const all = document.getElementById("all");
const select = document.getElementById("select-all");

if (all) all.hidden = false;
select?.addEventListener("change", () => {
  for (const box of list.querySelectorAll("input[name=message]")) box.checked = select.checked;
});
onChange((change) => {
  refresh(list);
  refreshDrawer(change);
});
start();
