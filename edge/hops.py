"""Each hop of a message, told to whoever wants to know: a line in the log (`log.messages`), a span for
OpenTelemetry (`[tracing]`). By the one id that the message keeps from end to end, and never with its text.
"""

from typing import TYPE_CHECKING, Any

from edge import log as logging

if TYPE_CHECKING:
    from edge.tracing import Tracing

tracing: "Tracing | None" = None
"""Makes the spans of this process, while there is a [tracing] table: its module, and all of OpenTelemetry, is
imported then only."""


def wanted() -> bool:
    """Would anybody read it? For what costs something to find out."""
    return logging.output.messages or tracing is not None


def hop(log: Any, event: str, began_ms: int | None, **fields: Any) -> None:
    """A hop is over that began at ``began_ms`` (None: it takes no time). ``message`` is the message's id."""
    if logging.output.messages:
        log.info(event, **fields)
    if tracing is not None:
        tracing.span(event, began_ms, **fields)
