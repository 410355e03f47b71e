"""Idempotency keys: a request that is repeated gets the answer that it got, and does nothing again.

The row is written in the transaction of the message that the request made, so there is no message without
its key and no key without its message. A key holds for one API key, method and path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select

from storage.statements import Write, hot_insert
from storage.tables import idempotency

_INSERT = hot_insert(idempotency)


class Scope(NamedTuple):
    """Where a key holds. ``api_key_id`` is the id of whoever sends: an API key, a user of the portal, or for
    what happens once whoever asks an account.
    """

    api_key_id: int
    method: str
    path: str
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered, and the hash of what it asked: another hash under the same key is a
    mistake of the client (HTTP 422), not a repeat.
    """

    request_hash: bytes
    status: int
    response: str
    created_at: int
    expires_at: int


def find(connection: Connection, account_id: int, scope: Scope, now_ms: int) -> Answer | None:
    """The answer kept under this key, unless it has expired."""
    query = select(idempotency).where(*_same(scope), idempotency.c.account_id == account_id)
    row = connection.execute(query.where(idempotency.c.expires_at > now_ms)).first()
    return None if row is None else Answer(*row[5:])


def newest(connection: Connection, account_id: int, scope: Scope, now_ms: int) -> tuple[str, Answer] | None:
    """The key and the answer of what was done last by who asks in this scope, whatever its key; None when
    nothing was, that is still kept."""
    query = select(idempotency).where(*_same(scope)[:-1], idempotency.c.account_id == account_id)
    last = query.where(idempotency.c.expires_at > now_ms).order_by(
        idempotency.c.created_at.desc(), idempotency.c.key.desc()
    )
    row = connection.execute(last.limit(1)).first()
    return None if row is None else (row.key, Answer(*row[5:]))


def find_many(connection: Connection, asked: Sequence[tuple[int, Scope]], now_ms: int) -> list[Answer | None]:
    """As `find`, for many at once, each with its account."""
    conditions = [column.in_({scope[place] for _, scope in asked}) for place, column in enumerate(_KEY)]
    rows = connection.execute(select(idempotency).where(*conditions, idempotency.c.expires_at > now_ms))
    found = {(row.account_id, Scope(*row[:4])): Answer(*row[5:]) for row in rows}
    return [found.get(place) for place in asked]


def keep(account_id: int, scope: Scope, answer: Answer) -> list[Write]:
    """The write that keeps an answer; part of the unit that stores the message.

    Of two units with one key the second fails as a whole (a unique key): then `find` has the answer. An
    expired one is in the way until it is purged: see `make_room`.
    """
    kept = (answer.request_hash, answer.status, answer.response, answer.created_at, answer.expires_at)
    return [(_INSERT, (*scope, account_id, *kept))]


def make_room(connection: Connection, account_id: int, scope: Scope, now_ms: int) -> None:
    """Forget what is kept under this key if it has expired."""
    expired = (idempotency.c.account_id == account_id, idempotency.c.expires_at <= now_ms)
    connection.execute(delete(idempotency).where(*_same(scope), *expired))


def purge_expired(connection: Connection, now_ms: int, limit: int) -> int:
    """Forget at most ``limit`` answers that have expired; how many went."""
    expired = select(*_KEY).where(idempotency.c.expires_at <= now_ms).order_by(idempotency.c.expires_at)
    gone = connection.execute(expired.limit(limit)).all()
    for row in gone:
        connection.execute(delete(idempotency).where(*_same(Scope._make(row))))
    return len(gone)


_KEY = tuple(idempotency.c[name] for name in Scope._fields)


def _same(scope: Scope) -> list[ColumnElement[bool]]:
    return [column == value for column, value in zip(_KEY, scope, strict=True)]
