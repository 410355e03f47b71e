"""Receipts back: what the carrier reports about a part finds the part, early, late or repeated.

A receipt is stored as it came before anything else is thought about it, and answered ESME_ROK after
that commit, matched or not: one that finds no part waits in the store and is tried again when the
SMSC's ids of new parts are known. The id is compared as it was sent first, then without regard to case
and leading zeros, then in the other base (some SMSCs answer in hexadecimal and report in decimal).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge import statuses
from edge.config import UpstreamConfig
from edge.deliveries import Outbox
from edge.dialect import user_data
from edge.groups import Group
from edge.outage import not_stored
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DataSm, DeliverSm
from protocols.smpp.receipt import MessageState, Receipt
from storage import receipts
from storage.deliveries import DueDelivery
from storage.receipts import Report
from storage.records import PartState, ReceiptRecord
from storage.store import Store

log = structlog.get_logger(__name__)

Answer = Callable[[int], None]
Matched = tuple[int | None, list[DueDelivery]]  # the part's id, and what is due because of it

DECIMAL = re.compile(r"[0-9]+", re.ASCII)
HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
PADDINGS = (8, 10)  # digits that SMSCs pad ids to
UNMATCHED_COUNTED = 1_000
PURGED_AT_ONCE = 10_000
LONGEST_ID = 64  # octets of message_id (SMPP 3.4 §5.2.23); also bounds the arithmetic

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
    """I take the receipts of one upstream; their parts may be those of any upstream of its ``group``."""

    def __init__(
        self,
        config: UpstreamConfig,
        group: Group,
        store: Store,
        outbox: Outbox,
        wall_ms: Callable[[], int],
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
        self._log = log.bind(upstream=config.name)

    def start(self) -> Deferred[None]:
        """Learn whether receipts from before the start wait for their parts."""
        return self._store.read(receipts.unmatched, self._upstream, UNMATCHED_COUNTED).addCallback(
            self._count
        )

    def _count(self, unmatched: Sequence[ReceiptRecord]) -> None:
        self._group.unmatched += len(unmatched)

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
        state = PART_STATES.get(receipt.state)
        record = ReceiptRecord(
            id=self._store.ids.next(),
            upstream=self._upstream,
            smsc_message_id=receipt.message_ids[0][:LONGEST_ID] if receipt.message_ids else "",
            state=receipt.state.name,
            error=receipt.error,
            raw=user_data(pdu),
            received_at=now_ms,
            part_state=None if state is None else str(state),
        )
        spelled = _as_sent if self._exact else spellings
        candidates = [spelling for sent in receipt.message_ids for spelling in spelled(sent, self._base)]
        report = Report(record, candidates, self._group.upstreams, self._whole)
        self._store.writer.collect("receipts", self._match, report).addCallbacks(
            self._stored, self._not_stored, callbackArgs=(answer,), errbackArgs=(answer,)
        )

    def _match(self, conn: Connection, reports: list[Report]) -> list[Matched]:
        """In the writer's thread, for all receipts of a batch at once."""
        now_ms = self._wall_ms()
        part_ids = receipts.store_and_match_all(conn, reports, now_ms)
        final = {
            part_id
            for part_id, report in zip(part_ids, reports, strict=True)
            if part_id is not None and report.record.part_state is not None
        }
        due = statuses.due(conn, final, self._store.ids.next, self._outbox.stamp, now_ms) if final else []
        # The status callbacks of the batch go out with its last answer.
        last = len(reports) - 1
        return [(part_id, due if index == last else []) for index, part_id in enumerate(part_ids)]

    def accepted(self, smsc_message_id: str) -> None:
        """The SMSC's id of a part is in the store now: its receipt may have come before."""
        if not self._group.unmatched:
            return
        now_ms = self._wall_ms()

        def work(conn: Connection) -> tuple[int, list[DueDelivery]]:
            matched = receipts.rematch(conn, self._group.upstreams, [smsc_message_id], now_ms, self._whole)
            return len(matched), statuses.due(conn, matched, self._store.ids.next, self._outbox.stamp, now_ms)

        self._store.writer.run("receipt again", work).addCallbacks(self._matched_late, self._try_later)

    def failed(self, part_ids: Sequence[int]) -> None:
        """These parts will not be sent: their senders may want to know."""
        self._tell(part_ids)

    def sent(self, part_id: int) -> None:
        """The SMSC took this part: its sender wants to know when it has them all."""
        self._tell([part_id])

    def _tell(self, part_ids: Sequence[int]) -> None:
        def work(conn: Connection) -> tuple[int, list[DueDelivery]]:
            return 0, statuses.due(conn, part_ids, self._store.ids.next, self._outbox.stamp, self._wall_ms())

        self._store.writer.run("status told", work).addCallbacks(self._matched_late, self._try_later)

    def _stored(self, result: Matched, answer: Answer) -> None:
        part_id, due = result
        if part_id is None:
            self.counters.unmatched += 1
            self._group.unmatched += 1
        else:
            self.counters.matched += 1
        answer(CommandStatus.ESME_ROK)
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


def _as_sent(sent: str, base: str) -> list[str]:
    return [sent[:LONGEST_ID]]


def spellings(sent: str, base: str) -> list[str]:
    """The ids under which a part may be known whose receipt names ``sent``, the likeliest first.

    ``base`` is the upstream's `message_id_base`: "as_sent" compares case and zeros only, "hex" means that
    submit_sm_resp has hexadecimal and receipts have decimal ids, "decimal" the reverse, "any" tries both.
    """
    return list(dict.fromkeys(_spellings(sent[:LONGEST_ID], base)))


def _spellings(sent: str, base: str) -> Iterator[str]:
    yield from _variants(sent)
    if base in ("hex", "any") and DECIMAL.fullmatch(sent):
        yield from _variants(f"{int(sent):x}")
    if base in ("decimal", "any") and HEXADECIMAL.fullmatch(sent):
        yield from _variants(str(int(sent, 16)))


def _variants(spelling: str) -> Iterator[str]:
    for text in (spelling, spelling.lower(), spelling.upper()):
        yield text
        bare = text.lstrip("0") or "0"
        yield bare
        if HEXADECIMAL.fullmatch(bare):
            yield from (bare.zfill(width) for width in PADDINGS)
