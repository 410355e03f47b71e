"""What is said when the store fails: once for each outage, by the writer, and not once for each message."""

from typing import Any

from twisted.python.failure import Failure

from storage.errors import StoreUnavailable


def not_stored(log: Any, event: str, failure: Failure, **fields: object) -> None:
    """Log that something could not be stored: as an error, unless the whole store is away.

    The writer says that when it begins and when it ends; here it is only for debugging, and counted by
    whoever calls.
    """
    say = log.debug if failure.check(StoreUnavailable) else log.error
    say(event, error=failure.getErrorMessage(), **fields)
