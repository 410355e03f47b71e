"""A copy of the store while it works. `storage.restore` makes a store of it.

SQLite: a copy of the file, made by SQLite itself from one state of it. PostgreSQL: a ZIP of the tables as
COPY gives them, read in one snapshot, with a manifest; no other program is needed. Only its
owner can read it.
"""

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from storage.engines import Engine
from storage.errors import Conflict, StoreError
from storage.placing import appearing
from storage.tables import metadata

MANIFEST = "manifest.json"
FORMAT = 1
_SYSTEM = ("message_words",)


def backup(engine: Engine, target: Path) -> None:
    """Copy the store as it is now into a new file, which appears when it is whole.

    Raises Conflict when the file is there, StoreError when it cannot be written.
    """
    if target.exists():
        raise Conflict(f"{target} is there already.")
    try:
        with appearing(target) as partial:
            if engine.name == "sqlite":
                _copy_file(str(engine.url.database), partial)
            else:
                _copy_tables(engine, partial)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The backup {target} cannot be written: {error}") from error


def _copy_file(database: str, target: Path) -> None:
    # All pages in one step: one read transaction, which writers in WAL mode need not wait for.
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, no companions


def tables_there(connection: Connection) -> list[str]:
    """Those of ours that are there, parents before children."""
    there = set(inspect(connection).get_table_names())
    ours = [table.name for table in metadata.sorted_tables] + list(_SYSTEM)
    return [name for name in ours if name in there]


def _copy_tables(engine: Engine, target: Path) -> None:
    packed = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed as out, engine.snapshot() as connection:
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        columns = {}
        for name in tables_there(connection):
            columns[name] = [column["name"] for column in inspect(connection).get_columns(name)]
            cursor: Any = connection.connection.cursor()
            command = f'COPY "{name}" ({quoted(columns[name])}) TO STDOUT'
            member = out.open(f"{name}.copy", "w", force_zip64=True)
            with cursor, member, cursor.copy(command) as copying:
                for block in copying:
                    member.write(block)
        manifest = {"format": FORMAT, "revision": revision, "tables": columns}
        out.writestr(MANIFEST, json.dumps(manifest, indent=1))


def quoted(columns: list[str]) -> str:
    """The names of columns, as SQL has them."""
    return ", ".join(f'"{column}"' for column in columns)
