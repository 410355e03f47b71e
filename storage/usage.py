"""How many messages an account received and sent, by day (UTC) and DID, those that are gone too.

What is removed for good is counted first (`keep`), by the hour or the day: what was used stays used.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from storage.ids import lowest_at
from storage.tables import message, usage

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_COUNTS = ("received", "received_parts", "sent", "sent_parts")


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
    """Messages of this account from one time up to, not including, another. Of what is removed by now whole
    hours, and in the end whole days, are known: they belong to the time in which they begin."""
    found: Counter[tuple[int, str, str]] = Counter()
    there = [message.c.account_id == account_id, message.c.id >= lowest_at(since_ms)]
    there += [message.c.created_at >= since_ms, message.c.created_at < until_ms]
    gone = [usage.c.account_id == account_id, usage.c.begun_at >= since_ms, usage.c.begun_at < until_ms]
    if did is not None:
        there.append(message.c.did == did)
        gone.append(usage.c.did == did)
    day = usage.c.begun_at - usage.c.begun_at % DAY_MS
    kept = select(day, usage.c.did, *(func.sum(usage.c[name]) for name in _COUNTS)).where(*gone)
    for row in (
        *connection.execute(_counted(DAY_MS, message.c.did).where(*there)),
        *connection.execute(kept.group_by(day, usage.c.did)),
    ):
        for name, count in zip(_COUNTS, row[2:], strict=True):
            found[row[0], row[1], name] += int(count)
    places = sorted({(at, number) for at, number, _ in found})
    return [Day(at, number, *(found[at, number, name] for name in _COUNTS)) for at, number in places]


def keep(connection: Connection, message_ids: Sequence[int], step_ms: int) -> None:
    """Count these messages, which are about to be removed, by steps of this length."""
    rows = connection.execute(
        _counted(step_ms, message.c.account_id, message.c.did, message.c.leg).where(
            message.c.id.in_(message_ids), message.c.account_id.is_not(None)
        )
    ).all()
    if not rows:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    adding = dialect.insert(usage)
    adding = adding.on_conflict_do_update(
        index_elements=["account_id", "begun_at", "did", "leg"],
        set_={name: usage.c[name] + adding.excluded[name] for name in _COUNTS},
    )
    names = ("begun_at", "account_id", "did", "leg", *_COUNTS)
    values = [(row[0], *row[1:4], *map(int, row[4:])) for row in rows]
    connection.execute(adding, [dict(zip(names, value, strict=True)) for value in values])


def sent_since(connection: Connection, account_id: int, legs: Sequence[str], since_ms: int) -> int:
    """How many messages the account has sent over these legs since then; a removed one counts when the hour
    in which it was made began then or later."""
    there = select(func.count()).where(
        message.c.account_id == account_id,
        message.c.id >= lowest_at(since_ms),
        message.c.created_at >= since_ms,
        message.c.direction == "mt",
        message.c.leg.in_(legs),
    )
    gone = select(func.sum(usage.c.sent)).where(
        usage.c.account_id == account_id, usage.c.begun_at >= since_ms, usage.c.leg.in_(legs)
    )
    return int(connection.scalar(there.select_from(message)) or 0) + int(connection.scalar(gone) or 0)


def _counted(step_ms: int, *columns: Any) -> Any:
    begun = message.c.created_at - message.c.created_at % step_ms
    received = case((message.c.direction == "mo", 1), else_=0)
    parts = message.c.parts_total
    counts = (received, received * parts, 1 - received, (1 - received) * parts)
    return select(begun, *columns, *map(func.sum, counts)).group_by(begun, *columns)
