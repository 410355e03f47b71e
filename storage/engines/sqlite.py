"""SQLite: WAL, a sync at every commit, one writer; readers on connections that cannot write."""

import os
import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from storage.engines.base import READERS, CommitOutcome, Engine, Hot, sql_from_rows
from storage.errors import StoreUnavailable
from storage.statements import ENGINE_OPTION, Row, Statement

_CHUNKS = (32, 8, 4, 2, 1)
"""Rows a statement. sqlite3 gives up and retakes the interpreter lock for every step of a statement, and a
busy reactor makes each retake a wait; so many rows go into one step."""

VOCABULARY = "CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, message_words, instance)"
"""The words of the index of words, in order; for `storage.search`."""

_WAL_PAGES_BEFORE_CHECKPOINT = 8192
_CACHE_KIB = 65_536
_WAL_BYTES_KEPT = 64 << 20
_FULL = 2

_STORE_FAILURES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOTADB,
    }
)


class SQLiteEngine(Engine):
    """A file. ``?synchronous=normal`` in the URL gives up durability, for measurements only."""

    name = "sqlite"

    def __init__(self, url: URL, allow_non_durable: bool, lock_wait: float) -> None:
        super().__init__(url, allow_non_durable, lock_wait)
        if url.database in (None, "", ":memory:"):
            raise ValueError("an SQLite store is a file: sqlite:///path/to/file.db")
        query = dict(url.query)
        self._synchronous = str(query.pop("synchronous", "full"))
        if self._synchronous not in ("full", "normal", "off"):
            raise ValueError(f"synchronous is full, normal or off, not {self._synchronous!r}")
        self._file = url.set(query=query)
        arguments = {"check_same_thread": False, "timeout": lock_wait, "isolation_level": None}
        self.writing = create_engine(
            self._file,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args=arguments,
            execution_options={ENGINE_OPTION: self},
        )
        self.reading = create_engine(
            self._file,
            poolclass=QueuePool,
            hide_parameters=True,
            pool_size=READERS,
            max_overflow=READERS,
            connect_args=arguments,
        )
        self._opened: tuple[int, int] | None = None
        for either in (self.writing, self.reading):
            event.listen(either, "do_connect", self._before_connecting)
            event.listen(either, "connect", self._connected)
        event.listen(self.writing, "connect", self._set_up_writer)
        event.listen(self.writing, "commit", self._before_commit)
        event.listen(self.writing, "begin", _begin_immediate)
        event.listen(self.reading, "connect", _set_up_reader)
        event.listen(self.reading, "begin", _begin)

    def commit_outcome(self, connection: Connection) -> CommitOutcome:
        """A COMMIT that raises has not committed: the commit record became valid only with the sync."""
        return CommitOutcome.ROLLED_BACK

    def close(self) -> None:
        """See `Engine.close`."""
        super().close()
        self._opened = None

    # A file that was moved away is still written to by whoever has it open: what is acknowledged then is in
    # a store that nobody will look at again. And SQLite would make an empty one in its place.

    def in_place(self) -> bool:
        """See `Engine.in_place`."""
        return self._opened is None or self._there() == self._opened

    def _there(self) -> tuple[int, int] | None:
        try:
            found = os.stat(str(self.url.database))
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _require_place(self) -> None:
        if not self.in_place():
            raise StoreUnavailable(
                f"{self.url.database} is not the file that was opened: that was moved, deleted or replaced. "
                "Put it back, or stop the server and start it again."
            )

    def _before_connecting(self, *_: object) -> None:
        self._require_place()

    def _connected(self, *_: object) -> None:
        if self._opened is None:
            self._opened = self._there()

    def _before_commit(self, _: Connection) -> None:
        self._require_place()

    def _set_up_writer(self, driver: sqlite3.Connection, _: object) -> None:
        for pragma in (
            "journal_mode = WAL",
            f"synchronous = {self._synchronous}",
            "fullfsync = ON",
            "foreign_keys = ON",
            f"cache_size = -{_CACHE_KIB}",
            f"wal_autocheckpoint = {_WAL_PAGES_BEFORE_CHECKPOINT}",
            f"journal_size_limit = {_WAL_BYTES_KEPT}",
            "temp_store = MEMORY",
        ):
            driver.execute(f"PRAGMA {pragma}")
        driver.execute(VOCABULARY)

    def _compile(self, statement: Statement) -> Hot:
        return _HotSQLite(statement, self)

    def _durability_problem(self, connection: Connection) -> str | None:
        journal = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
        synchronous = int(connection.exec_driver_sql("PRAGMA synchronous").scalar() or 0)
        if journal in ("off", "memory"):
            return f"The SQLite store {self.url.database} is not durable: its journal_mode is {journal}."
        if synchronous < _FULL:
            return (
                f"The SQLite store {self.url.database} is not durable: synchronous is "
                f"{self._synchronous.upper()}, and a power cut could take back what was acknowledged. "
                "Set it to FULL."
            )
        return None

    def _is_store_failure(self, error: BaseException) -> bool:
        if not isinstance(error, sqlite3.Error):
            return False
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and (code & 0xFF) in _STORE_FAILURES


class _HotSQLite(Hot):
    def __init__(self, statement: Statement, engine: Engine) -> None:
        width = len(statement.parameters)
        places = f"({', '.join('?' * width)})"
        if statement.of_values:
            quote = engine.writing.dialect.identifier_preparer.quote
            names = ", ".join(quote(parameter.name) for parameter in statement.parameters)
            head, tail = (
                f"INSERT INTO {quote(statement.table.name)} ({names}) VALUES ",
                _on_conflict(statement),
            )
        else:
            names = ", ".join(parameter.name for parameter in statement.parameters)
            head = f"WITH v ({names}) AS (VALUES "
            tail = f") {sql_from_rows(statement, engine.writing.dialect)}"
        self._sql = {rows: f"{head}{', '.join([places] * rows)}{tail}" for rows in _CHUNKS}
        self._exact = statement.exact

    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        cursor: Any = connection.connection.cursor()
        try:
            done, count, found = 0, len(rows), 0
            for size in _CHUNKS:
                while count - done >= size:
                    chunk = rows[done : done + size]
                    cursor.execute(
                        self._sql[size], chunk[0] if size == 1 else tuple(chain.from_iterable(chunk))
                    )
                    done += size
                    if self._exact:  # the cursor's own rowcount knows nothing of a statement WITH a table
                        found += cursor.execute("SELECT changes()").fetchone()[0]
            return found if self._exact else count
        finally:
            cursor.close()


def _on_conflict(statement: Statement) -> str:
    raised = ", ".join(f"{name} = max({name}, excluded.{name})" for name in statement.greatest)
    return f" ON CONFLICT DO UPDATE SET {raised}" if raised else ""


def _begin_immediate(connection: Connection) -> None:
    connection.connection.cursor().execute("BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _set_up_reader(driver: sqlite3.Connection, _: object) -> None:
    driver.execute("PRAGMA temp_store = MEMORY")  # drops what is temporary: before the vocabulary
    driver.execute(VOCABULARY)
    driver.execute("PRAGMA query_only = ON")
