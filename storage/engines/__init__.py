"""The two engines. SQLite needs nothing installed; PostgreSQL serves more than one process or machine."""

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from storage.engines.base import LOCK_WAIT_SECONDS, CommitOutcome, Engine, Hot

__all__ = ["CommitOutcome", "Engine", "Hot", "file_of", "missing_file", "open_engine"]


def open_engine(url: str, *, allow_non_durable: bool = False, lock_wait: float = LOCK_WAIT_SECONDS) -> Engine:
    """The engine for ``sqlite:///path`` or ``postgresql://user:password@host/database``, not yet connected.

    ``allow_non_durable`` lets `Engine.check_durable` pass whatever the settings are. ``lock_wait`` is how
    many seconds a writer waits for another process's lock before the store counts as unavailable.
    Raises ValueError for a URL that is neither.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError(
            "a store URL looks like sqlite:///path/to/file.db or postgresql://host/database"
        ) from error
    if parsed.port is not None and not 1 <= parsed.port <= 65_535:
        raise ValueError(f"a port is 1 to 65535, not {parsed.port}")
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        from storage.engines.sqlite import SQLiteEngine

        return SQLiteEngine(parsed, allow_non_durable, lock_wait)
    if backend in ("postgresql", "postgres"):
        try:
            from storage.engines.postgresql import PostgreSQLEngine
        except ImportError as error:
            raise ValueError("PostgreSQL needs psycopg: pip install 'trunkline[postgresql]'") from error
        return PostgreSQLEngine(parsed, allow_non_durable, lock_wait)
    raise ValueError(f"no engine for {backend!r}: a store URL begins with sqlite:/// or postgresql://")


def file_of(url: str) -> Path | None:
    """The file of an SQLite store; None for one that has no file here."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def missing_file(url: str) -> Path | None:
    """The file of an SQLite store that is not there yet: opening it would make an empty one."""
    file = file_of(url)
    return file if file is not None and not file.exists() else None
