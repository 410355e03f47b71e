"""What data_coding says about a text (SMPP 3.4 §5.2.19, TS 23.038 §4).

The sixteen lowest values are SMPP's own; all others are read by the bit groups of TS 23.038. What is
reserved is as 0, as TS 23.038 §4 has it.
"""

import enum
from functools import lru_cache
from typing import NamedTuple


class Alphabet(enum.Enum):
    """What an upstream means by data_coding 0, which SMPP leaves to the SMSC."""

    GSM7 = "gsm7"
    """The GSM alphabet, one septet an octet."""
    GSM7_PACKED = "gsm7_packed"
    """The GSM alphabet, eight septets in seven octets; for every data_coding of the GSM alphabet."""
    LATIN1 = "latin1"
    ASCII = "ascii"


class Encoding(enum.Enum):
    """How the characters of a text are written."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"
    LATIN1 = "latin1"
    ASCII = "ascii"
    BINARY = "binary"
    CYRILLIC = "iso8859_5"
    HEBREW = "iso8859_8"
    SHIFT_JIS = "shift_jis"
    ISO2022_JP = "iso2022_jp"
    EUC_JP = "euc_jp"
    EUC_KR = "euc_kr"


class Waiting(enum.Enum):
    """What a message waiting indication is about (TS 23.038 §4, groups 1100 to 1110)."""

    VOICEMAIL = 0
    FAX = 1
    EMAIL = 2
    OTHER = 3


class Indication(NamedTuple):
    """A message waiting indication; `store` is False when the text is to be discarded."""

    kind: Waiting
    active: bool
    store: bool


class Coding(NamedTuple):
    """A data_coding taken apart.

    `message_class` is 0 (flash) to 3, None when none is given. `automatic_deletion` is the group 01.
    `compressed` text cannot be read without TS 23.042, so its `encoding` is BINARY.
    """

    encoding: Encoding
    message_class: int | None = None
    indication: Indication | None = None
    compressed: bool = False
    automatic_deletion: bool = False


_SMPP = {
    1: Encoding.ASCII,
    2: Encoding.BINARY,
    3: Encoding.LATIN1,
    4: Encoding.BINARY,
    5: Encoding.SHIFT_JIS,
    6: Encoding.CYRILLIC,
    7: Encoding.HEBREW,
    8: Encoding.UCS2,
    9: Encoding.BINARY,  # pictograms, of no alphabet that is published
    10: Encoding.ISO2022_JP,
    13: Encoding.EUC_JP,
    14: Encoding.EUC_KR,
}
_GENERAL = (Encoding.GSM7, Encoding.BINARY, Encoding.UCS2, Encoding.GSM7)
_OF_ZERO = {Alphabet.LATIN1: Encoding.LATIN1, Alphabet.ASCII: Encoding.ASCII}


@lru_cache(maxsize=1024)
def read(data_coding: int, default_alphabet: Alphabet = Alphabet.GSM7) -> Coding:
    """Take a data_coding (0 to 255) apart."""
    group = data_coding >> 4
    of_zero = _OF_ZERO.get(default_alphabet, Encoding.GSM7)
    if data_coding == 0:
        return Coding(of_zero)
    if group == 0:
        return Coding(_SMPP.get(data_coding, of_zero))
    if group < 8:
        return _general(data_coding)
    if group < 12:
        return Coding(of_zero)
    if group < 15:
        indication = Indication(Waiting(data_coding & 3), bool(data_coding & 8), group > 12)
        return Coding(Encoding.UCS2 if group == 14 else Encoding.GSM7, indication=indication)
    return Coding(Encoding.BINARY if data_coding & 4 else Encoding.GSM7, data_coding & 3)


def _general(data_coding: int) -> Coding:
    """Groups 00xx and 01xx: compressed, class given, alphabet, class."""
    compressed = bool(data_coding & 0x20)
    return Coding(
        Encoding.BINARY if compressed else _GENERAL[data_coding >> 2 & 3],
        data_coding & 3 if data_coding & 0x10 else None,
        compressed=compressed,
        automatic_deletion=data_coding >= 0x40,
    )
