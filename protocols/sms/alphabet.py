"""The GSM 7-bit alphabets: characters to septets and back (TS 23.038 §6.2.1, §6.2.1.1, annex A).

Septets are one to an octet here, an escape pair (1B and a code) two; `packing` puts them together.
An alphabet is a basic table of 128 places and an extension table of 128 more behind the escape. So every
character has a place in 256, and one pass of `bytes.translate` (for a Latin-1 text) or of
`codecs.charmap_encode` finds it: the extension table is the half with the high bit set, and only texts that
use it need a second look. Two places are never a character's: 1B of the basic table is the escape, 1B of the
extension table is reserved. The first is lent to the character at 00, for Python makes its fast table only
when 00 stands for U+0000; the second then says that a U+0000 was in the text.
"""

import codecs
from codecs import latin_1_encode
from collections.abc import Mapping
from functools import cache
from typing import Any

ESCAPE = 0x1B
_RESERVED = 0x80 | ESCAPE
REPLACEMENT = "\ufffd"
"""What stands for a code without a character, in a basic table too."""
_LOW = bytes(range(0x80))
_BLANK = 0xE000
_NOTHING = "\ufffe"  # charmap_build's word for a place without a character

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
"""The GSM 7 bit default alphabet by code (TS 23.038 §6.2.1); 1B is the escape. 09 is the capital Ç."""

EXTENSION: Mapping[int, str] = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
"""The default extension table: the code after the escape → character (TS 23.038 §6.2.1.1)."""


class Septets:
    """I turn text into septets and back with one pair of tables; without state.

    `characters` are all that the tables have. `latin1` translates the octets of a Latin-1 text: to septets
    when it needs no escape, else to octets that are not all below 80.
    """

    __slots__ = (
        "_blanks",
        "_decoding",
        "_encoding",
        "_escapes",
        "_fix",
        "_pairs",
        "characters",
        "latin1",
    )

    def __init__(self, basic: str = BASIC, extension: Mapping[int, str] = EXTENSION) -> None:
        if len(basic) != 0x80 or basic[ESCAPE] != "\x1b" or ESCAPE in extension:
            raise ValueError("a table has 128 places, and 1B is the escape in both")
        # A code without a character must not be taken for another such code behind an escape.
        places = [chr(_BLANK + code) if c == REPLACEMENT else c for code, c in enumerate(basic)]
        self._blanks = {ord(c): REPLACEMENT for c in places if ord(c) >= _BLANK}
        self._decoding = "".join(places) + REPLACEMENT * 0x80
        self._escapes = {places[code]: character for code, character in extension.items()}
        self._pairs = {0x80 | code: (bytes((0x80 | code,)), bytes((ESCAPE, code))) for code in extension}
        self.characters = (frozenset(basic) | frozenset(extension.values())) - {"\x1b", REPLACEMENT}
        self._encoding, self._fix = _encoding(basic, extension)
        self.latin1 = _latin1_table(basic, extension)

    def encode(self, text: str) -> bytes:
        """The septets of a text, one an octet. Raises UnicodeEncodeError when a character has none."""
        octets = latin_1_encode(text, "ignore")[
            0
        ]  # a miss is seen by the length, at less than an exception costs
        if len(octets) == len(text):
            octets = octets.translate(self.latin1)
        else:
            octets = self._charmap(text).translate(self._fix)
        return octets if octets.isascii() else self._escaped(text, octets)

    def _charmap(self, text: str) -> bytes:
        try:
            return codecs.charmap_encode(text, "strict", self._encoding)[0]
        except UnicodeEncodeError as error:
            zero = text.find("\0", 0, error.start)  # it has a place there only because Python wants one
            if zero >= 0:
                error.start, error.end = zero, zero + 1
            raise

    def _escaped(self, text: str, octets: bytes) -> bytes:
        if _RESERVED in octets:
            start = octets.index(_RESERVED)
            raise UnicodeEncodeError("gsm7", text, start, start + 1, "not in the alphabet")
        for place in set(octets.translate(None, _LOW)):
            octets = octets.replace(*self._pairs[place])
        return octets

    def decode(self, septets: bytes) -> str:
        """The text of septets, one an octet; never raises.

        A code that the extension table does not have is the basic character; two escapes, or one at the
        end, are a space (TS 23.038 §6.2.1.1 and its notes). Octets above 7F are no septets: U+FFFD.
        """
        text = codecs.charmap_decode(septets, "strict", self._decoding)[0]
        if ESCAPE in septets:
            text = self._unescaped(text)
        return text.translate(self._blanks) if self._blanks else text

    def _unescaped(self, text: str) -> str:
        text = text.replace("\x1b\x1b", " ")
        if text.endswith("\x1b"):
            text = text[:-1] + " "
        for head in {piece[:1] for piece in text.split("\x1b")[1:]}:
            text = text.replace("\x1b" + head, self._escapes.get(head, head))
        return text


def _encoding(basic: str, extension: Mapping[int, str]) -> tuple[Any, bytes]:
    """Python's fast encoding table, and the translation that puts right what it needed bent."""
    places = [*basic, *[_NOTHING] * 0x80]
    for code, character in extension.items():
        if character not in basic:
            places[0x80 | code] = character
    places[ESCAPE], places[0] = basic[0], "\0"
    seen: set[str] = set()
    for place, character in enumerate(places):  # of a character that is there twice, the first code is it
        if character in seen or character == REPLACEMENT:
            places[place] = _NOTHING
        seen.add(character)
    fix = bytearray(range(0x100))
    fix[0], fix[ESCAPE] = _RESERVED, 0
    return codecs.charmap_build("".join(places)), bytes(fix)


def _latin1_table(basic: str, extension: Mapping[int, str]) -> bytes:
    table = bytearray((_RESERVED,)) * 0x100
    for code, character in reversed([*enumerate(basic), *((0x80 | c, x) for c, x in extension.items())]):
        if character < "\u0100" and character != "\x1b":
            table[ord(character)] = code
    return bytes(table)


@cache
def default() -> Septets:
    """The default alphabet with its extension table."""
    return Septets()
