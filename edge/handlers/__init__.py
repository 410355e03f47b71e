"""Handlers: each knows one way to hand a message on. One file a handler, one interface.

A handler is given one delivery and answers how this attempt ended. Whether and when there is
another attempt follows from the answer; the outbox (`edge.deliveries`) stores it. What a handler is to the
rest of the server (its settings, its targets) is in `edge.handlers.base`; which there are, in `registry`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred

from edge.http.answer import EXCERPT_CHARACTERS
from storage.records import DeliveryRecord, MessageRecord

__all__ = [
    "EXCERPT_CHARACTERS",
    "INTERNAL_ERROR",
    "Delivered",
    "Failed",
    "Handler",
    "Job",
    "Outcome",
    "Retry",
]

INTERNAL_ERROR = "internal_error"
"""The outcome when the handler itself is at fault."""

GIVE_UP_SECONDS = 7 * 86400.0
"""How long a delivery is tried, unless its handler says otherwise."""


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to be made: the delivery, its message, the attempt's number (from 1) and the
    handler's settings for the DID as they are now."""

    delivery: DeliveryRecord
    message: MessageRecord
    attempt: int
    settings: Mapping[str, object]

    @property
    def turn(self) -> int:
        """The attempt's number in its schedule, which a replay begins anew: what the next wait goes by."""
        return self.attempt - self.delivery.tries_before


@dataclass(frozen=True, slots=True)
class Delivered:
    """The target has it. ``outcome`` is a short stable word for people and programs."""

    outcome: str
    status_code: int | None = None
    excerpt: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not yet: try again ``after`` seconds from now, unless the delivery is older than its handler allows."""

    outcome: str
    after: float
    status_code: int | None = None
    excerpt: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It will never be delivered this way."""

    outcome: str
    status_code: int | None = None
    excerpt: str | None = None


Outcome = Delivered | Retry | Failed


class Handler(Protocol):
    """What the outbox needs of a handler.

    ``ordered``: a delivery waits until the earlier ones of its conversation to the same target are final;
    with a ``line`` (which a handler may lack) of "number" all earlier ones of our number, of "target" all.
    A delivery that has not ended after ``give_up_seconds`` (which it may lack too: GIVE_UP_SECONDS; at most a
    year) fails.
    ``attempt_seconds`` is how long an attempt may take, ``unwell`` says whether an outcome tells that the
    target as a whole takes nothing now (both, if lacking: as the outbox and HTTP have it).
    """

    name: str

    @property
    def ordered(self) -> bool: ...

    def target_key(self, target: str) -> str:
        """What deliveries share that fail together: `origin` for URLs."""
        ...

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """Make one attempt. Every trouble with the target is an Outcome; an errback is the handler's bug."""
        ...


@lru_cache(4_096)
def origin(target: str) -> str:
    """Scheme, host and port of a URL, in small letters; the target itself when it is no URL."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return target
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else target
