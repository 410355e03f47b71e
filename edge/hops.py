"""One line in the log for each hop of a message, if they are wanted (`log.messages`): what came when, and
where it went, by the one id that the message keeps from end to end."""

from typing import Any

from edge import log as logging


def hop(log: Any, event: str, **fields: object) -> None:
    """``message`` is its id; no field has its text."""
    if logging.output.messages:
        log.info(event, **fields)
