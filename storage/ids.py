"""Ids made by ourselves: integers that sort by time and stay exact in every JSON reader.

Layout, high to low: milliseconds since 2025-01-01 UTC (41 bits, until 2094), node (4), sequence (8).
Never 0, always below 2**53.
"""

import threading
from collections.abc import Callable

EPOCH_MS = 1_735_689_600_000
"""2025-01-01T00:00:00Z in milliseconds since the Unix epoch."""

NODES = 16
_SEQUENCES = 256
_TIME_SHIFT = 12
NODE_SHIFT = 8
_BEFORE_ITS_ROW_MS = 60_000


class IdSource:
    """I make the ids of one node; threads may share me.

    ``node`` is 0..15 and differs between processes that write to one store. ``wall_ms`` gives milliseconds
    since the Unix epoch. ``floor`` is the highest id known to be in use: every id will be above it.
    """

    def __init__(self, node: int, wall_ms: Callable[[], int], floor: int = 0) -> None:
        if not 0 <= node < NODES:
            raise ValueError(f"node must be 0 to {NODES - 1}, not {node}")
        self._node = node << NODE_SHIFT
        self._wall_ms = wall_ms
        self._tick = 0
        self._sequence = _SEQUENCES
        self._lock = threading.Lock()
        self.raise_floor(floor)

    def raise_floor(self, floor: int) -> None:
        """From now on every id is greater than ``floor``."""
        with self._lock:
            if floor >> _TIME_SHIFT >= self._tick:
                self._tick = floor >> _TIME_SHIFT
                self._sequence = _SEQUENCES

    def next(self) -> int:
        """The next id, greater than every one before.

        More than 256 in one millisecond borrow from the next ones; when the clock goes back, the ids go on
        from where they were.
        """
        with self._lock:
            tick = self._wall_ms() - EPOCH_MS
            if tick > self._tick:
                self._tick = tick
                self._sequence = 0
            elif self._sequence >= _SEQUENCES:
                self._tick += 1
                self._sequence = 0
            identifier = self._tick << _TIME_SHIFT | self._node | self._sequence
            self._sequence += 1
            return identifier


def lowest_at(wall_ms: int) -> int:
    """No row that is dated at or after this wall-clock time has a lower id.

    An id is made a moment before its row is dated; a minute is allowed for that. For narrowing a search by
    the key: the date must still be compared.
    """
    return max(wall_ms - _BEFORE_ITS_ROW_MS - EPOCH_MS, 0) << _TIME_SHIFT


def behind(identifier: int, by_ms: int) -> int:
    """The id that is so much older."""
    return max(identifier - (by_ms << _TIME_SHIFT), 0)


def time_of(identifier: int) -> int:
    """When an id was made, in milliseconds since the Unix epoch (later than it was, if ids were borrowed)."""
    return (identifier >> _TIME_SHIFT) + EPOCH_MS
