"""What an attempt's outcome says: pure, and on guard against handlers that are at fault themselves."""

from math import isfinite
from typing import Any

from edge.handlers import INTERNAL_ERROR, Delivered, Failed, Outcome, Retry

BROKEN_SECONDS = (300.0, 6 * 3600.0)  # at first, and at most, after a handler's own fault
SERVER_ERRORS = range(500, 600)
TOO_MANY_REQUESTS = 429


def checked(outcome: Any) -> Outcome:
    """What a handler gave. Raises TypeError or ValueError for no outcome, or one that cannot be stored."""
    if not isinstance(outcome, Delivered | Retry | Failed):
        raise TypeError(f"{outcome!r} is no outcome")
    word, status, excerpt = _members(outcome)
    if not isinstance(word, str) or not isinstance(excerpt, str | None):
        raise TypeError(f"{outcome!r}: outcome and excerpt are texts")
    if not isinstance(status, int | None) or abs(status or 0) >= 2**31:
        raise TypeError(f"{outcome!r}: a status is a small number")
    if isinstance(outcome, Retry) and not (isfinite(outcome.after) and outcome.after >= 0):
        raise ValueError(f"{outcome!r}: the next try is so many seconds from now")
    return outcome


def answered(outcome: Outcome) -> bool:
    """Was the target there, whatever it said about this message?"""
    return isinstance(outcome, Delivered) or outcome.status_code is not None


def unwell(outcome: Outcome) -> bool:
    """Does this say that the target as a whole takes nothing now: no answer, or a server's that cannot?"""
    if isinstance(outcome, Delivered):
        return False
    status = outcome.status_code
    if status is None:
        return isinstance(outcome, Retry)
    return status in SERVER_ERRORS or status == TOO_MANY_REQUESTS


def after_fault(age_seconds: float) -> Retry:
    """When a handler broke: again when as much time has passed once more, so there are few such attempts."""
    first, longest = BROKEN_SECONDS
    return Retry(INTERNAL_ERROR, min(max(first, age_seconds), longest))


def in_time(outcome: Outcome, age_seconds: float, give_up_seconds: float) -> Outcome:
    """The end, when another attempt would come after the time that there is."""
    if not isinstance(outcome, Retry) or age_seconds + outcome.after <= give_up_seconds:
        return outcome
    why = INTERNAL_ERROR if outcome.outcome == INTERNAL_ERROR else "gave_up"
    return Failed(why, outcome.status_code, outcome.excerpt)


def _members(outcome: Outcome) -> tuple[Any, Any, Any]:
    """Outcome, status and excerpt; nobody has checked their types."""
    return outcome.outcome, outcome.status_code, outcome.excerpt
