"""POSTs of JSON documents: when they are tried again, when never, and how they are signed.

One mechanism for webhooks and status callbacks. Any 2xx ends a delivery; else it is tried again after
WAITS ± JITTER under the same id, then it is a dead letter (failed, `gave_up`); a replay begins the WAITS
anew. `Retry-After` may put the next try off, up to LONGEST_PUT_OFF or twice the planned wait; it never brings
it forward. 410 Gone ends it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random

from twisted.internet.defer import Deferred

from edge.handlers import Delivered, Failed, Job, Outcome, Retry
from edge.handlers.answers import heard
from edge.handlers.base import Tools
from edge.handlers.endpoints import Endpoints
from edge.handlers.signing import webhook_signature
from edge.http.answer import Answer
from edge.http.client import HTTPClient
from storage.endpoints import Endpoint

WAITS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)  # seconds before the second, third … attempt
JITTER = 0.2
LONGEST_PUT_OFF = 3600.0
GONE = 410


class Poster:
    """I post for a handler."""

    def __init__(
        self, http: HTTPClient, endpoints: Endpoints, random: Random, wall_ms: Callable[[], int]
    ) -> None:
        self._http = http
        self._endpoints = endpoints
        self._random = random
        self._wall_ms = wall_ms

    @classmethod
    def build(cls, tools: Tools) -> "Poster":
        """With what the server has."""
        return cls(tools.http, tools.endpoints, tools.random, tools.wall_ms)

    def post(self, job: Job, which: Endpoint, body: bytes, keys: Sequence[str]) -> Deferred[Outcome]:
        """One attempt at ``which``, unless it is paused; signed with every one of the keys."""

        def unless_paused(paused: bool) -> Outcome | Deferred[Outcome]:
            if paused:
                return Failed("endpoint_paused")
            return self._post(job, which, body, keys)

        return self._endpoints.paused(which).addCallback(unless_paused)

    def _post(self, job: Job, which: Endpoint, body: bytes, keys: Sequence[str]) -> Deferred[Outcome]:
        headers = self._headers(job, body, keys)
        return heard(
            self._http.post_json(job.delivery.target, body, headers),
            lambda answer: self._answered(answer, job, which),
            lambda reason, detail: self._again(job, which, reason, None, detail, 0.0),
        )

    def _headers(self, job: Job, body: bytes, keys: Sequence[str]) -> dict[str, str]:
        identity, timestamp = f"evt_{job.delivery.id}", self._wall_ms() // 1000
        headers = {
            "webhook-id": identity,
            "webhook-timestamp": str(timestamp),
            "webhook-attempt": str(job.attempt),
        }
        if keys:
            headers["webhook-signature"] = webhook_signature(keys, identity, timestamp, body)
        return headers

    def _answered(self, answer: Answer, job: Job, which: Endpoint) -> Outcome:
        if answer.successful:
            self._endpoints.succeeded(which)
            return Delivered("accepted", answer.status, answer.excerpt)
        if answer.status == GONE:
            self._endpoints.failed(which, "gone", job.delivery.id)
            return Failed("gone", answer.status, answer.excerpt)
        asked = retry_after(answer, self._wall_ms() / 1000)
        return self._again(job, which, "http_error", answer.status, answer.excerpt, asked)

    def _again(
        self, job: Job, which: Endpoint, outcome: str, status: int | None, excerpt: str, asked: float
    ) -> Outcome:
        self._endpoints.failed(which, outcome, job.delivery.id)
        wait = wait_after(job, self._random)
        if wait is None:
            return Failed("gave_up", status, excerpt)
        put_off = min(asked, max(LONGEST_PUT_OFF, 2 * wait))
        return Retry(outcome, max(wait, put_off), status, excerpt)


def wait_after(job: Job, random: Random) -> float | None:
    """Seconds until the next attempt of this turn of the schedule; None when it was the last."""
    if job.turn > len(WAITS):
        return None
    return WAITS[job.turn - 1] * random.uniform(1 - JITTER, 1 + JITTER)


def retry_after(answer: Answer, now: float) -> float:
    """Seconds that the server asks to be left alone for (RFC 9110 §10.2.3); 0 when it says nothing clear.

    ``now`` is in seconds since the Unix epoch.
    """
    written = (answer.header(b"retry-after") or "").strip()
    if written.isascii() and written.isdigit():
        return float(written[:9])
    try:
        at = parsedate_to_datetime(written)
        until = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        # The parser takes more than dates: years and zones that overflow, and shapes that it trips over.
        return 0.0
    return max(0.0, until - now)
