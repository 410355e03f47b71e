"""Which encoding a text goes in, and its octets in it before it is cut."""

from codecs import utf_16_be_encode
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from protocols.sms import alphabet, cutting, marks, national, packing
from protocols.sms.data_coding import Alphabet, Encoding
from protocols.sms.errors import NotEncodable
from protocols.sms.options import LongMessageMode, SegmentOptions, octets_beside, septets_beside
from protocols.sms.transliteration import Change, Transliteration, transliterate
from protocols.sms.units import OctetUnits, SeptetUnits, Units, Utf16Units

_new = tuple.__new__  # half the cost of calling a NamedTuple
_GSM7, _UCS2 = Encoding.GSM7, Encoding.UCS2
_DEFAULT = alphabet.default()
_SEPTETS, _OCTETS, _UTF16 = SeptetUnits(_DEFAULT, joins=False), OctetUnits(), Utf16Units()
_encode = _DEFAULT.encode


class Written(NamedTuple):
    """A text in octets: septets one an octet, not packed.

    `text` is the one that is sent, with `changes` made to it. `single` and `part` are how many octets of it
    fit in a message alone and in each of several parts. `shifts` are the elements that a header needs for it.
    """

    encoding: Encoding
    octets: bytes
    data_coding: int
    single: int
    part: int
    offending: str | None
    units: Units
    text: str
    shifts: bytes = b""
    changes: tuple[Change, ...] = ()


def write(text: str, options: SegmentOptions) -> Written:
    """Encode a text in the first of these that has all its characters.

    The default alphabet of the upstream; national tables that the options allow, when they save parts against
    UCS-2; the GSM alphabet after the transliteration that they allow; UCS-2. Raises NotEncodable when the
    text is not Unicode text.
    """
    scheme = options.scheme
    if not scheme.gsm:
        return _other(text, options)
    first = text[:1]
    if first > "Ω" and first != "€":  # a script that GSM does not have: no need to fail at it
        return _ucs2(text, options, first) if scheme.verbatim else _not_gsm(text, options, first)
    try:
        octets = _encode(text)
    except UnicodeEncodeError as error:
        return _not_gsm(text, options, text[error.start])
    written = _new(Written, (_GSM7, octets, 0, 160, scheme.septets, None, _SEPTETS, text, b"", ()))
    return _unambiguous(written, options, text) if scheme.packed else written


def _unambiguous(written: Written, options: SegmentOptions, text: str) -> Written:
    """The text; as it was, in UCS-2, when packing would make a carriage return of it look like padding."""
    if 0x0D not in written.octets:
        return written
    elements = len(written.shifts)
    whole = options.mode is LongMessageMode.PAYLOAD or len(written.octets) <= written.single
    starts = (0,) if whole else cuts(written, options)[0]
    pieces = [written.octets[start:end] for start, end in pairwise((*starts, len(written.octets)))]
    if not whole and options.mode in (LongMessageMode.UDH8, LongMessageMode.UDH16):
        elements += options.scheme.concatenation
    if not whole and options.mode is LongMessageMode.SEPARATE:
        pieces = marks.marked(pieces, written.units)
    fill = packing.fill_bits(elements + 1 if elements else 0)
    if any(packing.ambiguous(piece, fill) for piece in pieces):
        ucs2 = _ucs2(text, options, "\r")
        return ucs2._replace(offending=offending_characters(ucs2, options)[0])
    return written


def _not_gsm(text: str, options: SegmentOptions, offending: str) -> Written:
    ucs2 = _ucs2(text, options, offending)
    if options.scheme.verbatim:
        return ucs2
    limit = parts(ucs2, options)
    spelling = options.transliterate is not Transliteration.OFF
    # Tables that leave a text as it is are better than a spelling that does not, even if they save no part.
    written = _national(text, options, limit + 1 if spelling else limit)
    if written is None and spelling:
        written = _spelt(text, options, limit)
    if written is None:
        return ucs2._replace(offending=offending_characters(ucs2, options)[0])
    return _unambiguous(written, options, text) if options.scheme.packed else written


def _spelt(text: str, options: SegmentOptions, limit: int) -> Written | None:
    """The text as the transliteration spells it, if that is in the alphabet or in national tables."""
    spelt, changes = transliterate(text, options.transliterate)
    try:
        octets = _encode(spelt)
    except UnicodeEncodeError:
        written = _national(spelt, options, limit)
        return None if written is None else written._replace(changes=changes)
    return Written(_GSM7, octets, 0, 160, options.scheme.septets, None, _SEPTETS, spelt, b"", changes)


def _national(text: str, options: SegmentOptions, limit: int) -> Written | None:
    """The tables that make the fewest parts, then the fewest septets; None unless parts are below `limit`."""
    best = None
    least = (limit, 0)
    for locking, single in national.choices(options.languages):
        septets = national.septets(locking, single)
        shifts = national.shifts(locking, single)
        alone, part = septets_beside(len(shifts)), septets_beside(options.scheme.concatenation + len(shifts))
        try:
            octets = septets.encode(text)
            written = Written(_GSM7, octets, 0, alone, part, None, SeptetUnits(septets), text, shifts)
            cost = parts(written, options), len(octets) + len(shifts)
        except UnicodeEncodeError:  # the text, or what marks its parts
            continue
        if cost < least:
            best, least = written, cost
    return best


def _other(text: str, options: SegmentOptions) -> Written:
    """Latin-1 or ASCII, whichever data_coding 0 is."""
    ascii_ = options.default_alphabet is Alphabet.ASCII
    encoding = Encoding.ASCII if ascii_ else Encoding.LATIN1
    try:
        octets = text.encode(encoding.value)
    except UnicodeEncodeError as error:
        return _ucs2(text, options, text[error.start])
    beside = septets_beside if ascii_ else octets_beside
    part = beside(options.scheme.concatenation)
    return Written(encoding, octets, 0, beside(0), part, None, _OCTETS, text)


def _ucs2(text: str, options: SegmentOptions, offending: str) -> Written:
    try:
        octets = utf_16_be_encode(text)[0]
    except UnicodeEncodeError as error:
        raise NotEncodable(text, error.start) from None
    return _new(Written, (_UCS2, octets, 8, 140, options.scheme.ucs2, offending, _UTF16, text, b"", ()))


def cuts(written: Written, options: SegmentOptions) -> tuple[Sequence[int], int]:
    """Where the parts of a text that one cannot carry start in its octets, however many there are; and how
    many octets of it a part has room for."""
    if options.mode is LongMessageMode.SEPARATE:
        return marks.cuts(written, options.strict_clusters)
    strict = options.strict_clusters
    return cutting.cut(written.text, written.octets, written.units, written.part, strict), written.part


def parts(written: Written, options: SegmentOptions) -> int:
    """How many parts a text is in."""
    return 1 if len(written.octets) <= written.single else len(cuts(written, options)[0])


def offending_characters(written: Written, options: SegmentOptions) -> str:
    """Every character, once, because of which a text goes in UCS-2.

    A carriage return alone is one where it would be taken for the padding of packed septets. With national
    tables they are those that no table has; where each has a table, but none has all, those of no default.
    """
    if options.scheme.gsm:
        characters = dict.fromkeys(transliterate(written.text, options.transliterate)[0])
        beyond = "".join(c for c in characters if c not in _DEFAULT.characters)
        tables = [national.septets(*pair).characters for pair in national.choices(options.languages)]
        return "".join(c for c in beyond if not any(c in table for table in tables)) or beyond or "\r"
    end = 0x80 if options.default_alphabet is Alphabet.ASCII else 0x100
    return "".join(c for c in dict.fromkeys(written.text) if ord(c) >= end)
