"""What a text costs, for the person who is writing it."""

from typing import NamedTuple

from protocols.sms.data_coding import Encoding
from protocols.sms.options import DEFAULT, LongMessageMode, SegmentOptions
from protocols.sms.segmentation import places
from protocols.sms.transliteration import Change
from protocols.sms.writing import Written, offending_characters, write


class Count(NamedTuple):
    """A text in the units of its encoding: septets, octets, or 16-bit characters.

    `units` is the text's own, without what cuts leave free. `units_left` is what the last part can still
    take. `parts` is what `segment` makes. `offending` is every character, once, because of which the text
    goes in UCS-2; None when it does not. `changes` are those of a transliteration.
    """

    encoding: Encoding
    units: int
    parts: int
    units_left: int
    offending: str | None
    changes: tuple[Change, ...] = ()


def count(text: str, options: SegmentOptions = DEFAULT) -> Count:
    """Count a text without making its parts. Raises what `segment` raises."""
    written = write(text, options)
    width = written.units.width
    made, left = _filled(written, options)
    offending = None if written.offending is None else offending_characters(written, options)
    units = len(written.octets) // width
    return Count(written.encoding, units, made, left // width, offending, written.changes)


def _filled(written: Written, options: SegmentOptions) -> tuple[int, int]:
    used = len(written.octets)
    if used <= written.single:
        return 1, written.single - used
    found, room = places(written, options)
    left = room - (used - found[-1])
    return (1 if options.mode is LongMessageMode.PAYLOAD else len(found)), left
