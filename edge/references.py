"""Concatenation references (TS 23.040 §9.2.3.24.1): counted per pair of numbers, never random.

Two long messages to one phone must not carry the same reference while the phone may still hold
parts of the first. Counting per (DID, peer) makes the distance the whole range; a random one
collides once in 256.
"""

from collections import OrderedDict
from collections.abc import Callable

REMEMBERED_PAIRS = 100_000


class References:
    """I count for each pair of numbers. ``start`` gives a pair's first reference (0..65535): random, so
    that a restart does not begin where the last run began."""

    def __init__(self, start: Callable[[], int]) -> None:
        self._start = start
        self._last: OrderedDict[tuple[str, str], int] = OrderedDict()

    def next(self, did: str, peer: str) -> int:
        """A reference of 16 bits; who needs eight takes the low octet."""
        pair = (did, peer)
        last = self._last.pop(pair, None)
        value = (self._start() if last is None else last + 1) & 0xFFFF
        self._last[pair] = value
        if len(self._last) > REMEMBERED_PAIRS:
            self._last.popitem(last=False)
        return value
