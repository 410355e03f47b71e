"""One transaction for many units of work: all together, and if that fails, each alone beside the others."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from storage.engines import CommitOutcome, Engine
from storage.engines.base import driver_error
from storage.errors import CommitOutcomeUnknown, Stale, StoreUnavailable
from storage.statements import Row, Statement, Write

RECONNECT_SECONDS = 0.2  # between two tries, however many units ask


class Unit:
    """What must be committed whole or not at all: plain writes, or a function in the transaction.

    With ``collected`` the function takes the ``item`` of every unit of the batch that has the same function,
    as a list, and gives as many results. After the batch ``outcome`` is the unit's result (None for plain
    writes) or a Failure. A unit that ``proves`` writes so much that a message will find room too.
    """

    __slots__ = ("collected", "deferred", "description", "fn", "item", "outcome", "proves", "writes")

    def __init__(
        self,
        description: str,
        deferred: Deferred[Any],
        writes: Sequence[Write] = (),
        fn: Callable[..., Any] | None = None,
        item: object = None,
        collected: bool = False,
        proves: bool = False,
    ) -> None:
        self.description = description
        self.deferred = deferred
        self.writes = writes
        self.fn = fn
        self.item = item
        self.collected = collected
        self.proves = proves
        self.outcome: Any = None


class Transactor:
    """I commit batches over one connection of my own, which I make anew when it breaks. For one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._not_before = 0.0
        self.commit_seconds = 0.0

    def commit(self, units: Sequence[Unit]) -> None:
        """Give every unit its outcome. Raises nothing that a store or a unit can cause."""
        try:
            self._transact(units, self._together)
        except Exception as error:
            if self._engine.unavailable(error) or self._lost():
                self._all_failed(units, error)
            else:
                self._commit_alone(units)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _commit_alone(self, units: Sequence[Unit]) -> None:
        try:
            self._transact(units, self._each_alone)
        except Exception as error:
            self._all_failed(units, error)

    def _all_failed(self, units: Sequence[Unit], error: Exception) -> None:
        # Whatever the connection is in the middle of, the next batch gets a fresh one.
        self._discard()
        if not isinstance(error, StoreUnavailable):
            reason = driver_error(error)
            error = StoreUnavailable(f"The store is unavailable, nothing was committed: {reason}")
            error.__cause__ = reason
        for unit in units:
            unit.outcome = Failure(error)

    def _transact(self, units: Sequence[Unit], run: Callable[[Connection, Sequence[Unit]], None]) -> None:
        connection = self._connected()
        transaction = connection.begin()
        try:
            run(connection, units)
        except BaseException:
            with suppress(Exception):
                transaction.rollback()
            raise
        started = time.perf_counter()
        try:
            transaction.commit()
        except Exception as error:
            self._settle(connection, error)
        finally:
            self.commit_seconds += time.perf_counter() - started

    def _settle(self, connection: Connection, error: Exception) -> None:
        """COMMIT raised: find out whether it happened all the same."""
        outcome = self._engine.commit_outcome(connection)
        self._discard()
        if outcome is CommitOutcome.ROLLED_BACK:
            raise StoreUnavailable(f"The store could not commit: {driver_error(error)}") from error
        if outcome is CommitOutcome.UNKNOWN:
            raise CommitOutcomeUnknown(f"The store was lost during COMMIT: {driver_error(error)}") from error

    def _connected(self) -> Connection:
        if self._lost():
            self._discard()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Connection:
        if time.monotonic() < self._not_before:
            raise StoreUnavailable("The store could not be reached a moment ago.")
        try:
            return self._engine.writing.connect()
        except Exception:
            self._not_before = time.monotonic() + RECONNECT_SECONDS
            raise

    def _lost(self) -> bool:
        return self._connection is not None and (self._connection.closed or self._connection.invalidated)

    def _discard(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.invalidate()
        self.close()

    def _together(self, connection: Connection, units: Sequence[Unit]) -> None:
        """The plain writes of all units, grouped by statement, then their functions in order."""
        groups: dict[Statement, list[Row]] = {}
        calls: dict[Any, list[Unit]] = {}
        for unit in units:
            for statement, row in unit.writes:
                group = groups.get(statement)
                if group is None:
                    groups[statement] = [row]
                else:
                    group.append(row)
            if unit.fn is not None:
                calls.setdefault(unit.fn if unit.collected else unit, []).append(unit)
        for statement in sorted(groups, key=_order) if len(groups) > 1 else groups:
            rows = groups[statement]
            if self._engine.hot(statement).run(connection, rows) != len(rows) and statement.exact:
                raise Stale(f"A row of {statement.table.name} has changed hands.")
        for call in calls.values():
            _call(connection, call)

    def _each_alone(self, connection: Connection, units: Sequence[Unit]) -> None:
        for unit in units:
            savepoint = connection.begin_nested()
            try:
                self._together(connection, [unit])
            except Exception as error:
                if self._engine.unavailable(error) or connection.invalidated:
                    raise
                savepoint.rollback()
                unit.outcome = Failure()
            else:
                savepoint.commit()


def _call(connection: Connection, units: Sequence[Unit]) -> None:
    fn = units[0].fn
    assert fn is not None, "only units with a function get here"
    if not units[0].collected:
        units[0].outcome = fn(connection)
        return
    results = fn(connection, [unit.item for unit in units])
    for unit, result in zip(units, results, strict=True):
        unit.outcome = result


def _order(statement: Statement) -> int:
    return statement.order
