"""Hearing of what other processes have committed: LISTEN and NOTIFY of PostgreSQL. SQLite has one process.

A notice says nothing but that there is something: who hears it reads the feed. One may be lost with its
connection, so who listens looks from time to time all the same.
"""

import threading
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads

from storage.engines import Engine

log = structlog.get_logger(__name__)

CHANNEL = "trunkline_events"
AGAIN_SECONDS = 1.0
LOOK_UP_SECONDS = 0.5
"""So often it is seen that the listening is to end."""


def notify(connection: Connection) -> None:
    """Tell every process that listens, when this transaction commits.

    NOTIFY takes a lock of the whole cluster for the commit, so it is not for the transactions of messages.
    """
    connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


class Listener:
    """I call ``heard`` in the reactor's thread for notices, from `start` to `stop`; many may be one call."""

    def __init__(self, engine: Engine, reactor: IReactorFromThreads, heard: Callable[[], None]) -> None:
        self._engine = engine
        self._reactor = reactor
        self._heard = heard
        self._stopping = threading.Event()
        self._stopped: Deferred[None] = Deferred()
        self._thread: threading.Thread | None = None
        self._failing = False

    def start(self) -> None:
        """Listen, in a thread of my own; on a new connection when one is lost."""
        self._thread = threading.Thread(target=self._work, name="storage-listener", daemon=True)
        self._thread.start()

    def stop(self) -> Deferred[None]:
        """Fires when the connection is closed, about half a second later at most."""
        if self._thread is None:
            return succeed(None)
        self._stopping.set()
        return self._stopped

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._engine.translated():
                    self._listen()
            except (
                Exception
            ) as error:  # whatever it is, it must not end the listening, nor the wait for its end
                self._lost(error)
        self._reactor.callFromThread(self._stopped.callback, None)

    def _listen(self) -> None:
        with self._engine.writing.connect() as connection:
            driver: Any = connection.connection.driver_connection
            try:
                self._hear(driver)
            except Exception:
                connection.invalidate()  # of one that is lost SQLAlchemy would log that it cannot be reset
                raise

    def _hear(self, driver: Any) -> None:
        driver.execute(f"LISTEN {CHANNEL}")
        self._failing = False
        self._reactor.callFromThread(self._heard)  # for what was told before
        while not self._stopping.is_set():
            if list(driver.notifies(timeout=LOOK_UP_SECONDS, stop_after=1)):
                self._reactor.callFromThread(self._heard)

    def _lost(self, error: Exception) -> None:
        if not self._failing:
            log.warning("events_not_heard", error=str(error))
        self._failing = True
        self._stopping.wait(AGAIN_SECONDS)
