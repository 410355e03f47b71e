"""What the two engines have in common, and the names of what they do differently."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

import sqlalchemy
from sqlalchemy import URL, BindParameter, Connection, column, table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.visitors import replacement_traverse

from storage.errors import NotDurable, StoreUnavailable
from storage.statements import Row, Statement

READERS = 4
"""Connections for reading, and threads that use them."""

LOCK_WAIT_SECONDS = 5.0
"""How long a writer waits for another process's lock before the store counts as unavailable."""


class CommitOutcome(Enum):
    """What became of a COMMIT whose answer never came."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    UNKNOWN = "unknown"


class Hot(ABC):
    """A statement compiled for one engine."""

    @abstractmethod
    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Execute for each row, inside the connection's transaction; how many rows of the table that found
        (said truly for `Statement.exact` ones, which is who asks)."""


class Engine(ABC):
    """One database. Connections are made when they are first needed, in the thread that needs them.

    ``writing`` makes connections whose transactions may write, ``reading`` keeps a few whose transactions
    see one committed snapshot and cannot write.
    """

    name: str
    writing: sqlalchemy.Engine
    reading: sqlalchemy.Engine

    def __init__(self, url: URL, allow_non_durable: bool, lock_wait: float) -> None:
        self.url = url
        self.lock_wait = lock_wait
        self.allow_non_durable = allow_non_durable
        self._hot: dict[Statement, Hot] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url.render_as_string(hide_password=True)}>"

    def hot(self, statement: Statement) -> Hot:
        """The statement, compiled; once an engine."""
        found = self._hot.get(statement)
        if found is None:
            found = self._hot[statement] = self._compile(statement)
        return found

    def check_durable(self) -> None:
        """Raises NotDurable when a power cut could take back what was committed."""
        if self.allow_non_durable:
            return
        with self.transaction() as connection:
            problem = self._durability_problem(connection)
        if problem is not None:
            raise NotDurable(problem)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction of one's own, for commands and set-up; committed at the end, undone on an error."""
        with self.translated(), self.writing.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read-only transaction that sees what was committed when it began."""
        with self.translated(), self.reading.begin() as connection:
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise StoreUnavailable for every error that is the store's and not the statement's."""
        try:
            yield
        except Exception as error:
            if self.unavailable(error):
                said = " ".join(str(driver_error(error)).split())
                raise StoreUnavailable(f"The store is unavailable: {said}") from error
            raise

    def unavailable(self, error: BaseException) -> bool:
        """Does this error speak of the store (locked, full, gone) and not of the statement?"""
        if isinstance(error, StoreUnavailable):
            return True
        return self._is_store_failure(driver_error(error))

    def contradicted(self, error: BaseException) -> bool:
        """Does this error say that a row is there already, or that one it needs is not?"""
        return isinstance(driver_error(error), self.writing.dialect.loaded_dbapi.IntegrityError)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.writing.dispose()
        self.reading.dispose()

    def may_return(self, error: StoreUnavailable) -> bool:
        """Is it worth while to wait for the store, or must somebody change something first? May block for
        some seconds."""
        return False

    def in_place(self) -> bool:
        """Is what its address names still what was opened? Costs no more than a system call."""
        return True

    @abstractmethod
    def commit_outcome(self, connection: Connection) -> CommitOutcome:
        """What became of the last transaction of this connection, which was lost during COMMIT."""

    @abstractmethod
    def _compile(self, statement: Statement) -> Hot: ...

    @abstractmethod
    def _durability_problem(self, connection: Connection) -> str | None: ...

    @abstractmethod
    def _is_store_failure(self, error: BaseException) -> bool: ...


def driver_error(error: BaseException) -> BaseException:
    """The driver's own exception out of SQLAlchemy's."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    return error


def sql_from_rows(statement: Statement, dialect: sqlalchemy.Dialect) -> str:
    """The statement with its parameters read from the rows of a relation ``v``, which the engine supplies."""
    rows = table("v", *(column(parameter.name, parameter.type) for parameter in statement.parameters))

    def from_row(element: Any, **_: Any) -> Any:
        if isinstance(element, BindParameter) and element.key in rows.c:
            return rows.c[element.key]
        return None

    clause: Any = replacement_traverse(statement.clause, {}, from_row)
    return str(clause.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
