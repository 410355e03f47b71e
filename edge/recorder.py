"""Commits of what has already happened on the wire: they must not be given up."""

from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from storage import progress
from storage.progress import Change
from storage.store import Store

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0

Along = Callable[[Connection], Callable[[], None]]
"""What else belongs into the transaction of an outcome, after its writes; what it gives is called when that
is committed."""


class Recorder:
    """I commit outcomes, and ask a store that cannot again each second.

    ``trouble`` is called then: nothing new should be sent meanwhile, so that what piles up is at most a
    window. ``settled`` is called after each commit.
    """

    def __init__(
        self,
        upstream: str,
        store: Store,
        clock: IReactorTime,
        trouble: Callable[[], None],
        settled: Callable[[], None],
    ) -> None:
        self.unsettled = 0  # units that are not in the store yet, also those that wait for another attempt
        self._upstream = upstream
        self._store = store
        self._clock = clock
        self._trouble = trouble
        self._settled = settled

    def persist(
        self, change: Change, then: Callable[[], None] | None = None, along: Along | None = None
    ) -> None:
        """Commit this, with what comes ``along``, then call ``then``."""

        def stored(committed: Callable[[], None] | None) -> None:
            self.unsettled -= 1
            if committed is not None:
                committed()
            if then is not None:
                then()
            self._settled()

        def not_stored(failure: Failure) -> None:
            log.error("outcome_not_stored", upstream=self._upstream, error=failure.getErrorMessage())
            self._trouble()
            self._clock.callLater(RETRY_SECONDS, attempt)

        def attempt() -> None:
            self._commit(change, along).addCallbacks(stored, not_stored)

        self.unsettled += 1
        attempt()

    def _commit(self, change: Change, along: Along | None) -> Deferred[Any]:
        def work(conn: Connection) -> Callable[[], None]:
            assert along is not None
            progress.apply(conn, [change])
            return along(conn)

        writer = self._store.writer
        if along is not None:
            return writer.run("outcome", work)
        if change.part_ids:
            return writer.collect("outcomes", progress.apply, change)
        return writer.write(change.writes)
