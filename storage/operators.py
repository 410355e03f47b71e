"""What operators look at and change, of all accounts: queues, dead letters, counts. Never for customers."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Row, case, func, literal_column, or_, select, update

from storage import progress
from storage.ids import lowest_at
from storage.messages import IS_KEPT, delivery_record, part_record
from storage.parts import IS_DOUBTFUL, NOT_FINAL, ON_ITS_WAY
from storage.records import DeliveryRecord, DeliveryState, MessageRecord, PartFlag, PartRecord, PartState
from storage.tables import delivery, message, part

MAX_LIMIT = 1_000
WAITING = (PartState.QUEUED, PartState.HELD)

KEPT = "kept"
"""What a held part is counted as that an operator keeps: nothing is to be decided."""

PART_STATES = ("queued", "sending", "in_doubt", "held", KEPT)
"""Of parts that are not done."""

DELIVERY_STATES = (DeliveryState.PENDING.value, DeliveryState.FAILED.value)
"""Of deliveries that are owed, and of dead letters."""


class WaitingPart(NamedTuple):
    """A part and its message."""

    part: PartRecord
    message: MessageRecord


class Count(NamedTuple):
    """How many there are of one kind in one state."""

    kind: str
    state: str
    rows: int
    oldest_at: int | None


def part_counts(connection: Connection) -> list[Count]:
    """The parts that are not done, by upstream and state (`KEPT` is apart)."""
    counted = func.count(), func.min(part.c.due_at)
    others = [state for state in PART_STATES if state not in (PartState.HELD, KEPT)]
    query = select(part.c.upstream, part.c.state, *counted).where(part.c.state.in_(others))
    found = [Count(*row) for row in connection.execute(query.group_by(part.c.upstream, part.c.state))]
    held = select(part.c.upstream, IS_KEPT, *counted).where(part.c.state == PartState.HELD.value)
    for upstream, kept, rows, oldest in connection.execute(held.group_by(part.c.upstream, IS_KEPT)):
        found.append(Count(upstream, KEPT if kept else PartState.HELD.value, rows, oldest))
    return sorted(found, key=lambda count: (count.kind or "", count.state))


def delivery_counts(connection: Connection) -> list[Count]:
    """The deliveries that wait or have failed, by handler."""
    query = (
        select(delivery.c.handler, delivery.c.state, func.count(), func.min(delivery.c.due_at))
        .where(delivery.c.state.in_([literal_column(f"'{state}'") for state in DELIVERY_STATES]))
        .group_by(delivery.c.handler, delivery.c.state)
        .order_by(delivery.c.handler, delivery.c.state)
    )
    return [Count(*row) for row in connection.execute(query)]


def waiting_parts(connection: Connection, upstream: str | None, limit: int) -> list[WaitingPart]:
    """The parts that wait for an upstream, or for any: queued or held, the ones due first in front."""
    query = (
        select(part, message)
        .join(message, message.c.id == part.c.message_id)
        .where(part.c.state.in_([state.value for state in WAITING]))
        .order_by(part.c.due_at, part.c.id)
        .limit(_limited(limit))
    )
    if upstream is not None:
        query = query.where(part.c.upstream == upstream)
    return [_waiting(row) for row in connection.execute(query)]


class Held(NamedTuple):
    """A message whose upstream's queue is withdrawn, but for the parts ``on_their_way``."""

    message_id: int
    upstream: str
    on_their_way: Collection[int]


def hold(connection: Connection, held: Held, now_ms: int) -> list[int]:
    """Let the parts of a message that wait stay until they are retried; their ids. Those that are on their
    way stay too if they come back."""
    _mark(connection, held, PartFlag.KEPT)
    kept: dict[str, object] = {
        "state": PartState.HELD.value,
        "flags": part.c.flags.bitwise_or(int(PartFlag.KEPT)),
    }
    return _change(connection, held, (PartState.QUEUED,), kept, now_ms)


def cancel(connection: Connection, held: Held, now_ms: int) -> list[int]:
    """Give up the parts of a message that wait; their ids. Those that are on their way do not go again."""
    _mark(connection, held, PartFlag.DROPPED)
    values = {"state": PartState.FAILED.value, "final_at": now_ms}
    return _change(connection, held, WAITING, values, now_ms)


def retry(connection: Connection, held: Held, now_ms: int) -> list[int]:
    """Make the waiting parts of a message due now; a held one that an SMSC may have is flagged. Their ids."""
    free = part.c.flags.bitwise_and(~int(PartFlag.KEPT))
    values = {
        "state": PartState.QUEUED.value,
        "due_at": now_ms,
        "flags": case((IS_DOUBTFUL, free.bitwise_or(int(PartFlag.POSSIBLE_DUPLICATE))), else_=free),
    }
    ids = _change(connection, held, WAITING, values, now_ms)
    connection.execute(update(part).where(part.c.message_id == held.message_id).values(flags=free))
    return ids


def _mark(connection: Connection, held: Held, flag: PartFlag) -> None:
    """Of a message's parts those that are on their way: the queue has said so, or the table does."""
    on_its_way = or_(part.c.id.in_(held.on_their_way), part.c.state.in_([s.value for s in ON_ITS_WAY]))
    open_ones = part.c.message_id == held.message_id, NOT_FINAL, part.c.state != PartState.SENT.value
    flags = part.c.flags.bitwise_or(int(flag))
    connection.execute(update(part).where(*open_ones, on_its_way).values(flags=flags))


def _change(
    connection: Connection, held: Held, states: Sequence[PartState], values: dict[str, object], now_ms: int
) -> list[int]:
    waiting = select(part.c.id).where(
        part.c.message_id == held.message_id,
        part.c.upstream == held.upstream,  # those of another have a queue that goes on
        part.c.state.in_([state.value for state in states]),
    )
    found = connection.scalars(waiting.order_by(part.c.id).with_for_update())
    ids = [identity for identity in found if identity not in held.on_their_way]
    with progress.telling(connection, ids, now_ms):
        connection.execute(update(part).where(part.c.id.in_(ids)).values(values))
    return ids


def upstream_of(connection: Connection, message_id: int) -> str | None:
    """Which upstream the waiting parts of a message wait for."""
    query = select(part.c.upstream).where(
        part.c.message_id == message_id, part.c.state.in_([state.value for state in WAITING])
    )
    return connection.scalars(query.limit(1)).first()


def dead_letters(connection: Connection, handler: str | None, limit: int) -> list[DeliveryRecord]:
    """Failed deliveries of all accounts, the oldest first."""
    query = select(delivery).where(delivery.c.state == literal_column("'failed'"))
    if handler is not None:
        query = query.where(delivery.c.handler == handler)
    rows = connection.execute(query.order_by(delivery.c.id).limit(_limited(limit)))
    return [delivery_record(row) for row in rows]


def pending(connection: Connection, handler: str | None, limit: int) -> list[DeliveryRecord]:
    """Deliveries of all accounts that are not done, the ones due first in front."""
    query = select(delivery).where(delivery.c.state == literal_column("'pending'"))
    if handler is not None:
        query = query.where(delivery.c.handler == handler)
    rows = connection.execute(query.order_by(delivery.c.due_at, delivery.c.id).limit(_limited(limit)))
    return [delivery_record(row) for row in rows]


class Traffic(NamedTuple):
    """Messages and parts of one step of time, which begins at ``at``. ``delivered`` and ``failed`` are parts
    that were sent in it and have ended so; ``waiting`` are those of which nothing final is known."""

    at: int
    received: int
    sent: int
    delivered: int
    failed: int
    waiting: int


def traffic(connection: Connection, since_ms: int, step_ms: int, steps: int) -> list[Traffic]:
    """What came and went since then, in steps, those in which nothing did too."""
    offset = message.c.created_at - since_ms
    begun = (offset - offset % step_ms).label("begun")
    of_then = (
        message.c.id >= lowest_at(since_ms),
        offset >= 0,
        offset < step_ms * steps,
    )
    found: Counter[tuple[int, str]] = Counter()
    messages = select(begun, message.c.direction, func.count()).where(*of_then)
    for at, direction, count in connection.execute(messages.group_by(begun, message.c.direction)):
        found[at, direction] += count
    of_parts = select(begun, part.c.state, func.count()).join(message, message.c.id == part.c.message_id)
    for at, state, count in connection.execute(of_parts.where(*of_then).group_by(begun, part.c.state)):
        found[at, _kind(PartState(state))] += count
    kinds = ("mo", "mt", "delivered", "failed", "waiting")
    return [
        Traffic(since_ms + at, *(found[at, kind] for kind in kinds))
        for at in range(0, step_ms * steps, step_ms)
    ]


def _kind(state: PartState) -> str:
    if state is PartState.DELIVERED:
        return "delivered"
    return "failed" if state.final else "waiting"


def _waiting(row: Row[tuple[object, ...]]) -> WaitingPart:
    width = len(PartRecord._fields)
    return WaitingPart(part_record(row[:width]), MessageRecord._make(row[width:]))


def _limited(limit: int) -> int:
    return min(max(limit, 1), MAX_LIMIT)
