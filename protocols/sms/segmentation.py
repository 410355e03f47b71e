"""From a text to the parts that carry it."""

from typing import NamedTuple

from protocols.sms import packing
from protocols.sms.cutting import cut
from protocols.sms.data_coding import Alphabet, Encoding
from protocols.sms.errors import MAXIMUM_PARTS, TooLong
from protocols.sms.header import CONCATENATION_8, CONCATENATION_16, UDHI
from protocols.sms.options import DEFAULT, LongMessageMode, SegmentOptions
from protocols.sms.writing import Written, write

SAR_MSG_REF_NUM = 0x020C
SAR_TOTAL_SEGMENTS = 0x020E
SAR_SEGMENT_SEQNUM = 0x020F
MESSAGE_PAYLOAD = 0x0424

_OCTET = [bytes((value,)) for value in range(0x100)]
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

    `offending` is the first character that the upstream's default alphabet does not have, when there is one.
    """

    encoding: Encoding
    segments: tuple[Segment, ...]
    offending: str | None = None


def segment(text: str, reference: int = 0, options: SegmentOptions = DEFAULT) -> Segmented:
    """Encode a text and cut it into parts; an empty text is one part of zero octets.

    `reference` is the caller's counter for this destination; its lowest 8 or 16 bits are used. Raises TooLong
    for more than 255 parts, NotEncodable for a text with half a surrogate pair.
    """
    written = write(text, options)
    encoding, octets, data_coding, single, part, offending = written
    if len(octets) <= single:
        if options.default_alphabet is Alphabet.GSM7_PACKED and encoding is Encoding.GSM7:
            octets = packing.pack(octets)
        return _new(Segmented, (encoding, (_new(Segment, (1, 1, octets, data_coding, 0, ())),), offending))
    cuts = places(text, written, options)
    return _new(Segmented, (encoding, tuple(_parts(written, cuts, reference, options)), offending))


def places(text: str, written: Written, options: SegmentOptions) -> list[int]:
    """Where a text that is longer than one message is cut: 0, each cut, the end. Raises TooLong."""
    cuts = cut(text, written.octets, written.encoding, written.part, strict=options.strict_clusters)
    if len(cuts) > MAXIMUM_PARTS + 1:
        raise TooLong(len(cuts) - 1)
    return cuts


def _parts(written: Written, cuts: list[int], reference: int, options: SegmentOptions) -> list[Segment]:
    octets, coding = written.octets, written.data_coding
    pieces = [octets[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]
    if options.mode is LongMessageMode.PAYLOAD:
        return [_payload(written, options)]
    if options.mode is LongMessageMode.SAR:
        return _sar(pieces, written, reference, options)
    total = _OCTET[len(pieces)]
    if options.mode is LongMessageMode.UDH8:
        head = bytes((5, CONCATENATION_8, 3, reference & 0xFF)) + total
    else:
        head = bytes((6, CONCATENATION_16, 4, reference >> 8 & 0xFF, reference & 0xFF)) + total
    if _packed(written, options):
        fill = packing.fill_bits(len(head) + 1)
        pieces = [packing.pack(piece, fill) for piece in pieces]
    count = len(pieces)
    return [
        _new(Segment, (number, count, head + _OCTET[number] + piece, coding, UDHI, ()))
        for number, piece in enumerate(pieces, 1)
    ]


def _packed(written: Written, options: SegmentOptions) -> bool:
    return options.default_alphabet is Alphabet.GSM7_PACKED and written.encoding is Encoding.GSM7


def _payload(written: Written, options: SegmentOptions) -> Segment:
    octets = packing.pack(written.octets) if _packed(written, options) else written.octets
    return Segment(1, 1, b"", written.data_coding, 0, ((MESSAGE_PAYLOAD, octets),))


def _sar(pieces: list[bytes], written: Written, reference: int, options: SegmentOptions) -> list[Segment]:
    if _packed(written, options):
        pieces = [packing.pack(piece) for piece in pieces]
    count = len(pieces)
    reference_tlv = (SAR_MSG_REF_NUM, (reference & 0xFFFF).to_bytes(2, "big"))
    total_tlv = (SAR_TOTAL_SEGMENTS, _OCTET[count])
    return [
        Segment(
            number,
            count,
            piece,
            written.data_coding,
            0,
            (reference_tlv, total_tlv, (SAR_SEGMENT_SEQNUM, _OCTET[number])),
        )
        for number, piece in enumerate(pieces, 1)
    ]
