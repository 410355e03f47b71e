"""Stores as earlier releases left them: at any revision, with rows in every table, and what is in them."""

from collections import Counter
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    func,
    insert,
    inspect,
    select,
    text,
)

from storage import migrate
from storage.engines import Engine

ROWS = 12
OF_ONE_ROW = {"probe"}
WORDS = "message_words"  # the index of words: not a table that can be filled from outside

Rows = dict[tuple[str, tuple[str, ...]], "Counter[tuple[Any, ...]]"]
"""For each table and its columns: how often each row is there."""


def revisions() -> list[str]:
    """Every revision that a store can have, the oldest first."""
    scripts = ScriptDirectory.from_config(migrate.configuration())
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def make(engine: Engine, revision: str) -> None:
    """A store of that revision, with rows in every table that its migrations left empty."""
    migrate.upgrade(engine, revision)
    with engine.transaction() as connection:
        for table in _tables(connection):
            if not connection.scalar(select(func.count()).select_from(table)):
                count = 1 if table.name in OF_ONE_ROW else ROWS
                rows = [_row(table, number) for number in range(1, count + 1)]
                connection.execute(insert(table), rows)


def content(engine: Engine) -> Rows:
    """Everything in the store."""
    with engine.snapshot() as connection:
        return {
            (table.name, tuple(table.c.keys())): Counter(map(tuple, connection.execute(select(table))))
            for table in _tables(connection)
        }


def same_rows(engine: Engine, before: Rows) -> Rows:
    """What is now in the tables and columns of before."""
    found: Rows = {}
    with engine.snapshot() as connection:
        tables = {table.name: table for table in _tables(connection)}
        for name, columns in before:
            query = select(*(tables[name].c[column] for column in columns))
            found[name, columns] = Counter(map(tuple, connection.execute(query)))
    return found


def schema(engine: Engine) -> dict[str, Any]:
    """All that can be said of the schema."""
    with engine.snapshot() as connection:
        if engine.name == "sqlite":
            master = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master"))
            return {f"{row.type} {row.name}": (row.tbl_name, row.sql) for row in master}
        looking = inspect(connection)
        names = looking.get_table_names()
        found: dict[str, Any] = {f"{name} columns": _said(looking.get_columns(name)) for name in names}
        for query in (_INDEXES, _RULES):
            found.update((row.name, row.rule) for row in connection.execute(query))
        return found


_INDEXES = text("SELECT indexname AS name, indexdef AS rule FROM pg_indexes WHERE schemaname = 'public'")
_RULES = text(
    "SELECT conrelid::regclass::text || ' ' || conname AS name, pg_get_constraintdef(oid) AS rule "
    "FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
)


def _said(columns: Any) -> list[str]:
    return [f"{item['name']} {item['type']} {item['nullable']} {item['default']}" for item in columns]


def _tables(connection: Connection) -> list[Table]:
    known = MetaData()
    known.reflect(connection, only=lambda name, _: not name.startswith((WORDS, "alembic")))
    return known.sorted_tables


def _row(table: Table, number: int) -> dict[str, Any]:
    return {column.name: _value(column, number) for column in table.columns}


def _value(column: "Column[Any]", number: int) -> Any:
    if column.name == "direction":
        return ("mo", "mt")[number % 2]
    if column.name == "state":
        return ("pending", "delivered", "failed")[number % 3]
    if column.name in ("did", "peer") and column.table.name == "message":
        return f"+1202555010{number % 3}"  # so that several are one conversation
    if column.name in ("account_id", "did_id") and not column.foreign_keys and not column.primary_key:
        return None if column.nullable and number % 5 == 0 else 1 + number % 2
    if column.nullable and number % 3 == 0:
        return None
    if isinstance(column.type, Boolean):
        return number % 2 == 0
    if isinstance(column.type, Integer):
        return number
    if isinstance(column.type, LargeBinary):
        return bytes([0, number, 255])
    return f"{column.name} é 😀 {number}"
