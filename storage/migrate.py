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
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `head` (or to a revision before it, for a backup of that time).

    All steps are one transaction: one that is killed has changed nothing.
    Of two at the same time one waits for the other.
    """
    with engine.transaction() as connection:
        if engine.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        command.upgrade(configuration(connection), revision)


def check(engine: Engine) -> None:
    """Raises SchemaMismatch, with what to do, unless the schema is at `head`."""
    has, wants = current(engine), head()
    if has == wants:
        return
    if has is None:
        raise SchemaMismatch("The store has no schema yet. Run: trunkline db upgrade")
    known = {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}
    if has in known:
        raise SchemaMismatch(
            f"The store's schema is {has}, this release needs {wants}. Run: trunkline db upgrade"
        )
    raise SchemaMismatch(
        f"The store's schema is {has}, which is newer than this release ({wants}). Update the software."
    )
