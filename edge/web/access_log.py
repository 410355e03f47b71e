"""One line for one request: what was asked, by whom, how it was answered; never the query or the body.

Twisted's own access log is not used: it takes its dates from the reactor's clock, which here is the monotonic
one.
"""

from typing import TYPE_CHECKING

import structlog

from edge.config import HTTPConfig

if TYPE_CHECKING:
    from edge.web.request import EdgeRequest

log = structlog.get_logger(__name__)

FIRST_ERROR = 400


class AccessLog:
    """I write the lines that the configuration wants."""

    def __init__(self, config: HTTPConfig) -> None:
        self._from_status = {"all": 0, "errors": FIRST_ERROR, "off": 1_000}[config.access_log]

    def __call__(self, request: "EdgeRequest", seconds: float) -> None:
        """A request was answered, so long after it had arrived."""
        if request.code < self._from_status:
            return
        log.info(
            "http_request",
            method=request.method.decode("latin-1"),
            path=request.path.decode("latin-1"),
            status=request.code,
            octets=request.sentLength,
            ms=round(seconds * 1000, 1),
            address=request.client_host,
            key=request.key_prefix,
        )
