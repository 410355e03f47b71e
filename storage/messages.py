"""Messages: what a person wrote, whole, with what became of it."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from storage import text as storable
from storage.ids import lowest_at
from storage.records import (
    AttemptRecord,
    DeliveryRecord,
    DeliveryState,
    DeliveryView,
    Direction,
    MessageRecord,
    MessageStatus,
    MessageView,
    PartRecord,
    PartState,
)
from storage.statements import Write, hot_insert
from storage.tables import attempt, delivery, message, part

INSERT_MESSAGE = hot_insert(message)
INSERT_PART = hot_insert(part)
INSERT_DELIVERY = hot_insert(delivery)

MAX_LIMIT = 1_000


def insert(
    record: MessageRecord, parts: Iterable[PartRecord] = (), deliveries: Iterable[DeliveryRecord] = ()
) -> list[Write]:
    """The writes that store a message with its parts and deliveries."""
    record = storable.clean(record)
    writes: list[Write] = [(INSERT_MESSAGE, record)]
    writes.extend([(INSERT_PART, item) for item in parts])
    writes.extend([(INSERT_DELIVERY, item) for item in deliveries])
    return writes


def status_of(record: MessageRecord, parts: Sequence[PartRecord]) -> MessageStatus:
    """What the parts make of their message."""
    if record.direction == "mo":
        return MessageStatus.RECEIVED
    states = {part.state for part in parts}
    if states & {PartState.FAILED, PartState.EXPIRED}:
        return MessageStatus.FAILED
    if states == {PartState.DELIVERED}:
        return MessageStatus.DELIVERED
    if states and states <= {PartState.SENT, PartState.DELIVERED}:
        return MessageStatus.SENT
    if states & {PartState.SENDING, PartState.SENT}:
        return MessageStatus.SENDING
    if states & {PartState.IN_DOUBT, PartState.HELD}:
        return MessageStatus.IN_DOUBT
    return MessageStatus.QUEUED


def get(connection: Connection, account_id: int, message_id: int) -> MessageView | None:
    """One message of this account."""
    query = select(message).where(message.c.id == message_id, message.c.account_id == account_id)
    views = _views(connection, query)
    return views[0] if views else None


def search(
    connection: Connection,
    account_id: int,
    *,
    direction: Direction | None = None,
    did: str | None = None,
    peer: str | None = None,
    since_id: int | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[MessageView]:
    """Messages of this account, newest first; with ``since_id`` those after it, oldest first.

    ``before_id`` leaves out that message and the newer ones. ``limit`` is held between 1 and 1,000.
    """
    query = select(message).where(message.c.account_id == account_id)
    wanted: list[tuple[Any, object]] = [
        (message.c.direction, direction),
        (message.c.did, did),
        (message.c.peer, peer),
    ]
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    if before_id is not None:
        query = query.where(message.c.id < before_id)
    if since_id is not None:
        query = query.where(message.c.id > since_id).order_by(message.c.id)
    else:
        query = query.order_by(message.c.id.desc())
    return _views(connection, query.limit(min(max(limit, 1), MAX_LIMIT)))


def recent_inbound(
    connection: Connection, upstream: str, since_ms: int, limit: int
) -> list[tuple[int, bytes | None, int]]:
    """(id, fingerprint, created_at) of the MO messages of an upstream since then, newest first."""
    query = (
        select(message.c.id, message.c.fingerprint, message.c.created_at)
        .where(
            message.c.id >= lowest_at(since_ms),
            message.c.direction == "mo",
            message.c.upstream == upstream,
            message.c.created_at >= since_ms,
        )
        .order_by(message.c.id.desc())
        .limit(limit)
    )
    return [(row.id, row.fingerprint, row.created_at) for row in connection.execute(query)]


def exists(connection: Connection, message_id: int) -> bool:
    """Is there a message with this id, of whichever account?"""
    return connection.scalar(select(message.c.id).where(message.c.id == message_id)) is not None


def awaiting_status(
    connection: Connection, part_ids: Iterable[int]
) -> list[tuple[MessageRecord, tuple[PartRecord, ...]]]:
    """The messages of these parts whose sender wants to be told of their state, each with all its parts."""
    theirs = select(part.c.message_id).where(part.c.id.in_(list(part_ids)))
    query = select(message).where(message.c.id.in_(theirs), message.c.status_callback.is_not(None))
    messages = [MessageRecord._make(row) for row in connection.execute(query.order_by(message.c.id))]
    parts = _parts_of(connection, [record.id for record in messages])
    return [(record, tuple(parts.get(record.id, ()))) for record in messages]


def part_record(row: Sequence[Any]) -> PartRecord:
    """A row of the part table, in column order."""
    record = PartRecord._make(row)
    return record._replace(state=PartState(record.state))


def delivery_record(row: Sequence[Any]) -> DeliveryRecord:
    """A row of the delivery table, in column order."""
    record = DeliveryRecord._make(row)
    return record._replace(state=DeliveryState(record.state))


def _views(connection: Connection, query: Select[Any]) -> list[MessageView]:
    messages = [MessageRecord._make(row) for row in connection.execute(query)]
    ids = [record.id for record in messages]
    parts = _parts_of(connection, ids)
    deliveries: dict[int, list[DeliveryView]] = {}
    if ids:
        for view in _delivery_views(connection, ids):
            deliveries.setdefault(view.delivery.message_id, []).append(view)
    return [
        MessageView(record, tuple(parts.get(record.id, ())), tuple(deliveries.get(record.id, ())))
        for record in messages
    ]


def _parts_of(connection: Connection, message_ids: Sequence[int]) -> dict[int, list[PartRecord]]:
    found: dict[int, list[PartRecord]] = {}
    if message_ids:
        query = select(part).where(part.c.message_id.in_(message_ids)).order_by(part.c.number, part.c.id)
        for row in connection.execute(query):
            found.setdefault(row.message_id, []).append(part_record(row))
    return found


def _delivery_views(connection: Connection, message_ids: Sequence[int]) -> list[DeliveryView]:
    query = select(delivery).where(delivery.c.message_id.in_(message_ids)).order_by(delivery.c.id)
    records = [delivery_record(row) for row in connection.execute(query)]
    attempts: dict[int, list[AttemptRecord]] = {}
    if records:
        tries = select(attempt).where(attempt.c.delivery_id.in_([record.id for record in records]))
        for row in connection.execute(tries.order_by(attempt.c.delivery_id, attempt.c.number)):
            attempts.setdefault(row.delivery_id, []).append(AttemptRecord._make(row))
    return [DeliveryView(record, tuple(attempts.get(record.id, ()))) for record in records]
