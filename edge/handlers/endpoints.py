"""Endpoints that fail: remembered since when, and paused after days of nothing but failure.

A paused endpoint is asked no more: what is due for it becomes a dead letter at once, until somebody resumes
it (`trunkline endpoint resume`, the API, or by switching the handler on again); then the dead letters can be
replayed. The owner is told by an event in the feed, by the API, and on the portal's pages.
One that answers well is not remembered at all, so nothing is written while all is well. After a long silence
nobody knows what it would have answered meanwhile, so the days are counted anew.
"""

from collections.abc import Callable

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge.handlers import origin
from storage import endpoints, events
from storage.endpoints import Endpoint, EndpointRecord
from storage.store import Store

log = structlog.get_logger(__name__)

BY_ORIGIN = frozenset({"status"})  # each message may have a URL of its own there
PAUSE_AFTER_SECONDS = 5 * 86400.0
SILENCE_MS = 36 * 3_600_000  # longer than the longest wait of a schedule, Retry-After included
REMEMBERED_EACH_MS = 3_600_000  # how often the last failure is written
FORGET_EACH_MS = 3_600_000  # how often it is looked which have been silent for too long


class Endpoints:
    """I watch the endpoints of all handlers that post."""

    def __init__(
        self, store: Store, wall_ms: Callable[[], int], pause_after_seconds: float = PAUSE_AFTER_SECONDS
    ) -> None:
        self._store = store
        self._wall_ms = wall_ms
        self.pause_after_seconds = pause_after_seconds
        self._failing: dict[Endpoint, EndpointRecord] = {}
        self._looked_at = wall_ms()

    def start(self) -> Deferred[None]:
        """Learn which failed before this server started."""
        return self._store.read(endpoints.failing).addCallback(self._restore)

    def paused(self, which: Endpoint) -> Deferred[bool]:
        """May it not be asked? A pause is confirmed in the store: another process may have ended it."""
        known = self._failing.get(which)
        if known is None or known.paused_at is None:
            return succeed(False)
        return self._store.read(endpoints.find, which).addCallback(self._confirmed, which)

    def succeeded(self, which: Endpoint) -> None:
        """It answered well."""
        if self._failing.pop(which, None) is not None:
            log.info("endpoint_recovered", handler=which.handler, account=which.account_id)
            self._store.writer.run(
                "endpoint recovered", lambda conn: endpoints.forget(conn, which)
            ).addErrback(self._not_stored)

    def failed(self, which: Endpoint, outcome: str, delivery_id: int) -> None:
        """It did not."""
        now_ms = self._wall_ms()
        if now_ms - self._looked_at >= FORGET_EACH_MS:
            self._forget_silent(now_ms)
        known = self._failing.get(which)
        if known is None or (known.paused_at is None and now_ms - known.last_failed_at > SILENCE_MS):
            self._put(EndpointRecord(*which, now_ms, None, outcome, now_ms))
        elif known.paused_at is None and now_ms - known.failing_since >= self.pause_after_seconds * 1000:
            self._pause(
                known._replace(paused_at=now_ms, last_outcome=outcome, last_failed_at=now_ms), delivery_id
            )
        elif now_ms - known.last_failed_at >= REMEMBERED_EACH_MS:
            self._put(known._replace(last_outcome=outcome, last_failed_at=now_ms))

    def _pause(self, record: EndpointRecord, delivery_id: int) -> None:
        """Its owner is told in the same transaction."""
        days = (record.last_failed_at - record.failing_since) / 86_400_000
        log.warning(
            "endpoint_paused",
            handler=record.handler,
            account=record.account_id,
            failing_days=round(days, 1),
            outcome=record.last_outcome,
        )
        notice = (record.account_id, events.Kind.ENDPOINT_PAUSED, delivery_id, record.last_failed_at)
        self._put(record, notice)

    def _put(self, record: EndpointRecord, *notices: tuple[int | None, events.Kind, int, int]) -> None:
        self._failing[record.endpoint] = record

        def put(conn: Connection) -> None:
            endpoints.put(conn, record)
            events.write(conn, notices)

        self._store.writer.run("endpoint failing", put).addErrback(self._not_stored)

    def _forget_silent(self, now_ms: int) -> None:
        """What is counted anew when it fails next need not be remembered."""
        self._looked_at = now_ms
        before_ms = now_ms - SILENCE_MS - REMEMBERED_EACH_MS
        silent = [
            which
            for which, known in self._failing.items()
            if known.paused_at is None and known.last_failed_at < before_ms
        ]
        for which in silent:
            del self._failing[which]
        if silent:
            self._store.writer.run(
                "silent endpoints", lambda conn: endpoints.forget_silent(conn, before_ms)
            ).addErrback(self._not_stored)

    def _restore(self, records: list[EndpointRecord]) -> None:
        self._failing = {record.endpoint: record for record in records}

    def _confirmed(self, record: EndpointRecord | None, which: Endpoint) -> bool:
        if record is not None and record.paused_at is not None:
            return True
        if record is None:
            self._failing.pop(which, None)
        else:
            self._failing[which] = record
        return False

    def _not_stored(self, failure: Failure) -> None:
        """The next answer of the endpoint says the same again."""
        log.error("endpoint_not_stored", error=failure.getErrorMessage())


def known_as(handler: str, url: str) -> str:
    """What an endpoint of this handler is known as, by a URL that it was or may be asked with."""
    return origin(url) if handler in BY_ORIGIN else bare(url)


def bare(url: str) -> str:
    """A URL as an endpoint is known: without its query, which may differ each time."""
    return url.partition("#")[0].partition("?")[0]
