"""Full-text search: an index of words that follows the feed of events.

A message's words are indexed a moment after its commit, many messages a transaction; the place in the feed is
kept in the same transaction, so none is left out, whatever happens. On SQLite the index is FTS5 without the
text (it cannot be read back from there), on PostgreSQL a tsvector with a GIN index. Both hold what
`storage.words` makes of a text.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, delete, select, text, update

from storage import events, messages
from storage.history import EVERYTHING, Filter
from storage.ids import lowest_at
from storage.records import MessageView
from storage.tables import follower, message
from storage.words import words

FOLLOWER = "search"
HISTORY = "search history"
MIN_PREFIX = 3
"""The last word of a search counts as the beginning of a word when it has so many letters."""

MAX_WORDS = 16

NEWEST = 2_000
"""So many messages PostgreSQL looks through one by one before it asks the index of words."""

MAX_NAMED = 200
"""As many words with the same beginning are looked for one by one; FTS5 takes 256 in an expression."""

_KINDS = ("message.received", "message.queued")


class Indexable(NamedTuple):
    """What the index needs of a message."""

    id: int
    account_id: int
    text: str


# -- filling ------------------------------------------------------------------------------------------------


def index_next(connection: Connection, limit: int) -> int:
    """Index the next ``limit`` messages that the feed tells of; how many there were. In the writer."""
    cursor = events.follow(connection, FOLLOWER)
    if cursor is None:
        return 0
    batch = events.read_after(connection, cursor, limit=limit, kinds=_KINDS)
    if batch.events:
        ids = [event.subject_id for event in batch.events]
        index(connection, _indexable(connection, message.c.id.in_(ids)))
    if batch.cursor != cursor and not batch.gap:
        events.followed(connection, FOLLOWER, batch.cursor)
    return len(batch.events)


def index_history(connection: Connection, limit: int) -> int:
    """Index messages of before the index was there, newest first; how many were looked at, 0 when done."""
    place = select(follower.c.event_id).where(follower.c.name == HISTORY)
    below = connection.scalar(place.with_for_update(skip_locked=True))
    if below is None:
        return 0
    ids = select(message.c.id).where(message.c.id < below).order_by(message.c.id.desc()).limit(limit)
    found = list(connection.scalars(ids))
    if not found:
        connection.execute(delete(follower).where(follower.c.name == HISTORY))
        return 0
    index(connection, _indexable(connection, message.c.id.in_(found)))
    connection.execute(update(follower).where(follower.c.name == HISTORY).values(event_id=found[-1]))
    return len(found)


def index(connection: Connection, rows: Iterable[Indexable]) -> None:
    """Add the words of these messages."""
    if _is_sqlite(connection):
        added = [(row.id, _document(row)) for row in rows]
        if added:
            connection.exec_driver_sql("INSERT INTO message_words (rowid, words) VALUES (?, ?)", added)
        return
    lexemes = [{"id": row.id, "account": row.account_id, "words": words(row.text)} for row in rows]
    if lexemes:
        connection.execute(
            text(
                "INSERT INTO message_words (message_id, account_id, words) "
                "VALUES (:id, :account, array_to_tsvector(CAST(:words AS text[]))) ON CONFLICT DO NOTHING"
            ),
            lexemes,
        )


def forget(connection: Connection, message_ids: Sequence[int]) -> None:
    """Take the words of these messages out, before their texts change or go; some may not be indexed yet."""
    if not message_ids:
        return
    if not _is_sqlite(connection):
        query = text("DELETE FROM message_words WHERE message_id = ANY(:ids)")
        connection.execute(query, {"ids": list(message_ids)})
        return
    there = _indexed(connection, _indexable(connection, message.c.id.in_(message_ids)))
    gone = [("delete", row.id, _document(row)) for row in there]
    if gone:
        # A contentless index is told what it holds: the same words that were put in.
        insert = "INSERT INTO message_words (message_words, rowid, words) VALUES (?, ?, ?)"
        connection.exec_driver_sql(insert, gone)


def _indexed(connection: Connection, rows: list[Indexable]) -> list[Indexable]:
    """Those whose words are in the index: FTS5 that is told to forget what it never held is spoilt."""
    query = "SELECT rowid FROM message_words WHERE message_words MATCH ? AND rowid = ?"
    return [
        row
        for row in rows
        if connection.exec_driver_sql(query, (f'"{_owner(row.account_id)}"', row.id)).first() is not None
    ]


def _indexable(connection: Connection, *conditions: Any) -> list[Indexable]:
    columns = (message.c.id, message.c.account_id, message.c.text)
    query = select(*columns).where(message.c.account_id.is_not(None), *conditions).order_by(message.c.id)
    return [Indexable._make(row) for row in connection.execute(query)]


# -- finding ------------------------------------------------------------------------------------------------


def find(
    connection: Connection,
    account_id: int,
    query: str,
    wanted: Filter = EVERYTHING,
    *,
    before_id: int | None = None,
    limit: int = 50,
) -> list[MessageView]:
    """Messages of this account that hold every word of the query, newest first; the last word may be a
    beginning. A query without a word finds nothing. ``before_id`` is the id of the last one shown.
    """
    found: list[MessageView] = []
    size = min(max(limit, 1), messages.MAX_LIMIT)
    for rows in _ways(connection, account_id, query, wanted, before_id, (message,)):
        found = messages.views(connection, rows.limit(size))
        if len(found) == size:
            break
    return found


def find_ids(
    connection: Connection,
    account_id: int,
    query: str,
    wanted: Filter = EVERYTHING,
    *,
    before_id: int | None = None,
    limit: int = messages.MAX_LIMIT,
) -> list[int]:
    """The ids of what `find` finds, newest first."""
    found: list[int] = []
    size = min(max(limit, 1), messages.MAX_LIMIT)
    for rows in _ways(connection, account_id, query, wanted, before_id, (message.c.id,)):
        found = list(connection.scalars(rows.limit(size)))
        if len(found) == size:
            break
    return found


def _ways(
    connection: Connection,
    account_id: int,
    query: str,
    wanted: Filter,
    before_id: int | None,
    columns: tuple[Any, ...],
) -> Iterator[Select[Any]]:
    """Selections of what is looked for, newest first: the next is for when one does not fill the page."""
    asked = words(query)[:MAX_WORDS]
    if not asked:
        return
    beginning = query[-1:].isalnum() and len(asked[-1]) >= MIN_PREFIX
    identity = "rowid" if _is_sqlite(connection) else "message_id"
    bounds = "" if wanted.since_ms is None else f" AND {identity} >= {lowest_at(wanted.since_ms):d}"
    if before_id is not None:
        bounds += f" AND {identity} < {before_id:d}"
    if _is_sqlite(connection):
        queries = [f"SELECT rowid AS id FROM message_words WHERE message_words MATCH :match{bounds}"]
        parameters: dict[str, object] = {"match": _match_sqlite(connection, account_id, asked, beginning)}
    else:
        queries = _queries_postgresql(bounds, narrow=wanted.peer is not None)
        parameters = {"account": account_id, "match": _match_postgresql(asked, beginning)}
    for hits in queries:
        ids = text(hits).bindparams(**parameters).columns(message.c.id).subquery("hits")
        rows = select(*columns).join_from(message, ids, ids.c.id == message.c.id)
        yield rows.where(*wanted.conditions(account_id)).order_by(ids.c.id.desc())


def _match_sqlite(connection: Connection, account_id: int, asked: list[str], beginning: bool) -> str:
    *whole, last = (f'"{word}"' for word in asked)
    if beginning:
        # FTS5 merges the lists of all words that begin so before it gives the first message; of words that
        # are asked for by name it reads no more than the page needs.
        known = _words_from(connection, asked[-1])
        last = f"{last}*" if known is None else f"({' OR '.join(known)})" if known else last
    return " AND ".join((f'"{_owner(account_id)}"', *whole, last))


def _match_postgresql(asked: list[str], beginning: bool) -> str:
    return " & ".join("'" + word.replace("'", "''") + "'" for word in asked) + (":*" if beginning else "")


def _queries_postgresql(bounds: str, narrow: bool) -> list[str]:
    """The newest messages are looked through first, for words that many hold. The words that do not fill a
    page there are rare enough for their own index, which PostgreSQL must read as a whole: the fence (OFFSET)
    keeps it from going through all of an account instead. With one peer the peer's messages are few.
    """
    mine = f"FROM message_words WHERE account_id = :account{bounds}"
    holds = "words @@ CAST(:match AS tsquery)"
    if narrow:
        return [f"SELECT message_id AS id {mine} AND {holds}"]
    newest = f"SELECT message_id AS id, words {mine} ORDER BY message_id DESC LIMIT {NEWEST}"
    return [
        f"SELECT id FROM ({newest}) AS newest WHERE {holds}",
        f"SELECT message_id AS id {mine} AND {holds} OFFSET 0",
    ]


def _words_from(connection: Connection, beginning: str) -> list[str] | None:
    """The words of the index that begin so, quoted; None when they are too many to name."""
    found: list[str] = []
    query = "SELECT term FROM vocabulary WHERE term >= ? LIMIT 1"
    place = beginning
    while len(found) <= MAX_NAMED:
        word = connection.exec_driver_sql(query, (place,)).scalar()
        if word is None or not word.startswith(beginning):
            return found
        found.append(f'"{word}"')
        place = f"{word}\x01"
    return None


def _document(row: Indexable) -> str:
    return " ".join((_owner(row.account_id), *words(row.text)))


def _owner(account_id: int) -> str:
    """A word that only this account's messages have: `words` never gives this letter beside another."""
    return f"\ue000{account_id}"


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
