// Under the text of a message that is being written: what is left, how many parts, in which alphabet and why.

import { count } from "./counter.mjs";

const ALPHABETS = { GSM7: "GSM-7", UCS2: "UCS-2", LATIN1: "Latin-1", ASCII: "ASCII" };

function words(found, rules) {
  if (found.not_encodable !== undefined) return "half of a character, which cannot be sent";
  if (found.too_long) return `too long: ${found.too_long} parts, at most ${rules.maximum_parts}`;
  const about = rules.exact ? "" : "about ";
  const parts = found.parts === 1 ? "1 part" : `${found.parts} parts`;
  const alphabet = ALPHABETS[found.encoding];
  const why = found.offending ? ` because of ${Array.from(found.offending).slice(0, 5).join(" ")}` : "";
  return `${about}${found.units_left} left · ${parts} · ${alphabet}${why}`;
}

for (const line of document.querySelectorAll("[data-rules]")) {
  const rules = JSON.parse(line.dataset.rules);
  const text = document.getElementById(line.dataset.counts);
  const show = () => {
    // A form sends each newline as CR LF and the server stores LF: that is what counts.
    line.textContent = words(count(text.value, rules), rules);
  };
  text.addEventListener("input", show);
  line.hidden = false;
  show();
}
