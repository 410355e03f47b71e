"""The parts that wait for one upstream: in memory what fits, in the table the rest, each message in order."""

from collections.abc import Callable, Iterable, Sequence

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge.backlog import Backlog
from edge.lanes import REMEMBERED, Lanes
from edge.recent import Recent
from storage import parts
from storage.parts import QueuedPart
from storage.records import PartFlag
from storage.store import Store

log = structlog.get_logger(__name__)

LOOK_PARTS = 1_000


class PartQueue:
    """I hand out an upstream's parts, oldest first, and know which of them are on their way.

    ``feed`` is called when a look at the table may have brought some.
    """

    def __init__(
        self, upstream: str, limit: int, store: Store, wall_ms: Callable[[], int], feed: Callable[[], None]
    ) -> None:
        self._withdrawers = 0
        self._upstream = upstream
        self._store = store
        self._wall_ms = wall_ms
        self._feed = feed
        self._backlog: Backlog[QueuedPart] = Backlog(limit, lambda queued: queued.part.id)
        self._lanes = Lanes()
        self._withdrawals = 0
        self._looks = 0
        # messages with a part that is held, and the look before which it was
        self._held: Recent[int, int] = Recent(REMEMBERED)
        self._kept: Recent[int, None] = Recent(REMEMBERED)

    @property
    def withdrawn(self) -> bool:
        """Somebody changes the table: nothing is handed out."""
        return self._withdrawers > 0

    def __len__(self) -> int:
        return len(self._backlog)

    @property
    def empty(self) -> bool:
        """Nothing waits, neither here nor in the table."""
        return not self._backlog and not self._backlog.overflowed and not self.withdrawn

    @property
    def hungry(self) -> bool:
        """Nothing waits here, but the table may have some."""
        return self._backlog.overflowed and not self._backlog

    # -- in ---------------------------------------------------------------------------------------

    def expect(self, part_ids: Iterable[int]) -> None:
        """These are about to be committed; a look at the table must not take them twice."""
        self._backlog.expect(part_ids)

    def forget(self, part_ids: Iterable[int]) -> None:
        """They were not committed."""
        for part_id in part_ids:
            self._backlog.done(part_id)

    def put(self, items: Iterable[QueuedPart]) -> None:
        """They are committed and wait."""
        for item in items:
            self._backlog.put(item)

    def look(self) -> Deferred[None] | None:
        """Ask the table for more, if there is room for it."""
        if self.withdrawn or not self._backlog.begin_look():
            return None
        self._looks += 1
        return self._store.read(parts.queued, self._upstream, self._wall_ms(), LOOK_PARTS).addCallbacks(
            self._looked, self._could_not_look, callbackArgs=(self._withdrawals, self._looks)
        )

    def _looked(self, found: Sequence[QueuedPart], withdrawals: int, look: int) -> None:
        if withdrawals != self._withdrawals:  # what it saw may have moved to another upstream since
            self._backlog.end_look((), complete=False)
            return
        for item in found:  # so whatever was held before it is decided, if that was held before this look
            before = self._held.get(item.part.message_id)
            if before is not None and before < look:
                self._held.drop(item.part.message_id)
        self._backlog.end_look(found, complete=len(found) < LOOK_PARTS)
        if self._backlog:
            self._feed()

    def _could_not_look(self, failure: Failure) -> None:
        self._backlog.end_look((), complete=False)
        log.error("queue_not_read", upstream=self._upstream, error=failure.getErrorMessage())

    # -- out --------------------------------------------------------------------------------------

    def take(self, room: int, now_ms: int) -> list[QueuedPart]:
        """At most ``room`` parts that may go now. Those whose time is over are left to the table."""
        ready: list[QueuedPart] = []
        if self.withdrawn:
            return ready
        backlog, lanes = self._backlog, self._lanes
        while backlog and len(ready) < room:
            item = backlog.take()
            if item.part.message_id in self._held:
                self._leave(item)
            elif lanes.barred(item) or (item.part.expires_at is not None and item.part.expires_at <= now_ms):
                backlog.done(item.part.id)
            elif lanes.enter(item):
                ready.append(item)
        return ready

    def enter(self, item: QueuedPart) -> None:
        """This part goes at once, without having waited."""
        self._lanes.enter(item)

    def barred(self, item: QueuedPart) -> bool:
        """It must not be sent after all."""
        return self._lanes.barred(item)

    def back(self, items: Iterable[QueuedPart]) -> None:
        """They did not go, or were refused for now: to their old places, before what is behind them."""
        for item in items:
            if self.kept(item):
                self.leave_to_table([item])
            else:
                self._backlog.put_back(item)
                self.release(item)

    def done(self, item: QueuedPart) -> None:
        """Nothing of this part is left to do here; the next one of its message may go."""
        self._backlog.done(item.part.id)
        self.release(item)

    def release(self, item: QueuedPart) -> None:
        """The next one of its message may go; this part itself stays known."""
        for behind in self._lanes.leave(item):
            self._backlog.put_back(behind)

    def drop(self, item: QueuedPart) -> None:
        """Nothing more of this message is sent."""
        if item.part.total > 1:
            self._lanes.bar(item.part.message_id)
        self.done(item)

    def bar(self, identities: Iterable[int]) -> None:
        """These parts, or all of these messages, must not be sent, though they may still wait here."""
        for identity in identities:
            self._lanes.bar(identity)

    def keep(self, message_id: int) -> None:
        """An operator holds this message: what comes back of it is as the table says."""
        self._kept.put(message_id, None)

    def kept(self, item: QueuedPart) -> bool:
        """Is this part's message held, or was it?"""
        return bool(self._kept) and item.part.message_id in self._kept

    def again(self, item: QueuedPart) -> None:
        """This part, which was `done` and barred, is on its way as before."""
        self._lanes.unbar(item.part.id)
        self._backlog.expect([item.part.id])

    def leave_to_table(self, items: Iterable[QueuedPart]) -> None:
        """What has become of them only the table knows; what is behind them is left there too, and stays
        there while it may have to wait for one that is held."""
        for item in items:
            if item.part.total > 1 and item.part.flags & PartFlag.HOLD:
                self._held.put(item.part.message_id, self._looks)
            for each in (item, *self._lanes.leave(item)):
                self._leave(each)

    def _leave(self, item: QueuedPart) -> None:
        self._backlog.done(item.part.id)
        self._backlog.overflowed = True

    # -- other upstreams --------------------------------------------------------------------------

    def withdraw(self) -> frozenset[int]:
        """Hand out nothing until `resume`, and leave what waits to the table: others may take it from there.

        The ids of the parts that are on their way, which they may not.
        """
        self._withdrawers += 1
        self._withdrawals += 1
        for item in self._lanes.clear():
            self._backlog.done(item.part.id)
        return self._backlog.clear()

    def resume(self) -> None:
        """Hand out again what is still there, when the last who withdrew it says so."""
        self._withdrawers -= 1
        if not self.withdrawn:
            self.look()
