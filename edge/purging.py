"""Removing what the retention rules say is too old, a bounded transaction at a time."""

from collections import Counter
from collections.abc import Callable

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from storage import retention
from storage.store import Store

log = structlog.get_logger(__name__)

EVERY_SECONDS = 6 * 3600.0


async def purge(store: Store, wall_ms: Callable[[], int]) -> dict[str, int]:
    """Do it now; how many rows of each kind went."""
    now_ms = wall_ms()
    gone: Counter[str] = Counter()

    def planned(connection: Connection) -> list[tuple[str, retention.Step]]:
        return list(retention.steps(connection, now_ms))

    for what, step in await store.read(planned):
        while rows := await store.writer.run(f"purge of {what}", step):
            gone[what] += rows
    return dict(gone)


class Purging:
    """I purge from time to time, from `start` until `stop`."""

    def __init__(self, store: Store, clock: IReactorTime, wall_ms: Callable[[], int]) -> None:
        self._store = store
        self._wall_ms = wall_ms
        self._loop = LoopingCall(self._purge)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin, the first time after a while: a start has other things to do."""
        self._loop.start(EVERY_SECONDS, now=False)

    def stop(self) -> None:
        """No more of it; the transaction under way ends by itself."""
        if self._loop.running:
            self._loop.stop()

    def _purge(self) -> Deferred[None]:
        return ensureDeferred(purge(self._store, self._wall_ms)).addCallbacks(_purged, _not_purged)


def _purged(gone: dict[str, int]) -> None:
    if gone:
        log.info("purged", **{what.replace(" ", "_"): rows for what, rows in gone.items()})


def _not_purged(failure: Failure) -> None:
    log.error("not_purged", error=failure.getErrorMessage())
