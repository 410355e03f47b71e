"""The status callback: the sender of a message is told its final state by a JSON POST.

    {"type": "message.status", "id": 7, "event_id": 9, "attempt": 1, "status": "delivered",
     "from": "+12025550100", "to": "+12025550150", "at": "2026-01-31T12:00:00.000Z"}

Any 2xx ends it; else it is tried again after growing waits, under the same delivery id.
"""

from datetime import UTC, datetime
from random import Random
from typing import ClassVar

import orjson
from twisted.internet.defer import Deferred

from edge.handlers import Delivered, Failed, Job, Outcome, Retry, origin
from edge.handlers.http import Answer, HTTPSender, heard

WAITS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)  # seconds before the second, third … attempt
JITTER = 0.2


class StatusHandler:
    """I make status callbacks: the delivery's target is the URL, its event the state that is told."""

    name = "status"
    ordered: ClassVar[bool] = False

    def __init__(self, http: HTTPSender, random: Random) -> None:
        self._http = http
        self._random = random

    def target_key(self, target: str) -> str:
        """See `edge.handlers.Handler`."""
        return origin(target)

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        return heard(
            self._http.post_json(job.delivery.target, document(job)),
            lambda answer: self._answered(answer, job),
            lambda reason, detail: self._again(job, reason, None, detail),
        )

    def _answered(self, answer: Answer, job: Job) -> Outcome:
        if answer.successful:
            return Delivered("accepted", answer.status, answer.excerpt)
        return self._again(job, "http_error", answer.status, answer.excerpt)

    def _again(self, job: Job, outcome: str, status: int | None, excerpt: str) -> Outcome:
        if job.attempt > len(WAITS):
            return Failed("gave_up", status, excerpt)
        wait = WAITS[job.attempt - 1] * self._random.uniform(1 - JITTER, 1 + JITTER)
        return Retry(outcome, wait, status, excerpt)


def document(job: Job) -> bytes:
    """The JSON body. ``event_id`` stays the same over all attempts, so a receiver can drop repeats."""
    at = datetime.fromtimestamp(job.delivery.created_at / 1000, UTC)
    return orjson.dumps(
        {
            "type": "message.status",
            "id": job.message.id,
            "event_id": job.delivery.id,
            "attempt": job.attempt,
            "status": job.delivery.event,
            "from": job.message.did,
            "to": job.message.peer,
            "at": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z",
        }
    )
