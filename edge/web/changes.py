"""A change with the note of who made it, in one transaction: for programs and people alike."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy import Connection

from storage import audit

T = TypeVar("T")


def noted(
    fn: Callable[[Connection], T],
    next_id: Callable[[], int],
    account_id: int,
    actor: str,
    action: str,
    subject: object,
    now_ms: int,
    detail: Mapping[str, object],
    address: str | None,
) -> Callable[[Connection], T]:
    """Do it, then note it; what raises is not noted, since it changes nothing.

    A ``subject`` that is known only when it is done is a function of the result.
    """

    def run(connection: Connection) -> T:
        result = fn(connection)
        audit.note(
            connection,
            next_id,
            account_id,
            actor,
            action,
            str(subject(result) if callable(subject) else subject),
            now_ms,
            detail=detail,
            address=address,
        )
        return result

    return run
