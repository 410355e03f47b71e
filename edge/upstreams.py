"""Upstreams: the parts that wait for one SMSC, and the binds that carry them.

A part leaves only after its `sending` was committed; what the SMSC answers is committed after. So a
part that the store shows as `sending` after a crash, or when a link is lost, is in doubt: the SMSC may
have it. The upstream's policy decides then: `resend` (flagged as a possible duplicate) or `hold`.
While a link lives, an answer that is merely late does not lead to a second send.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge import outage
from edge.backlog import Backlog
from edge.binds import Backoff, Bind
from edge.config import UpstreamConfig
from edge.dialect import Dialect
from protocols.smpp import events
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import Request
from storage import parts
from storage.parts import QueuedPart
from storage.records import PartFlag, PartState
from storage.statements import Write
from storage.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
LOOK_PARTS = 1_000
DISPATCH_PARTS = 200  # the most parts whose `sending` is one unit of the writer

# SMPP 3.4 §5.1.3. These say "not now": the part waits and the upstream pauses. All other errors are final.
TEMPORARY = frozenset(
    {CommandStatus.ESME_RTHROTTLED, CommandStatus.ESME_RMSGQFUL, CommandStatus.ESME_RSYSERR}
)


class Observer(Protocol):
    """Who is told what an upstream brings."""

    def received(self, upstream: "Upstream", bind: Bind, pdu: Request) -> None:
        """A request of the SMSC that must be answered."""
        ...

    def link_up(self, upstream: "Upstream") -> None:
        """A bind is up: what the SMSC could not deliver comes again."""
        ...

    def link_lost(self, upstream: "Upstream") -> None:
        """A bind went down: answers that were written last may not have arrived."""
        ...

    def accepted(self, upstream: "Upstream", smsc_message_id: str) -> None:
        """The SMSC's id of a part is in the store: a receipt that came too early can be matched now."""
        ...

    def failed(self, upstream: "Upstream", part_id: int) -> None:
        """The SMSC refused a part for good, and that is in the store."""
        ...


@dataclass(slots=True)
class Counters:
    """What an upstream did since the start, for operators."""

    sent: int = 0
    failed: int = 0
    throttled: int = 0
    expired: int = 0
    lost: int = 0
    late: int = 0


class Upstream:
    """I own the binds of one SMSC account and the parts on their way to it. I am a `Carrier`."""

    def __init__(
        self,
        config: UpstreamConfig,
        dialect: Dialect,
        store: Store,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
        throttle: Backoff,
        observer: Observer,
    ) -> None:
        self.name = config.name
        self.config = config
        self.dialect = dialect
        self.binds: list[Bind] = []
        self.counters = Counters()
        self._store = store
        self._clock = clock
        self._wall_ms = wall_ms
        self._throttle = throttle
        self._observer = observer
        self._queue: Backlog[QueuedPart] = Backlog(config.backlog, lambda queued: queued.part.id)
        self._late: dict[int, IDelayedCall] = {}  # parts in doubt on a living link: the end of their grace
        self._lost: list[QueuedPart] = []
        self._pause: IDelayedCall | None = None
        self._poll = LoopingCall(self._look)
        self._poll.clock = clock
        self._draining = False
        self._unsettled = 0  # units of mine that the writer has not answered
        self._idle: list[Deferred[None]] = []
        self._log = log.bind(upstream=config.name)

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> Deferred[None]:
        """Settle what the last run left open, then bind."""
        return self._store.read(parts.sending, self.name).addCallback(self._recover)

    def drain(self) -> Deferred[None]:
        """Send nothing new; fires when every part that left has its answer, and that is stored."""
        self._draining = True
        done: Deferred[None] = Deferred()
        self._idle.append(done)
        self._check_idle()
        return done

    def stop(self) -> Deferred[None]:
        """Unbind and look no more."""
        self._draining = True
        if self._poll.running:
            self._poll.stop()
        for timer in (self._pause, *self._late.values()):
            if timer is not None and timer.active():
                timer.cancel()
        return DeferredList([bind.stop() for bind in self.binds]).addCallback(lambda _: None)

    @property
    def waiting(self) -> int:
        """Parts in memory that wait for room."""
        return len(self._queue)

    def _recover(self, left: Sequence[QueuedPart]) -> Deferred[None]:
        if left:
            self._log.warning("parts_in_doubt", parts=len(left), policy=self.config.in_doubt)
        stored = (
            self._store.writer.write([write for item in left for write in self._doubtful(item)])
            if left
            else succeed(None)
        )
        return stored.addCallback(lambda _: self._begin())

    def _begin(self) -> None:
        self._poll.start(POLL_SECONDS)
        for bind in self.binds:
            bind.start()

    def _check_idle(self) -> None:
        if (
            self._idle
            and not self._unsettled
            and not any(bind.outstanding or bind.reserved for bind in self.binds)
        ):
            idle, self._idle = self._idle, []
            for done in idle:
                done.callback(None)

    # -- the pipeline's side (edge.outbound.Carrier) ----------------------------------------------

    def reserve(self, count: int) -> Bind | None:
        """A bind that holds room for ``count`` parts, if they could leave at once and nothing waits."""
        if self._queue or self._queue.overflowed or self._pause is not None or self._draining:
            return None
        bind = self._roomiest()
        if bind is None or bind.free < count:
            return None
        bind.reserved += count
        return bind

    def expect(self, part_ids: Sequence[int]) -> None:
        """These parts are about to be committed; a look at the table must not take them twice."""
        self._queue.expect(part_ids)

    def committed(self, queued: Sequence[QueuedPart], reservation: Bind | None) -> None:
        """They are committed: as `sending` when room was reserved, else as `queued`."""
        if reservation is not None:
            self._send(reservation, queued)
            return
        self._wait(queued)

    def abandoned(self, part_ids: Sequence[int], reservation: Bind | None) -> None:
        """They were not committed."""
        if reservation is not None:
            reservation.reserved -= len(part_ids)
        for part_id in part_ids:
            self._queue.done(part_id)
        self._check_idle()

    # -- parts out --------------------------------------------------------------------------------

    def _roomiest(self) -> Bind | None:
        return max(self.binds, key=lambda bind: bind.free, default=None)

    def _pump(self) -> None:
        """Take what has room, in order, and commit that it is being sent."""
        while self._queue and self._pause is None and not self._draining:
            bind = self._roomiest()
            if bind is None or bind.free <= 0:
                return
            count = min(bind.free, len(self._queue), DISPATCH_PARTS)
            self._dispatch(bind, [self._queue.take() for _ in range(count)])
        if self._queue.overflowed and not self._queue:
            self._look()

    def _dispatch(self, bind: Bind, waiting: list[QueuedPart]) -> None:
        now_ms = self._wall_ms()
        batch = [_attempted(queued, now_ms) for queued in waiting]
        bind.reserved += len(batch)
        writes = [
            write for item in batch for write in parts.mark_sending(item.part.id, item.part.attempts, now_ms)
        ]
        self._store.writer.write(writes).addCallbacks(
            lambda _: self._send(bind, batch), self._not_dispatched, errbackArgs=(bind, waiting)
        )

    def _not_dispatched(self, failure: Failure, bind: Bind, waiting: list[QueuedPart]) -> None:
        outage.not_stored(self._log, "sending_not_stored", failure, parts=len(waiting))
        bind.reserved -= len(waiting)
        for queued in waiting:
            self._queue.put(queued)
        self._hold_back(POLL_SECONDS)
        self._check_idle()

    def _send(self, bind: Bind, batch: Sequence[QueuedPart]) -> None:
        """The commit is done: the bytes may leave. What finds no link goes back, in no doubt."""
        bind.reserved -= len(batch)
        unsent = []
        for item in batch:
            try:
                bind.request(self.dialect.submit_sm(item), item)
            except Exception as error:  # whatever it was, this part did not leave
                self._log.warning("part_not_sent", part=item.part.id, error=str(error))
                unsent.append(item)
        if unsent:
            self._requeue(unsent, None)
        self._check_idle()

    def _requeue(self, items: Sequence[QueuedPart], status: int | None) -> None:
        """Back to `queued`, and to their old places in memory: the SMSC certainly does not have them."""
        now_ms = self._wall_ms()
        writes = [
            write for item in items for write in parts.requeue(item.part.id, now_ms, item.part.flags, status)
        ]
        self._persist(writes, lambda: self._wait(items))

    def _wait(self, items: Sequence[QueuedPart]) -> None:
        for item in items:
            self._queue.put(item)
        self._pump()

    def _left_to_table(self, items: Sequence[QueuedPart]) -> None:
        """What has become of them only the table knows: a receipt may have settled the doubt."""
        for item in items:
            self._queue.done(item.part.id)
        self._queue.overflowed = True
        self._look()

    def _hold_back(self, seconds: float) -> None:
        if self._pause is None:
            self._pause = self._clock.callLater(seconds, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._pump()

    def _look(self) -> Deferred[None] | None:
        if self._draining or not self._queue.begin_look():
            return None
        return self._store.read(parts.queued, self.name, self._wall_ms(), LOOK_PARTS).addCallbacks(
            self._looked, self._could_not_look
        )

    def _looked(self, found: Sequence[QueuedPart]) -> None:
        self._queue.end_look(found, complete=len(found) < LOOK_PARTS)
        if self._queue:
            self._pump()

    def _could_not_look(self, failure: Failure) -> None:
        self._queue.end_look((), complete=False)
        outage.not_stored(self._log, "queue_not_read", failure)

    # -- what the binds tell (edge.binds.BindOwner) -----------------------------------------------

    def bind_up(self, bind: Bind) -> None:
        """There is room again."""
        self._observer.link_up(self)
        self._pump()

    def bind_down(self, bind: Bind) -> None:
        """Settle by policy what was outstanding on it."""
        lost, self._lost = self._lost, []
        if lost:
            self._log.warning("parts_in_doubt", parts=len(lost), policy=self.config.in_doubt, bind=bind.name)
            self._persist(
                [write for item in lost for write in self._doubtful(item)], lambda: self._left_to_table(lost)
            )
        self._observer.link_lost(self)
        self._check_idle()

    def bind_event(self, bind: Bind, event: events.Event) -> None:
        """What happened to a part, or what the SMSC asks."""
        match event:
            case events.ResponseReceived():
                self._answered(event)
            case events.RequestReceived():
                self._observer.received(self, bind, event.pdu)
            case events.RequestExpired(context=QueuedPart() as item):
                self._expired(item)
            case events.RequestLost(context=QueuedPart() as item):
                self._no_grace(item)
                self.counters.lost += 1
                self._lost.append(item)

    def _answered(self, event: events.ResponseReceived) -> None:
        item = event.context
        if not isinstance(item, QueuedPart):
            return
        if event.late and not self._no_grace(item):
            # It was given up and sent again meanwhile: the newer attempt's answer counts.
            self._log.warning("response_after_resend", part=item.part.id)
            return
        self.counters.late += event.late
        status = event.response.command_status
        if status == CommandStatus.ESME_ROK:
            self._accepted(item, getattr(event.response, "message_id", ""))
        elif status in TEMPORARY:
            self._refused_for_now(item, status)
        else:
            self._failed(item, status)
        if self._queue:
            self._pump()
        elif self._draining:
            self._check_idle()

    def _accepted(self, item: QueuedPart, smsc_message_id: str) -> None:
        self.counters.sent += 1
        self._throttle.reset()
        self._queue.done(item.part.id)
        self._persist(
            parts.record_sent(item.part.id, smsc_message_id, self._wall_ms()),
            lambda: self._observer.accepted(self, smsc_message_id),
        )

    def _failed(self, item: QueuedPart, status: int) -> None:
        self.counters.failed += 1
        self._queue.done(item.part.id)
        self._log.warning(
            "part_failed", part=item.part.id, message=item.part.message_id, status=f"{status:#010x}"
        )
        part, now_ms = item.part, self._wall_ms()
        self._persist(
            parts.record_failed(part.id, status, now_ms), lambda: self._observer.failed(self, part.id)
        )

    def _refused_for_now(self, item: QueuedPart, status: int) -> None:
        self.counters.throttled += 1
        if self._pause is None:
            seconds = self._throttle.next()
            self._log.warning("upstream_throttled", status=f"{status:#010x}", seconds=round(seconds, 2))
            self._hold_back(seconds)
        self._requeue([item], status)

    # -- doubt ------------------------------------------------------------------------------------

    def _expired(self, item: QueuedPart) -> None:
        self.counters.expired += 1
        self._log.warning("response_overdue", part=item.part.id, message=item.part.message_id)
        grace = self.config.response_timeout_seconds
        self._late[item.part.id] = self._clock.callLater(grace, self._grace_over, item)
        self._persist(parts.mark_in_doubt(item.part.id))

    def _grace_over(self, item: QueuedPart) -> None:
        del self._late[item.part.id]
        self._persist(self._doubtful(item), lambda: self._left_to_table([item]))

    def _no_grace(self, item: QueuedPart) -> bool:
        """True if the part was in its grace, which ends here."""
        timer = self._late.pop(item.part.id, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _doubtful(self, item: QueuedPart) -> list[Write]:
        if self.config.in_doubt == "hold":
            return parts.hold(item.part.id)
        return parts.requeue(
            item.part.id, self._wall_ms(), item.part.flags | PartFlag.POSSIBLE_DUPLICATE, None
        )

    # -- the store --------------------------------------------------------------------------------

    def _persist(self, writes: Sequence[Write], then: Callable[[], None] | None = None) -> None:
        """Commit what has already happened on the wire. A store that cannot is asked again each second:
        nothing new is sent meanwhile, so what piles up is at most a window."""
        self._unsettled += 1

        def stored(_: object) -> None:
            self._unsettled -= 1
            if then is not None:
                then()
            self._check_idle()

        def not_stored(failure: Failure) -> None:
            self._unsettled -= 1
            outage.not_stored(self._log, "outcome_not_stored", failure)
            self._hold_back(POLL_SECONDS)
            self._clock.callLater(POLL_SECONDS, self._persist, writes, then)

        self._store.writer.write(writes).addCallbacks(stored, not_stored)


def _attempted(queued: QueuedPart, now_ms: int) -> QueuedPart:
    part = queued.part._replace(state=PartState.SENDING, attempts=queued.part.attempts + 1, sent_at=now_ms)
    return queued._replace(part=part)
