"""What an attempt's outcome says: pure, and on guard against handlers that are at fault themselves."""

from math import isfinite, isnan
from typing import Any

from edge.handlers import (
    EXCERPT_CHARACTERS,
    GIVE_UP_SECONDS,
    INTERNAL_ERROR,
    Delivered,
    Failed,
    Outcome,
    Retry,
)
from storage.text import storable

LONGEST_SECONDS = 366 * 86_400.0
"""No delivery is tried for longer, whatever its handler says."""

WORD_CHARACTERS = 100

BROKEN_SECONDS = (300.0, 6 * 3600.0)  # at first, and at most, after a handler's own fault
SERVER_ERRORS = range(500, 600)
TOO_MANY_REQUESTS = 429


def checked(outcome: Any) -> Outcome:
    """What a handler gave, as it can be stored and reckoned with: the one place where that is made sure of.

    Raises TypeError or ValueError for what is no outcome.
    """
    if not isinstance(outcome, Delivered | Retry | Failed):
        raise TypeError(f"{outcome!r} is no outcome")
    word, status, excerpt = _members(outcome)
    if not isinstance(word, str) or not isinstance(excerpt, str | None):
        raise TypeError(f"{outcome!r}: outcome and excerpt are texts")
    if not isinstance(status, int | None) or abs(status or 0) >= 2**31:
        raise TypeError(f"{outcome!r}: a status is a small number")
    word = storable(word[:WORD_CHARACTERS])
    status = None if status is None else int(status)
    excerpt = None if excerpt is None else storable(excerpt[:EXCERPT_CHARACTERS])
    match outcome:
        case Retry(after=after):
            return Retry(word, _seconds(after), status, excerpt)
        case Delivered():
            return Delivered(word, status, excerpt)
        case Failed():
            return Failed(word, status, excerpt)


def give_up_seconds(handler: object) -> float:
    """How long this handler's deliveries are tried, at most LONGEST_SECONDS. Raises what it is at fault."""
    return min(_number(getattr(handler, "give_up_seconds", GIVE_UP_SECONDS)), LONGEST_SECONDS)


def _seconds(written: Any) -> float:
    after = _number(written)
    if not (isfinite(after) and after >= 0):
        raise ValueError(f"{written!r}: the next try is so many seconds from now")
    return min(after, LONGEST_SECONDS)


def _number(written: Any) -> float:
    """Of any kind of number: a plain one. Raises TypeError or ValueError for what is none."""
    if isinstance(written, str | bytes | bytearray):
        raise TypeError(f"{written!r} is no number")
    number = float(written)
    if isnan(number):
        raise ValueError(f"{written!r} is no number")
    return number


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
