"""How a route wants its texts."""

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from protocols.sms.data_coding import Alphabet
from protocols.sms.national import Language
from protocols.sms.transliteration import Transliteration

USER_DATA_OCTETS = 140
"""What one message carries, with its header (TS 23.040 §9.2.3.24)."""


class LongMessageMode(enum.Enum):
    """How the parts of a long message are told to belong together."""

    UDH8 = "udh8"
    """A user data header with an 8-bit reference (TS 23.040 §9.2.3.24.1)."""
    UDH16 = "udh16"
    """A user data header with a 16-bit reference (§9.2.3.24.8)."""
    SAR = "sar"
    """TLVs; the SMSC makes the header (SMPP 3.4 §5.3.2.22-24), whose reference may have 16 bits."""
    PAYLOAD = "payload"
    """The whole text in message_payload; the SMSC makes the parts (SMPP 3.4 §5.3.2.32)."""
    SEPARATE = "separate"
    """Texts of their own, each with a mark such as "1/3 ", for carriers that pass no concatenation."""


_ELEMENTS = {LongMessageMode.UDH8: 5, LongMessageMode.SEPARATE: 0}
"""The octets of the header's elements that tell of a part; six where it is not said."""


class Scheme(NamedTuple):
    """What follows from the options, worked out once, for all of it is asked for with every message."""

    gsm: bool
    plain: bool
    packed: bool
    verbatim: bool
    concatenation: int
    septets: int
    ucs2: int


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """What an upstream takes; the defaults are what nearly all take.

    `languages`: whose national tables may be used, where they save parts against UCS-2. `transliterate`: what
    may be changed in a text to have it in the GSM alphabet. Both are for upstreams that take that alphabet.
    `strict_clusters`: what a reader sees as one character is never cut, even when it costs a part; else it is
    kept whole where that costs none.
    """

    mode: LongMessageMode = LongMessageMode.UDH8
    default_alphabet: Alphabet = Alphabet.GSM7
    strict_clusters: bool = False
    languages: tuple[Language, ...] = ()
    transliterate: Transliteration = Transliteration.OFF
    scheme: Scheme = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        packed = self.default_alphabet is Alphabet.GSM7_PACKED
        elements = _ELEMENTS.get(self.mode, 6)
        scheme = Scheme(
            gsm=packed or self.default_alphabet is Alphabet.GSM7,
            plain=self.default_alphabet is Alphabet.GSM7,
            packed=packed,
            verbatim=not self.languages and self.transliterate is Transliteration.OFF,
            concatenation=elements,
            septets=septets_beside(elements),
            ucs2=octets_beside(elements) & ~1,
        )
        object.__setattr__(self, "scheme", scheme)


def octets_beside(elements: int) -> int:
    """How many octets of text go beside a header whose elements take so many octets (0: no header)."""
    return USER_DATA_OCTETS - (elements + 1 if elements else 0)


def septets_beside(elements: int) -> int:
    """How many septets go beside it; they start at the first septet's bound after it."""
    return octets_beside(elements) * 8 // 7


DEFAULT = SegmentOptions()
