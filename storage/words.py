"""The words of a text as the search compares them: without case and accents, emoji and ideographs one by one.

Both engines index what `words` gives and neither folds anything itself, so both find the same.
"""

import re
import unicodedata
from collections.abc import Iterator

MAX_WORD = 64
"""Characters of a word that count; PostgreSQL's limit for a lexeme is 2,046 octets."""

_ASCII_WORD = re.compile("[a-z0-9]+")
_ALONE = ("So", "Co", "Sm", "Sc")
# Writing without spaces: kana, ideographs with their extensions, compatibility ideographs.
_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


def fold(text: str) -> str:
    """For comparing names: compatibility forms, case and accents taken away."""
    return "".join(_folded(text))


def words(text: str) -> list[str]:
    """Each word once, in the order of the text. "Café 😀" gives "cafe" and "😀"."""
    if text.isascii():
        return list(dict.fromkeys(word[:MAX_WORD] for word in _ASCII_WORD.findall(text.lower())))
    found: dict[str, None] = {}
    word: list[str] = []
    for letter in _folded(text):
        alone = _stands_alone(letter)
        if not alone and (letter.isalnum() or unicodedata.category(letter) in ("Mc", "Mn")):
            word.append(letter)
            continue
        found["".join(word[:MAX_WORD])] = None
        word.clear()
        if alone:
            found[letter] = None
    found["".join(word[:MAX_WORD])] = None
    found.pop("", None)
    return list(found)


def _folded(text: str) -> Iterator[str]:
    for letter in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()):
        # An accent has a combining class; a vowel sign of an Indic script has none and belongs to the word.
        if not unicodedata.combining(letter) and not "\ufe00" <= letter <= "\ufe0f":
            yield letter


def _stands_alone(letter: str) -> bool:
    if letter < "\x80":
        return False
    code = ord(letter)
    return unicodedata.category(letter) in _ALONE or any(low <= code <= high for low, high in _UNSPACED)
