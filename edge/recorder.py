"""Commits of what has already happened on the wire: they must not be given up."""

from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import Connection
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from storage.statements import Write, execute_all
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
        self.unsettled = 0  # units that the writer has not answered
        self._upstream = upstream
        self._store = store
        self._clock = clock
        self._trouble = trouble
        self._settled = settled

    def persist(
        self, writes: Sequence[Write], then: Callable[[], None] | None = None, along: Along | None = None
    ) -> None:
        """Commit these, with what comes ``along``, then call ``then``."""
        self.unsettled += 1

        def stored(committed: Callable[[], None] | None) -> None:
            self.unsettled -= 1
            if committed is not None:
                committed()
            if then is not None:
                then()
            self._settled()

        def not_stored(failure: Failure) -> None:
            self.unsettled -= 1
            log.error("outcome_not_stored", upstream=self._upstream, error=failure.getErrorMessage())
            self._trouble()
            self._clock.callLater(RETRY_SECONDS, self.persist, writes, then, along)

        def work(conn: Connection) -> Callable[[], None]:
            assert along is not None
            execute_all(conn, writes)
            return along(conn)

        unit = self._store.writer.write(writes) if along is None else self._store.writer.run("outcome", work)
        unit.addCallbacks(stored, not_stored)
