"""From what came back over HTTP to the outcome of an attempt."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge.handlers import EXCERPT_CHARACTERS, Failed, Outcome
from edge.http.answer import Answer
from edge.http.errors import NoAnswer, URLRefused


def heard(
    attempt: Deferred[Answer], answered: Callable[[Answer], Outcome], silent: Callable[[str, str], Outcome]
) -> Deferred[Outcome]:
    """The outcome of a request.

    ``answered`` judges a response, ``silent`` gets the reason and an excerpt of why there was none.
    A URL that may not be asked at all is the end: asking again would not help.
    """

    def no_answer(failure: Failure) -> Outcome:
        error = failure.value
        if not isinstance(error, NoAnswer):
            failure.raiseException()
            raise AssertionError
        if isinstance(error, URLRefused):
            return Failed(error.reason, excerpt=error.detail[:EXCERPT_CHARACTERS])
        return silent(error.reason, error.detail[:EXCERPT_CHARACTERS])

    return attempt.addCallbacks(answered, no_answer)
