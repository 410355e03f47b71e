// What a text costs while somebody writes it: the counter of `protocols.sms.rules`, written from its description.

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

function costs(text, rules) {
  const basic = new Set(rules.basic), extension = new Set(rules.extension);
  const characters = Array.from(text);
  const cost = (c) => {
    if (rules.highest !== undefined) return c.codePointAt(0) <= rules.highest ? 1 : 0;
    return basic.has(c) ? 1 : extension.has(c) ? 2 : 0;
  };
  const found = characters.map(cost);
  if (!found.includes(0)) {
    const octets = rules.highest !== undefined;
    return { encoding: octets ? rules.encoding : "GSM7", size: rules.sizes[octets ? "octets" : "gsm7"], units: found };
  }
  const offending = [...new Set(characters.filter((c) => cost(c) === 0))].join("");
  const units = characters.map((c) => (c.codePointAt(0) > 0xffff ? 2 : 1));
  return { encoding: "UCS2", size: rules.sizes.ucs2, units, offending };
}

// Fills parts from a character on; gives the number of parts, and the units in the last one.
function fill(units, part, from) {
  let parts = 1, used = 0;
  for (let i = from; i < units.length; i++) {
    if (used + units[i] > part) { parts++; used = 0; }
    used += units[i];
  }
  return { parts, used };
}

// For each character: where its cluster starts. Asked again for the same text, it need not look again.
let lastText, lastStarts;
function clusterStarts(text) {
  if (text === lastText) return lastStarts;
  const starts = [];
  for (const { segment } of segmenter.segment(text)) {
    const start = starts.length;
    for (const _ of segment) starts.push(start);
  }
  lastText = text;
  lastStarts = starts;
  return starts;
}

// Half of a surrogate pair is no text.
const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

function fillWhole(text, units, part, rules) {
  const least = fill(units, part, 0), limit = least.parts, strict = rules.strict_clusters;
  if (limit > rules.maximum_parts) return least;
  const starts = clusterStarts(text);
  let parts = 1, used = 0, from = 0;
  for (let i = 0; i < units.length; i++) {
    if (used + units[i] > part) {
      const start = starts[i];
      if (start > from && start < i && (strict || parts + fill(units, part, start).parts <= limit)) i = start;
      parts++; used = 0; from = i;
    }
    used += units[i];
  }
  return { parts, used };
}

function fillMarked(text, units, part, rules) {
  if (!rules.marks.length) return { ...fillWhole(text, units, part, rules), room: part };
  let filled;
  for (const { parts, units: mark } of rules.marks) {
    filled = { ...fillWhole(text, units, part - mark, rules), room: part - mark };
    if (filled.parts <= parts) break;
  }
  return filled;
}

export function count(text, rules) {
  const lone = text.search(LONE);
  if (lone >= 0) return { not_encodable: lone };
  const { encoding, size, units, offending } = costs(text, rules);
  const total = units.reduce((sum, unit) => sum + unit, 0);
  const whole = total <= size.single;
  const { parts, used, room } = whole ? { parts: 1, used: total, room: size.single } : fillMarked(text, units, size.part, rules);
  if (parts > rules.maximum_parts) return { too_long: parts };
  return {
    encoding,
    units: total,
    parts: rules.one_part ? 1 : parts,
    units_left: room - used,
    offending: offending === undefined ? null : offending,
  };
}
