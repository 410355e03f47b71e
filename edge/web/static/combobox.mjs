// Whom what is typed may mean: the combobox pattern of WAI-ARIA, with the list below the field.

import { _ } from "./words.mjs";

const WAIT_MS = 120;
const WHOLE_DIGITS = 7;

// Is this number what was typed, with or without what people leave out at its beginning?
function isWhole(typed, number) {
  const digits = typed.replace(/[\s().+\-/]/g, "").replace(/^0+/, "");
  return /^\d+$/.test(digits) && digits.length >= WHOLE_DIGITS && number.endsWith(digits);
}

function combobox(input) {
  const list = document.createElement("ul");
  list.className = "suggestions";
  list.id = `${input.id}-suggestions`;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", _("Contacts"));
  list.hidden = true;
  input.after(list);
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", list.id], ["aria-expanded", "false"]]) {
    input.setAttribute(name, value);
  }
  const source = document.getElementById("from");
  let waiting = 0, at = -1, isChosen = false;
  source?.addEventListener("change", () => {
    isChosen = true;
  });

  function open(on) {
    list.hidden = !on;
    input.setAttribute("aria-expanded", String(on));
    if (!on) select(-1);
  }

  function select(place) {
    at = place;
    [...list.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === at)));
    if (at < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", list.children[at].id);
  }

  function propose(number) {
    const did = [...(source?.options ?? [])].find((option) => option.value === number && !option.disabled);
    if (did) source.value = did.value;
  }

  function choose(item) {
    input.value = item.dataset.number;
    document.getElementById("several")?.remove();
    propose(item.dataset.did);
    open(false);
    input.dispatchEvent(new Event("change", { bubbles: true })); // not "input": nothing more is looked for
  }

  function show(found) {
    list.replaceChildren(
      ...found.map(({ number, name, label, did }, place) => {
        const item = document.createElement("li");
        item.id = `${list.id}-${place}`;
        item.setAttribute("role", "option");
        item.dataset.number = number;
        item.dataset.did = did ?? "";
        item.textContent = [name === number ? "" : name, label, number].filter(Boolean).join(" ");
        item.addEventListener("mousedown", (event) => {
          event.preventDefault();
          choose(item);
        });
        return item;
      }),
    );
    open(found.length > 0 && document.activeElement === input);
    select(-1);
    const meant = found.filter(({ number }) => isWhole(input.value, number));
    if (meant.length === 1 && !isChosen) propose(meant[0].did);
  }

  input.addEventListener("input", () => {
    clearTimeout(waiting);
    document.getElementById("several")?.remove(); // it was asked about another name
    const typed = input.value;
    waiting = setTimeout(async () => {
      const answer = await fetch(`${input.dataset.suggest}?q=${encodeURIComponent(typed)}`).catch(() => null);
      if (answer?.ok && input.value === typed) show(await answer.json());
    }, WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const last = list.children.length - 1;
    if (event.key === "ArrowDown") select(at < last ? at + 1 : 0);
    else if (event.key === "ArrowUp") select(at > 0 ? at - 1 : last);
    else if (event.key === "Escape") open(false);
    else if (event.key === "Enter" && at >= 0) choose(list.children[at]);
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", () => open(false));
}

for (const input of document.querySelectorAll("[data-suggest]")) combobox(input);
