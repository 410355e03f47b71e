"""Work at the end of something: it may take so long, and what fails is told and holds nothing up."""

from typing import Any

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 5.0  # for what was taken and is not answered, when a link or a connection is to end


def at_most(work: Deferred[Any], seconds: float, clock: IReactorTime) -> Deferred[Any]:
    """Fires when it is done, has failed, or the time is over; never an errback."""
    return work.addTimeout(seconds, clock, _too_late).addErrback(
        lambda failure: log.warning("drain_incomplete", error=failure.getErrorMessage())
    )


def _too_late(_: object, seconds: float) -> None:
    """A list that is cancelled fires as if it were done (`DeferredList`)."""
    raise TimeoutError(f"not over after {seconds:g} s")


def quietly(work: Any) -> Deferred[Any]:
    """Fires when it is done or has failed; never an errback."""
    done: Deferred[Any] = work if isinstance(work, Deferred) else succeed(work)
    return done.addErrback(lambda failure: log.warning("stop_failed", error=failure.getErrorMessage()))
