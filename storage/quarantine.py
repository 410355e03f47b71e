"""MO messages for numbers that were no account's when they came."""

from sqlalchemy import Connection, select

from storage.pages import bounded
from storage.records import MessageRecord
from storage.tables import message

MAX_LIMIT = 1_000
_KEPT = message.c.account_id.is_(None)


def newest(connection: Connection, limit: int) -> list[MessageRecord]:
    """What is kept, newest first."""
    query = select(message).where(_KEPT).order_by(message.c.id.desc())
    return [MessageRecord._make(row) for row in connection.execute(query.limit(bounded(limit, MAX_LIMIT)))]


def kept(connection: Connection, number: str, limit: int) -> list[MessageRecord]:
    """What is kept of one number, oldest first, for the transaction that hands it on."""
    query = select(message).where(_KEPT, message.c.did == number, message.c.direction == "mo")
    query = query.order_by(message.c.id).limit(limit).with_for_update(skip_locked=True)
    return [MessageRecord._make(row) for row in connection.execute(query)]
