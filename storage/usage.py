"""How many messages an account received and sent, by day (UTC) and DID."""

from typing import NamedTuple

from sqlalchemy import Connection, case, func, select

from storage.history import Filter
from storage.tables import message

DAY_MS = 86_400_000


class Day(NamedTuple):
    """``day`` is its first millisecond since the Unix epoch."""

    day: int
    did: str
    received: int
    received_parts: int
    sent: int
    sent_parts: int


def daily(
    connection: Connection, account_id: int, since_ms: int, until_ms: int, *, did: str | None = None
) -> list[Day]:
    """Messages of this account, without the deleted, from one time up to, not including, another."""
    day = message.c.created_at - message.c.created_at % DAY_MS
    received = case((message.c.direction == "mo", 1), else_=0)
    parts = message.c.parts_total
    query = (
        select(
            day.label("day"),
            message.c.did,
            func.sum(received),
            func.sum(received * parts),
            func.sum(1 - received),
            func.sum((1 - received) * parts),
        )
        .where(*Filter(did=did, since_ms=since_ms, until_ms=until_ms).conditions(account_id))
        .group_by(day, message.c.did)
        .order_by(day, message.c.did)
    )
    return [Day(row[0], row[1], *map(int, row[2:])) for row in connection.execute(query)]
