"""A store made of a backup: all of it or nothing, with no server on it and none that starts meanwhile.

A restored store begins a new epoch of the feed: cursors that were given out after the backup mean nothing
in it.
"""

import json
import shutil
import sqlite3
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from storage import events, migrate
from storage.backup import FORMAT, MANIFEST, quoted, tables_there
from storage.claims import alone
from storage.engines import Engine, open_engine
from storage.engines.base import driver_error
from storage.errors import Conflict, StoreError
from storage.placing import appearing, companions

_MADE_BY_MIGRATIONS = ("catalog", "feed", "follower")
_NO_STORE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)


def restore(url: str, source: Path) -> str:
    """Make a store of a backup, where there is none, and bring it to this release's schema; its revision.

    Raises Conflict when there is a store already (or what belongs to one) or a server works on it, StoreError
    for a file that is no backup for this engine or is damaged: then nothing was made.
    """
    if not source.exists():
        raise StoreError(f"There is no backup {source}.")
    engine = open_engine(url)
    try:
        with alone(engine):
            if engine.name == "sqlite":
                _put_file(engine.url, source)
            else:
                _put_tables(engine, source)
        return migrate.head()
    except sqlite3.Error as error:
        raise StoreError(f"The backup cannot be put back: {error}") from error
    finally:
        engine.close()


# -- SQLite -------------------------------------------------------------------------------------------------


def _put_file(url: URL, source: Path) -> None:
    database = Path(str(url.database))
    _nothing_there(database)
    with appearing(database) as partial:
        shutil.copyfile(source, partial)
        _look_through(partial, source)
        _bring_up(url.set(database=str(partial)))
        if left := companions(partial):
            raise StoreError(f"The backup cannot be put back: SQLite left {left[0].name} behind.")
        _nothing_there(database)
    _look_through(database, source)


def _nothing_there(database: Path) -> None:
    """SQLite would read what a crash left in a -wal as part of the file that is put beside it."""
    if database.exists():
        raise Conflict(
            f"There is a store at {database} already; move it away first, together with "
            "its -wal, -shm and -journal if they are there."
        )
    if left := companions(database):
        names = ", ".join(path.name for path in left)
        raise Conflict(
            f"Beside {database} there is {names}, which is part of the store that was there. "
            "Move it to where that store's file is now, under that file's name, before a backup is put back."
        )


def _look_through(database: Path, source: Path) -> None:
    """Raises StoreError when a file is no sound store."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            told = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _NO_STORE:
            raise
        raise StoreError(f"{source} is no backup of an SQLite store: {error}") from error
    if told != ["ok"]:
        raise StoreError(f"{source} is damaged: {told[0]}")
    migrate.known(None if revision is None else revision[0])


def _bring_up(url: URL) -> None:
    engine = open_engine(url.render_as_string(hide_password=False))
    try:
        with engine.transaction() as connection:
            _begin_anew(connection)
    finally:
        engine.close()


def _begin_anew(connection: Connection) -> None:
    migrate.upgrade_within(connection)
    events.begin_epoch(connection)


# -- PostgreSQL ---------------------------------------------------------------------------------------------


def _put_tables(engine: Engine, source: Path) -> None:
    broken = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError)
    try:
        archive = zipfile.ZipFile(source)
        manifest = json.loads(archive.read(MANIFEST))
        if manifest["format"] != FORMAT:
            raise StoreError(f"{source} is of a format that this release does not know.")
        revision, tables = manifest["revision"], dict(manifest["tables"])
    except broken as error:
        raise StoreError(f"{source} is no backup of a PostgreSQL store: {error}") from error
    migrate.known(revision)
    try:
        with archive, engine.transaction() as connection:
            if migrate.revision_of(connection) is not None:
                raise Conflict(
                    "There is a store in this database already; make an empty database for the backup."
                )
            migrate.upgrade_within(connection, revision)
            _fill(connection, archive, tables)
            _begin_anew(connection)
    except (*broken, DBAPIError, engine.writing.dialect.loaded_dbapi.Error) as error:
        said = str(driver_error(error)).splitlines() or [type(error).__name__]
        raise StoreError(f"{source} is damaged, and nothing of it was put back: {said[0]}") from error


def _fill(connection: Connection, archive: zipfile.ZipFile, tables: Mapping[str, list[str]]) -> None:
    there = tables_there(connection)
    for name in tables:
        if name not in there:
            raise KeyError(f"there is no table {name}")
    for name in _MADE_BY_MIGRATIONS:
        connection.execute(text(f'DELETE FROM "{name}"'))
    for name, columns in tables.items():
        cursor: Any = connection.connection.cursor()
        command = f'COPY "{name}" ({quoted(columns)}) FROM STDIN'
        with cursor, archive.open(f"{name}.copy") as member, cursor.copy(command) as copying:
            while block := member.read(1 << 16):
                copying.write(block)
    connection.execute(
        text(
            "SELECT setval(pg_get_serial_sequence('event', 'id'), coalesce(max(id), 0) + 1, false) FROM event"
        )
    )
