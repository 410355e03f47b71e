"""The migrations build what the tables say, on both engines."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from storage import migrate
from storage.engines import Engine, open_engine
from storage.errors import SchemaMismatch
from storage.tables import metadata

WORDS = "message_words"
"""The index of words is not SQLAlchemy's: see `storage.tables_feed`."""

ONLY_ON_POSTGRESQL = "ix_event_order"


def compared(engine: Engine, kind: str, name: object) -> bool:
    """May alembic look at this?"""
    if kind == "index" and engine.name == "sqlite":
        return name != ONLY_ON_POSTGRESQL
    return kind != "table" or not str(name).startswith(WORDS)


def test_migrated_schema_is_what_the_tables_say(engine: Engine) -> None:
    with engine.transaction() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_object": lambda _, name, kind, *__: compared(engine, kind, name),
            },
        )
        assert compare_metadata(context, metadata) == []


def shape(connection: Connection) -> dict[str, object]:
    """What `compare_metadata` does not look at: keys, uniqueness, checks and the conditions of indexes."""
    found: dict[str, object] = {}
    looking = inspect(connection)
    for table in metadata.tables:
        key = looking.get_pk_constraint(table)
        found[f"{table} key"] = (key["name"], key["constrained_columns"])
        found[f"{table} checks"] = [
            (check["name"], check["sqltext"]) for check in looking.get_check_constraints(table)
        ]
        for index in looking.get_indexes(table):
            where = [
                str(value) for option, value in index.get("dialect_options", {}).items() if "where" in option
            ]
            found[f"{table} {index['name']}"] = (index["column_names"], bool(index["unique"]), where)
    return found


def test_migrated_schema_has_the_shape_that_the_tables_make(empty_store_url: str) -> None:
    engine = open_engine(empty_store_url)
    with engine.transaction() as connection:
        metadata.create_all(connection)
        direct = shape(connection)
        metadata.drop_all(connection)
    migrate.upgrade(engine)
    with engine.transaction() as connection:
        assert shape(connection) == direct
    engine.close()


def test_upgrade_makes_head_and_does_nothing_twice(empty_store_url: str) -> None:
    engine = open_engine(empty_store_url)
    assert migrate.current(engine) is None
    migrate.upgrade(engine)
    assert migrate.current(engine) == migrate.head()
    migrate.upgrade(engine)
    migrate.check(engine)
    engine.close()


def test_store_without_schema_is_refused_with_the_command(empty_store_url: str) -> None:
    engine = open_engine(empty_store_url)
    with pytest.raises(SchemaMismatch, match="trunkline db upgrade"):
        migrate.check(engine)
    engine.close()


def test_store_of_a_newer_release_is_refused(engine: Engine) -> None:
    with engine.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="newer than this release"):
        migrate.check(engine)


def test_upgrade_that_fails_half_way_changes_nothing(empty_store_url: str) -> None:
    engine = open_engine(empty_store_url)
    with engine.transaction() as connection:
        connection.execute(text("CREATE TABLE receipt_candidate (spoilt INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        migrate.upgrade(engine)
    with engine.transaction() as connection:
        assert inspect(connection).get_table_names() == ["receipt_candidate"]
    engine.close()
