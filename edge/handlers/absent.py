"""A handler that this server is not configured for: what it owes waits, and then fails with a clear word.

So a table that was taken out of the configuration by mistake, or for a day, loses nothing.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from edge.handlers import Failed, Job, Outcome, Retry

WAIT_SECONDS = 300.0
KEEP_SECONDS = 72 * 3600.0
OUTCOME = "not_configured"


class Absent:
    """I stand for the handler of this ``name``; ``ordered`` and ``line`` are as it has them."""

    def __init__(
        self, name: str, wall_ms: Callable[[], int], ordered: bool = False, line: str = "conversation"
    ) -> None:
        self.name = name
        self.ordered = ordered
        self.line = line
        self._wall_ms = wall_ms

    def target_key(self, target: str) -> str:
        """All of it waits for one thing: a configuration."""
        return ""

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        left = KEEP_SECONDS - (self._wall_ms() - job.delivery.begun_at) / 1000
        if left <= 0:
            return succeed(Failed(OUTCOME))
        return succeed(Retry(OUTCOME, min(WAIT_SECONDS, left)))
