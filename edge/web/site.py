"""The one HTTP listener: limits, headers, an access line of our own, and the tree of what is served."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site

from edge.config import HTTPConfig
from edge.simulator.page import SimulatorPage
from edge.web.access_log import AccessLog
from edge.web.api import add_api
from edge.web.api.problems import problem_answer
from edge.web.channel import REQUEST_SECONDS, EdgeChannel
from edge.web.fields import MAX_FIELDS
from edge.web.headers import STATUS_LINES, HTTPDate
from edge.web.media import Media
from edge.web.pages import Portal, Root
from edge.web.pages.contacts.files import MAX_IMPORT_OCTETS
from edge.web.pages.page import Missing
from edge.web.pages.passwords import InThread, in_reactor_threads
from edge.web.program import Program
from edge.web.programs import make_programs
from edge.web.request import MAX_BODY_OCTETS, EdgeRequest
from edge.web.services import WebServices

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
KNOWN = frozenset({b"/", b"/livez", b"/startupz", b"/readyz", b"/login", b"/logout"})
PAGES = frozenset({b"static", b"media", b"simulator", b"messages", b"conversations", b"new"})
LARGE = {b"/contacts/import": MAX_IMPORT_OCTETS}
"""Paths whose requests may be larger than others."""

MAX_LARGE = 8
API_PREFIXES = (b"/v1/", b"/livez", b"/startupz", b"/readyz")


class EdgeSite(Site):
    """Twisted's Site with our channel, requests and access line.

    ``exact`` has the resources that are found by their whole path, ``branches`` those of a first segment
    ("v1") that find their own way from there; neither walks the tree.
    More than ``max_connections`` at the same time are turned away.
    """

    protocol = EdgeChannel  # type: ignore[assignment]
    requestFactory = EdgeRequest

    def __init__(
        self, root: Resource, portal: Portal, wall_ms: Callable[[], int], reactor: Any, http: HTTPConfig
    ) -> None:
        super().__init__(root, timeout=REQUEST_SECONDS, reactor=reactor, parsePOSTFormSubmission=False)
        self.exact: dict[bytes, IResource] = {}
        self._programs: dict[bytes, Program] = {}
        self.branches: dict[bytes, IResource] = {}
        self.date = HTTPDate(wall_ms)
        self._portal = portal
        self._log = AccessLog(http)
        self._clock = reactor
        self.max_connections = http.max_connections
        self.requests: Counter[tuple[str, str, str]] = Counter()
        """Since the start, by method, route and status."""
        self.channels: set[EdgeChannel] = set()
        self._drained: Deferred[None] | None = None

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self.channels)

    def closed(self, channel: EdgeChannel) -> None:
        """One connection is gone."""
        self.channels.discard(channel)
        if self._drained is not None and not self.channels:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def drain(self) -> Deferred[None]:
        """Close what stays idle, and what is busy after its answer; fires when no connection is left."""
        drained: Deferred[None] = Deferred(lambda _: self._give_up())
        self._drained = drained
        for channel in list(self.channels):
            channel.retire()
        if not self.channels and self._drained is not None:
            self._drained = None
            drained.callback(None)
        return drained

    def _give_up(self) -> None:
        self._drained = None

    def serve(self, programs: Mapping[bytes, Program]) -> None:
        """Put these where they are found by their whole path."""
        self._programs.update(programs)
        self.exact.update(programs)

    def max_body(self, path: bytes) -> int:
        """How many octets a request may bring there. Large ones are few at a time."""
        if path in LARGE and sum(channel.large for channel in self.channels) < MAX_LARGE:
            return LARGE[path]
        program = self._programs.get(path)
        return MAX_BODY_OCTETS if program is None else program.max_body

    def too_large(self, request: EdgeRequest, path: bytes, limit: int) -> None:
        """Answer one that brings more, in the language of the path."""
        program = self._programs.get(path)
        if program is not None:
            status, head, body = program.refusal(413)
        elif path.startswith(API_PREFIXES):
            detail = f"The body may have at most {limit} octets."
            status, head, body = 413, *problem_answer(413, "body_too_large", detail)
        else:
            status, head, body = self._portal.too_large(request, limit)
        request.channel.refuse(STATUS_LINES[status], head, body)

    def startFactory(self) -> None:
        """Twisted would begin its access log here."""

    def stopFactory(self) -> None:
        """And end it here."""

    def acceptableProtocols(self) -> list[bytes]:
        """For TLS: HTTP/1.1 is all that the channel speaks."""
        return [b"http/1.1"]

    def log(self, request: Any) -> None:
        """See `edge.web.access_log`."""
        self._log(request, self.now() - request.began)
        self.requests[self._method(request), self._route(request), str(request.code)] += 1

    def _method(self, request: Any) -> str:
        return request.method.decode() if request.method in METHODS else "other"

    def _route(self, request: Any) -> str:
        """Never the path itself: that has ids and numbers in it, and strangers make up what they like."""
        if request.route:
            return str(request.route)
        if request.path in self.exact or request.path in KNOWN:
            return str(request.path.decode())
        first = request.path[1:].partition(b"/")[0]
        return f"/{first.decode()}/…" if first in self.branches or first in PAGES else "other"

    def now(self) -> float:
        """Seconds on the reactor's clock."""
        seconds: float = self._clock.seconds()
        return seconds

    def branch(self, path: bytes) -> IResource | None:
        """The resource that answers for the first segment of a path, if one does."""
        return self.branches.get(path[1:].partition(b"/")[0])

    def refuse(self, request: EdgeRequest, status: int) -> None:
        """Answer an error that no resource answered, in the language of the path."""
        program = self._programs.get(request.path)
        if program is not None:
            request.respond(*program.refusal(status))
        elif request.path.startswith(API_PREFIXES):
            code, sentence = GENERAL[status]
            request.respond(status, *problem_answer(status, code, sentence))
        else:
            self._portal.refuse(request, status)


GENERAL = {
    400: ("too_many_fields", f"There are more than {MAX_FIELDS} fields."),
    500: ("internal_error", "The server made a mistake; it has been logged."),
}


def make_site(services: WebServices, *, in_thread: InThread | None = None) -> EdgeSite:
    """Everything that is served, from one port.

    ``in_thread`` runs what would hold up the reactor (passwords, large requests); the default is the
    reactor's threads.
    """
    in_thread = in_thread or in_reactor_threads(services.reactor)
    portal = Portal(services, in_thread)
    root = Root(portal)
    site = EdgeSite(root, portal, services.wall_ms, services.reactor, services.config.http)
    site.branches.update(add_api(root, services))
    site.serve(make_programs(services, portal.passwords, in_thread))
    root.putChild(b"media", Media(services, Missing(portal)))
    if services.simulator is not None:
        root.putChild(b"simulator", SimulatorPage(services.simulator, services.directory.known_numbers))
    return site
