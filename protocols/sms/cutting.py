"""Where a text is cut into parts.

A cut never falls between an escape and its code or inside a surrogate pair. What a reader sees as one
character (a grapheme cluster) is kept whole where that costs no part, or always when the route is strict;
only a cluster longer than a part is cut then.
"""

from collections.abc import Sequence
from itertools import pairwise

from protocols.sms import clusters
from protocols.sms.clusters import plain
from protocols.sms.errors import MAXIMUM_PARTS
from protocols.sms.units import Units


def cut(text: str, octets: bytes, units: Units, capacity: int, strict: bool) -> Sequence[int]:
    """Where the parts start: 0, and each cut, as offsets into the octets. `capacity`: octets in a part.

    What is more parts than a message can have is not looked at for clusters.
    """
    even = units.even(text, octets)
    starts = range(0, len(octets), capacity) if even else _greedy(octets, capacity, units)
    if units.apart(octets) or len(starts) > MAXIMUM_PARTS:
        return starts
    if even:
        step = capacity // units.width
        beside = text[step - 1 :: step] + text[step::step]
    else:
        beside = "".join([text[index - 1 : index + 1] for index in _indexes(octets, starts, units)])
    if plain(beside):
        return starts
    return _whole_clusters(text, octets, units, capacity, len(starts), strict)


def _greedy(octets: bytes, capacity: int, units: Units, start: int = 0) -> list[int]:
    """Fill each part, stepping back from what cannot be cut; a division would come out short."""
    step = units.step
    starts = [start]
    last = len(octets) - capacity
    while start < last:
        start = step(octets, start + capacity)
        starts.append(start)
    return starts


def _indexes(octets: bytes, starts: Sequence[int], units: Units) -> list[int]:
    """The cuts' places in the text."""
    indexes = []
    index = 0
    for start, end in pairwise(starts):
        index += units.characters(octets, start, end)
        indexes.append(index)
    return indexes


def _whole_clusters(
    text: str, octets: bytes, units: Units, capacity: int, parts: int, strict: bool
) -> list[int]:
    """As `_greedy`, but stepping back to the start of a cluster where `parts` or `strict` allow it."""
    starts = [0]
    start = index = between = 0  # `between`: the last place in the text that is known to be between clusters
    last = len(octets) - capacity
    while start < last:
        end = units.step(octets, start + capacity)
        end_index = index + units.characters(octets, start, end)
        beside = text[end_index - 1 : end_index + 1]
        whole = end_index if plain(beside) else clusters.start_of(text, end_index, between)
        if index < whole < end_index:
            earlier = end - len(units.encode(text[whole:end_index]))
            if strict or len(_greedy(octets, capacity, units, earlier)) <= parts - len(starts):
                end, end_index = earlier, whole
        between = whole
        start, index = end, end_index
        starts.append(end)
    return starts
