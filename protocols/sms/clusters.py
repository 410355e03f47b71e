"""What a reader sees as one character: extended grapheme clusters (UAX 29).

Finding them costs much, and most texts need no finding: two characters of the many that stand for themselves
are always two clusters. Only beside another one is the text read by `regex`, from a place near by.
"""

import re

_PLAIN_CHARACTERS = (
    "\x20-\x7e\xa0-\xa8\xb0-\u02ff\u0370-\u0482\u048a-\u052f\u0531-\u0556\u0561-\u0586\u05d0-\u05ea"
    "\u0620-\u064a\u0671-\u06d3\u1e00-\u1fff\u2010-\u2027\u20a0-\u20bf\u2e80-\u2e99\u3001-\u3029"
    "\u3041-\u3096\u30a0-\u30ff\u3105-\u312f\u3400-\u9fff\uac00-\ud7a3\uff01-\uff9d"
    "\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001f9ff"
)
"""Characters of which no two beside each other join, in the form of a regular expression's class."""

PREPENDED = (
    "\u0600-\u0605\u06dd\u070f\u0890-\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2-\U000111c3"
    "\U000113d1\U0001193f\U00011941\U00011a3f\U00011a84-\U00011a89\U00011d46\U00011f02"
)
"""Characters that join even a space after them (Prepend of UAX 29)."""

plain = re.compile(f"[{_PLAIN_CHARACTERS}]*").fullmatch
"""Whether all characters of a text are of those that never join each other."""

_PREPENDED = re.compile(f"[{PREPENDED}]")


def start_of(text: str, index: int, floor: int) -> int:
    """The last place up to `index` that is between clusters; `floor` must be one, before it."""
    import regex  # type: ignore[import-untyped,unused-ignore]  # takes long to load; few processes need it

    space = text.rfind(" ", floor + 1, index)
    if space > 0 and _PREPENDED.match(text, space - 1) is None:
        floor = space
    around = next(match for match in regex.finditer(r"\X", text, pos=floor) if match.end() >= index)
    return index if around.end() == index else int(around.start())


def split(text: str) -> list[str]:
    """All clusters of a text."""
    if plain(text):
        return list(text)
    import regex  # as above

    return list(regex.findall(r"\X", text))
