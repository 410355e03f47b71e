"""One line for one request: what was asked, by whom, how it was answered; never the query or the body.

Twisted's own access log is not used: it takes its dates from the reactor's clock, which here is the monotonic
one.
"""

from typing import TYPE_CHECKING

import structlog

from edge.config import HTTPConfig
from edge.web.origin import client_address

if TYPE_CHECKING:
    from edge.web.request import EdgeRequest

log = structlog.get_logger(__name__)

FIRST_ERROR = 400
MAX_ADDRESS = 64
MEDIA = "/media/"


class AccessLog:
    """I write the lines that the configuration wants."""

    def __init__(self, config: HTTPConfig) -> None:
        self._from_status = {"all": 0, "errors": FIRST_ERROR, "off": 1_000}[config.access_log]
        self._proxied = bool(config.public_url)

    def __call__(self, request: "EdgeRequest", seconds: float) -> None:
        """A request was answered, so long after it had arrived."""
        if request.code < self._from_status:
            return
        log.info(
            "http_request",
            method=request.method.decode("latin-1"),
            path=without_tokens(request.path.decode("latin-1")),
            status=request.code,
            octets=request.sentLength,
            ms=round(seconds * 1000, 1),
            address=client_address(request, self._proxied)[:MAX_ADDRESS],
            key=request.key_prefix,
        )


def without_tokens(path: str) -> str:
    """A path without what would be a right in other hands: whoever reads the log may not see the media."""
    return f"{MEDIA}***" if path.startswith(MEDIA) else path
