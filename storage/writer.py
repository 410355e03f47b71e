"""Group commit: everything that waits goes into one transaction, and while it commits the next batch gathers.

There is no timer; the commit itself is the timer. A Deferred fires after the transaction that holds its unit
was committed, never before.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from storage.batch import Transactor, Unit
from storage.engines import Engine
from storage.errors import StoreClosed, StoreUnavailable
from storage.statements import Writes

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
T = TypeVar("T")

MAX_UNITS = 1_000
MAX_ROWS = 5_000
SILENT_SECONDS = 10.0  # between two lines that the store is gone
STALL_SECONDS = 5.0
"""A batch that takes longer is stuck. What would be handed in behind it is refused instead: of that it can be
said that it is not stored, and memory does not fill."""


class Writer:
    """I am the only one who writes to the store on the message path, in a thread of my own.

    Rule for callers: a unit may only touch rows that it inserts itself or whose last change has been
    committed (its Deferred has fired). In one batch the plain writes of all units run grouped by statement,
    inserts first, before the functions.

    ``stall_seconds``: see STALL_SECONDS.

    ``committed`` are called after each batch of which something was committed, in the reactor's thread: for
    who follows what is written. They must not raise.

    Counters since the start: ``batches``, ``units``, ``rows`` (of plain writes), ``failures`` (units), and
    ``commit_seconds``.
    """

    def __init__(
        self, engine: Engine, reactor: IReactorFromThreads, stall_seconds: float = STALL_SECONDS
    ) -> None:
        self._reactor = reactor
        self._stall_seconds = stall_seconds
        self._began: float | None = None
        self._transactor = Transactor(engine)
        self._waiting: list[Unit] = []
        self._wake = threading.Condition()
        self._idle = False
        self._away = False
        self._stopping = False
        self._ended = False
        self._to_tell: list[Deferred[None]] = []
        self._failed_rows: int | None = None  # of the batch that failed: None while the store is available
        self._told = False
        self._silent_until = 0.0
        self._thread: threading.Thread | None = None
        self._taken = 0
        self._fired = 0
        self.committed: list[Callable[[], None]] = []
        self.batches = 0
        self.units = 0
        self.rows = 0
        self.failures = 0

    @property
    def pending(self) -> int:
        """Units whose Deferred has not fired."""
        return self._taken - self._fired

    @property
    def started(self) -> bool:
        """Is there a thread? Before that what is handed in waits for it."""
        return self._thread is not None

    @property
    def available(self) -> bool:
        """Is there a thread, none stuck, and was since the last batch that failed one committed that proves
        something?

        On a disk that is all but full a small one may be committed where no message is: only one of no fewer
        rows, or `Store.probe`, shows that the store is back.
        """
        return self.started and self._failed_rows is None and not self._stalled()

    @property
    def commit_seconds(self) -> float:
        """Time spent in COMMIT so far."""
        return self._transactor.commit_seconds

    def write(self, writes: Writes) -> Deferred[None]:
        """Commit these rows together.

        Errback StoreUnavailable (nothing was committed), or the database's error for this unit alone.
        """
        return self._submit(Unit("write", Deferred(), writes))

    def run(self, description: str, fn: Callable[[Connection], T], proves: bool = False) -> Deferred[T]:
        """Call ``fn(connection)`` in a transaction, off the reactor; the result comes after the commit.

        ``fn`` must do nothing but read and write through the connection: when a batch fails it is called
        again. What it raises is the errback, and what it wrote is then undone. With ``proves`` it writes no
        less than a message does: see `available`.
        """
        return self._submit(Unit(description, Deferred(), fn=fn, proves=proves))

    def collect(
        self, description: str, fn: Callable[[Connection, list[Item]], Sequence[T]], item: Item
    ) -> Deferred[T]:
        """As `run`, for work that is cheaper by the dozen: ``fn(connection, items)`` gets the items of all
        units of the batch that name the same ``fn``, in order, and gives a result for each.

        When it raises, it is called again for each item alone, so a bad item fails alone.
        """
        return self._submit(Unit(description, Deferred(), fn=fn, item=item, collected=True))

    def store_is_away(self) -> None:
        """It could not be opened: until `start` what is handed in is refused, as with a store that goes away
        later. Who waits for an answer would else get it when he has long gone."""
        self._away = True

    def start(self) -> None:
        """Start the thread. Units handed in before are committed first."""
        self._away = False
        self._thread = threading.Thread(target=self._work, name="storage-writer", daemon=True)
        self._thread.start()

    def stop(self) -> Deferred[None]:
        """Commit everything that waits, then end the thread. Later units fail with StoreClosed.

        So do those that wait for a thread that was never started.
        """
        stopped: Deferred[None] = Deferred()
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is None:
            never, self._waiting = self._waiting, []
            for unit in never:
                unit.outcome = Failure(_closed())
            self._fire(never)
            self._ended = True
        if self._ended:
            return succeed(None)
        self._to_tell.append(stopped)
        return stopped

    def _submit(self, unit: Unit) -> Deferred[Any]:
        if self._stopping:
            return fail(_closed())
        if self._away:
            return fail(StoreUnavailable("The store is away; nothing was handed in."))
        if self._stalled():
            self._tell_gone(StoreUnavailable("The store has stopped answering."), 0)
            return fail(StoreUnavailable("The store has stopped answering; nothing was handed in."))
        self._taken += 1
        self._waiting.append(unit)
        if self._idle:
            with self._wake:
                self._idle = False
                self._wake.notify()
        deferred: Deferred[Any] = unit.deferred
        return deferred

    def _stalled(self) -> bool:
        began = self._began
        return began is not None and time.monotonic() - began > self._stall_seconds

    # In the writer's thread

    def _work(self) -> None:
        while batch := self._next_batch():
            self._began = time.monotonic()
            self._commit(batch)
            self._began = None
            self._reactor.callFromThread(self._fire, batch)
        self._transactor.close()
        self._reactor.callFromThread(self._end)

    def _next_batch(self) -> list[Unit]:
        with self._wake:
            # Said before looking: whoever appends after the look sees that I must be woken.
            self._idle = True
            while not self._waiting and not self._stopping:
                self._wake.wait()
                self._idle = True
            self._idle = False
            batch = self._waiting[: self._cut()]
            del self._waiting[: len(batch)]
            return batch

    def _cut(self) -> int:
        rows = 0
        for number, unit in enumerate(self._waiting[:MAX_UNITS], 1):
            rows += len(unit.writes)
            if rows >= MAX_ROWS:
                return number
        return MAX_UNITS

    def _commit(self, batch: list[Unit]) -> None:
        try:
            self._transactor.commit(batch)
        except BaseException:
            # A Deferred that never fires would be worse than any error.
            failure = Failure()
            for unit in batch:
                unit.outcome = failure
        self.batches += 1
        self.units += len(batch)
        self.rows += sum(len(unit.writes) for unit in batch)

    # In the reactor's thread

    def _fire(self, batch: list[Unit]) -> None:
        self._note(batch)
        failures = self.failures
        for unit in batch:
            self._fired += 1
            if isinstance(unit.outcome, Failure):
                self.failures += 1
            unit.deferred.callback(unit.outcome)
        if self.failures - failures < len(batch):
            for tell in self.committed:
                tell()

    def _note(self, batch: list[Unit]) -> None:
        """The store goes for all units of a batch or for none."""
        outcome = batch[0].outcome if batch else None
        error = outcome.value if isinstance(outcome, Failure) else None
        rows = sum(len(unit.writes) for unit in batch)
        if isinstance(error, StoreUnavailable):
            self._tell_gone(error, rows)
        elif self._failed_rows is not None:
            self._succeeded(
                rows, any(unit.proves and not isinstance(unit.outcome, Failure) for unit in batch)
            )

    # One line when the store goes and one when it is back, not one a unit; and few for one that comes and
    # goes, as when a disk is all but full.

    def _tell_gone(self, error: StoreUnavailable, rows: int) -> None:
        if isinstance(error, StoreClosed):
            return
        self._failed_rows = max(rows, self._failed_rows or 0)
        now = time.monotonic()
        if not self._told and now >= self._silent_until:
            self._told, self._silent_until = True, now + SILENT_SECONDS
            log.error("store_unavailable", error=str(error))

    def _succeeded(self, rows: int, proven: bool) -> None:
        assert self._failed_rows is not None
        if not proven and (rows < self._failed_rows or not rows):
            return
        self._failed_rows = None
        if self._told:
            self._told = False
            log.info("store_available_again")

    def _end(self) -> None:
        self._ended = True
        for stopped in self._to_tell:
            stopped.callback(None)


def _closed() -> StoreClosed:
    return StoreClosed("The store is closed.")
