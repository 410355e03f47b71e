"""The way out of one upstream: which part leaves next, on which bind, and when."""

from collections.abc import Callable, Sequence

import structlog
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from edge.binds import Bind
from edge.config import UpstreamConfig
from edge.dialect import Dialect
from edge.partqueue import PartQueue
from edge.rate import TokenBucket
from edge.recorder import Recorder
from protocols.smpp.errors import NotAllowed, WindowFull
from storage import parts, progress
from storage.parts import QueuedPart
from storage.progress import Change
from storage.records import PartState
from storage.store import Store

log = structlog.get_logger(__name__)

DISPATCH_PARTS = 200  # the most parts whose `sending` is one unit of the writer
TROUBLE_SECONDS = 1.0


class Sender:
    """I send an upstream's parts over its ``binds``, oldest first, each after its `sending` is committed.

    ``idle`` is called whenever there may be nothing on its way any more, ``impossible`` with a part that no
    PDU can carry. ``opted_out``: does its peer want it no more? Whoever does sees to what becomes of it.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        dialect: Dialect,
        store: Store,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
        idle: Callable[[], None],
        impossible: Callable[[QueuedPart], None],
        opted_out: Callable[[QueuedPart], bool],
    ) -> None:
        self.binds: list[Bind] = []
        self.draining = False
        self.held = False  # by an operator: what is accepted waits
        self.queue = PartQueue(config.name, config.backlog, store, wall_ms, self.pump)
        self.recorder = Recorder(config.name, store, clock, self.hold_back, idle)
        self._dialect = dialect
        self._store = store
        self._clock = clock
        self._wall_ms = wall_ms
        self._idle = idle
        self._impossible = impossible
        self._opted_out = opted_out
        self._bucket = TokenBucket(config.rate, config.burst, clock.seconds()) if config.rate else None
        self._pause: IDelayedCall | None = None  # nothing new: the store has trouble
        self._wake: IDelayedCall | None = None  # when the rate lets the next part go
        self._log = log.bind(upstream=config.name)

    def stop(self) -> None:
        """Send nothing more."""
        self.draining = True
        for timer in (self._pause, self._wake):
            if timer is not None and timer.active():
                timer.cancel()

    def hold_back(self) -> None:
        """The store has trouble: send nothing new for a moment."""
        if self._pause is None:
            self._pause = self._clock.callLater(TROUBLE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self.pump()

    # -- the pipeline's side (edge.outbound.Carrier) ----------------------------------------------

    def reserve(self) -> Bind | None:
        """A bind that holds room for a part, if it could leave at once and nothing waits."""
        if not self.queue.empty or self._pause is not None or self.draining or self.held:
            return None
        bind = self._roomiest()
        if bind is None or bind.free <= 0 or not self._allowance():
            return None
        self._promise(bind, 1)
        return bind

    def expect(self, part_ids: Sequence[int]) -> None:
        """These parts are about to be committed; a look at the table must not take them twice."""
        self.queue.expect(part_ids)

    def committed(self, queued: Sequence[QueuedPart], reservation: Bind | None) -> None:
        """They are committed: the first as `sending` when room was reserved, the others as `queued`."""
        if reservation is None:
            self.queue.put(queued)
        else:
            self.queue.enter(queued[0])
            self.queue.put(queued[1:])
            self._send(reservation, queued[:1])
        self.pump()

    def abandoned(self, part_ids: Sequence[int], reservation: Bind | None) -> None:
        """They were not committed."""
        if reservation is not None:
            reservation.reserved -= 1
        self.queue.forget(part_ids)
        self._idle()

    def look(self) -> None:
        """The table may hold parts that I have not seen."""
        if not self.draining:
            self.queue.look()

    # -- parts out --------------------------------------------------------------------------------

    def _roomiest(self) -> Bind | None:
        return max(self.binds, key=lambda bind: bind.free, default=None)

    def _allowance(self) -> int:
        """How many parts my own rate lets go now."""
        return DISPATCH_PARTS if self._bucket is None else self._bucket.available(self._clock.seconds())

    def _promise(self, bind: Bind, count: int) -> None:
        bind.reserve(count)
        if self._bucket is not None:
            self._bucket.take(count, self._clock.seconds())

    def pump(self) -> None:
        """Take what has room, in order, and commit that it is being sent."""
        while self.queue and self._pause is None and not self.draining and not self.held:
            bind = self._roomiest()
            room = 0 if bind is None else min(bind.free, self._allowance(), DISPATCH_PARTS)
            if bind is None or room <= 0:
                self._pump_later()
                return
            ready = self.queue.take(room, self._wall_ms())
            if not ready:
                break
            self._dispatch(bind, ready)
        if self.queue.hungry:
            self.look()

    def _pump_later(self) -> None:
        """If only a rate is in the way, look again when it lets the next part go."""
        if self._wake is not None and self._wake.active():
            return
        own = 0.0 if self._bucket is None else self._bucket.wait(self._clock.seconds())
        waits = [max(own, wait) for bind in self.binds if (wait := bind.rate_wait) is not None]
        if waits:
            self._wake = self._clock.callLater(min(waits), self.pump)

    def _dispatch(self, bind: Bind, waiting: list[QueuedPart]) -> None:
        now_ms = self._wall_ms()
        batch = [_attempted(queued, now_ms) for queued in waiting]
        self._promise(bind, len(batch))
        writes = [
            write for item in batch for write in parts.mark_sending(item.part.id, item.part.attempts, now_ms)
        ]
        self._store.writer.write(writes).addCallbacks(
            lambda _: self._send(bind, batch), self._not_dispatched, errbackArgs=(bind, waiting)
        )

    def _not_dispatched(self, failure: Failure, bind: Bind, waiting: list[QueuedPart]) -> None:
        self._log.error("sending_not_stored", parts=len(waiting), error=failure.getErrorMessage())
        bind.reserved -= len(waiting)
        self.queue.back(waiting)
        self.hold_back()
        self._idle()

    def _send(self, bind: Bind, batch: Sequence[QueuedPart]) -> None:
        """The commit is done: the bytes may leave. What finds no link goes back, in no doubt."""
        bind.reserved -= len(batch)
        unsent = []
        for item in batch:
            if self.queue.barred(item):
                self.queue.done(item)
                continue
            if self._opted_out(item):
                continue
            try:
                bind.request(self._dialect.submit_sm(item, self._wall_ms()), item)
            except (ConnectionError, NotAllowed, WindowFull) as error:
                self._log.warning("part_not_sent", part=item.part.id, error=str(error))
                unsent.append(item)
            except Exception as error:  # an address too long for its field; to try again would be no use
                self._log.error("part_not_sendable", part=item.part.id, error=str(error))
                self._impossible(item)
        if unsent:
            self.requeue(unsent, None)
        self._idle()

    def requeue(self, items: Sequence[QueuedPart], status: int | None) -> None:
        """Back to `queued`, and to their old places: the SMSC certainly does not have them. For most messages
        that is no news; of one with other parts it depends on these."""
        now_ms = self._wall_ms()
        writes = [
            write
            for item in items
            for write in parts.requeue(item.part.id, item.part.due_at, item.part.flags, status, now_ms)
        ]

        def requeued() -> None:
            self.queue.back(items)
            self.pump()

        of_many = progress.of_many(item.part for item in items)
        self.recorder.persist(Change(writes, of_many, now_ms), requeued)

    def release(self, item: QueuedPart) -> None:
        """What is behind this part in its message may go, though its answer has not come."""
        self.queue.release(item)
        self.pump()

    def leave_to_table(self, items: Sequence[QueuedPart]) -> None:
        """What has become of them only the table knows: a receipt may have settled the doubt."""
        self.queue.leave_to_table(items)
        self.look()


def _attempted(queued: QueuedPart, now_ms: int) -> QueuedPart:
    part = queued.part._replace(state=PartState.SENDING, attempts=queued.part.attempts + 1, sent_at=now_ms)
    return queued._replace(part=part)
