"""Characters that the GSM alphabet lacks, written with those that it has; only for routes that ask for it.

`punctuation` replaces what word processors put in for what people type. `full` also drops accents and spells
out signs and letters of the Latin script.
"""

import enum
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from protocols.sms import alphabet


class Transliteration(enum.Enum):
    """How far a route may change a text to have it in the GSM alphabet."""

    OFF = "off"
    PUNCTUATION = "punctuation"
    FULL = "full"


class Change(NamedTuple):
    """What stood at `position` of the text, and what stands there now; it may be nothing."""

    position: int
    original: str
    replacement: str


def _each(characters: str, replacement: str) -> dict[str, str]:
    return dict.fromkeys(characters, replacement)


PUNCTUATION = {
    **_each(
        "\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb`\u00b4\u2039\u203a",
        "'",
    ),
    **_each("\u201c\u201d\u201e\u201f\u2033\u2036\u02ba\u02dd\u02ee\u00ab\u00bb\u301d\u301e\uff02", '"'),
    **_each("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u02d7\ufe58\ufe63\uff0d", "-"),
    **_each(
        "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
        " ",
    ),
    **_each("\u2028\u2029\u0085\x0b", "\n"),
    **_each("\u200b\u2060\ufeff\u00ad", ""),
    # What only tells how to draw: joiners, directions, variants. Numbers copied from a phone book have some.
    **_each("\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufe0e\ufe0f", ""),
    **_each("\u2022\u2023\u25cf\u25aa\u2219", "*"),
    "\u00b7": ".",
    **_each("\u2044\u2215", "/"),
    "\u2026": "...",
    "\u2025": "..",
    "\u2024": ".",
    "\u203c": "!!",
    "\u2047": "??",
    "\u2048": "?!",
    "\u2049": "!?",
    "\u037e": ";",
    "\u02dc": "~",
    "\u02c6": "^",
    "\u00a6": "|",
}
"""What `punctuation` replaces."""

SIGNS = {
    "\u00e7": "c",
    "\u00a9": "(C)",
    "\u00ae": "(R)",
    "\u2117": "(P)",
    "\u2122": "TM",
    "\u2120": "SM",
    "\u00b0": "o",
    "\u00ba": "o",
    "\u00aa": "a",
    "\u00d7": "x",
    "\u00f7": "/",
    "\u00b1": "+-",
    "\u00b5": "u",
    "\u00a2": "c",
    "\u0131": "i",
    "\u0142": "l",
    "\u0141": "L",
    "\u0111": "d",
    "\u0110": "D",
    "\u00f0": "d",
    "\u00d0": "D",
    "\u0127": "h",
    "\u0126": "H",
    "\u0167": "t",
    "\u0166": "T",
    "\u014b": "n",
    "\u014a": "N",
    "\u0138": "k",
    "\u00fe": "th",
    "\u00de": "Th",
    "\u0153": "oe",
    "\u0152": "OE",
    "\u1e9e": "SS",
    "\u2190": "<-",
    "\u2192": "->",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    **dict(
        zip(
            "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
            "ABEZHIKMNOPTYX",
            strict=True,
        )
    ),
}
"""What `full` replaces besides dropping accents; Greek capitals become their Latin twins."""

_PIECE = re.compile("(?s:.)[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]*")
_HAS = alphabet.default().characters
_OTHER_MEANINGS = ("<fraction>", "<super>", "<sub>")


def transliterate(text: str, how: Transliteration) -> tuple[str, tuple[Change, ...]]:
    """The text with everything replaced that can be; what cannot is left, so it may still not be GSM."""
    if how is Transliteration.OFF:
        return text, ()
    if how is Transliteration.PUNCTUATION:
        pieces = [(position, c, PUNCTUATION.get(c, c)) for position, c in enumerate(text)]
    else:
        pieces = [(m.start(), m[0], _spelt(m[0])) for m in _PIECE.finditer(text)]
    changes = tuple(Change(*piece) for piece in pieces if piece[1] != piece[2])
    return "".join(piece[2] for piece in pieces), changes


@lru_cache(maxsize=4096)
def _spelt(piece: str) -> str:
    """A character with its combining marks, in the GSM alphabet; as it is when it cannot be."""
    composed = unicodedata.normalize("NFC", piece)
    spelt = "".join(_letter(character) for character in composed)
    return spelt if all(character in _HAS for character in spelt) else piece


def _letter(character: str) -> str:
    if character in _HAS:
        return character
    simple = PUNCTUATION.get(character, SIGNS.get(character))
    if simple is not None:
        return simple
    form = unicodedata.normalize("NFKD", character)
    if form.startswith(" ") or unicodedata.decomposition(character).startswith(_OTHER_MEANINGS):
        return character  # an accent alone, a power, a fraction: its letters say something else
    bare = [c for c in form if not unicodedata.combining(c)]
    return "".join(c if c in _HAS else PUNCTUATION.get(c, SIGNS.get(c, c)) for c in bare)
