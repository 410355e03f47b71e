"""What only one process may do with a store at a time: be a certain node, carry an upstream.

A claim lives as long as its process (a lock on a file beside an SQLite store, a session's advisory lock on
PostgreSQL), so it needs no clock and nothing to clean up after a crash. On PostgreSQL a lost connection loses
the claims; `Claims.renew` notices and takes them again, or says that somebody else was faster.
"""

import fcntl
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from sqlalchemy import Connection, text

from storage.engines import Engine
from storage.errors import Conflict
from storage.ids import NODES

_SPACE = 0x54524E4B  # "TRNK": keeps our advisory locks apart from everybody else's


class Claims(ABC):
    """I hold the claims of one process. For threads, one call at a time; each may wait for the store."""

    @abstractmethod
    def take(self, name: str) -> bool:
        """Is it ours now (or already)? Errors are those of the store."""

    @abstractmethod
    def release(self, name: str) -> None:
        """Give it up; an unknown one is as good as given up."""

    @abstractmethod
    def renew(self) -> set[str]:
        """Make sure that what we hold is ours; the names that another process has taken meanwhile.

        Raises StoreUnavailable when the store cannot be asked: then nobody knows.
        """

    @abstractmethod
    def close(self) -> None:
        """Give up everything."""


def claims_of(engine: Engine) -> Claims:
    """The kind that this engine has."""
    return _OfSession(engine) if engine.name == "postgresql" else _OfFile(engine)


def of_server(engine: Engine, node: int) -> str:
    """What every server on the store claims: SQLite is for one; on PostgreSQL each node is one."""
    return "store" if engine.name == "sqlite" else f"node {node}"


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """While no server works on the store; one that starts meanwhile is refused. Raises Conflict."""
    claims = claims_of(engine)
    try:
        for node in range(NODES):
            if not claims.take(of_server(engine, node)):
                raise Conflict("A server works on this store; stop it first.")
        yield
    finally:
        claims.close()


class _OfFile(Claims):
    """Locks on files beside the database."""

    def __init__(self, engine: Engine) -> None:
        self._database = str(engine.url.database)
        self._files: dict[str, IO[str]] = {}

    def take(self, name: str) -> bool:
        if name in self._files:
            return True
        number = hashlib.sha256(name.encode()).hexdigest()[:12]
        path = f"{self._database}.{number}.lock"
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._files[name] = file
        return True

    def release(self, name: str) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            file.close()

    def renew(self) -> set[str]:
        return set()

    def close(self) -> None:
        for name in list(self._files):
            self.release(name)


class _OfSession(Claims):
    """Advisory locks of one connection that is kept open for them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._held: set[str] = set()

    def take(self, name: str) -> bool:
        if name in self._held:
            return True
        with self._engine.translated():
            taken = bool(self._ask("SELECT pg_try_advisory_lock(:space, :number)", name))
        if taken:
            self._held.add(name)
        return taken

    def release(self, name: str) -> None:
        if name in self._held:
            self._held.discard(name)
            with suppress(Exception):
                self._ask("SELECT pg_advisory_unlock(:space, :number)", name)

    def renew(self) -> set[str]:
        try:
            self._connected().execute(text("SELECT 1")).scalar()
        except Exception:
            self._drop()
            return self._take_again()
        return set()

    def close(self) -> None:
        if self._held and self._connection is not None:
            with suppress(Exception):  # PostgreSQL takes its time to notice that a connection is gone
                self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
        self._held.clear()
        self._drop()

    def _take_again(self) -> set[str]:
        before, self._held = self._held, set()
        lost = set()
        try:
            for name in sorted(before):
                if not self.take(name):
                    lost.add(name)
        except Exception:
            self._held = before - lost  # not known to be another's: asked again the next time
            raise
        return lost

    def _ask(self, question: str, name: str) -> object:
        return self._connected().execute(text(question), {"space": _SPACE, "number": _number(name)}).scalar()

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed or self._connection.invalidated:
            self._drop()
            # A statement at a time: an open transaction would hold back the store's housekeeping.
            self._connection = self._engine.reading.connect().execution_options(isolation_level="AUTOCOMMIT")
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()


def _number(name: str) -> int:
    """A signed 32-bit number for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], signed=True)
