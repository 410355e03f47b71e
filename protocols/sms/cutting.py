"""Where a text is cut into parts.

A cut never falls between an escape and its code or inside a surrogate pair. What a reader sees as one
character (a grapheme cluster, UAX 29) is kept whole where that costs no part, or always when the route is
strict; only a cluster longer than a part is cut then.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from protocols.sms.data_coding import Encoding

Stepper = Callable[[bytes, int], int]

_PLAIN_PAIR = re.compile(
    b"(?:\x00[\x20-\x7e\xa0-\xa8\xb0-\xff]|[\x01\x02\x1e\x1f\x34-\x9f\xac-\xd6].|\x03[\x70-\xff]"
    b"|\x04[\x00-\x82\x8a-\xff]|\x05[\x00-\x2f\x31-\x56\xd0-\xea]|\x06[\x20-\x4a\x71-\xd3]"
    b"|\x20[\x10-\x27\xa0-\xbf]|\x30[\x01-\x29\x41-\x96\xa1-\xff]|\xff[\x01-\x9d]){2}",
    re.DOTALL,
)
"""Two UTF-16 units that are characters by themselves beside each other, whatever is around them."""


def cut(text: str, octets: bytes, encoding: Encoding, capacity: int, *, strict: bool = False) -> list[int]:
    """Offsets into the octets: 0, each cut, the end. `capacity`: octets in a part."""
    step = _STEPS.get(encoding)
    if step is None:
        cuts = [*range(0, len(octets), capacity), len(octets)]
    else:
        cuts = _greedy(octets, capacity, step)
    if all(_between_characters(octets, encoding, place) for place in cuts[1:-1]):
        return cuts
    return _whole_clusters(
        octets, capacity, step or _anywhere, _clusters(text, encoding), len(cuts) - 1, strict
    )


def _before_escape(octets: bytes, end: int) -> int:
    return end - 1 if octets[end - 1] == 0x1B else end


def _before_surrogate(octets: bytes, end: int) -> int:
    return end - 2 if 0xD8 <= octets[end - 2] <= 0xDB else end


def _anywhere(octets: bytes, end: int) -> int:
    return end


_STEPS: dict[Encoding, Stepper] = {Encoding.GSM7: _before_escape, Encoding.UCS2: _before_surrogate}


def _greedy(octets: bytes, capacity: int, step: Stepper, start: int = 0) -> list[int]:
    """Fill each part, stepping back from a pair; a ceiling division would be wrong."""
    cuts = [start]
    last = len(octets) - capacity
    while start < last:
        start = step(octets, start + capacity)
        cuts.append(start)
    cuts.append(len(octets))
    return cuts


def _between_characters(octets: bytes, encoding: Encoding, place: int) -> bool:
    """Whether a cut is certainly none inside a cluster, by a look at what is beside it."""
    if encoding is Encoding.UCS2:
        return _PLAIN_PAIR.match(octets, place - 2) is not None
    return octets[place - 1] != 0x0D or octets[place] != 0x0A


def _clusters(text: str, encoding: Encoding) -> list[int]:
    """Offsets into the octets at which a cluster ends."""
    import regex  # heavy, and few texts need it

    found = regex.findall(r"\X", text)
    if encoding is Encoding.UCS2:
        return list(accumulate(len(cluster.encode("utf-16-be")) for cluster in found))
    if encoding is Encoding.GSM7:
        from protocols.sms.alphabet import default

        return list(accumulate(len(default().encode(cluster)) for cluster in found))
    return list(accumulate(map(len, found)))


def _whole_clusters(
    octets: bytes, capacity: int, step: Stepper, clusters: list[int], parts: int, strict: bool
) -> list[int]:
    cuts = [0]
    start = 0
    last = len(octets) - capacity
    while start < last:
        end = step(octets, start + capacity)
        whole = clusters[bisect_right(clusters, end) - 1] if clusters[0] <= end else 0
        if whole > start and (strict or _parts_of(octets, capacity, step, whole) <= parts - len(cuts)):
            end = whole
        cuts.append(end)
        start = end
    cuts.append(len(octets))
    return cuts


def _parts_of(octets: bytes, capacity: int, step: Stepper, start: int) -> int:
    return len(_greedy(octets, capacity, step, start)) - 1
