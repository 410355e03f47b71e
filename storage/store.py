"""The store as the application sees it: one writer, a few readers, the ids."""

import os
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Result, insert, update
from sqlalchemy.exc import DBAPIError
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from storage import migrate
from storage.engines import Engine
from storage.engines.base import READERS
from storage.errors import StoreClosed, StoreUnavailable
from storage.highest import highest_id
from storage.ids import IdSource
from storage.tables import probe
from storage.writer import Writer

T = TypeVar("T")
P = ParamSpec("P")

PROBE_OCTETS = 256 << 10
"""What a probe writes: on SQLite 65 pages, where a long message with its indexes takes some twenty."""


class _ReaderThread(Thread):
    """A process that ends without `Store.close` does not wait for me."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments, daemon=True)


class Store:
    """I hold one database open, from `open` to `close`."""

    def __init__(self, engine: Engine, reactor: IReactorFromThreads, ids: IdSource) -> None:
        self.engine = engine
        self.ids = ids
        self.writer = Writer(engine, reactor)
        self._reactor = reactor
        self._threads = ThreadPool(1, READERS, "storage-reader")
        self._threads.threadFactory = _ReaderThread  # type: ignore[assignment]
        self._released = False

    def open(self) -> Deferred[None]:
        """Check the store, then start the writer.

        Errback NotDurable, SchemaMismatch (with the command that helps), or StoreUnavailable: then it may be
        opened again.
        """
        if not self._threads.started:
            self._threads.start()
        opening = self.in_thread(self._check)
        opening.addCallback(lambda _: self.writer.start())
        opening.addErrback(self._refused)
        return opening

    def close(self) -> Deferred[None]:
        """Commit what waits, then let go of every connection and thread."""
        return self.writer.stop().addCallback(lambda _: self._release())

    def read(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Call ``fn(connection, …)`` in a reader's thread, on a snapshot of what is committed.

        ``fn`` must not return a live result. Errback StoreUnavailable, or what ``fn`` raises.
        """
        return self.in_thread(partial(self._read, fn, *args, **kwargs)).addErrback(self._suspect)

    def probe(self) -> Deferred[None]:
        """Write what says nothing, durably, and more than a message takes: errback StoreUnavailable while
        the store takes nothing."""
        return self.writer.run("probe", _write_much, proves=True)

    def _suspect(self, failure: Failure) -> Failure:
        """What cannot be read can hardly be written: the writer finds out, and says so once."""
        asking = self.writer.available and not self._released
        if failure.check(StoreUnavailable) and asking:
            self.probe().addErrback(lambda _: None)
        return failure

    def in_thread(self, fn: Callable[[], T]) -> Deferred[T]:
        """Call ``fn`` in a reader's thread: for what waits for the store and is no read."""
        if self._released:
            return fail(StoreClosed("The store is closed."))
        deferred: Deferred[T] = deferToThreadPool(self._reactor, self._threads, fn)
        return deferred

    def _read(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return self._read_once(fn, *args, **kwargs)
        except StoreUnavailable as error:
            lost = isinstance(error.__cause__, DBAPIError) and error.__cause__.connection_invalidated
            if not lost:
                raise
        # The pool's connections went stale with that one; reading again does no harm.
        return self._read_once(fn, *args, **kwargs)

    def _read_once(self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self.engine.snapshot() as connection:
            result = fn(connection, *args, **kwargs)
            if isinstance(result, Result):
                raise TypeError(f"{fn} returned a live result; fetch its rows")
            return result

    def _check(self) -> None:
        self.engine.check_durable()
        migrate.check(self.engine)
        with self.engine.snapshot() as connection:
            self.ids.raise_floor(highest_id(connection))

    def _refused(self, failure: Failure) -> Failure:
        if failure.check(StoreUnavailable):
            self.writer.store_is_away()
        else:
            self._release()
        return failure

    def _release(self) -> None:
        if self._released:
            return
        self._released = True
        self._threads.stop()
        self.engine.close()


def _write_much(connection: Connection) -> None:
    octets = os.urandom(PROBE_OCTETS)  # what compresses would prove little
    if not connection.execute(update(probe).values(octets=octets)).rowcount:
        connection.execute(insert(probe).values(id=1, octets=octets))
