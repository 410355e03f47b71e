"""The one HTTP listener: limits before anything is buffered, an access line of our own, the tree of pages.

Twisted's own access log counts days from the reactor's clock, which here is the monotonic one.
"""

from typing import Any
from urllib.parse import parse_qs

import structlog
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from edge.simulator.page import SimulatorPage
from edge.web.api import add_api
from edge.web.pages import add_pages
from edge.web.services import WebServices

log = structlog.get_logger(__name__)

MAX_BODY_OCTETS = 1 << 20
IDLE_SECONDS = 60
FORM = b"application/x-www-form-urlencoded"
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class LimitedRequest(Request):
    """A request whose body may not be larger than MAX_BODY_OCTETS, announced or not."""

    _received = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        """The headers are there."""
        super().gotLength(min(length, MAX_BODY_OCTETS) if length else length)
        if length is not None and length > MAX_BODY_OCTETS:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body."""
        self._received += len(data)
        if self._received > MAX_BODY_OCTETS:
            self._refuse()
        elif not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body is there too."""
        if not self._refused:
            super().requestReceived(command, path, version)

    def process(self) -> None:
        """Forms are read here: Twisted's own way parses each content type as an e-mail header, which costs
        as much as the rest of the request."""
        if self.method == b"POST" and self.content is not None:
            content_type = self.requestHeaders.getRawHeaders(b"content-type", [b""])[0]
            if content_type.lower().startswith(FORM):
                self.args = {**self.args, **parse_qs(self.content.read(), True)}
                self.content.seek(0)
        super().process()

    def _refuse(self) -> None:
        channel = self.channel
        if self._refused or channel.transport is None:
            return
        self._refused = True
        log.warning("http_body_too_large", limit=MAX_BODY_OCTETS)
        channel.transport.write(TOO_LARGE)
        channel.loseConnection()


class EdgeSite(Site):
    """Twisted's Site with our requests and our access line: no query, no body, debug level."""

    requestFactory = LimitedRequest
    displayTracebacks = False

    def log(self, request: Any) -> None:
        """One line for one request."""
        log.debug(
            "http_request",
            method=request.method.decode("latin-1"),
            path=request.path.decode("latin-1"),
            status=request.code,
            octets=request.sentLength,
        )


def make_site(services: WebServices) -> Site:
    """Everything that is served, from one port."""
    root = Resource()
    root.putChild(b"", add_pages(root, services))
    add_api(root, services)
    if services.simulator is not None:
        root.putChild(b"simulator", SimulatorPage(services.simulator, services.directory.known_numbers))
    return EdgeSite(root, timeout=IDLE_SECONDS, parsePOSTFormSubmission=False)
