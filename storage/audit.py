"""Who changed what, and when: written with the change, never changed, without the content of messages."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from storage.ids import lowest_at
from storage.tables import audit

MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. ``account_id`` is None for what operators do to the server; ``actor`` names who did it
    ("user:…", "key:…", "command"), ``subject`` what it was done to.
    """

    id: int
    account_id: int | None
    at: int
    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]
    address: str | None


def note(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int | None,
    actor: str,
    action: str,
    subject: str,
    now_ms: int,
    *,
    detail: Mapping[str, object] | None = None,
    address: str | None = None,
) -> int:
    """Write an entry, in the transaction that makes the change; its id."""
    row = [next_id(), account_id, now_ms, actor, action, subject, _written(detail), address]
    connection.execute(insert(audit).values(row))
    return int(str(row[0]))


def find(
    connection: Connection, account_id: int, action: str, detail: Mapping[str, object], since_ms: int
) -> int | None:
    """The newest entry of the account with this action and detail since then: its id."""
    query = select(audit.c.id).where(
        audit.c.account_id == account_id,
        audit.c.id >= lowest_at(since_ms),
        audit.c.at >= since_ms,
        audit.c.action == action,
        audit.c.detail == _written(detail),
    )
    return connection.scalar(query.order_by(audit.c.id.desc()).limit(1))


def is_noted(
    connection: Connection,
    actor: str,
    action: str,
    subject: str,
    at_ms: int,
    *,
    detail: Mapping[str, object],
    address: str,
) -> bool:
    """Is there an entry of no account with all of this?"""
    query = select(audit.c.id).where(
        audit.c.account_id.is_(None),
        audit.c.id >= lowest_at(at_ms),
        audit.c.at == at_ms,
        audit.c.actor == actor,
        audit.c.action == action,
        audit.c.subject == subject,
        audit.c.detail == _written(detail),
        audit.c.address == address,
    )
    return connection.scalar(query.limit(1)) is not None


def listed(
    connection: Connection, account_id: int, *, before_id: int | None = None, limit: int = 100
) -> list[Entry]:
    """What was changed in this account, newest first."""
    return _entries(connection, audit.c.account_id == account_id, before_id, limit)


def everything(connection: Connection, *, before_id: int | None = None, limit: int = 100) -> list[Entry]:
    """What was changed in all accounts and the server, newest first: for operators."""
    return _entries(connection, None, before_id, limit)


def _written(detail: Mapping[str, object] | None) -> str:
    return json.dumps(detail or {}, ensure_ascii=False, sort_keys=True)


def purge(connection: Connection, before_ms: int, limit: int) -> int:
    """Remove entries from before then, the oldest first, at most ``limit``; how many that were."""
    old = select(audit.c.id).where(audit.c.at < before_ms, audit.c.id < lowest_at(before_ms + 60_000))
    ids = list(connection.scalars(old.order_by(audit.c.id).limit(limit)))
    return connection.execute(delete(audit).where(audit.c.id.in_(ids))).rowcount


def _entries(connection: Connection, condition: object, before_id: int | None, limit: int) -> list[Entry]:
    query = select(audit).order_by(audit.c.id.desc()).limit(min(max(limit, 1), MAX_LIMIT))
    if condition is not None:
        query = query.where(condition)  # type: ignore[arg-type]
    if before_id is not None:
        query = query.where(audit.c.id < before_id)
    return [
        Entry(*row[:6], json.loads(row.detail), row.address)  # type: ignore[call-arg]
        for row in connection.execute(query)
    ]
