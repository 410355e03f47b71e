"""Carrier → store: a deliver_sm becomes a stored message with its deliveries, then it is answered.

    deliver_sm ─ decode ─ DID ─┬─ whole ─────────────► one transaction ─ commit ─ ESME_ROK ─ deliveries
                               └─ part ─ all there? ─► the part alone, or part + message

Nothing is answered ESME_ROK before its commit. When the store fails the answer is temporary
(ESME_RX_T_APPN), so the SMSC tries again; the bind stays up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge import routing
from edge.assembly import Assembly, Whole
from edge.deliveries import Outbox
from edge.dialect import Dialect
from edge.dialect import Inbound as Received
from edge.directory import Directory
from edge.handlers import INTERNAL_ERROR
from edge.hops import hop
from edge.outage import not_stored
from edge.policy.optout import Heard, OptOuts
from edge.repeats import ANSWER_AT_RISK_MS, REMEMBERED, Repeats, Seen, fingerprint
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DataSm, DeliverSm
from protocols.sms import Coding, Concatenation, Element
from protocols.sms.reassembly import REMEMBER_SECONDS, other_elements
from storage import events, inbound_parts, messages, orderly
from storage.deliveries import DueDelivery
from storage.errors import Stale
from storage.records import DeliveryRecord, DeliveryState, Did, InboundPartRecord, MessageFlag, MessageRecord
from storage.statements import Write, execute_all
from storage.store import Store
from storage.text import clean

log = structlog.get_logger(__name__)

Answer = Callable[[int], None]
JOINED_REMEMBERED = 20_000  # parts of whole messages of the run before
MAX_UNANSWERED = 10_000  # beyond this the SMSC is told to wait: memory is not the queue


@dataclass(slots=True)
class Counters:
    """What came in since the start, for operators."""

    messages: int = 0
    parts: int = 0
    repeats: int = 0
    unknown_did: int = 0
    not_stored: int = 0
    overflow: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """The upstream's settings that matter here."""

    upstream: str
    quarantine: bool  # an MO for an unknown DID is kept (else refused)
    merge_repeats: bool  # a repeat is stored and flagged, but the handlers do not run again
    reassembly_timeout_seconds: float


class Inbound:
    """I take the MO traffic of one upstream."""

    def __init__(
        self,
        policy: Policy,
        dialect: Dialect,
        directory: Directory,
        store: Store,
        outbox: Outbox,
        assembly: Assembly,
        repeats: Repeats,
        wall_ms: Callable[[], int],
        opt_outs: OptOuts,
    ) -> None:
        self.counters = Counters()
        self.repeats = repeats
        self._policy = policy
        self._dialect = dialect
        self._directory = directory
        self._store = store
        self._outbox = outbox
        self._assembly = assembly
        self._wall_ms = wall_ms
        self._opt_outs = opt_outs
        self._unanswered = 0
        self._log = log.bind(upstream=policy.upstream)

    def receive(self, pdu: DeliverSm | DataSm, answer: Answer, link: str) -> None:
        """Take one MO PDU; ``answer`` is called once, with the command_status for the response. ``link`` is
        the name of the bind that it came on."""
        if self._unanswered >= MAX_UNANSWERED:
            self._overflow(answer)
            return
        self._unanswered += 1
        received = self._dialect.inbound(pdu)
        did = self._directory.did(received.destination)
        if did is not None:
            self._take(pdu, received, did, answer, link)
            return
        self._directory.find(received.destination).addErrback(self._not_found).addCallback(
            lambda found: self._take(pdu, received, found, answer, link)
        )

    def start(self) -> Deferred[None]:
        """Take up what the last run left: parts of incomplete messages, and MO whose answers may be lost."""
        upstream = self._policy.upstream
        return (
            self._store.read(_last_joined, upstream)
            .addCallback(lambda parts: self._assembly.remember(parts, self._wall_ms()))
            .addCallback(lambda _: self._store.read(inbound_parts.open_parts, upstream))
            .addCallback(self._restore)
            .addCallback(lambda _: self._store.read(_last_received, upstream))
            .addCallback(self.repeats.restarted)
        )

    def ended(self) -> Deferred[None]:
        """The last links ended in order: nothing that came on them will be sent again. Of one that was lost
        a while before them something still may: then nothing is written down."""
        name, now_ms = self._policy.upstream, self._wall_ms()
        if self.repeats.doubtful(now_ms):
            return succeed(None)
        return self._store.writer.run("orderly end", lambda conn: orderly.put(conn, name, now_ms))

    def _restore(self, parts: list[InboundPartRecord]) -> None:
        for whole in self._assembly.restore(parts):
            self._assembly.put_back(
                whole
            )  # cannot be, unless a message was lost by hand: delivered when overdue

    def flush_overdue(self) -> Deferred[None]:
        """Deliver what came of messages whose other parts are overdue, flagged as incomplete."""
        now_ms = self._wall_ms()
        done: Deferred[None] = succeed(None)
        for whole in self._assembly.overdue(now_ms, self._policy.reassembly_timeout_seconds):
            if whole.message.repetition:
                self._log.info("parts_repeated", parts=len(whole.part_ids), total=whole.total)
                stored = self._store.writer.run("repeated parts", partial(_remove, whole.part_ids))
            else:
                self._log.warning("message_incomplete", parts=len(whole.part_ids), total=whole.total)
                stored = self._flush(whole, now_ms)
            done = stored.addErrback(self._not_flushed, whole)
        return done

    # -- one PDU ----------------------------------------------------------------------------------

    def _take(
        self, pdu: DeliverSm | DataSm, received: Received, did: Did | None, answer: Answer, link: str
    ) -> None:
        if did is not None and not did.sms_enabled:
            did = None
        if did is None:
            self.counters.unknown_did += 1
            self._log.warning("did_unknown", kept=self._policy.quarantine)
            if not self._policy.quarantine:
                self._done(answer, CommandStatus.ESME_RINVDSTADR)
                return
        now_ms = self._wall_ms()
        mark = fingerprint(
            received.source,
            received.destination,
            pdu.esm_class,
            pdu.data_coding,
            received.octets,
            received.concatenation,
        )
        seen = Seen(self._store.ids.next(), mark, now_ms, link)
        original = self.repeats.original(mark, now_ms)
        if original is None:
            self._accept(pdu, received, did, seen, None, answer)
            return
        self.repeats.settled(original).addCallback(
            lambda stored: self._accept(pdu, received, did, seen, original if stored else None, answer)
        )

    def _accept(
        self,
        pdu: DeliverSm | DataSm,
        received: Received,
        did: Did | None,
        seen: Seen,
        original: Seen | None,
        answer: Answer,
    ) -> None:
        """``original`` is the copy in the store that this PDU repeats."""
        if original is not None:
            self.counters.repeats += 1
        if received.concatenation is None:
            self._whole(pdu, received, did, seen, original, answer)
        elif original is not None:
            self._log.info("part_repeated")
            self._done(answer, CommandStatus.ESME_ROK)
        else:
            self._part(pdu, received, did, seen, answer)

    def _whole(
        self,
        pdu: DeliverSm | DataSm,
        received: Received,
        did: Did | None,
        seen: Seen,
        original: Seen | None,
        answer: Answer,
    ) -> None:
        decoded = received.decoded
        elements = () if decoded.udh is None else other_elements(decoded.udh)
        message = MessageRecord(
            id=seen.message_id,
            account_id=None if did is None else did.account_id,
            did_id=None if did is None else did.id,
            direction="mo",
            leg="smpp",
            did=received.destination,
            peer=received.source,
            text=decoded.text,
            upstream=self._policy.upstream,
            created_at=seen.at_ms,
            parts_total=1,
            encoding=decoded.encoding.name,
            flags=_flags(received.coding, elements, decoded.undecodable),
            data_coding=pdu.data_coding,
            esm_class=pdu.esm_class,
            raw=received.octets,
            fingerprint=seen.fingerprint,
        )
        if original is not None:
            message = message._replace(
                duplicate_of=original.message_id, flags=message.flags | MessageFlag.POSSIBLE_DUPLICATE
            )
            if self._policy.merge_repeats:
                did = None
        self.repeats.expect(seen)

        def not_stored_(failure: Failure) -> None:
            if original is not None:
                self.repeats.again(original, self._wall_ms())
            self._not_stored(failure, seen, answer)

        self._commit(message, did, [], None).addCallbacks(
            self._stored, not_stored_, callbackArgs=(seen, answer)
        )

    def _part(
        self,
        pdu: DeliverSm | DataSm,
        received: Received,
        did: Did | None,
        seen: Seen,
        answer: Answer,
    ) -> None:
        concatenation = received.concatenation
        assert concatenation is not None
        record = InboundPartRecord(
            id=seen.message_id,
            upstream=self._policy.upstream,
            source=received.source,
            destination=received.destination,
            kind=concatenation.kind,
            reference=concatenation.reference,
            total=concatenation.total,
            number=concatenation.number,
            esm_class=pdu.esm_class,
            data_coding=pdu.data_coding,
            user_data=received.octets,
            received_at=seen.at_ms,
            message_id=None,
        )
        self.counters.parts += 1
        added = self._assembly.add(record)
        if added.repeated:
            self._again(record, answer)
            return
        self.repeats.expect(seen)
        whole = added.whole
        if whole is None:
            stored = self._store.writer.write(inbound_parts.insert(record))
        else:
            message = self._joined(whole, did, seen.at_ms)
            stored = self._commit(message, did, inbound_parts.insert(record), whole)
            stored.addCallback(lambda _: self._assembly.committed(whole))
        stored.addCallbacks(
            self._stored,
            self._part_lost,
            callbackArgs=(seen, answer),
            errbackArgs=(record, whole, seen, answer),
        )

    def _again(self, record: InboundPartRecord, answer: Answer) -> None:
        """A part that waits already: its first copy may still be on its way into the store."""
        barrier = self._store.writer.run("repeated part", _nothing)

        def committed(_: None) -> None:
            # The writer takes units in order, so the fate of the first copy is known now.
            there = self._assembly.waits(record)
            self._done(answer, CommandStatus.ESME_ROK if there else CommandStatus.ESME_RX_T_APPN)

        barrier.addCallbacks(committed, self._refuse_for_now, errbackArgs=(answer,))

    # -- whole messages ---------------------------------------------------------------------------

    def _joined(self, whole: Whole, did: Did | None, now_ms: int) -> MessageRecord:
        first = whole.parts[0]
        joined, coding = self._dialect.joined(whole.parts)
        flags = _flags(coding, joined.elements, joined.undecodable)
        if joined.missing:
            flags |= MessageFlag.INCOMPLETE
        return MessageRecord(
            id=self._store.ids.next(),
            account_id=None if did is None else did.account_id,
            did_id=None if did is None else did.id,
            direction="mo",
            leg="smpp",
            did=first.destination,
            peer=first.source,
            text=joined.text,
            upstream=self._policy.upstream,
            created_at=now_ms,
            parts_total=whole.total,
            encoding=joined.encodings[0].name,
            flags=flags,
            data_coding=first.data_coding,
            esm_class=first.esm_class,
        )

    def _commit(
        self,
        message: MessageRecord,
        did: Did | None,
        writes: list[Write],
        whole: Whole | None,
        assign: Callable[[list[int], int], list[Write]] = inbound_parts.assign,
    ) -> Deferred[None]:
        """One transaction: what is in ``writes``, the message, its deliveries, and whose parts they are."""
        message = clean(message)  # a handler is told the same text at once and from the store
        owed = [] if did is None else deliveries_of(message, did, self._store.ids.next, message.created_at)
        due = self._outbox.expect([item for item in owed if item.delivery.state == DeliveryState.PENDING])
        dead = [self._outbox.stamp(item) for item in owed if item.delivery.state == DeliveryState.FAILED]
        unit = [*writes, *messages.insert(message, (), [item.delivery for item in (*due, *dead)])]
        for item in dead:
            unit += events.delivery_changed(item.delivery, DeliveryState.FAILED, message.created_at)
        if whole is not None:
            unit += assign(whole.part_ids, message.id)

        heard = None if did is None else wish_of(message, did, self._opt_outs)

        def committed(_: None) -> None:
            self.counters.messages += 1
            self._told(message, len(owed))
            if heard is not None:
                self._opt_outs.committed(heard)
            self._outbox.offer(due)

        def not_committed(failure: Failure) -> Failure:
            self._outbox.abandon(due)
            return failure

        return self._written(unit, heard).addCallbacks(committed, not_committed)

    def _written(self, unit: list[Write], heard: Heard | None) -> Deferred[None]:
        if heard is None:
            return self._store.writer.write(unit)

        def store(connection: Connection) -> None:
            execute_all(connection, unit)
            heard.store(connection)

        return self._store.writer.run("message and wish", store)

    def _told(self, message: MessageRecord, owed: int) -> None:
        hop(
            self._log,
            "message_received",
            message.created_at,
            message=message.id,
            did=message.did,
            peer=message.peer,
            parts=message.parts_total,
            deliveries=owed,
            repeats=message.duplicate_of,
        )

    def _flush(self, whole: Whole, now_ms: int) -> Deferred[None]:
        did = self._directory.did(whole.parts[0].destination)
        return self._commit(self._joined(whole, did, now_ms), did, [], whole, inbound_parts.take)

    def _not_flushed(self, failure: Failure, whole: Whole) -> None:
        if failure.check(Stale):
            self._log.info("incomplete_already_stored", parts=len(whole.part_ids))
            return
        self._assembly.put_back(whole)
        not_stored(self._log, "incomplete_not_stored", failure)

    # -- answers ----------------------------------------------------------------------------------

    def _done(self, answer: Answer, status: int) -> None:
        self._unanswered -= 1
        answer(status)

    def _stored(self, _: None, seen: Seen, answer: Answer) -> None:
        self.repeats.committed(seen)
        self._done(answer, CommandStatus.ESME_ROK)

    def _not_stored(self, failure: Failure, seen: Seen, answer: Answer) -> None:
        self.repeats.failed(seen)
        self._refuse_for_now(failure, answer)

    def _refuse_for_now(self, failure: Failure, answer: Answer) -> None:
        self.counters.not_stored += 1
        not_stored(self._log, "message_not_stored", failure)
        self._done(answer, CommandStatus.ESME_RX_T_APPN)

    def _part_lost(
        self, failure: Failure, record: InboundPartRecord, whole: Whole | None, seen: Seen, answer: Answer
    ) -> None:
        self._assembly.forget(record, whole)
        self._not_stored(failure, seen, answer)

    def _overflow(self, answer: Answer) -> None:
        if not self.counters.overflow:
            self._log.warning("inbound_overflow", unanswered=self._unanswered)
        self.counters.overflow += 1
        answer(CommandStatus.ESME_RMSGQFUL)

    def _not_found(self, failure: Failure) -> None:
        """The store cannot be asked for a number that memory does not have: as if it had none."""
        not_stored(self._log, "did_not_looked_up", failure)


def wish_of(message: MessageRecord, did: Did, opt_outs: OptOuts) -> Heard | None:
    """The wish to get no more messages, or to get them again, if that is the whole text."""
    if message.flags & MessageFlag.INCOMPLETE:
        return None
    return opt_outs.hear(did.account_id, did.number, message.peer, message.text)


def deliveries_of(
    message: MessageRecord, did: Did, next_id: Callable[[], int], now_ms: int
) -> list[DueDelivery]:
    """One delivery for each handler that the DID's owner switched on; a broken one's has failed."""
    return [
        DueDelivery(
            DeliveryRecord(
                id=next_id(),
                message_id=message.id,
                account_id=did.account_id,
                did_id=did.id,
                handler=duty.handler,
                target=duty.target or "",
                state=DeliveryState.FAILED if duty.target is None else DeliveryState.PENDING,
                attempts=0,
                due_at=now_ms,
                created_at=now_ms,
                updated_at=now_ms,
                last_outcome=INTERNAL_ERROR if duty.target is None else None,
            ),
            message,
        )
        for duty in routing.duties(did, message.peer)
    ]


def _flags(coding: Coding, elements: Sequence[Element], undecodable: bool) -> MessageFlag:
    """What is remarkable about an MO: how it wants to be shown, and what is in it beside a text."""
    flags = MessageFlag.UNDECODABLE if undecodable else MessageFlag(0)
    if coding.message_class == 0:
        flags |= MessageFlag.FLASH
    if coding.indication is not None:
        flags |= MessageFlag.INDICATION
    if elements:
        flags |= MessageFlag.HEADER
    return flags


def _last_received(conn: Connection, upstream: str) -> list[Seen]:
    """The MO, whole ones and parts, that were stored in the last moments before the server died; none of
    before its links last ended in order."""
    newest = [at for _, _, at in messages.recent_inbound(conn, upstream, 0, 1)]
    newest += [part.received_at for part in inbound_parts.recent(conn, upstream, 0, 1)]
    since = max(max(newest, default=0) - ANSWER_AT_RISK_MS, orderly.last(conn, upstream) + 1)
    whole = [
        Seen(identity, mark, at)
        for identity, mark, at in messages.recent_inbound(conn, upstream, since, REMEMBERED)
        if mark is not None
    ]
    parts = [
        Seen(part.id, _mark_of(part), part.received_at)
        for part in inbound_parts.recent(conn, upstream, since, REMEMBERED)
    ]
    return [*whole, *parts]


def _last_joined(conn: Connection, upstream: str) -> list[InboundPartRecord]:
    """The parts of messages that were stored in the last minutes before this server started."""
    newest = max((part.received_at for part in inbound_parts.recent(conn, upstream, 0, 1)), default=0)
    since = newest - round(REMEMBER_SECONDS * 1000)
    return inbound_parts.joined(conn, upstream, since, JOINED_REMEMBERED)


def _mark_of(part: InboundPartRecord) -> bytes:
    place = Concatenation(part.reference, part.total, part.number, part.kind)
    return fingerprint(part.source, part.destination, part.esm_class, part.data_coding, part.user_data, place)


def _nothing(connection: object) -> None:
    """A unit that only waits for its commit."""


def _remove(part_ids: list[int], connection: Connection) -> None:
    inbound_parts.remove(connection, part_ids)
