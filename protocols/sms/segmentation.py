"""From a text to the parts that carry it."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from struct import Struct
from typing import NamedTuple

from protocols.sms import alphabet, marks, packing
from protocols.sms.data_coding import Encoding
from protocols.sms.errors import MAXIMUM_PARTS, TooLong
from protocols.sms.header import UDHI
from protocols.sms.options import DEFAULT, LongMessageMode, SegmentOptions, octets_beside
from protocols.sms.transliteration import Change
from protocols.sms.units import BINARY_UNITS
from protocols.sms.writing import Written, cuts, write

SAR_MSG_REF_NUM = 0x020C
SAR_TOTAL_SEGMENTS = 0x020E
SAR_SEGMENT_SEQNUM = 0x020F
MESSAGE_PAYLOAD = 0x0424
_EIGHT_BIT = 4  # data_coding of octets that are no text (SMPP 3.4 §5.2.19)

_OCTET = [bytes((value,)) for value in range(0x100)]
_NUMBERS = range(1, MAXIMUM_PARTS + 1)
_NUMBER_OCTETS = _OCTET[1:]
_GSM7 = Encoding.GSM7
_UDH8, _SAR, _PAYLOAD = LongMessageMode.UDH8, LongMessageMode.SAR, LongMessageMode.PAYLOAD
_SEPARATE = LongMessageMode.SEPARATE
_LATIN1 = alphabet.default().latin1
_new = tuple.__new__  # half the cost of calling a NamedTuple


class Segment(NamedTuple):
    """One part as a submit_sm carries it; `number` is from 1 to `total`, tlvs are (tag, value)."""

    number: int
    total: int
    user_data: bytes
    data_coding: int
    esm_class: int
    tlvs: tuple[tuple[int, bytes], ...] = ()


class Segmented(NamedTuple):
    """A text in parts.

    `offending` is the first character because of which the text goes in UCS-2, None when it does not;
    `changes` are those of a transliteration.
    """

    encoding: Encoding
    segments: tuple[Segment, ...]
    offending: str | None = None
    changes: tuple[Change, ...] = ()


def segment(text: str, reference: int = 0, options: SegmentOptions = DEFAULT) -> Segmented:
    """Encode a text and cut it into parts; an empty text is one part of zero octets.

    `reference` is the caller's counter for this destination; its lowest 8 or 16 bits are used. Raises TooLong
    for more than 255 parts, NotEncodable for a text with half a surrogate pair.
    """
    if len(text) <= 160 and text.isascii() and options.scheme.plain:
        octets = text.encode().translate(_LATIN1)  # what most messages are, without what others need
        if octets.isascii():
            return _new(Segmented, (_GSM7, (_new(Segment, (1, 1, octets, 0, 0, ())),), None, ()))
    written = write(text, options)
    octets, shifts = written.octets, written.shifts
    if len(octets) > written.single:
        segments = _parts(written, places(written, options)[0], reference, options)
    elif shifts or (options.scheme.packed and written.encoding is _GSM7):
        segments = (_one(written, options),)
    else:
        segments = (_new(Segment, (1, 1, octets, written.data_coding, 0, ())),)
    return _new(Segmented, (written.encoding, segments, written.offending, written.changes))


def segment_binary(octets: bytes, reference: int = 0, options: SegmentOptions = DEFAULT) -> Segmented:
    """Cut 8-bit data into parts: 140 octets alone, 134 or 133 behind a concatenation (TS 23.040 §9.2.3.24).

    The same `reference` and TooLong as for a text. ValueError for octets that one message cannot carry on a
    route of separate texts, for nothing would tell that they belong together.
    """
    part = octets_beside(options.scheme.concatenation)
    written = Written(Encoding.BINARY, octets, _EIGHT_BIT, octets_beside(0), part, None, BINARY_UNITS, "")
    if len(octets) <= written.single:
        return Segmented(Encoding.BINARY, (_one(written, options),))
    if options.mode is _SEPARATE:
        raise ValueError(f"{len(octets)} octets need a concatenation, which this route does not pass")
    return Segmented(Encoding.BINARY, _parts(written, places(written, options)[0], reference, options))


def places(written: Written, options: SegmentOptions) -> tuple[Sequence[int], int]:
    """Where the parts start in the octets of a text that one part cannot carry, and how many octets of it a
    part has room for. Raises TooLong."""
    found, room = cuts(written, options)
    if len(found) > MAXIMUM_PARTS:
        raise TooLong(len(found))
    return found, room


def _one(written: Written, options: SegmentOptions) -> Segment:
    """A part alone, with the header that its tables need."""
    head = _header(written.shifts)
    octets = _packed([written.octets], head, written, options)[0]
    return Segment(1, 1, head + octets, written.data_coding, UDHI if head else 0)


def _header(elements: bytes) -> bytes:
    return _OCTET[len(elements)] + elements if elements else b""


def _packed(pieces: list[bytes], head: bytes, written: Written, options: SegmentOptions) -> list[bytes]:
    """Pieces as they go behind a header, packed for an upstream that wants it."""
    if not options.scheme.packed or written.encoding is not _GSM7:
        return pieces
    fill = packing.fill_bits(len(head))
    return [packing.pack(piece, fill) for piece in pieces]


@lru_cache(maxsize=1024)
def _row(width: int, count: int) -> Struct:
    return Struct(f"{width}s" * count)


def _pieces(octets: bytes, starts: Sequence[int], width: int) -> list[bytes]:
    full, last = len(starts) - 1, starts[-1]
    if last == full * width:  # no cut had to step back, so one call makes them all
        return [*_row(width, full).unpack_from(octets), octets[last:]]
    return [octets[start:end] for start, end in pairwise((*starts, len(octets)))]


def _parts(
    written: Written, starts: Sequence[int], reference: int, options: SegmentOptions
) -> tuple[Segment, ...]:
    mode, shifts, coding = options.mode, written.shifts, written.data_coding
    if mode is _PAYLOAD:
        return (_payload(written, options),)
    if mode is _SEPARATE:
        return _separate(written, starts, options)
    count = len(starts)
    pieces = _pieces(written.octets, starts, written.part)
    if mode is _UDH8:
        head = b"%c\0\3%c%c" % (5 + len(shifts), reference & 0xFF, count)
    elif mode is _SAR:
        head = _header(shifts)
        return _sar(_packed(pieces, head, written, options), head, coding, reference)
    else:
        head = b"%c\x08\4%c%c%c" % (6 + len(shifts), reference >> 8 & 0xFF, reference & 0xFF, count)
    if options.scheme.packed:
        pieces = _packed(pieces, head + b"\0" + shifts, written, options)
    numbers = [number + shifts for number in _NUMBER_OCTETS] if shifts else _NUMBER_OCTETS
    return tuple(
        [
            _new(Segment, (number, count, head + octet + piece, coding, UDHI, ()))
            for number, octet, piece in zip(_NUMBERS, numbers, pieces)  # noqa: B905  # as many as pieces
        ]
    )


def _payload(written: Written, options: SegmentOptions) -> Segment:
    """All of it in a TLV; without a concatenation, the SMSC makes that."""
    head = _header(written.shifts)
    octets = _packed([written.octets], head, written, options)[0]
    return Segment(1, 1, b"", written.data_coding, UDHI if head else 0, ((MESSAGE_PAYLOAD, head + octets),))


def _separate(written: Written, starts: Sequence[int], options: SegmentOptions) -> tuple[Segment, ...]:
    head, octets = _header(written.shifts), written.octets
    pieces = [octets[start:end] for start, end in pairwise((*starts, len(octets)))]
    carried = _packed(marks.marked(pieces, written.units), head, written, options)
    esm_class = UDHI if head else 0
    return tuple(
        Segment(number, len(pieces), head + piece, written.data_coding, esm_class)
        for number, piece in enumerate(carried, 1)
    )


def _sar(pieces: list[bytes], head: bytes, coding: int, reference: int) -> tuple[Segment, ...]:
    count = len(pieces)
    reference_tlv = (SAR_MSG_REF_NUM, (reference & 0xFFFF).to_bytes(2, "big"))
    total_tlv = (SAR_TOTAL_SEGMENTS, _OCTET[count])
    esm_class = UDHI if head else 0
    tlvs = [(reference_tlv, total_tlv, (SAR_SEGMENT_SEQNUM, octet)) for octet in _NUMBER_OCTETS[:count]]
    return tuple(
        Segment(number, count, head + piece, coding, esm_class, tlvs[number - 1])
        for number, piece in enumerate(pieces, 1)
    )
