"""A copy of the store while it works, and a store made of one.

SQLite: a copy of the file, made by SQLite itself from one state of it. PostgreSQL: a ZIP of the tables as
COPY gives them, read in one snapshot, with a manifest; no other program is needed. A restored store begins a
new epoch of the feed: cursors that were given out after the backup mean nothing in it.
"""

import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from storage import events, migrate
from storage.engines import Engine, open_engine
from storage.errors import Conflict, StoreError
from storage.tables import metadata

MANIFEST = "manifest.json"
_FORMAT = 1
_MADE_BY_MIGRATIONS = ("catalog", "feed", "follower")
_SYSTEM = ("message_words",)


def backup(engine: Engine, target: Path) -> None:
    """Copy the store as it is now into a new file, which appears when it is whole.

    Raises Conflict when the file is there, StoreError when it cannot be written.
    """
    if target.exists():
        raise Conflict(f"{target} is there already.")
    try:
        with _appearing(target) as partial:
            if engine.name == "sqlite":
                _copy_file(str(engine.url.database), partial)
            else:
                _copy_tables(engine, partial)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The backup {target} cannot be written: {error}") from error


def restore(url: str, source: Path) -> str:
    """Make a store of a backup, where there is none, and bring it to this release's schema; its revision.

    Raises Conflict when there is a store already, StoreError for a file that is no backup for this engine.
    """
    if not source.exists():
        raise StoreError(f"There is no backup {source}.")
    engine = open_engine(url)
    try:
        if engine.name == "sqlite":
            _put_file(Path(str(engine.url.database)), source)
        else:
            _put_tables(engine, source)
        migrate.upgrade(engine)
        with engine.transaction() as connection:
            events.begin_epoch(connection)
        return migrate.head()
    finally:
        engine.close()


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A file beside ``target`` that takes its name, synced, when everything went well."""
    target.parent.stat()  # SQLite does not say which folder is not there
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield partial
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        os.rename(partial, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)


# -- SQLite -------------------------------------------------------------------------------------------------


def _copy_file(database: str, target: Path) -> None:
    # All pages in one step: one read transaction, which writers in WAL mode need not wait for.
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, no companions


def _put_file(database: Path, source: Path) -> None:
    if database.exists():
        raise Conflict(f"There is a store at {database} already; move it away first.")
    with _appearing(database) as partial:
        shutil.copyfile(source, partial)
        try:
            with closing(sqlite3.connect(partial)) as copy:
                told = [row[0] for row in copy.execute("PRAGMA quick_check(1)")]
                copy.execute("SELECT version_num FROM alembic_version")
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{source} is no backup of an SQLite store: {error}") from error
        if told != ["ok"]:
            raise StoreError(f"{source} is damaged: {told[0]}")


# -- PostgreSQL ---------------------------------------------------------------------------------------------


def _tables(connection: Connection) -> list[str]:
    """Those that are there, parents before children."""
    there = set(inspect(connection).get_table_names())
    ours = [table.name for table in metadata.sorted_tables] + list(_SYSTEM)
    return [name for name in ours if name in there]


def _copy_tables(engine: Engine, target: Path) -> None:
    packed = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed as out, engine.snapshot() as connection:
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        columns = {}
        for name in _tables(connection):
            columns[name] = [column["name"] for column in inspect(connection).get_columns(name)]
            cursor: Any = connection.connection.cursor()
            command = f'COPY "{name}" ({_quoted(columns[name])}) TO STDOUT'
            member = out.open(f"{name}.copy", "w", force_zip64=True)
            with cursor, member, cursor.copy(command) as copying:
                for block in copying:
                    member.write(block)
        manifest = {"format": _FORMAT, "revision": revision, "tables": columns}
        out.writestr(MANIFEST, json.dumps(manifest, indent=1))


def _put_tables(engine: Engine, source: Path) -> None:
    try:
        archive = zipfile.ZipFile(source)
        manifest = json.loads(archive.read(MANIFEST))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise StoreError(f"{source} is no backup of a PostgreSQL store: {error}") from error
    with archive:
        if manifest.get("format") != _FORMAT:
            raise StoreError(f"{source} is of a format that this release does not know.")
        if migrate.current(engine) is not None:
            raise Conflict(
                "There is a store in this database already; make an empty database for the backup."
            )
        migrate.upgrade(engine, manifest["revision"])
        with engine.transaction() as connection:
            _fill(connection, archive, manifest["tables"])


def _fill(connection: Connection, archive: zipfile.ZipFile, tables: dict[str, list[str]]) -> None:
    for name in _MADE_BY_MIGRATIONS:
        connection.execute(text(f'DELETE FROM "{name}"'))
    for name, columns in tables.items():
        cursor: Any = connection.connection.cursor()
        command = f'COPY "{name}" ({_quoted(columns)}) FROM STDIN'
        with cursor, archive.open(f"{name}.copy") as member, cursor.copy(command) as copying:
            while block := member.read(1 << 16):
                copying.write(block)
    connection.execute(
        text(
            "SELECT setval(pg_get_serial_sequence('event', 'id'), coalesce(max(id), 0) + 1, false) FROM event"
        )
    )


def _quoted(columns: list[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
