// Single letters as commands: / n j k r e ?. They can be switched off, and never are taken from what somebody types.

const help = document.getElementById("keys");
const on = help?.dataset.single === "on";

function typing(element) {
  return element.matches?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
}

function step(by) {
  const links = [...document.querySelectorAll(".conversations a, .row a.peer")];
  if (!links.length) return;
  const at = links.findIndex((link) => link === document.activeElement);
  const from = at >= 0 ? at : links.findIndex((link) => link.ariaCurrent);
  const next = from < 0 ? 0 : Math.min(Math.max(from + by, 0), links.length - 1);
  links[next].focus();
}

function use(element) {
  if (!element) return false;
  if (element.matches("a, button")) element.click();
  else element.focus();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (!on || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
  if (event.key === "?") help.showModal();
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (!/^[/nre]$/.test(event.key) || !use(document.querySelector(`[data-key="${event.key}"]`))) return;
  event.preventDefault();
});
