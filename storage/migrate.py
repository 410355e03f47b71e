"""Bring a store's schema to this release's, and tell which one it has. Needs no alembic.ini."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage.engines import Engine
from storage.errors import SchemaMismatch

_SCRIPTS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 7_305_808_869_231_650


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration, for our scripts and this connection."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The revision that this release works with."""
    revision = ScriptDirectory.from_config(configuration()).get_current_head()
    assert revision is not None, "there is a first revision"
    return revision


def current(engine: Engine) -> str | None:
    """The revision that the store has; None when it is empty."""
    with engine.snapshot() as connection:
        return revision_of(connection)


def revision_of(connection: Connection) -> str | None:
    """The same, as this transaction sees it."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `head` (or to a revision before it, for a backup of that time).

    All steps are one transaction: one that is killed has changed nothing.
    Of two at the same time one waits for the other.
    """
    with engine.transaction() as connection:
        upgrade_within(connection, revision)


def upgrade_within(connection: Connection, revision: str = "head") -> None:
    """The same in a transaction that holds more than that."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    command.upgrade(configuration(connection), revision)


def known(revision: str | None) -> None:
    """Raises SchemaMismatch unless this release can bring a store of this revision to its own."""
    if revision is None:
        raise SchemaMismatch("There is a store without a schema in it.")
    if revision not in _revisions():
        raise SchemaMismatch(_newer(revision))


def check(engine: Engine) -> None:
    """Raises SchemaMismatch, with what to do, unless the schema is at `head`."""
    has, wants = current(engine), head()
    if has == wants:
        return
    if has is None:
        raise SchemaMismatch("The store has no schema yet. Run: trunkline db upgrade")
    if has in _revisions():
        raise SchemaMismatch(
            f"The store's schema is {has}, this release needs {wants}. Run: trunkline db upgrade"
        )
    raise SchemaMismatch(_newer(has))


def _revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}


def _newer(revision: str) -> str:
    return (
        f"The store's schema is {revision}, which is newer than this release ({head()}). Update the software."
    )
