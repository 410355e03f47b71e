"""Which encoding a text goes in, and its octets in it before it is cut."""

from typing import NamedTuple

from protocols.sms import alphabet, packing
from protocols.sms.data_coding import Alphabet, Encoding
from protocols.sms.errors import NotEncodable
from protocols.sms.options import LongMessageMode, SegmentOptions

USER_DATA_OCTETS = 140
"""What one message carries, with its header (TS 23.040 §9.2.3.24)."""

CONCATENATION_OCTETS = {
    LongMessageMode.UDH8: 5,
    LongMessageMode.UDH16: 6,
    LongMessageMode.SAR: 6,  # the SMSC makes the header, and its reference may have 16 bits
    LongMessageMode.PAYLOAD: 6,
}
"""The elements that parts need, without the length octet of the header."""

_new = tuple.__new__


class Written(NamedTuple):
    """A text in octets: septets one an octet, not packed.

    `single` and `part` are how many octets of it fit in a message alone and in each of several parts.
    """

    encoding: Encoding
    octets: bytes
    data_coding: int
    single: int
    part: int
    offending: str | None


def capacity(encoding: Encoding, elements: int) -> int:
    """How many octets of a text go beside a header whose elements take so many octets (0: no header)."""
    free = USER_DATA_OCTETS - (elements + 1 if elements else 0)
    if encoding in (Encoding.GSM7, Encoding.ASCII):
        return free * 8 // 7
    return free & ~1 if encoding is Encoding.UCS2 else free


_GSM7 = {mode: (160, capacity(Encoding.GSM7, octets)) for mode, octets in CONCATENATION_OCTETS.items()}
_UCS2 = {mode: (140, capacity(Encoding.UCS2, octets)) for mode, octets in CONCATENATION_OCTETS.items()}
_encode = alphabet.default().encode


def write(text: str, options: SegmentOptions) -> Written:
    """Encode a text the shortest way that the route allows and that changes nothing.

    Raises NotEncodable when the text is not Unicode text.
    """
    if options.default_alphabet not in (Alphabet.GSM7, Alphabet.GSM7_PACKED):
        return _other(text, options)
    try:
        octets = _encode(text)
    except UnicodeEncodeError as error:
        return _ucs2(text, options, text[error.start])
    single, part = _GSM7[options.mode]
    written = _new(Written, (Encoding.GSM7, octets, 0, single, part, None))
    return written


def _other(text: str, options: SegmentOptions) -> Written:
    """Latin-1 or ASCII, whichever data_coding 0 is."""
    encoding = Encoding.ASCII if options.default_alphabet is Alphabet.ASCII else Encoding.LATIN1
    try:
        octets = text.encode(encoding.value)
    except UnicodeEncodeError as error:
        return _ucs2(text, options, text[error.start])
    elements = CONCATENATION_OCTETS[options.mode]
    return Written(encoding, octets, 0, capacity(encoding, 0), capacity(encoding, elements), None)


def _ucs2(text: str, options: SegmentOptions, offending: str) -> Written:
    try:
        octets = text.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise NotEncodable(text, error.start) from None
    single, part = _UCS2[options.mode]
    return _new(Written, (Encoding.UCS2, octets, 8, single, part, offending))
