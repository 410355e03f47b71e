"""Receipts back: what the carrier reports about a part finds the part, early, late or repeated.

A receipt is stored as it came before anything else is thought about it, and answered ESME_ROK after
that commit, matched or not: one that finds no part waits in the store and is tried again when the
SMSC's ids of new parts are known. What its id may mean is in `edge.receipt_ids`; a second choice is taken
only when no part that left before the receipt can still get the id that it names, so such a receipt is
read again for as long as an answer may take. A part whose id is not known, because the link was lost before
the answer, is found by our own reference or by the numbers and the time, where that is one part only.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge import hops, statuses
from edge.config import UpstreamConfig
from edge.deliveries import Outbox
from edge.dialect import Dialect, user_data
from edge.groups import Group
from edge.hops import hop
from edge.outage import not_stored
from edge.receipt_ids import LONGEST_ID, readings
from edge.recorder import Along
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DataSm, DeliverSm
from protocols.smpp.receipt import MessageState, Receipt
from storage import parts, receipts
from storage.deliveries import DueDelivery
from storage.ids import lowest_at
from storage.parts import QueuedPart
from storage.receipt_parts import Traits
from storage.receipts import LIKELY, SURE, Matches, Report
from storage.records import PartState, ReceiptRecord
from storage.store import Store

log = structlog.get_logger(__name__)

Answer = Callable[[int], None]
# A part's id, what is due because of it, and with the last receipt of a batch all that was found.
Matched = tuple[int | None, list[DueDelivery], Matches | None, int | None]

UNMATCHED_COUNTED = 1_000
PURGED_AT_ONCE = 10_000
READ_AT_ONCE = 250  # receipts of one transaction; each has up to two dozen readings
PAGES_A_TIME = 20
BASES_LEARNT_FROM = 1_000  # receipts
SLACK_SECONDS = 5.0

# SMPP 3.4 §5.2.28. A state that is not here does not close a part.
PART_STATES = {
    MessageState.DELIVERED: PartState.DELIVERED,
    MessageState.EXPIRED: PartState.EXPIRED,
    MessageState.DELETED: PartState.FAILED,
    MessageState.UNDELIVERABLE: PartState.FAILED,
    MessageState.REJECTED: PartState.FAILED,
}


@dataclass(slots=True)
class Counters:
    """What was reported since the start, for operators."""

    matched: int = 0
    unmatched: int = 0
    not_stored: int = 0


class Receipts:
    """I take the receipts of one upstream; their parts may be those of any upstream of its ``group``.

    ``settled`` is called with parts that were in doubt, which the SMSC has, and with those of them of which
    that is only guessed.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        dialect: Dialect,
        group: Group,
        store: Store,
        outbox: Outbox,
        wall_ms: Callable[[], int],
        settled: Callable[[Sequence[int], Collection[int]], None],
    ) -> None:
        self.counters = Counters()
        self._upstream = config.name
        self._group = group
        self._base = config.message_id_base
        self._exact = config.message_id_match == "exact"
        self._whole = config.receipt_per == "message"
        self._keep_ms = round(config.unmatched_receipt_hours * 3_600_000)
        self._store = store
        self._outbox = outbox
        self._wall_ms = wall_ms
        self._settled = settled
        self._dialect = dialect
        self._references = config.user_message_reference
        self._answer_ms = round((config.response_timeout_seconds + SLACK_SECONDS) * 1000)
        self._read_again_until = 0
        self._next_id: int | None = None  # where reading again goes on; None: it is through
        self._log = log.bind(upstream=config.name)

    def start(self) -> Deferred[None]:
        """Learn whether receipts from before the start wait for their parts."""
        return (
            self._store.read(receipts.unmatched, self._upstream, UNMATCHED_COUNTED)
            .addCallback(self._count)
            .addCallback(lambda _: self._store.read(receipts.told, self._upstream, BASES_LEARNT_FROM))
            .addCallback(self._learn)
        )

    def _learn(self, told: Sequence[tuple[str, str]]) -> None:
        """What receipts have shown of the base before the start, they need not show again."""
        if self._base == "any" and not self._exact and any(_converted(*pair) for pair in told):
            self._group.converts = True

    def _count(self, unmatched: Sequence[ReceiptRecord]) -> None:
        self._group.unmatched += len(unmatched)
        if unmatched:
            self._read_from(0)

    def purge(self) -> Deferred[None]:
        """Forget the receipts that have waited too long for their parts."""
        before_ms = self._wall_ms() - self._keep_ms

        def purged(count: int) -> None:
            if count:
                self._group.unmatched -= min(count, self._group.unmatched)
                self._log.warning("receipts_unmatched_purged", receipts=count)

        return self._store.writer.run(
            "old receipts",
            lambda conn: receipts.purge_unmatched(conn, self._upstream, before_ms, PURGED_AT_ONCE),
        ).addCallbacks(purged, self._try_later)

    def receive(self, pdu: DeliverSm | DataSm, receipt: Receipt, answer: Answer) -> None:
        """Take one receipt; ``answer`` is called once, with the command_status for the response."""
        now_ms = self._wall_ms()
        peer, did = self._dialect.ends(pdu)
        state = PART_STATES.get(receipt.state) if receipt.final else None
        record = ReceiptRecord(
            id=self._store.ids.next(),
            upstream=self._upstream,
            smsc_message_id=receipt.message_ids[0][:LONGEST_ID] if receipt.message_ids else "",
            state=receipt.state.name,
            error=receipt.error,
            raw=user_data(pdu),
            received_at=now_ms,
            part_state=None if state is None else str(state),
            did=did,
            peer=peer,
        )
        ids = readings(receipt.message_ids, self._base, exact=self._exact)
        report = Report(
            record,
            ids.same,
            self._group.upstreams,
            self._whole,
            ids.sent,
            ids.others,
            self._reach,
            now_ms - self._keep_ms,
            Traits(receipt.reference if self._references else None, receipt.submit_date),
        )
        self._store.writer.collect("receipts", self._match, report).addCallbacks(
            self._stored, self._not_stored, callbackArgs=(record, answer), errbackArgs=(answer,)
        )

    @property
    def _reach(self) -> int:
        return LIKELY if self._group.converts else SURE

    def _match(self, conn: Connection, reports: list[Report]) -> list[Matched]:
        """In the writer's thread, for all receipts of a batch at once."""
        now_ms = self._wall_ms()
        matches = receipts.store_and_match_all(conn, reports, now_ms)
        final = {
            part_id
            for part_id, report in zip(matches.part_ids, reports, strict=True)
            if part_id is not None and (report.record.part_state is not None or part_id in matches.settled)
        }
        due = statuses.due(conn, final, self._store.ids.next, self._outbox.stamp, now_ms) if final else []
        known = hops.wanted() and [part_id for part_id in matches.part_ids if part_id is not None]
        of = parts.messages_of(conn, known) if known else {}
        # The status callbacks of the batch go out with its last answer.
        last = len(reports) - 1
        return [
            (part_id, due, matches, of.get(part_id or 0))
            if index == last
            else (part_id, [], None, of.get(part_id or 0))
            for index, part_id in enumerate(matches.part_ids)
        ]

    def accepted(self, smsc_message_id: str) -> None:
        """The SMSC's id of a part is in the store now: its receipt may have come before."""
        if not self._group.unmatched:
            return
        now_ms = self._wall_ms()

        def work(conn: Connection) -> tuple[int, list[DueDelivery]]:
            matched = receipts.rematch(conn, self._group.upstreams, [smsc_message_id], now_ms, self._whole)
            return len(matched), statuses.due(conn, matched, self._store.ids.next, self._outbox.stamp, now_ms)

        self._store.writer.run("receipt again", work).addCallbacks(self._matched_late, self._try_later)

    def taking(self, item: QueuedPart) -> Along | None:
        """The SMSC took this part: the receipt for the whole of its message may have come before, and its
        sender wants to know when it has them all. Nothing to do for most."""
        whole = self._whole and item.part.total > 1
        if not (whole or item.told):
            return None

        def along(conn: Connection) -> Callable[[], None]:
            if whole:
                receipts.inherit(conn, item.part.id, self._wall_ms())
            return self._telling(conn, [item.part.id]) if item.told else _nothing

        return along

    def failing(self, part_ids: Sequence[int]) -> Along:
        """These parts will not be sent: their senders may want to know."""
        return lambda conn: self._telling(conn, part_ids)

    def _telling(self, conn: Connection, part_ids: Sequence[int]) -> Callable[[], None]:
        """In the transaction that changes the parts; what is to be done after it."""
        due = statuses.due(conn, part_ids, self._store.ids.next, self._outbox.stamp, self._wall_ms())
        return lambda: self._offer(due)

    def read_again(self) -> Deferred[None]:
        """A receipt may wait only because an answer could still have come that had its very id, or because
        the part that has it is of another phone. Page by page: what a failing store leaves, or is too much
        for one time, is for the next."""
        return Deferred.fromCoroutine(self._read_again())

    async def _read_again(self) -> None:
        now_ms = self._wall_ms()
        if self._next_id is None and now_ms < self._read_again_until:
            self._next_id = lowest_at(now_ms - 2 * self._answer_ms)
        try:
            for _ in range(PAGES_A_TIME):
                if self._next_id is None or not self._group.unmatched:
                    return
                await self._read_page(self._next_id)
        except Exception:
            self._try_later(Failure())

    async def _read_page(self, from_id: int) -> None:
        now_ms = self._wall_ms()

        def work(conn: Connection) -> tuple[receipts.ReadAgain, list[DueDelivery]]:
            page = receipts.read_again(
                conn, self._group.upstreams, self._reach, now_ms, READ_AT_ONCE, self._whole, from_id
            )
            return page, statuses.due(
                conn, page.part_ids, self._store.ids.next, self._outbox.stamp, now_ms
            ) if page.part_ids else []

        page, due = await self._store.writer.run("receipt read again", work)
        if self._next_id == from_id:  # nobody has asked meanwhile for what was before
            self._next_id = page.next_id
        self._matched_late((len(page.part_ids), due))

    def _read_from(self, receipt_id: int) -> None:
        """Read again from this receipt on, and what comes for as long as answers may take."""
        self._next_id = receipt_id if self._next_id is None else min(self._next_id, receipt_id)
        self._expect_answers()

    def _expect_answers(self) -> None:
        self._read_again_until = self._wall_ms() + self._answer_ms

    def refute(self, part_id: int) -> Deferred[bool]:
        """The SMSC refused a part that a receipt was only guessed to be about: the receipt waits for another.

        False if an answer tells that the part was taken.
        """

        def named(told: str) -> tuple[Sequence[str], receipts.Distant]:
            read = readings([told] if told else [], self._base, exact=self._exact)
            return read.same, read.others

        def refuted(freed: list[int] | None) -> bool:
            if freed:
                self._group.unmatched += len(freed)
                self._read_from(min(freed))
            return freed is not None

        now_ms = self._wall_ms()
        return self._store.writer.run(
            "receipt refuted", lambda conn: receipts.refute(conn, part_id, named, now_ms)
        ).addCallback(refuted)

    def _stored(self, result: Matched, record: ReceiptRecord, answer: Answer) -> None:
        part_id, due, matches, message_id = result
        hop(
            self._log,
            "message_reported",
            record.received_at,
            message=message_id,
            part=part_id,
            smsc_message_id=record.smsc_message_id,
            state=record.state,
            error=record.error,
        )
        if part_id is None:
            self.counters.unmatched += 1
            self._group.unmatched += 1
            self._expect_answers()
        else:
            self.counters.matched += 1
        answer(CommandStatus.ESME_ROK)
        if matches is not None and matches.settled:
            self._settled(matches.settled, matches.guessed)
        if matches is not None and matches.converted and not self._group.converts:
            self._group.converts = True
            self._read_from(0)
            self._log.info("receipts_in_another_base", hint="message_id_base says so at once")
        self._offer(due)

    def _not_stored(self, failure: Failure, answer: Answer) -> None:
        self.counters.not_stored += 1
        not_stored(self._log, "receipt_not_stored", failure)
        answer(CommandStatus.ESME_RX_T_APPN)

    def _matched_late(self, result: tuple[int, list[DueDelivery]]) -> None:
        matched, due = result
        self.counters.matched += matched
        self._group.unmatched -= min(matched, self._group.unmatched)
        self._offer(due)

    def _try_later(self, failure: Failure) -> None:
        not_stored(self._log, "receipt_not_matched", failure)

    def _offer(self, due: Sequence[DueDelivery]) -> None:
        if due:
            self._outbox.offer(due)


def _nothing() -> None:
    """Nobody is to be told."""


def _converted(told: str, given: str) -> bool:
    """A receipt with the first id was about a part with the second: was that beyond doubt another base?"""
    return (given, SURE) in readings([told], "any").others
