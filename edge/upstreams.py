"""Upstreams: the parts that wait for one SMSC, and the binds that carry them.

A part leaves only after its `sending` was committed; what the SMSC answers is committed after. So a
part that the store shows as `sending` after a crash, or when a link is lost, is in doubt: the SMSC may
have it. The policy decides then: `resend` (flagged as a possible duplicate) or `hold`. While a link lives,
an answer that is overdue may still come on it, so nothing is sent a second time; and what the SMSC took
once stays taken, whatever it answers to another attempt.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import structlog
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge import outage
from edge.answers import Answers
from edge.binds import Bind
from edge.config import UpstreamConfig
from edge.dialect import Dialect
from edge.overdue import Overdue
from edge.partqueue import PartQueue
from edge.sender import Sender
from edge.upstream_observer import Observer
from protocols.smpp import events
from storage import parts, progress
from storage.parts import QueuedPart
from storage.progress import Change
from storage.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
EXPIRY_SECONDS = 5.0
EXPIRED_PARTS = 1_000  # the most that one look for them brings


@dataclass(slots=True)
class Counters:
    """What an upstream did since the start, for operators."""

    sent: int = 0
    failed: int = 0
    throttled: int = 0
    moved: int = 0
    overdue: int = 0  # answers that did not come in time
    expired: int = 0  # parts whose own time was over
    lost: int = 0
    late: int = 0
    opted_out: int = 0  # not sent: their peers wanted no more messages


class Upstream:
    """I own the binds of one SMSC account and the parts on their way to it. I am a `Carrier`.

    ``opted_out``: does a peer want nothing from a DID of an account? Asked of each part when it is about to
    leave: he may have said so after it was accepted.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        dialect: Dialect,
        store: Store,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
        observer: Observer,
        opted_out: Callable[[int, str, str], bool] = lambda account_id, did, peer: False,
    ) -> None:
        self.name = config.name
        self.config = config
        self.dialect = dialect
        self.counters = Counters()
        self._store = store
        self._clock = clock
        self._wall_ms = wall_ms
        self._observer = observer
        self._unwanted = opted_out
        self._sender = Sender(
            config, dialect, store, clock, wall_ms, self.check_idle, self._impossible, self._opted_out
        )
        self._recorder = self._sender.recorder
        self._overdue = Overdue(clock, config.late_response_seconds, self._grace_over)
        self._lost: list[QueuedPart] = []
        self._written_off: set[int] = set()  # their time is over, and the store does not know it yet
        self._looking = LoopingCall(self.look)
        self._expiring = LoopingCall(self._expire)
        self._looking.clock = self._expiring.clock = clock
        self._down_since: float | None = clock.seconds()
        self._idle: list[Deferred[None]] = []
        self._log = log.bind(upstream=config.name)
        self._answers = Answers(self, self._sender, self._overdue, store, clock, wall_ms, observer)

    @property
    def binds(self) -> list[Bind]:
        """My links, up or not."""
        return self._sender.binds

    @property
    def queue(self) -> PartQueue:
        """What waits for me."""
        return self._sender.queue

    @property
    def held(self) -> bool:
        """An operator has stopped all sending to me."""
        return self._sender.held

    def hold(self, on: bool) -> None:
        """Send nothing more, or go on; what is accepted meanwhile waits in the store."""
        self._sender.held = on
        self._sender.pump()

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> Deferred[None]:
        """Settle what the last run left open, then bind."""
        return self._store.read(parts.unanswered, self.name).addCallback(self._recover)

    def drain(self) -> Deferred[None]:
        """Send nothing new; fires when every part that left has its answer, and that is stored."""
        self._sender.draining = True
        done: Deferred[None] = Deferred()
        self._idle.append(done)
        self.check_idle()
        return done

    def stop(self) -> Deferred[None]:
        """Unbind and look no more; fires when what that left open is in the store."""
        self._sender.stop()
        for loop in (self._looking, self._expiring):
            if loop.running:
                loop.stop()
        self._overdue.stop()
        stopped = DeferredList([bind.stop() for bind in self.binds], consumeErrors=True)
        return stopped.addCallback(lambda _: self.drain())

    @property
    def up(self) -> bool:
        """Can messages be sent?"""
        return not self._sender.draining and any(bind.transmits and not bind.stalled for bind in self.binds)

    @property
    def usable(self) -> bool:
        """Up, or down for so short a time that messages should rather wait than go elsewhere."""
        if self.up:
            self._down_since = None
            return True
        if self._down_since is None:
            self._down_since = self._clock.seconds()
        return self._clock.seconds() - self._down_since < self.config.failover_seconds

    @property
    def waiting(self) -> int:
        """Parts in memory that wait for room."""
        return len(self.queue)

    def _recover(self, left: Sequence[QueuedPart]) -> Deferred[None]:
        stored: Deferred[None] = succeed(None)
        if left:
            self._log.warning("parts_in_doubt", parts=len(left))
            stored = self._store.writer.collect("parts in doubt", progress.apply, self._doubt_settled(left))
        return stored.addCallback(lambda _: self._begin())

    def _begin(self) -> None:
        self._looking.start(POLL_SECONDS)
        self._expiring.start(EXPIRY_SECONDS)
        for bind in self.binds:
            bind.start()

    def check_idle(self) -> None:
        """Tell who waits for it when nothing is on the wire, and everything is stored."""
        if (
            self._idle
            and not self._recorder.unsettled
            and not any(bind.outstanding or bind.reserved for bind in self.binds)
        ):
            idle, self._idle = self._idle, []
            for done in idle:
                done.callback(None)

    # -- the pipeline's side (edge.outbound.Carrier) ----------------------------------------------

    def reserve(self) -> Bind | None:
        """A bind that holds room for a part, if it could leave at once and nothing waits."""
        return self._sender.reserve()

    def expect(self, part_ids: Sequence[int]) -> None:
        """These parts are about to be committed; a look at the table must not take them twice."""
        self.queue.expect(part_ids)

    def committed(self, queued: Sequence[QueuedPart], reservation: Bind | None) -> None:
        """They are committed: the first as `sending` when room was reserved, the others as `queued`."""
        self._sender.committed(queued, reservation)

    def abandoned(self, part_ids: Sequence[int], reservation: Bind | None) -> None:
        """They were not committed."""
        self._sender.abandoned(part_ids, reservation)

    def look(self) -> None:
        """The table may hold parts for me that I have not seen."""
        self._sender.look()

    def settled(self, part_ids: Sequence[int], given_up: Iterable[int] = ()) -> None:
        """Somebody has decided what becomes of these parts, which were in doubt; nothing more is sent of the
        messages that were ``given_up``."""
        self.queue.bar(given_up)
        self._sender.leave_to_table([item for part_id in part_ids if (item := self._overdue.end(part_id))])

    def known_taken(self, part_ids: Sequence[int], guessed: Collection[int] = ()) -> None:
        """A receipt told of these, which were in doubt: they are not sent again. Of those that this is only
        ``guessed`` of, a refusal of the one attempt would tell better."""
        self.queue.bar(part_ids)
        for part_id in part_ids:
            if part_id in guessed:
                self._answers.guess(part_id)
            item = self._overdue.end(part_id)
            if item is not None:
                self.queue.done(item)
        self._sender.pump()

    # -- time that is over ------------------------------------------------------------------------

    def _expire(self) -> Deferred[None]:
        """What waits in the table or in memory, whether or not there is a link."""

        def over(part_ids: Sequence[int]) -> None:
            if self._sender.draining:
                return
            now_ms = self._wall_ms()
            doubtful = self._overdue.expired(now_ms)
            late = [part_id for part_id in part_ids if part_id not in self._written_off]
            if late or doubtful:
                self._write_off([*late, *(item.part.id for item in doubtful)])
            for item in doubtful:
                self._overdue.end(item.part.id)
                self.queue.done(item)
            if doubtful:
                self._sender.pump()

        def unread(failure: Failure) -> None:
            outage.not_stored(self._log, "expiry_not_read", failure)

        return self._store.read(parts.overdue, self.name, self._wall_ms(), EXPIRED_PARTS).addCallbacks(
            over, unread
        )

    def _write_off(self, part_ids: Sequence[int]) -> None:
        now_ms = self._wall_ms()
        self.counters.expired += len(part_ids)
        self._log.warning("parts_expired", parts=len(part_ids))
        self._written_off.update(part_ids)

        def stored() -> None:
            self._written_off.difference_update(part_ids)

        self._recorder.persist(
            Change(
                [write for part_id in part_ids for write in parts.expire(part_id, now_ms)], part_ids, now_ms
            ),
            stored,
            along=self._observer.failing(self, part_ids, True),
        )

    # -- what the binds tell (edge.binds.BindOwner) -----------------------------------------------

    def bind_up(self, bind: Bind) -> None:
        """There is room again."""
        self._down_since = None
        self._observer.link_up(self)
        self._sender.pump()

    def bind_resumed(self, bind: Bind) -> None:
        """There is room again."""
        self._sender.pump()

    def bind_down(self, bind: Bind) -> None:
        """Settle by policy what was outstanding on it, overdue or not: no answer can come any more."""
        lost, self._lost = self._lost, []
        lost += [item for item in self._overdue.on(bind) if self._overdue.end(item.part.id)]
        lost.sort(key=lambda item: item.part.id)
        self._answers.link_lost(bind, lost)
        if lost:
            self._log.warning("parts_in_doubt", parts=len(lost), bind=bind.name)
            self._recorder.persist(self._doubt_settled(lost), lambda: self._sender.leave_to_table(lost))
        self._observer.link_lost(self, bind)
        self.check_idle()

    def bind_event(self, bind: Bind, event: events.Event) -> None:
        """What happened to a part, or what the SMSC asks."""
        match event:
            case events.ResponseReceived():
                self._answers.answered(bind, event)
            case events.RequestReceived():
                self._observer.received(self, bind, event.pdu)
            case events.RequestExpired(context=QueuedPart() as item):
                self._answer_overdue(bind, item)
            case events.RequestLost(context=QueuedPart() as item):
                self.counters.lost += 1
                self._lost.append(item)

    def _impossible(self, item: QueuedPart) -> None:
        self._answers.failed(item, None)

    def _opted_out(self, item: QueuedPart) -> bool:
        """Does its peer want no more messages by now? Then nothing of the message that waits is sent."""
        if not self._unwanted(item.account_id, item.did, item.peer):
            return False
        self.counters.opted_out += 1
        self.queue.drop(item)
        part, now_ms = item.part, self._wall_ms()
        self._log.info("part_opted_out", part=part.id, message=part.message_id)
        self._recorder.persist(
            Change(parts.opt_out(part, now_ms), [part.id], now_ms),
            along=self._observer.failing(self, [part.id], item.told),
        )
        return True

    # -- doubt ------------------------------------------------------------------------------------

    def _doubt_settled(self, items: Sequence[QueuedPart]) -> Change:
        now_ms = self._wall_ms()
        writes = [write for item in items for write in parts.settle_doubt(item.part, now_ms)]
        return Change(writes, [item.part.id for item in items], now_ms)

    def _answer_overdue(self, bind: Bind, item: QueuedPart) -> None:
        self.counters.overdue += 1
        self._log.warning("response_overdue", part=item.part.id, message=item.part.message_id)
        goes = not bind.stalled
        self._overdue.begin(bind, item)
        if goes and bind.stalled:
            self._log.warning("bind_stalled", bind=bind.name, overdue=bind.overdue)
        self._recorder.persist(Change(parts.mark_in_doubt(item.part.id), [item.part.id], self._wall_ms()))

    def _grace_over(self, bind: Bind, item: QueuedPart) -> None:
        """It stays in doubt, but the rest of its message waits for it no longer; and a link on which nothing
        more may be sent is ended, so that the policy decides all that is in doubt on it."""
        self._sender.release(item)
        if bind.stalled:
            bind.renew()
