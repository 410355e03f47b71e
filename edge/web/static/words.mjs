// What the scripts say, in the language of the page; the server puts the words beside it.

const words = JSON.parse(document.getElementById("words")?.textContent ?? "{}");

// In the page's language; each %s stands for one of the values.
export function _(text, ...values) {
  let place = 0;
  return (words[text] ?? text).replaceAll("%s", () => values[place++]);
}
