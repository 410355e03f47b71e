"""Upstreams: the parts that wait for one SMSC, and the binds that carry them.

A part leaves only after its `sending` was committed; what the SMSC answers is committed after. So a
part that the store shows as `sending` after a crash, or when a link is lost, is in doubt: the SMSC may
have it. The policy decides then: `resend` (flagged as a possible duplicate) or `hold`. While a link lives,
an answer that is overdue may still come on it, so nothing is sent a second time; and what the SMSC took
once stays taken, whatever it answers to another attempt.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge import outage, verdicts
from edge.binds import Bind
from edge.config import UpstreamConfig
from edge.dialect import Dialect
from edge.grace import Grace
from edge.hops import hop
from edge.lanes import REMEMBERED
from edge.partqueue import PartQueue
from edge.receipt_ids import LONGEST_ID
from edge.recent import Recent
from edge.recorder import RETRY_SECONDS, Along
from edge.sender import Sender
from edge.verdicts import Verdict
from protocols.smpp import events
from protocols.smpp.errors import CommandStatus, status_name
from protocols.smpp.pdu import GenericNack, Request, Response
from storage import parts, progress
from storage.parts import QueuedPart
from storage.progress import Change
from storage.records import PartFlag
from storage.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
EXPIRY_SECONDS = 5.0
EXPIRED_PARTS = 1_000  # the most that one look for them brings


class Observer(Protocol):
    """Who is told what an upstream brings."""

    def received(self, upstream: "Upstream", bind: Bind, pdu: Request) -> None:
        """A request of the SMSC that must be answered."""
        ...

    def link_up(self, upstream: "Upstream") -> None:
        """A bind is up: what the SMSC could not deliver comes again."""
        ...

    def link_lost(self, upstream: "Upstream", bind: Bind) -> None:
        """A bind went down: unless that was orderly, answers that were written last may not have arrived."""
        ...

    def accepted(self, upstream: "Upstream", item: QueuedPart, smsc_message_id: str) -> None:
        """The SMSC's id of a part is in the store: a receipt that came too early can be matched now."""
        ...

    def taking(self, upstream: "Upstream", item: QueuedPart) -> Along | None:
        """What belongs into the transaction that stores that the SMSC took this part."""
        ...

    def failing(self, upstream: "Upstream", part_ids: Sequence[int], told: bool) -> Along | None:
        """What belongs into the transaction that stores that these parts will not be sent; ``told``: somebody
        may want to know."""
        ...

    def elsewhere(self, upstream: "Upstream", item: QueuedPart) -> Deferred[Sequence[int]]:
        """The SMSC would not take this part, which is queued again; may another upstream have the message?

        The ids of the parts that moved; none if it stays.
        """
        ...

    def refute(self, upstream: "Upstream", part_id: int) -> Deferred[bool]:
        """The SMSC refused this part, and a receipt was only guessed to be about it: that is undone.

        False when an answer tells that it was taken.
        """
        ...


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
            config, dialect, store, clock, wall_ms, self._check_idle, self._impossible, self._opted_out
        )
        self._recorder = self._sender.recorder
        self._verdict = verdicts.table(config.statuses)
        self._doubts: dict[int, tuple[Bind, QueuedPart]] = {}  # overdue, on links that live
        self._grace = Grace(clock, config.late_response_seconds, self._grace_over)
        # sent again, and then the first attempt was answered ESME_ROK
        self._taken: Recent[int, None] = Recent(REMEMBERED)
        self._guessed: dict[int, Bind] = {}  # a receipt may be about them, their answers are overdue
        self._lost: list[QueuedPart] = []
        self._written_off: set[int] = set()  # their time is over, and the store does not know it yet
        self._looking = LoopingCall(self.look)
        self._expiring = LoopingCall(self._expire)
        self._looking.clock = self._expiring.clock = clock
        self._down_since: float | None = clock.seconds()
        self._idle: list[Deferred[None]] = []
        self._log = log.bind(upstream=config.name)

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
        self._check_idle()
        return done

    def stop(self) -> Deferred[None]:
        """Unbind and look no more; fires when what that left open is in the store."""
        self._sender.stop()
        for loop in (self._looking, self._expiring):
            if loop.running:
                loop.stop()
        self._grace.stop()
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

    def _check_idle(self) -> None:
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
        self._sender.leave_to_table([item for part_id in part_ids if (item := self._end_doubt(part_id))])

    def known_taken(self, part_ids: Sequence[int], guessed: Collection[int] = ()) -> None:
        """A receipt told of these, which were in doubt: they are not sent again. Of those that this is only
        ``guessed`` of, a refusal of the one attempt would tell better."""
        self.queue.bar(part_ids)
        for part_id in part_ids:
            if part_id in guessed and part_id in self._doubts:
                self._guessed[part_id] = self._doubts[part_id][0]
            item = self._end_doubt(part_id)
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
            doubtful = [
                item
                for _, item in self._doubts.values()
                if item.part.expires_at is not None and item.part.expires_at <= now_ms
            ]
            late = [part_id for part_id in part_ids if part_id not in self._written_off]
            if late or doubtful:
                self._write_off([*late, *(item.part.id for item in doubtful)])
            for item in doubtful:
                self._end_doubt(item.part.id)
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
        overdue = [item for where, item in self._doubts.values() if where is bind]
        lost += [item for item in overdue if self._end_doubt(item.part.id)]
        self._guessed = {part_id: where for part_id, where in self._guessed.items() if where is not bind}
        lost.sort(key=lambda item: item.part.id)
        for item in lost:
            self._taken.drop(item.part.id)
        if lost:
            self._log.warning("parts_in_doubt", parts=len(lost), bind=bind.name)
            self._recorder.persist(self._doubt_settled(lost), lambda: self._sender.leave_to_table(lost))
        self._observer.link_lost(self, bind)
        self._check_idle()

    def bind_event(self, bind: Bind, event: events.Event) -> None:
        """What happened to a part, or what the SMSC asks."""
        match event:
            case events.ResponseReceived():
                self._answered(bind, event)
            case events.RequestReceived():
                self._observer.received(self, bind, event.pdu)
            case events.RequestExpired(context=QueuedPart() as item):
                self._overdue(bind, item)
            case events.RequestLost(context=QueuedPart() as item):
                self.counters.lost += 1
                self._lost.append(item)

    def _answered(self, bind: Bind, event: events.ResponseReceived) -> None:
        item = event.context
        if not isinstance(item, QueuedPart):
            return
        self.counters.late += event.late
        status = _status_of(event.response)
        smsc_message_id = (getattr(event.response, "message_id", None) or "")[:LONGEST_ID]
        if event.late and self._end_doubt(item.part.id) is None:
            self._answered_too_late(bind, item, status, smsc_message_id)
        elif status == CommandStatus.ESME_ROK:
            bind.accepted()
            self._accepted(item, smsc_message_id)
        else:
            self._refused(bind, item, status)
        if self.queue:
            self._sender.pump()
        elif self._sender.draining:
            self._check_idle()

    def _accepted(self, item: QueuedPart, smsc_message_id: str) -> None:
        self.counters.sent += 1
        hop(
            self._log,
            "message_sent",
            item.part.sent_at,
            message=item.part.message_id,
            part=item.part.id,
            number=item.part.number,
            smsc_message_id=smsc_message_id,
        )
        self._taken.drop(item.part.id)
        self.queue.done(item)
        now_ms = self._wall_ms()
        writes = parts.record_sent(item.part.id, smsc_message_id or None, now_ms)
        self._recorder.persist(
            Change(writes, progress.of_many([item.part]), now_ms),
            lambda: self._observer.accepted(self, item, smsc_message_id),
            self._observer.taking(self, item),
        )

    def _answered_too_late(self, bind: Bind, item: QueuedPart, status: int, smsc_message_id: str) -> None:
        """Somebody has decided already: wrongly, if the SMSC took it. A new attempt that is on its way may be
        refused now, as a duplicate or for any reason, and that means nothing."""
        self._log.warning("response_after_decision", part=item.part.id, status=status_name(status))
        guessed = self._guessed.pop(item.part.id, None) is not None
        if status != CommandStatus.ESME_ROK:
            if guessed and not item.part.flags & PartFlag.POSSIBLE_DUPLICATE:
                self._refute(bind, item, status)
            return
        self.queue.bar([item.part.id])
        if any(bind.outstanding for bind in self.binds):
            self._taken.put(item.part.id, None)
        self._record_late(item, smsc_message_id, self._wall_ms())

    def _refute(self, bind: Bind, item: QueuedPart, status: int) -> None:
        """The receipt that was taken for this part's was another's."""

        def refuted(so: bool) -> None:
            self._recorder.unsettled -= 1
            if so:
                self.queue.again(item)
                self._refused(bind, item, status)
                self._sender.pump()
            self._check_idle()

        def unrefuted(failure: Failure) -> None:
            self._recorder.unsettled -= 1
            outage.not_stored(self._log, "outcome_not_stored", failure)
            self._clock.callLater(RETRY_SECONDS, self._refute, bind, item, status)

        self._recorder.unsettled += 1
        self._observer.refute(self, item.part.id).addCallbacks(refuted, unrefuted)

    def _record_late(self, item: QueuedPart, smsc_message_id: str, now_ms: int) -> None:
        along = self._observer.taking(self, item)

        def work(conn: Connection) -> tuple[bool, Callable[[], None] | None]:
            news = parts.record_late(conn, item.part.id, smsc_message_id or None, now_ms)
            return news, along(conn) if news and along is not None else None

        def told(stored: tuple[bool, Callable[[], None] | None]) -> None:
            news, committed = stored
            self._recorder.unsettled -= 1
            if committed is not None:
                committed()
            if news:
                self._observer.accepted(self, item, smsc_message_id)
            self._check_idle()

        def untold(failure: Failure) -> None:
            self._recorder.unsettled -= 1
            outage.not_stored(self._log, "outcome_not_stored", failure)
            self._clock.callLater(RETRY_SECONDS, self._record_late, item, smsc_message_id, now_ms)

        self._recorder.unsettled += 1
        self._store.writer.run("late response", work).addCallbacks(told, untold)

    def _refused(self, bind: Bind, item: QueuedPart, status: int) -> None:
        verdict = self._verdict(status)
        hop(
            self._log,
            "submit_refused",
            item.part.sent_at,
            message=item.part.message_id,
            part=item.part.id,
            number=item.part.number,
            status=status_name(status),
        )
        if item.part.id in self._taken:
            self._taken.drop(item.part.id)
            self.queue.done(item)
        elif verdict is Verdict.RETRY:
            self.counters.throttled += 1
            bind.throttled(status)
            self._sender.requeue([item], status)
        elif verdict is Verdict.REBIND:
            bind.rebind(status)
            self._sender.requeue([item], status)
        elif verdict is Verdict.ELSEWHERE:
            now_ms = self._wall_ms()
            writes = parts.requeue(item.part.id, item.part.due_at, item.part.flags, status, now_ms)
            self._recorder.persist(
                Change(writes, progress.of_many([item.part]), now_ms),
                lambda: self._ask_elsewhere(item, status),
            )
        else:
            self._failed(item, status)

    def _ask_elsewhere(self, item: QueuedPart, status: int) -> None:
        self._recorder.unsettled += 1

        def asked(moved: Sequence[int]) -> None:
            self._recorder.unsettled -= 1
            if not moved and self.queue.kept(item):
                self._sender.leave_to_table([item])
                self._check_idle()
                return
            if not moved:
                self._failed(item, status)
                return
            self.counters.moved += 1
            self.queue.bar(moved)
            self.queue.done(item)
            self._sender.pump()
            self._check_idle()

        self._observer.elsewhere(self, item).addCallback(asked)

    def _impossible(self, item: QueuedPart) -> None:
        self._failed(item, None)

    def _failed(self, item: QueuedPart, status: int | None) -> None:
        """For good; and with one part missing, the rest of the message is of no use to anybody."""
        self.counters.failed += 1
        self.queue.drop(item)
        part, now_ms = item.part, self._wall_ms()
        self._log.warning("part_failed", part=part.id, message=part.message_id, status=_said(status))
        writes = parts.record_failed(part.id, status, now_ms)
        if part.total > 1:
            writes += parts.fail_rest(part.message_id, status, now_ms)
        self._recorder.persist(
            Change(writes, [part.id], now_ms), along=self._observer.failing(self, [part.id], item.told)
        )

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

    def _overdue(self, bind: Bind, item: QueuedPart) -> None:
        self.counters.overdue += 1
        self._log.warning("response_overdue", part=item.part.id, message=item.part.message_id)
        self._doubts[item.part.id] = bind, item
        goes = not bind.stalled
        bind.overdue += 1
        if goes and bind.stalled:
            self._log.warning("bind_stalled", bind=bind.name, overdue=bind.overdue)
        self._grace.begin(item)
        self._recorder.persist(Change(parts.mark_in_doubt(item.part.id), [item.part.id], self._wall_ms()))

    def _grace_over(self, item: QueuedPart) -> None:
        """It stays in doubt, but the rest of its message waits for it no longer; and a link on which nothing
        more may be sent is ended, so that the policy decides all that is in doubt on it."""
        self._sender.release(item)
        bind, _ = self._doubts[item.part.id]
        if bind.stalled:
            bind.renew()

    def _end_doubt(self, part_id: int) -> QueuedPart | None:
        """The part, if it was overdue on a link that lives: that doubt is over."""
        self._grace.end(part_id)
        bind, item = self._doubts.pop(part_id, (None, None))
        if bind is not None:
            bind.overdue -= 1
        return item


def _status_of(response: Response) -> int:
    """A generic_nack takes nothing, whatever its status is."""
    if isinstance(response, GenericNack) and response.command_status == CommandStatus.ESME_ROK:
        return CommandStatus.ESME_RINVCMDID
    return response.command_status


def _said(status: int | None) -> str | None:
    return None if status is None else status_name(status)
