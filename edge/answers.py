"""What the answers of an SMSC mean for the parts that it was sent.

What the SMSC took once stays taken, whatever it answers to another attempt. An answer that comes after
somebody has decided, in doubt, is told from one that settles the doubt.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from edge import outage, verdicts
from edge.binds import Bind
from edge.hops import hop
from edge.lanes import REMEMBERED
from edge.overdue import Overdue
from edge.receipt_ids import LONGEST_ID
from edge.recent import Recent
from edge.recorder import RETRY_SECONDS
from edge.sender import Sender
from edge.upstream_observer import Observer
from edge.verdicts import Verdict
from protocols.smpp import events
from protocols.smpp.errors import CommandStatus, status_name
from protocols.smpp.pdu import GenericNack, Response
from storage import parts, progress
from storage.parts import QueuedPart
from storage.progress import Change
from storage.records import PartFlag
from storage.store import Store

if TYPE_CHECKING:
    from edge.upstreams import Upstream

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Answers:
    """I take the answers to the parts of one upstream, and have what becomes of the parts stored."""

    def __init__(
        self,
        upstream: "Upstream",
        sender: Sender,
        overdue: Overdue,
        store: Store,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
        observer: Observer,
    ) -> None:
        self._upstream = upstream
        self._sender = sender
        self._recorder = sender.recorder
        self._overdue = overdue
        self._store = store
        self._clock = clock
        self._wall_ms = wall_ms
        self._observer = observer
        self._verdict = verdicts.table(upstream.config.statuses)
        # sent again, and then the first attempt was answered ESME_ROK
        self._taken: Recent[int, None] = Recent(REMEMBERED)
        self._guessed: dict[int, Bind] = {}  # a receipt may be about them, their answers are overdue
        self._log = log.bind(upstream=upstream.name)

    def guess(self, part_id: int) -> None:
        """A receipt may be about this part: a refusal, if its answer is overdue, would tell better."""
        bind = self._overdue.where(part_id)
        if bind is not None:
            self._guessed[part_id] = bind

    def link_lost(self, bind: Bind, lost: Iterable[QueuedPart]) -> None:
        """No answer comes on this link any more; these parts had none."""
        self._guessed = {part_id: where for part_id, where in self._guessed.items() if where is not bind}
        for item in lost:
            self._taken.drop(item.part.id)

    def answered(self, bind: Bind, event: events.ResponseReceived) -> None:
        """An answer, late or not, if it is one to a part."""
        item = event.context
        if not isinstance(item, QueuedPart):
            return
        self._upstream.counters.late += event.late
        status = _status_of(event.response)
        smsc_message_id = (getattr(event.response, "message_id", None) or "")[:LONGEST_ID]
        if event.late and self._overdue.end(item.part.id) is None:
            self._answered_too_late(bind, item, status, smsc_message_id)
        elif status == CommandStatus.ESME_ROK:
            bind.accepted()
            self._accepted(item, smsc_message_id)
        else:
            self._refused(bind, item, status)
        if self._sender.queue:
            self._sender.pump()
        elif self._sender.draining:
            self._upstream.check_idle()

    def _accepted(self, item: QueuedPart, smsc_message_id: str) -> None:
        self._upstream.counters.sent += 1
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
        self._sender.queue.done(item)
        now_ms = self._wall_ms()
        writes = parts.record_sent(item.part.id, smsc_message_id or None, now_ms)
        self._recorder.persist(
            Change(writes, progress.of_many([item.part]), now_ms),
            lambda: self._observer.accepted(self._upstream, item, smsc_message_id),
            self._observer.taking(self._upstream, item),
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
        self._sender.queue.bar([item.part.id])
        if any(bind.outstanding for bind in self._sender.binds):
            self._taken.put(item.part.id, None)
        self._record_late(item, smsc_message_id)

    def _refute(self, bind: Bind, item: QueuedPart, status: int) -> None:
        """The receipt that was taken for this part's was another's."""

        def refuted(so: bool) -> None:
            if so:
                self._sender.queue.again(item)
                self._refused(bind, item, status)
                self._sender.pump()

        self._settle(lambda: self._observer.refute(self._upstream, item.part.id), refuted)

    def _record_late(self, item: QueuedPart, smsc_message_id: str) -> None:
        along, now_ms = self._observer.taking(self._upstream, item), self._wall_ms()

        def work(conn: Connection) -> tuple[bool, Callable[[], None] | None]:
            news = parts.record_late(conn, item.part.id, smsc_message_id or None, now_ms)
            return news, along(conn) if news and along is not None else None

        def told(stored: tuple[bool, Callable[[], None] | None]) -> None:
            news, committed = stored
            if committed is not None:
                committed()
            if news:
                self._observer.accepted(self._upstream, item, smsc_message_id)

        self._settle(lambda: self._store.writer.run("late response", work), told)

    def _settle(self, work: Callable[[], Deferred[T]], done: Callable[[T], None]) -> None:
        """Nothing is idle before this is stored; with the store away it is tried again."""

        def stored(outcome: T) -> None:
            self._recorder.unsettled -= 1
            done(outcome)
            self._upstream.check_idle()

        def not_stored(failure: Failure) -> None:
            outage.not_stored(self._log, "outcome_not_stored", failure)
            self._clock.callLater(RETRY_SECONDS, attempt)

        def attempt() -> None:
            work().addCallbacks(stored, not_stored)

        self._recorder.unsettled += 1
        attempt()

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
            self._sender.queue.done(item)
        elif verdict is Verdict.RETRY:
            self._upstream.counters.throttled += 1
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
            self.failed(item, status)

    def _ask_elsewhere(self, item: QueuedPart, status: int) -> None:
        self._recorder.unsettled += 1

        def asked(moved: Sequence[int]) -> None:
            self._recorder.unsettled -= 1
            if not moved and self._sender.queue.kept(item):
                self._sender.leave_to_table([item])
                self._upstream.check_idle()
                return
            if not moved:
                self.failed(item, status)
                return
            self._upstream.counters.moved += 1
            self._sender.queue.bar(moved)
            self._sender.queue.done(item)
            self._sender.pump()
            self._upstream.check_idle()

        self._observer.elsewhere(self._upstream, item).addCallback(asked)

    def failed(self, item: QueuedPart, status: int | None) -> None:
        """For good; and with one part missing, the rest of the message is of no use to anybody."""
        self._upstream.counters.failed += 1
        self._sender.queue.drop(item)
        part, now_ms = item.part, self._wall_ms()
        self._log.warning("part_failed", part=part.id, message=part.message_id, status=_said(status))
        writes = parts.record_failed(part.id, status, now_ms)
        if part.total > 1:
            writes += parts.fail_rest(part.message_id, status, now_ms)
        self._recorder.persist(
            Change(writes, [part.id], now_ms),
            along=self._observer.failing(self._upstream, [part.id], item.told),
        )


def _status_of(response: Response) -> int:
    """A generic_nack takes nothing, whatever its status is."""
    if isinstance(response, GenericNack) and response.command_status == CommandStatus.ESME_ROK:
        return CommandStatus.ESME_RINVCMDID
    return response.command_status


def _said(status: int | None) -> str | None:
    return None if status is None else status_name(status)
