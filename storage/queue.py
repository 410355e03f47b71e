"""The delivery table as a queue that several servers share: lanes, claims, leases.

A *lane* is a number that deliveries share which take turns with all others: those of one DID to one target.
In a lane with a negative number order is kept: nobody gets a delivery while an earlier one is pending.

A server that claims a delivery becomes its *owner* until ``lease_until``, and renews what it still holds.
When it dies, the lease ends and any server claims it. Its outcome is written only while the lease is its own
(`storage.deliveries.record_attempt`), so of two servers that worked one delivery one is refused.

All functions run inside a transaction; those that write are for the writer.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    bindparam,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from storage.deliveries import DueDelivery
from storage.ids import NODE_SHIFT, NODES
from storage.messages import delivery_record
from storage.records import DeliveryRecord, MessageRecord
from storage.tables import delivery, message

_PENDING = delivery.c.state == literal_column("'pending'")  # as the partial index says it
_IDS_A_STATEMENT = 500


class DueLane(NamedTuple):
    """A lane in which something can be claimed, and the handler and target of what is first in it."""

    lane: int
    handler: str
    target: str


# Walks from lane to lane in the partial index: what it costs is the number of lanes, not what waits in them.
_WALK = text(
    """
    WITH RECURSIVE walk(lane) AS (
        SELECT * FROM (SELECT lane FROM delivery WHERE state = 'pending' AND lane > :after
                       ORDER BY lane LIMIT 1) AS first
        UNION ALL
        SELECT (SELECT next.lane FROM delivery AS next WHERE next.state = 'pending' AND next.lane > walk.lane
                ORDER BY next.lane LIMIT 1)
        FROM walk WHERE walk.lane IS NOT NULL
    )
    SELECT found.lane, delivery.handler, delivery.target FROM (
        SELECT walk.lane, CASE
            WHEN walk.lane < 0 THEN
                (SELECT head.id FROM delivery AS head WHERE head.lease_until <= :now AND head.id =
                    (SELECT min(one.id) FROM delivery AS one
                     WHERE one.state = 'pending' AND one.lane = walk.lane))
            ELSE
                (SELECT head.id FROM delivery AS head
                 WHERE head.state = 'pending' AND head.lane = walk.lane AND head.lease_until <= :now
                 ORDER BY head.lease_until, head.id LIMIT 1)
            END AS head
        FROM walk WHERE walk.lane IS NOT NULL
    ) AS found JOIN delivery ON delivery.id = found.head LIMIT :limit
    """
)

_PICK_FROM_LANES = text(
    """
    SELECT picked.id FROM unnest(:lanes, :counts) AS share(lane, count), LATERAL (
        SELECT id FROM delivery
        WHERE state = 'pending' AND delivery.lane = share.lane AND lease_until <= :now AND due_at <= :now
        ORDER BY lease_until, id LIMIT share.count FOR UPDATE SKIP LOCKED
    ) AS picked
    """
).bindparams(bindparam("lanes", type_=ARRAY(BigInteger)), bindparam("counts", type_=ARRAY(Integer)))


def due_lanes(connection: Connection, now_ms: int, after: int, limit: int) -> list[DueLane]:
    """Lanes above ``after`` in which something is due that nobody has, in the order of their numbers."""
    if connection.dialect.name == "postgresql":
        # A plan made while the table was empty must not read all of it.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    rows = connection.execute(_WALK, {"after": after, "now": now_ms, "limit": limit})
    return [DueLane._make(row) for row in rows]


def claim(
    connection: Connection, shares: Sequence[tuple[int, int]], owner: int, until_ms: int, now_ms: int
) -> list[DueDelivery]:
    """Take what is due from these lanes, from each (lane, count) at most so many, the longest due first."""
    heads = [lane for lane, _ in shares if lane < 0]
    free = [(lane, count) for lane, count in shares if lane >= 0]
    ids = [*_pick(connection, free, now_ms), *_pick_heads(connection, heads, now_ms)]
    _give(connection, ids, owner, until_ms)
    return [due for some in _slices(ids) for due in _fetch(connection, some)]


def renew(connection: Connection, ids: Collection[int], owner: int, until_ms: int) -> set[int]:
    """Hold these longer; those that are still this owner's."""
    kept: set[int] = set()
    for some in _slices(ids):
        mine = update(delivery).where(delivery.c.id.in_(some), delivery.c.owner == owner, _PENDING)
        kept.update(connection.scalars(mine.values(lease_until=until_ms).returning(delivery.c.id)))
    return kept


def held(connection: Connection, ids: Collection[int], owner: int) -> dict[int, int]:
    """Those of these that this owner has and that are pending, with the attempts that each has had."""
    found: dict[int, int] = {}
    for some in _slices(ids):
        mine = select(delivery.c.id, delivery.c.attempts).where(
            delivery.c.id.in_(some), delivery.c.owner == owner, _PENDING
        )
        found.update((row.id, row.attempts) for row in connection.execute(mine))
    return found


def release(connection: Connection, ids: Collection[int], owner: int) -> None:
    """Give these back, untried: any server may take them from when they are due."""
    for some in _slices(ids):
        mine = update(delivery).where(delivery.c.id.in_(some), delivery.c.owner == owner, _PENDING)
        connection.execute(mine.values(owner=None, lease_until=delivery.c.due_at))


def take_over(connection: Connection, owner: int) -> int:
    """Free what earlier lives of this owner's node had claimed when they ended; how much that was."""
    theirs = delivery.c.owner // (1 << NODE_SHIFT) % NODES == owner // (1 << NODE_SHIFT) % NODES
    clause = update(delivery).where(_PENDING, theirs, delivery.c.owner != owner)
    return connection.execute(clause.values(owner=None, lease_until=delivery.c.due_at)).rowcount


def _pick(connection: Connection, shares: Sequence[tuple[int, int]], now_ms: int) -> list[int]:
    if not shares:
        return []
    if connection.dialect.name == "postgresql":
        lanes, counts = ([share[place] for share in shares] for place in (0, 1))
        picked = connection.scalars(_PICK_FROM_LANES, {"lanes": lanes, "counts": counts, "now": now_ms})
        return list(picked)
    found: list[int] = []
    for lane, count in shares:
        found += connection.scalars(_first(lane, now_ms).limit(count))
    return found


def _first(lane: int, now_ms: int) -> Select[tuple[int]]:
    return (
        select(delivery.c.id)
        .where(
            _PENDING, delivery.c.lane == lane, delivery.c.lease_until <= now_ms, delivery.c.due_at <= now_ms
        )
        .order_by(delivery.c.lease_until, delivery.c.id)
    )


def _pick_heads(connection: Connection, lanes: Iterable[int], now_ms: int) -> list[int]:
    """Of each lane the earliest that is pending, if it is due and nobody has it."""
    found: list[int] = []
    for lane in lanes:
        one = delivery.alias()
        head = select(func.min(one.c.id)).where(
            one.c.state == literal_column("'pending'"), one.c.lane == lane
        )
        query = _first(lane, now_ms).where(delivery.c.id == head.scalar_subquery())
        found += connection.scalars(query.with_for_update(skip_locked=True))
    return found


def _give(connection: Connection, ids: Sequence[int], owner: int, until_ms: int) -> None:
    for some in _slices(ids):
        clause = update(delivery).where(delivery.c.id.in_(some))
        connection.execute(clause.values(owner=owner, lease_until=until_ms))


def _fetch(connection: Connection, ids: Sequence[int]) -> list[DueDelivery]:
    query = (
        select(delivery, message)
        .join(message, message.c.id == delivery.c.message_id)
        .where(delivery.c.id.in_(ids))
        .order_by(delivery.c.id)
    )
    width = len(DeliveryRecord._fields)
    return [
        DueDelivery(delivery_record(row[:width]), MessageRecord._make(row[width:]))
        for row in connection.execute(query)
    ]


def _slices(ids: Collection[int]) -> Iterable[Any]:
    ordered = list(ids)
    return (ordered[start : start + _IDS_A_STATEMENT] for start in range(0, len(ordered), _IDS_A_STATEMENT))
