"""Deliveries: what each handler owes for each message, each try, and what an operator may do about them.

The table is a queue too: see `storage.queue`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Integer, Text, select, update
from sqlalchemy import insert as insert_into

from storage.messages import INSERT_DELIVERY, delivery_record
from storage.records import AttemptRecord, DeliveryRecord, DeliveryState, MessageRecord
from storage.statements import Write, given, hot_insert, hot_update
from storage.tables import Id, attempt, delivery
from storage.text import clean_attempt

INSERT_ATTEMPT = hot_insert(attempt)
SKIPPED = "skipped"
REPORTED = ("reported_failed", "received", "displayed")
REPLAYED_AT_ONCE = 10_000

# The fence: an outcome counts only while the delivery is as it was when its attempt began.
_RECORD_OUTCOME = hot_update(
    update(delivery)
    .where(
        delivery.c.id == given("delivery_id", Id),
        delivery.c.owner.is_not_distinct_from(given("owner_", BigInteger())),
        delivery.c.attempts == given("before", Integer()),
        delivery.c.state == DeliveryState.PENDING.value,
    )
    .values(
        state=given("state_", Text()),
        attempts=given("attempts_", Integer()),
        due_at=given("due", BigInteger()),
        updated_at=given("now", BigInteger()),
        last_outcome=given("outcome", Text()),
        owner=None,
        lease_until=given("due", BigInteger()),
    ),
    "delivery_id",
    "owner_",
    "before",
    "state_",
    "attempts_",
    "due",
    "now",
    "outcome",
    exact=True,
)


_RETARGET = hot_update(
    update(delivery).where(delivery.c.id == given("delivery_id", Id)).values(target=given("target_", Text())),
    "delivery_id",
    "target_",
)


class DueDelivery(NamedTuple):
    """A delivery and the message that it is about. ``moved``: its target is not what the table has."""

    delivery: DeliveryRecord
    message: MessageRecord
    moved: bool = False


def insert(record: DeliveryRecord) -> list[Write]:
    """The write that stores one more delivery of a message (`messages.insert` stores those of a new one)."""
    return [(INSERT_DELIVERY, record)]


def insert_event(connection: Connection, record: DeliveryRecord) -> bool:
    """Store a delivery for an event, unless its handler has one for this event of the message; did it?"""
    same = select(delivery.c.id).where(
        delivery.c.message_id == record.message_id,
        delivery.c.handler == record.handler,
        delivery.c.event == record.event,
    )
    if connection.execute(same).first() is not None:
        return False
    connection.execute(insert_into(delivery), record._asdict())
    return True


def record_attempt(
    record: AttemptRecord, state: DeliveryState, due_at: int, now_ms: int, owner: int | None = None
) -> list[Write]:
    """One attempt and what it makes of its delivery, which nobody owns then; ``due_at`` is when to try next.

    The unit fails with Stale unless ``owner`` still has the delivery and no other attempt was recorded since.
    """
    record = clean_attempt(record)
    before, number = record.number - 1, record.number
    outcome = (record.delivery_id, owner, before, state, number, due_at, now_ms, record.outcome)
    return [(_RECORD_OUTCOME, outcome), (INSERT_ATTEMPT, record)]


def retarget(delivery_id: int, target: str) -> list[Write]:
    """The write that makes a delivery one to another target, where its attempt went; for one unit with
    `record_attempt`."""
    return [(_RETARGET, (delivery_id, target))]


def reported(
    connection: Connection, delivery_id: int, account_id: int, target: str, outcome: str, now_ms: int
) -> bool:
    """What the other side said later of a delivery that it took; False when there is none of this account to
    this target, or more is known of it already.

    ``outcome`` is one of `REPORTED`: a later one there outdoes the earlier ones.
    """
    known = REPORTED[REPORTED.index(outcome) :]
    clause = update(delivery).where(
        delivery.c.id == delivery_id,
        delivery.c.account_id == account_id,
        delivery.c.target == target,
        delivery.c.state == DeliveryState.DELIVERED.value,
        delivery.c.last_outcome.not_in(known),
    )
    return connection.execute(clause.values(last_outcome=outcome, updated_at=now_ms)).rowcount > 0


# -- for operators, and for customers with their account ----------------------------------------------------


def retry_now(connection: Connection, delivery_id: int, account_id: int | None, now_ms: int) -> bool:
    """Make a pending delivery due at once; False when it is not pending. What a server has in hand it keeps.

    ``account_id`` is whose delivery it must be, here and below; None asks for an operator.
    """
    waiting = [
        *_of(account_id),
        delivery.c.id == delivery_id,
        delivery.c.state == DeliveryState.PENDING.value,
    ]
    clause = update(delivery).where(*waiting).values(due_at=now_ms, updated_at=now_ms)
    found = connection.execute(clause).rowcount > 0
    connection.execute(
        update(delivery).where(*waiting, delivery.c.owner.is_(None)).values(lease_until=now_ms)
    )
    return found


def skip(connection: Connection, delivery_id: int, account_id: int | None, why: str, now_ms: int) -> bool:
    """End a pending delivery as failed, with ``why`` in its history; False when it is not pending.

    An attempt that is under way goes on; its outcome is refused. What only waits in a server's memory is not
    begun.
    """
    pending = (*_of(account_id), delivery.c.state == DeliveryState.PENDING.value)
    return _ended(connection, pending, delivery_id, SKIPPED, why, now_ms)


def end(connection: Connection, delivery_id: int, outcome: str, why: str, now_ms: int) -> bool:
    """The same for one that may seem to be done, and has failed after all; False when that is known."""
    unknown = (delivery.c.state != DeliveryState.FAILED.value,)
    return _ended(connection, unknown, delivery_id, outcome, why, now_ms)


def _ended(
    connection: Connection,
    wanted: Sequence[ColumnElement[bool]],
    delivery_id: int,
    outcome: str,
    why: str,
    now_ms: int,
) -> bool:
    row = connection.execute(
        select(delivery).where(*wanted, delivery.c.id == delivery_id).with_for_update()
    ).first()
    if row is None:
        return False
    record = delivery_record(row)
    entry = AttemptRecord(record.id, record.attempts + 1, now_ms, 0, outcome, excerpt=why)
    connection.execute(insert_into(attempt), clean_attempt(entry)._asdict())
    connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id)
        .values(
            state=DeliveryState.FAILED.value,
            attempts=entry.number,
            updated_at=now_ms,
            last_outcome=outcome,
            owner=None,
            lease_until=now_ms,
        )
    )
    return True


def replay(
    connection: Connection,
    delivery_ids: Sequence[int],
    account_id: int | None,
    now_ms: int,
    handler: str | None = None,
) -> int:
    """Owe these again if they failed and are of this handler, under their ids and with their history; how
    many that were.

    Each begins its handler's schedule anew, here and in `replay_failed`.
    """
    failed = delivery.c.state == DeliveryState.FAILED.value
    clause = update(delivery).where(*_of(account_id), delivery.c.id.in_(delivery_ids), failed)
    if handler is not None:
        clause = clause.where(delivery.c.handler == handler)
    return connection.execute(clause.values(_due(now_ms))).rowcount


def replay_failed(
    connection: Connection,
    account_id: int | None,
    now_ms: int,
    *,
    first_id: int = 0,
    last_id: int = 2**53,
    handler: str | None = None,
    limit: int = REPLAYED_AT_ONCE,
) -> list[int]:
    """Owe what failed again, from one id to another, oldest first; the ids, at most ``limit``.

    For more than that call it again from the last id on, each time in a transaction of its own.
    """
    wanted = [*_of(account_id), delivery.c.state == DeliveryState.FAILED.value]
    wanted += [delivery.c.id >= first_id, delivery.c.id <= last_id]
    if handler is not None:
        wanted.append(delivery.c.handler == handler)
    ids = list(connection.scalars(select(delivery.c.id).where(*wanted).order_by(delivery.c.id).limit(limit)))
    chosen = select(delivery.c.id).where(*wanted).order_by(delivery.c.id).limit(limit).scalar_subquery()
    connection.execute(update(delivery).where(delivery.c.id.in_(chosen)).values(_due(now_ms)))
    return ids


def _of(account_id: int | None) -> Sequence[ColumnElement[bool]]:
    return () if account_id is None else (delivery.c.account_id == account_id,)


def _due(now_ms: int) -> dict[str, Any]:
    return {
        "replayed_at": now_ms,
        "tries_before": delivery.c.attempts,
        "state": DeliveryState.PENDING.value,
        "due_at": now_ms,
        "updated_at": now_ms,
        "owner": None,
        "lease_until": now_ms,
    }
