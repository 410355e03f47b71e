"""A store without threads or reactor, for tests: everything is done before the call returns.

It runs the same transactions on a real database file as `storage.store.Store` does.
"""

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from storage.batch import Transactor, Unit
from storage.engines import Engine
from storage.errors import StoreClosed, StoreUnavailable
from storage.highest import highest_id
from storage.ids import IdSource
from storage.statements import Writes

Item = TypeVar("Item")
T = TypeVar("T")
P = ParamSpec("P")


class InlineWriter:
    """I commit each unit alone, at once; `held` lets units wait, `failing` refuses them."""

    def __init__(self, engine: Engine) -> None:
        self.transactor = Transactor(engine)
        self.held = False
        self.failing = False
        self.closed = False
        self._waiting: list[Unit] = []
        self.batches = 0
        self.units = 0
        self.rows = 0

    @property
    def pending(self) -> int:
        """Units that are held."""
        return len(self._waiting)

    @property
    def commit_seconds(self) -> float:
        """Time spent in COMMIT so far."""
        return self.transactor.commit_seconds

    def write(self, writes: Writes) -> Deferred[None]:
        """As `storage.writer.Writer.write`."""
        return self._submit(Unit("write", Deferred(), writes))

    def run(self, description: str, fn: Callable[[Connection], T], proves: bool = False) -> Deferred[T]:
        """As `storage.writer.Writer.run`."""
        return self._submit(Unit(description, Deferred(), fn=fn, proves=proves))

    def collect(
        self, description: str, fn: Callable[[Connection, list[Item]], Sequence[T]], item: Item
    ) -> Deferred[T]:
        """As `storage.writer.Writer.collect`."""
        return self._submit(Unit(description, Deferred(), fn=fn, item=item, collected=True))

    def release(self) -> None:
        """Commit everything that was held, as one batch, and hold no more."""
        self.held = False
        batch, self._waiting = self._waiting, []
        if batch:
            self._commit(batch)

    def _submit(self, unit: Unit) -> Deferred[Any]:
        if self.closed:
            return fail(StoreClosed("The store is closed."))
        deferred: Deferred[Any] = unit.deferred
        self._waiting.append(unit)
        if not self.held:
            self.release()
        return deferred

    def _commit(self, batch: list[Unit]) -> None:
        if self.failing:
            for unit in batch:
                unit.outcome = Failure(_told_to_fail())
        else:
            self.transactor.commit(batch)
        self.batches += 1
        self.units += len(batch)
        self.rows += sum(len(unit.writes) for unit in batch)
        for unit in batch:
            unit.deferred.callback(unit.outcome)


class InlineStore:
    """I am `storage.store.Store` for tests with fake clocks."""

    def __init__(self, engine: Engine, ids: IdSource) -> None:
        self.engine = engine
        self.ids = ids
        self.writer = InlineWriter(engine)

    def open(self) -> Deferred[None]:
        """Raise the ids' floor, as the real one does."""
        with self.engine.snapshot() as connection:
            self.ids.raise_floor(highest_id(connection))
        return succeed(None)

    def close(self) -> Deferred[None]:
        """Commit what is held and let go of the file."""
        self.writer.release()
        self.writer.closed = True
        self.writer.transactor.close()
        self.engine.close()
        return succeed(None)

    def read(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """As `storage.store.Store.read`."""
        if self.writer.failing:
            return fail(_told_to_fail())
        try:
            with self.engine.snapshot() as connection:
                return succeed(fn(connection, *args, **kwargs))
        except Exception:
            return fail()


def _told_to_fail() -> StoreUnavailable:
    return StoreUnavailable("The store is told to fail.")
