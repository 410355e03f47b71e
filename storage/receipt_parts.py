"""The parts that receipts are about: found by the id that the upstream gave them, or, where that is not
known, by the numbers that they went between."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, text

from storage.receipt_numbers import Agreement, Earliest, agreement
from storage.records import MessageFlag, PartFlag, PartState, ReceiptRecord
from storage.tables import PART_OPEN, did, message, part

Upstreams = tuple[str, ...]

TOLD_COLUMNS = (
    part.c.id,
    part.c.message_id,
    part.c.smsc_message_id,
    part.c.state,
    part.c.receipt_state,
    part.c.receipt_error,
    part.c.final_at,
    part.c.due_at,
    part.c.sent_at,
    part.c.upstream,
    part.c.total,
    message.c.did,
    message.c.peer,
    message.c.flags.label("message_flags"),
    message.c.account_id,
)
IN_DOUBT = (PartState.IN_DOUBT, PartState.HELD, PartState.QUEUED)  # queued: to be sent again
CLOCK_STEP_MS = 60_000  # by how much our own clock may have been set back between two rows
QUARTER_MS = 15 * 60_000  # what time zones differ by
MINUTE_MS = 60_000
FARTHEST_ZONE_MS = 14 * 3_600_000
MOST_DOUBTS = 1_000  # of one pair of numbers
MOST_AWAITED = 20_000


class ToldPart:
    """A part as the receipts so far have left it."""

    __slots__ = (
        "account_id",
        "did",
        "due_at",
        "erased",
        "error",
        "final_at",
        "guessed",
        "id",
        "message_id",
        "named",
        "peer",
        "said",
        "sent_at",
        "settled",
        "state",
        "total",
        "touched",
        "upstream",
        "was",
    )

    def __init__(self, row: Any) -> None:
        self.id: int = row.id
        self.message_id: int = row.message_id
        self.named: str | None = row.smsc_message_id
        self.state: str = row.state
        self.was: str = row.state
        self.total: int = row.total
        self.account_id: int | None = row.account_id
        self.said: str | None = row.receipt_state
        self.error: str | None = row.receipt_error
        self.final_at: int | None = row.final_at
        self.due_at: int = row.due_at
        self.sent_at: int | None = row.sent_at
        self.upstream: str = row.upstream
        self.did: str = row.did
        self.peer: str = row.peer
        self.erased = bool(row.message_flags & MessageFlag.ERASED)
        self.touched = False
        self.settled = False
        self.guessed = False

    @property
    def open(self) -> bool:
        """Something may still be told of it."""
        return self.state not in PartState.FINAL

    def over_before(self, at_ms: int) -> bool:
        """Its end is so long ago that a receipt is about another part, to which the upstream gave its id."""
        return not self.open and (self.final_at or 0) < at_ms

    def agreement(self, record: ReceiptRecord) -> Agreement:
        """How far its numbers are those of the receipt."""
        return agreement(self.did, self.peer, record.did, record.peer)

    def could_be(self, record: ReceiptRecord) -> bool:
        """A receipt is about what was there when it came."""
        return self.due_at <= record.received_at + CLOCK_STEP_MS

    def tell(self, record: ReceiptRecord, now_ms: int) -> None:
        """Non-final news never touches a final part; of final ones only "delivered" outranks another.
        Whatever is told of a part that was in doubt, the upstream has it."""
        state = record.part_state
        outranks = state == PartState.DELIVERED and self.state != PartState.DELIVERED
        if not self.open and not outranks:
            return
        self.touched = True
        self.said, self.error = record.state, record.error
        if self.state in IN_DOUBT:
            self.settled = True
            self.state = PartState.SENT.value
        if state is not None:
            self.state, self.final_at = str(state), now_ms


def _told() -> Select[Any]:
    return select(*TOLD_COLUMNS).join(message, message.c.id == part.c.message_id)


# Made once, since it runs with each batch of receipts.
_WITH_ID = (
    _told()
    .where(
        part.c.upstream.in_(bindparam("upstreams", expanding=True)),
        part.c.smsc_message_id.in_(bindparam("ids", expanding=True)),
    )
    .order_by(part.c.id)
    .with_for_update(of=part)
)

ById = dict[tuple[Upstreams, str], list[ToldPart]]
Seen = dict[int, ToldPart]


def by_upstreams(wanted: Iterable[tuple[Upstreams, Iterable[str]]]) -> dict[Upstreams, set[str]]:
    """The ids that are wanted of each group of upstreams."""
    ids: dict[Upstreams, set[str]] = {}
    for upstreams, some in wanted:
        ids.setdefault(upstreams, set()).update(some)
    return ids


def by_id(connection: Connection, wanted: Iterable[tuple[Upstreams, Iterable[str]]], seen: Seen) -> ById:
    """The parts that the upstreams gave these ids; each is one object in ``seen``, however it is found."""
    found: ById = {}
    for upstreams, ids in by_upstreams(wanted).items():
        for row in connection.execute(_WITH_ID, {"upstreams": upstreams, "ids": list(ids)}):
            match = seen.setdefault(row.id, ToldPart(row))
            found.setdefault((upstreams, row.smsc_message_id), []).append(match)
    return found


def best(
    found: ById,
    upstreams: Upstreams,
    ids: Iterable[str],
    record: ReceiptRecord,
    level: Agreement,
    told: frozenset[int],
) -> ToldPart | None:
    """Of the parts of the first id that has any whose numbers agree with the receipt's as far as ``level``:
    those of the upstream that it came from, if there are any. Upstreams use their ids again: of these the
    newest if it was ``told`` this already (so this is a repeat), else an open part before a final one, then
    the newest."""
    for candidate in ids:
        parts = [one for one in found.get((upstreams, candidate), ()) if one.agreement(record) >= level]
        if parts:
            parts = [one for one in parts if one.upstream == record.upstream] or parts
            newest = max(parts, key=lambda match: match.id)
            return newest if newest.id in told else max(parts, key=lambda match: (match.open, match.id))
    return None


def awaited(connection: Connection, upstreams: Upstreams) -> Earliest:
    """The parts without an id that receipts may be about, and since when the upstream may have them
    (milliseconds)."""
    found: list[tuple[int, str, str]] = []
    for condition in _WITHOUT_ANSWER:
        query = (
            select(func.coalesce(part.c.sent_at, part.c.due_at), message.c.did, message.c.peer)
            .join(message, message.c.id == part.c.message_id)
            .where(part.c.upstream.in_(upstreams), *condition, part.c.smsc_message_id.is_(None))
            .limit(MOST_AWAITED)
        )
        found += [(at_ms, did_, peer) for at_ms, did_, peer in connection.execute(query)]
    return Earliest(found)


def oldest_on_its_way(connection: Connection, upstreams: Upstreams) -> int | None:
    """Since when the first of the parts that have no answer yet is on its way (milliseconds)."""
    query = select(func.min(func.coalesce(part.c.sent_at, part.c.due_at))).where(
        part.c.upstream.in_(upstreams), text(PART_OPEN), part.c.state == PartState.SENDING.value
    )
    found: int | None = connection.scalar(query)
    return found


class Traits(NamedTuple):
    """What a receipt says of its message besides the id and the numbers: our own reference, if we sent one
    (`reference_of`); when the SMSC took it, by its own clock, which may be in any time zone."""

    reference: int | None = None
    submitted: datetime | None = None


def reference_of(part_id: int) -> int:
    """The user_message_reference of a part: 16 bits that neighbours do not share."""
    return (part_id * 0x9E3779B97F4A7C15 >> 32) & 0xFFFF


def in_doubt(
    connection: Connection, upstreams: Upstreams, record: ReceiptRecord, traits: Traits, seen: Seen
) -> ToldPart | None:
    """The one part without an id that this can be about; None when there is none, or more than one.

    By reference it may be one whose answer is still awaited, or had no id in it; by the time alone only one
    that is in doubt, while no other part of that minute waits for its receipt: it may be about that one, and
    have its id in a spelling that nobody thought of.
    """
    parts = _without_id(connection, upstreams, record, seen)
    if traits.reference is not None:
        parts += _nameless(connection, upstreams, record, seen)
        found = [match for match in parts if reference_of(match.id) == traits.reference]
    elif traits.submitted is not None and len(parts) == 1 and parts[0].state in IN_DOUBT:
        found = [match for match in parts if _same_minute(match.sent_at, traits.submitted)]
        if found and _another_waits(connection, upstreams, record, traits.submitted):
            return None
    else:
        return None
    return found[0] if len(found) == 1 else None


def _sent_between(columns: Iterable[Any], upstreams: Upstreams, record: ReceiptRecord) -> Select[Any]:
    """The parts between the receipt's numbers that wait for their receipts, by the index of conversations."""
    account = select(did.c.account_id).where(did.c.number == record.did).scalar_subquery()
    return (
        select(*columns)
        .join(message, message.c.id == part.c.message_id)
        .where(
            message.c.account_id == account,
            message.c.did == record.did,
            message.c.peer == record.peer,
            part.c.upstream.in_(upstreams),
            part.c.state == PartState.SENT.value,
        )
    )


def _another_waits(
    connection: Connection, upstreams: Upstreams, record: ReceiptRecord, submitted: datetime
) -> bool:
    times = connection.scalars(_sent_between([part.c.sent_at], upstreams, record))
    return any(_same_minute(sent_at, submitted) for sent_at in times)


def _nameless(
    connection: Connection, upstreams: Upstreams, record: ReceiptRecord, seen: Seen
) -> list[ToldPart]:
    """Parts that the upstream took without giving them an id."""
    query = _sent_between(TOLD_COLUMNS, upstreams, record).where(part.c.smsc_message_id.is_(None))
    rows = connection.execute(query.order_by(part.c.id).limit(MOST_DOUBTS).with_for_update(of=part))
    return [seen.setdefault(row.id, ToldPart(row)) for row in rows]


_WITHOUT_ANSWER: tuple[tuple[ColumnElement[bool], ...], ...] = (
    (text(PART_OPEN),),  # type: ignore[assignment]
    (
        part.c.state == PartState.QUEUED.value,
        part.c.flags.bitwise_and(int(PartFlag.POSSIBLE_DUPLICATE)) != 0,
    ),
)


def _without_id(
    connection: Connection, upstreams: Upstreams, record: ReceiptRecord, seen: Seen
) -> list[ToldPart]:
    found = []
    for condition in _WITHOUT_ANSWER:
        query = (
            _told()
            .where(
                part.c.upstream.in_(upstreams),
                *condition,
                part.c.smsc_message_id.is_(None),
                message.c.did == record.did,
                message.c.peer == record.peer,
            )
            .order_by(part.c.id)
            .limit(MOST_DOUBTS)
        )
        rows = connection.execute(query.with_for_update(of=part))
        found += [seen.setdefault(row.id, ToldPart(row)) for row in rows]
    return found


def _same_minute(sent_at: int | None, submitted: datetime) -> bool:
    """Whether the SMSC's time is ours in some time zone, give or take a minute."""
    if sent_at is None:
        return False
    apart = round(submitted.replace(tzinfo=UTC).timestamp() * 1000) - sent_at
    beside = (apart + QUARTER_MS // 2) % QUARTER_MS - QUARTER_MS // 2
    return abs(apart) <= FARTHEST_ZONE_MS and -2 * MINUTE_MS < beside <= MINUTE_MS


def siblings(connection: Connection, message_ids: Sequence[int], seen: Seen) -> dict[int, list[ToldPart]]:
    """By message, its parts that have left."""
    found: dict[int, list[ToldPart]] = {message_id: [] for message_id in message_ids}
    if found:
        query = _told().where(part.c.message_id.in_(found), part.c.state != PartState.QUEUED.value)
        for row in connection.execute(query.order_by(part.c.id).with_for_update(of=part)):
            found[row.message_id].append(seen.setdefault(row.id, ToldPart(row)))
    return found
