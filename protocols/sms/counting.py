"""What a text costs, for the person who is writing it."""

from typing import NamedTuple

from protocols.sms.data_coding import Encoding
from protocols.sms.options import DEFAULT, LongMessageMode, SegmentOptions
from protocols.sms.segmentation import places
from protocols.sms.writing import Written, write


class Count(NamedTuple):
    """A text in the units of its encoding: septets, octets, or 16-bit characters.

    `units` is the text's own, without what cuts leave free. `units_left` is what the last part can still
    take. `parts` is what `segment` makes. `offending` is as in `Segmented`.
    """

    encoding: Encoding
    units: int
    parts: int
    units_left: int
    offending: str | None


def count(text: str, options: SegmentOptions = DEFAULT) -> Count:
    """Count a text without making its parts. Raises what `segment` raises."""
    written = write(text, options)
    width = 2 if written.encoding is Encoding.UCS2 else 1
    parts, left = _filled(text, written, options)
    return Count(written.encoding, len(written.octets) // width, parts, left // width, written.offending)


def _filled(text: str, written: Written, options: SegmentOptions) -> tuple[int, int]:
    used = len(written.octets)
    if used <= written.single:
        return 1, written.single - used
    cuts = places(text, written, options)
    left = written.part - (cuts[-1] - cuts[-2])
    return (1 if options.mode is LongMessageMode.PAYLOAD else len(cuts) - 1), left
