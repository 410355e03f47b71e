"""Deliveries: what each handler owes for each message. The table is the queue."""

from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Integer, Text, literal_column, select, update
from sqlalchemy import insert as insert_into

from storage.messages import INSERT_DELIVERY, delivery_record
from storage.records import AttemptRecord, DeliveryRecord, DeliveryState, MessageRecord
from storage.statements import Write, given, hot_insert, hot_update
from storage.tables import Id, attempt, delivery, message
from storage.text import clean_attempt

INSERT_ATTEMPT = hot_insert(attempt)
_UPDATE = hot_update(
    update(delivery)
    .where(delivery.c.id == given("delivery_id", Id))
    .values(
        state=given("state_", Text()),
        attempts=given("attempts_", Integer()),
        due_at=given("due", BigInteger()),
        updated_at=given("now", BigInteger()),
        last_outcome=given("outcome", Text()),
    ),
    "delivery_id",
    "state_",
    "attempts_",
    "due",
    "now",
    "outcome",
)


class DueDelivery(NamedTuple):
    """A delivery and the message that it is about."""

    delivery: DeliveryRecord
    message: MessageRecord


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


def due(connection: Connection, now_ms: int, limit: int) -> list[DueDelivery]:
    """Pending deliveries whose time has come, the longest due first."""
    query = (
        select(delivery, message)
        .join(message, message.c.id == delivery.c.message_id)
        .where(delivery.c.state == literal_column("'pending'"), delivery.c.due_at <= now_ms)
        .order_by(delivery.c.due_at, delivery.c.id)
        .limit(limit)
    )
    width = len(DeliveryRecord._fields)
    return [
        DueDelivery(delivery_record(row[:width]), MessageRecord._make(row[width:]))
        for row in connection.execute(query)
    ]


def record_attempt(record: AttemptRecord, state: DeliveryState, due_at: int, now_ms: int) -> list[Write]:
    """One attempt and what it makes of its delivery; ``due_at`` is when to try next (if still pending)."""
    return [
        (INSERT_ATTEMPT, clean_attempt(record)),
        (_UPDATE, (record.delivery_id, state, record.number, due_at, now_ms, record.outcome)),
    ]
