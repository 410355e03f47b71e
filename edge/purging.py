"""Removing what the retention rules say is too old, a bounded transaction at a time."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge.outage import not_stored
from storage import deletion, retention
from storage.store import Store

log = structlog.get_logger(__name__)

EVERY_SECONDS = 6 * 3600.0
DELETED_SECONDS = 10.0  # what can no longer be undone is gone soon after


async def purge(store: Store, wall_ms: Callable[[], int]) -> dict[str, int]:
    """Do it now; how many rows of each kind went."""
    now_ms = wall_ms()
    gone: Counter[str] = Counter()

    def planned(connection: Connection) -> list[tuple[str, retention.Step]]:
        return list(retention.steps(connection, now_ms))

    for what, step in await store.read(planned):
        after_id: int | None = 0
        while after_id is not None:
            done = await store.writer.run(f"purge of {what}", _from(step, after_id))
            gone[what] += done.rows
            after_id = done.after_id
    return dict(+gone)


async def purge_deleted(store: Store, wall_ms: Callable[[], int]) -> None:
    """Remove the messages whose deletion can no longer be undone; asks an index when there are none."""
    now_ms = wall_ms()
    while await store.read(deletion.purgeable, now_ms):
        await store.writer.run("purge of deleted messages", partial(deletion.purge, now_ms=now_ms))


def _from(step: retention.Step, after_id: int) -> Callable[[Connection], retention.Done]:
    return lambda connection: step(connection, after_id)


class Purging:
    """I purge from time to time, from `start` until `stop`."""

    def __init__(self, store: Store, clock: IReactorTime, wall_ms: Callable[[], int]) -> None:
        self._store = store
        self._wall_ms = wall_ms
        self._loops = LoopingCall(self._purge), LoopingCall(self._purge_deleted)
        for loop in self._loops:
            loop.clock = clock

    def start(self) -> None:
        """Begin, the first time after a while: a start has other things to do."""
        for loop, seconds in zip(self._loops, (EVERY_SECONDS, DELETED_SECONDS), strict=True):
            loop.start(seconds, now=False)

    def stop(self) -> None:
        """No more of it; the transaction under way ends by itself."""
        for loop in self._loops:
            if loop.running:
                loop.stop()

    def _purge_deleted(self) -> Deferred[None]:
        return ensureDeferred(purge_deleted(self._store, self._wall_ms)).addErrback(_not_purged)

    def _purge(self) -> Deferred[None]:
        return ensureDeferred(purge(self._store, self._wall_ms)).addCallbacks(_purged, _not_purged)


def _purged(gone: dict[str, int]) -> None:
    if gone:
        log.info("purged", **{what.replace(" ", "_"): rows for what, rows in gone.items()})


def _not_purged(failure: Failure) -> None:
    not_stored(log, "not_purged", failure)
