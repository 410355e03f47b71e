"""The segments of long MO messages, durable while their message is incomplete."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, select, update

from storage.ids import lowest_at
from storage.records import InboundPartRecord
from storage.statements import Write, given, hot_insert, hot_update
from storage.tables import Id, inbound_part

INSERT_INBOUND_PART = hot_insert(inbound_part)
_ASSIGN = hot_update(
    update(inbound_part)
    .where(inbound_part.c.id == given("part_id", Id))
    .values(message_id=given("of_message", Id)),
    "part_id",
    "of_message",
)
_TAKE = hot_update(
    update(inbound_part)
    .where(inbound_part.c.id == given("part_id", Id), inbound_part.c.message_id.is_(None))
    .values(message_id=given("of_message", Id)),
    "part_id",
    "of_message",
    exact=True,
)


def insert(record: InboundPartRecord) -> list[Write]:
    """The write that stores one segment."""
    return [(INSERT_INBOUND_PART, record)]


def assign(part_ids: Iterable[int], message_id: int) -> list[Write]:
    """These segments now belong to this message; part of the unit that inserts it."""
    return [(_ASSIGN, (part_id, message_id)) for part_id in part_ids]


def take(part_ids: Iterable[int], message_id: int) -> list[Write]:
    """As `assign`, of segments that are in the store: the unit fails with `storage.errors.Stale` when one of
    them belongs to a message already."""
    return [(_TAKE, (part_id, message_id)) for part_id in part_ids]


def remove(connection: Connection, part_ids: Collection[int]) -> None:
    """These segments, which belong to no message, were copies of others that are there."""
    open_ones = inbound_part.c.id.in_(part_ids), inbound_part.c.message_id.is_(None)
    connection.execute(delete(inbound_part).where(*open_ones))


def open_parts(connection: Connection, upstream: str) -> list[InboundPartRecord]:
    """The segments of an upstream that belong to no message yet, oldest first."""
    query = (
        select(inbound_part)
        .where(inbound_part.c.upstream == upstream, inbound_part.c.message_id.is_(None))
        .order_by(inbound_part.c.id)
    )
    return [InboundPartRecord._make(row) for row in connection.execute(query)]


def joined(connection: Connection, upstream: str, since_ms: int, limit: int) -> list[InboundPartRecord]:
    """The segments that came since then of the messages of which this upstream brought one, whichever
    upstreams brought the others; newest first."""
    there = inbound_part.c.id >= lowest_at(since_ms), inbound_part.c.message_id.is_not(None)
    ids = select(inbound_part.c.message_id).where(*there, inbound_part.c.upstream == upstream)
    query = select(inbound_part).where(*there, inbound_part.c.message_id.in_(ids))
    newest = query.order_by(inbound_part.c.id.desc()).limit(limit)
    return [InboundPartRecord._make(row) for row in connection.execute(newest)]


def recent(connection: Connection, upstream: str, since_ms: int, limit: int) -> list[InboundPartRecord]:
    """The segments of an upstream that came since then, of whole messages and of others, newest first."""
    query = (
        select(inbound_part)
        .where(
            inbound_part.c.id >= lowest_at(since_ms),
            inbound_part.c.upstream == upstream,
            inbound_part.c.received_at >= since_ms,
        )
        .order_by(inbound_part.c.id.desc())
        .limit(limit)
    )
    return [InboundPartRecord._make(row) for row in connection.execute(query)]
