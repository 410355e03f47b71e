// Beside a text that is being written: what is left, how many parts, in which alphabet and why; and what may stand
// instead of what makes it longer.

import { count } from "./counter.mjs";
import { _ } from "./words.mjs";

const ALPHABETS = { GSM7: "GSM-7", UCS2: "UCS-2", LATIN1: "Latin-1", ASCII: "ASCII" };

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
