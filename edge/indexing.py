"""The search follows the feed: what was committed is indexed a moment later, in small transactions.

A full step is followed by the next at once; one that is not has caught up, and the next second goes on with
many messages a step instead of a few. When many units wait for the writer the indexing stands back: people's
messages come first.
"""

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from storage import search
from storage.store import Store

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1.0
STEP = 200
BUSY = 500
"""Units that wait for the writer; with more of them nothing is indexed."""


class Indexing:
    """I index the words of messages, from `start` to `stop`."""

    def __init__(self, store: Store, clock: IReactorTime) -> None:
        self._store = store
        self._stopping = False
        self._failing = False
        self._loop = LoopingCall(self.catch_up)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin with what is there."""
        self._loop.start(EVERY_SECONDS)

    def stop(self) -> None:
        """No further step; the one at work commits."""
        self._stopping = True
        if self._loop.running:
            self._loop.stop()

    def catch_up(self) -> Deferred[None]:
        """Steps until there is nothing to index, or the store is busy or gone."""
        return Deferred.fromCoroutine(self._steps()).addErrback(self._failed)

    async def _steps(self) -> None:
        while not self._stopping and self._store.writer.pending <= BUSY:
            if await self._store.writer.run("index words", _step) < STEP:
                break
        self._failing = False

    def _failed(self, failure: Failure) -> None:
        """Said once; the place in the feed did not move, so the next second tries the same again."""
        if not self._failing and not self._stopping:
            log.error("words_not_indexed", error=failure.getErrorMessage())
        self._failing = True


def _step(connection: Connection) -> int:
    """What is new first; what was there before the index when that leaves room."""
    done = search.index_next(connection, STEP)
    return done if done == STEP else search.index_history(connection, STEP)
