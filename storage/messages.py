"""Messages: what a person wrote, whole, with what became of it."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, select, update

from storage import events
from storage import text as storable
from storage.history import EVERYTHING, Filter
from storage.ids import lowest_at
from storage.pages import bounded
from storage.records import (
    AttemptRecord,
    DeliveryRecord,
    DeliveryState,
    DeliveryView,
    Direction,
    MessageRecord,
    MessageStatus,
    MessageView,
    PartFlag,
    PartRecord,
    PartState,
)
from storage.statements import Write, given, hot_insert, hot_update, hot_upsert
from storage.tables import Id, attempt, conversation, delivery, message, part

INSERT_MESSAGE = hot_insert(message)
INSERT_PART = hot_insert(part)
INSERT_DELIVERY = hot_insert(delivery)
_ADOPT = hot_update(
    update(message)
    .where(message.c.id == given("message_id", Id), message.c.account_id.is_(None))
    .values(account_id=given("owner", Id), did_id=given("of_did", Id)),
    "message_id",
    "owner",
    "of_did",
    exact=True,
)
_RAISE_CONVERSATION = hot_upsert(conversation, "last_message_id", "last_inbound_id")

MAX_LIMIT = 1_000


def insert(
    record: MessageRecord, parts: Iterable[PartRecord] = (), deliveries: Iterable[DeliveryRecord] = ()
) -> list[Write]:
    """The writes that store a message with its parts, deliveries and event, and raise its conversation."""
    record = storable.clean(record)
    writes: list[Write] = [(INSERT_MESSAGE, record), events.message_added(record)]
    if record.account_id is not None:
        writes.append(_raised(record))
    writes.extend([(INSERT_PART, item) for item in parts])
    writes.extend(owe(deliveries))
    return writes


def adopt(record: MessageRecord, now_ms: int) -> list[Write]:
    """The writes that give a message, which was nobody's, to the account and DID that ``record`` names. The
    unit fails with `storage.errors.Stale` when it is somebody's."""
    assert record.account_id is not None
    told = events.record(record.account_id, events.Kind.MESSAGE_RECEIVED, record.id, now_ms)
    return [(_ADOPT, (record.id, record.account_id, record.did_id)), *told, _raised(record)]


def owe(deliveries: Iterable[DeliveryRecord]) -> list[Write]:
    """The writes that store deliveries of a message."""
    return [(INSERT_DELIVERY, item) for item in deliveries]


def _raised(record: MessageRecord) -> Write:
    inbound = record.id if record.direction == "mo" else 0
    return _RAISE_CONVERSATION, (record.account_id, record.did, record.peer, record.id, inbound)


def status_of(record: MessageRecord, parts: Sequence[PartRecord]) -> MessageStatus:
    """What the parts make of their message. One that an operator holds waits, and is in no doubt."""
    return status_of_states(record.direction, {_state_to_tell(part) for part in parts})


def is_kept(part: PartRecord) -> bool:
    """An operator holds it: it waits, and is in no doubt."""
    return part.state is PartState.HELD and bool(part.flags & PartFlag.KEPT)


def _state_to_tell(part: PartRecord) -> PartState:
    return PartState.QUEUED if is_kept(part) else part.state


IS_KEPT = part.c.flags.bitwise_and(int(PartFlag.KEPT)) != 0
STATE_TO_TELL = case(
    (and_(part.c.state == PartState.HELD.value, IS_KEPT), PartState.QUEUED.value), else_=part.c.state
).label("state")
"""The same in a query."""


def status_of_states(direction: Direction, states: AbstractSet[PartState]) -> MessageStatus:
    """What the states of its parts, as they are told, make of a message."""
    if direction == "mo":
        return MessageStatus.RECEIVED
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
    query = select(message).where(message.c.id == message_id, *EVERYTHING.conditions(account_id))
    found = views(connection, query)
    return found[0] if found else None


def find(connection: Connection, message_id: int) -> MessageView | None:
    """One message, whoever's it is: for operators."""
    found = views(connection, select(message).where(message.c.id == message_id))
    return found[0] if found else None


def search(
    connection: Connection,
    account_id: int,
    *,
    direction: Direction | None = None,
    did: str | None = None,
    peer: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    since_id: int | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[MessageView]:
    """Messages of this account, newest first; with ``since_id`` those after it, oldest first.

    ``before_id`` leaves out that message and the newer ones; ``until_ms`` is not included. ``limit`` is held
    between 1 and 1,000 and one (`storage.pages`).
    """
    wanted = Filter(direction, did, peer, None, since_ms, until_ms)
    return filtered(connection, account_id, wanted, since_id=since_id, before_id=before_id, limit=limit)


def filtered(
    connection: Connection,
    account_id: int,
    wanted: Filter,
    *,
    since_id: int | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[MessageView]:
    """The same by a filter."""
    query = select(message).where(*wanted.conditions(account_id))
    order = wanted.order(connection, account_id)
    if before_id is not None:
        query = query.where(message.c.id < before_id)
    if since_id is not None:
        query = query.where(message.c.id > since_id).order_by(order)
    else:
        query = query.order_by(order.desc())
    return views(connection, query.limit(bounded(limit, MAX_LIMIT)))


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


# Made once, since it runs with each batch of receipts.
_AWAITING_STATUS = (
    select(message)
    .where(
        message.c.id.in_(select(part.c.message_id).where(part.c.id.in_(bindparam("ids", expanding=True)))),
        message.c.status_callback.is_not(None),
    )
    .order_by(message.c.id)
)


def awaiting_status(
    connection: Connection, part_ids: Iterable[int]
) -> list[tuple[MessageRecord, tuple[PartRecord, ...]]]:
    """The messages of these parts whose sender wants to be told of their state, each with all its parts."""
    rows = connection.execute(_AWAITING_STATUS, {"ids": list(part_ids)})
    messages = [MessageRecord._make(row) for row in rows]
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


def views(connection: Connection, query: Select[Any]) -> list[MessageView]:
    """The messages that a query of the whole table's columns gives, each with its parts and deliveries."""
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
