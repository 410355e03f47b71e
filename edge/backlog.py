"""What waits in memory of a queue that is a table: the parts of an upstream.

Work comes from two sides: from a pipeline right after its commit, and from the table (restart, retry,
overflow, another process). Nothing may be handed out twice, so every id that memory deals with is
*known* from before its commit until it is out of memory again; and since a look at the table takes
time, ids that left during a look stay known until that look is over.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Backlog(Generic[Work]):
    """I order work by id, which is by time of acceptance: what comes back goes to its old place.

    ``limit`` bounds how much waits in memory; more is left to the table (`overflowed`).
    """

    def __init__(self, limit: int, identity: Callable[[Work], int]) -> None:
        self._limit = limit
        self._identity = identity
        self._heap: list[tuple[int, Work]] = []
        self._known: set[int] = set()
        self._left_during_look: set[int] | None = None
        self.overflowed = True  # the table may hold work from before we started

    def __len__(self) -> int:
        return len(self._heap)

    def expect(self, ids: Iterable[int]) -> None:
        """These are in memory's hands from now on, whether they wait here or are on their way."""
        self._known.update(ids)

    def put(self, work: Work) -> None:
        """Let expected work wait here, or leave it to the table when memory is full."""
        identity = self._identity(work)
        if len(self._heap) >= self._limit:
            self.overflowed = True
            self.done(identity)
            return
        heapq.heappush(self._heap, (identity, work))

    def put_back(self, work: Work) -> None:
        """Let wait here again what was here before, even beyond the limit: what comes after it may be here
        already, and must not overtake it."""
        heapq.heappush(self._heap, (self._identity(work), work))

    def clear(self) -> frozenset[int]:
        """Leave to the table what waits here; the ids that memory still deals with."""
        for identity, _ in self._heap:
            self.done(identity)
        self._heap.clear()
        self.overflowed = True
        return frozenset(self._known)

    def take(self) -> Work:
        """The oldest. The caller has it until it calls `done` or `put`."""
        return heapq.heappop(self._heap)[1]

    def done(self, identity: int) -> None:
        """It is not memory's any more: finished, or left to the table."""
        self._known.discard(identity)
        if self._left_during_look is not None:
            self._left_during_look.add(identity)

    def begin_look(self) -> bool:
        """True when the caller should read the table now; it must end the look with `end_look`."""
        if self._left_during_look is not None or len(self._heap) > self._limit // 2:
            return False
        self._left_during_look = set()
        return True

    def end_look(self, found: Iterable[Work], complete: bool) -> None:
        """Take what the look found and memory does not have.

        ``complete``: the look saw everything that is due, so nothing is left to the table alone.
        """
        left, self._left_during_look = self._left_during_look or set(), None
        for work in found:
            identity = self._identity(work)
            if identity not in self._known and identity not in left:
                self._known.add(identity)
                heapq.heappush(self._heap, (identity, work))
        self.overflowed = not complete
