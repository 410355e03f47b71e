"""The store's invariants, each as a query that gives the rows that break it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from storage.records import DeliveryState, PartState
from storage.tables import metadata

NAMED = 20
"""So many rows that break an invariant are named; the others are counted."""

MAX_ID = 2**53
_NO_IDS = frozenset({"session", "catalog", "feed", "probe"})


@dataclass(frozen=True, slots=True)
class Invariant:
    """``query`` selects one column that names a row; ``sentence`` says what is wrong with it."""

    name: str
    sentence: str
    query: str


@dataclass(frozen=True, slots=True)
class Problem:
    """An invariant that does not hold: how many rows break it, and the first of them."""

    name: str
    sentence: str
    rows: int
    named: tuple[str, ...]


def check(connection: Connection) -> list[Problem]:
    """Every invariant that does not hold, as of one state of the store.

    Of an SQLite file that is damaged only that is told: what its tables seem to hold says nothing.
    """
    damage = _damage(connection)
    if damage is not None:
        return [damage]
    problems = [found for item in invariants() if (found := _broken(connection, item)) is not None]
    return problems + _foreign_keys(connection)


def invariants() -> Iterator[Invariant]:
    """All of them."""
    yield from _MESSAGES
    yield from _ORPHANS
    yield _states("part", "state", [state.value for state in PartState])
    yield _states("delivery", "state", [state.value for state in DeliveryState])
    yield _states("message", "direction", ["mo", "mt"])
    for table in metadata.sorted_tables:
        if "id" in table.c and table.name not in _NO_IDS:
            yield Invariant(
                f"{table.name} ids",
                "the id is not between 1 and 2^53",
                f'SELECT id FROM "{table.name}" WHERE id < 1 OR id >= {MAX_ID}',
            )


_SETTLED = "receipt.part_id IS NOT NULL AND receipt.matched_at IS NULL"

_MESSAGES = (
    Invariant(
        "parts complete",
        "an MT message has not exactly the parts 1 to parts_total",
        "SELECT message.id FROM message LEFT JOIN part ON part.message_id = message.id "
        "WHERE message.direction = 'mt' GROUP BY message.id, message.parts_total "
        "HAVING count(part.id) <> message.parts_total OR count(DISTINCT part.number) <> message.parts_total "
        "OR min(part.number) <> 1 OR max(part.number) <> message.parts_total "
        "OR min(part.total) <> message.parts_total OR max(part.total) <> message.parts_total",
    ),
    Invariant(
        "owner whole",
        "a message has a DID's owner without an account, or the other way round",
        "SELECT id FROM message WHERE (account_id IS NULL) <> (did_id IS NULL)",
    ),
    Invariant(
        "final parts dated",
        "a part is final and has no time for it, or the other way round",
        "SELECT id FROM part WHERE (state IN ('delivered', 'failed', 'expired')) <> (final_at IS NOT NULL)",
    ),
    Invariant(
        "due times sane",
        "a pending delivery has no due time or was tried a negative number of times",
        "SELECT id FROM delivery WHERE state = 'pending' AND (due_at <= 0 OR attempts < 0)",
    ),
    Invariant(
        "conversation newest",
        "a conversation's newest message is another than the row says",
        "SELECT c.account_id || ' ' || c.did || ' ' || c.peer FROM conversation c WHERE c.last_message_id <> "
        "coalesce((SELECT max(m.id) FROM message m WHERE m.account_id = c.account_id AND m.did = c.did "
        "AND m.peer = c.peer AND m.deletion_id IS NULL), 0) OR c.last_inbound_id > c.last_message_id",
    ),
    Invariant(
        "conversation there",
        "a message of an account has no conversation",
        "SELECT m.id FROM message m WHERE m.account_id IS NOT NULL AND (m.flags & 64) = 0 AND NOT EXISTS "
        "(SELECT 1 FROM conversation c WHERE c.account_id = m.account_id AND c.did = m.did "
        "AND c.peer = m.peer)",
    ),
    Invariant(
        "receipts marked",
        "a receipt has a part and no time of its match, or the other way round",
        f"SELECT id FROM receipt WHERE {_SETTLED} OR (part_id IS NULL AND matched_at IS NOT NULL)",
    ),
)


def _orphan(table: str, column: str, of: str, name: str = "id") -> Invariant:
    return Invariant(
        f"{table} of {of}",
        f"the {of} that it belongs to is not there",
        f'SELECT t.{name} FROM "{table}" t WHERE t.{column} IS NOT NULL AND NOT EXISTS '
        f'(SELECT 1 FROM "{of}" o WHERE o.id = t.{column})',
    )


_ORPHANS = (
    _orphan("part", "message_id", "message"),
    _orphan("delivery", "message_id", "message"),
    _orphan("inbound_part", "message_id", "message"),
    _orphan("attempt", "delivery_id", "delivery", "delivery_id"),
    _orphan("receipt", "part_id", "part"),
    _orphan("receipt_candidate", "receipt_id", "receipt", "receipt_id"),
    _orphan("message", "account_id", "account"),
    _orphan("message", "did_id", "did"),
    _orphan("delivery", "account_id", "account"),
    _orphan("conversation", "account_id", "account", "peer"),
    _orphan("idempotency", "account_id", "account", "key"),
)


def _states(table: str, column: str, known: Sequence[str]) -> Invariant:
    listed = ", ".join(f"'{state}'" for state in known)
    return Invariant(
        f"{table} {column} known",
        f"the {column} is none of {', '.join(known)}",
        f'SELECT id FROM "{table}" WHERE {column} NOT IN ({listed})',
    )


def _broken(connection: Connection, item: Invariant) -> Problem | None:
    rows = connection.scalar(text(f"SELECT count(*) FROM ({item.query}) AS broken")) or 0
    if not rows:
        return None
    named = connection.scalars(text(f"{item.query} ORDER BY 1 LIMIT {NAMED}"))
    return Problem(item.name, item.sentence, rows, tuple(str(name) for name in named))


def _damage(connection: Connection) -> Problem | None:
    """What an SQLite file says of its pages, and of its indexes and tables holding the same."""
    if connection.dialect.name != "sqlite":
        return None
    told = [row[0] for row in connection.exec_driver_sql(f"PRAGMA integrity_check({NAMED})")]
    if told == ["ok"]:
        return None
    return Problem("file sound", "SQLite finds the file damaged", len(told), tuple(told))


def _foreign_keys(connection: Connection) -> list[Problem]:
    """PostgreSQL lets none be broken; SQLite lets a connection that did not ask for them."""
    if connection.dialect.name != "sqlite":
        return []
    keys = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    named = tuple(f"{table} {row} → {parent}" for table, row, parent, _ in keys[:NAMED])
    sentence = "the row that is referred to is not there"
    return [Problem("foreign keys", sentence, len(keys), named)] if keys else []
