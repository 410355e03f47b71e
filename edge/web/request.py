"""One HTTP request: its limits, how its resource is found, and an answer that leaves in one piece."""

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import structlog
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request

from edge.policy.allow_list import canonical
from edge.web.fields import TooManyFields, parse_fields
from edge.web.headers import GUARDS, NO_STORE, STATUS_LINES

if TYPE_CHECKING:
    from edge.web.channel import EdgeChannel
    from edge.web.site import EdgeSite

log = structlog.get_logger(__name__)

MAX_BODY_OCTETS = 1 << 20
FORM = b"application/x-www-form-urlencoded"
MAPPED = "::ffff:"  # what an IPv4 address begins with on a socket of both (RFC 4291 §2.5.5.2)
NO_CONTENT = 204


def origin_form(target: bytes) -> bytes:
    """The path and query of a request's target, which may be a whole URL (RFC 9112 §3.2.2)."""
    scheme, _, rest = target.partition(b"://")
    if target[:1] == b"/" or scheme.lower() not in (b"http", b"https"):
        return target
    authority = re.match(rb"[^/?#]*", rest)
    path = rest[authority.end() :] if authority else rest
    return path if path[:1] == b"/" else b"/" + path


class EdgeRequest(Request):
    """A request whose body may not be larger than its resource allows, announced or not.

    `respond` is the way to answer. Once the client has left ``gone`` is true, and `respond` does nothing.
    """

    channel: "EdgeChannel"

    defaultContentType = None
    gone = False
    began = 0.0
    """When it had arrived, on the reactor's clock."""
    route = ""
    """What it is counted under: the pattern of a route of the API, or a path that is always the same."""
    key_prefix = ""
    """Of the API key that asks, for the access line."""
    _received = 0
    _refused = False
    _limit = MAX_BODY_OCTETS

    # -- arriving ---------------------------------------------------------------------------------

    def gotLength(self, length: int | None) -> None:
        """The headers are there; ``length`` is None for a chunked body."""
        self._kept = self.content = BytesIO()
        self._limit = self.channel.site.max_body(self.channel.asked_path)
        self.channel.large = self._limit > MAX_BODY_OCTETS and (length is None or length > MAX_BODY_OCTETS)
        if length is not None and length > self._limit:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body."""
        self._received += len(data)
        if self._refused:
            return
        if self._received > self._limit:
            self._refuse()
        else:
            self._kept.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body is there too."""
        if self._refused:
            self.channel.loseConnection()
            return
        self.method, self.uri, self.clientproto = command, origin_form(path), version
        self.path = self.uri.partition(b"?")[0]
        self.process()

    def _refuse(self) -> None:
        self._refused = True
        self.requestHeaders.removeHeader(b"expect")  # or it would be told to continue
        self._kept = self.content = BytesIO()
        log.warning("http_body_too_large", limit=self._limit)
        self.channel.site.too_large(self, self.channel.asked_path, self._limit)

    # -- what is in it ----------------------------------------------------------------------------

    @property
    def body(self) -> bytes:
        """All of it."""
        return self._kept.getvalue()

    @property
    def query(self) -> bytes:
        """What stands after the "?", as it was sent."""
        return self.uri.partition(b"?")[2]

    @property
    def content_type(self) -> bytes:
        """The media type alone, in lower case; b"" when there is none."""
        values = self.requestHeaders.getRawHeaders(b"content-type")
        return values[0].partition(b";")[0].strip().lower() if values else b""

    @property
    def client_host(self) -> str:
        """The address at the other end of the connection; one of IPv4 as such, on a socket of both too."""
        address: IAddress = self.getClientAddress()
        host = str(getattr(address, "host", ""))
        return str(canonical(host)) if host.startswith(MAPPED) else host

    # -- finding its resource ---------------------------------------------------------------------

    def process(self) -> None:
        """Have the resource of this path answer; nothing that goes wrong in it reaches the client."""
        self.site = site = self.channel.site
        self.began = site.now()
        try:
            resource = site.exact.get(self.path) or site.branch(self.path)
            if resource is not None:
                resource.render(self)
            else:
                self._traverse(site)
        except Exception:
            self.processingFailed(Failure())

    def _traverse(self, site: "EdgeSite") -> None:
        """Twisted's own way, for everything that is not asked for thousands of times a second."""
        for name, value in (*GUARDS, NO_STORE, (b"Date", site.date())):
            self.setHeader(name, value)
        try:
            self.args = parse_fields(self.query)
            if self.content_type == FORM:
                for key, values in parse_fields(self.body).items():
                    self.args.setdefault(key, []).extend(values)
        except TooManyFields:
            site.refuse(self, 400)
            return
        self._kept.seek(0)
        self.prepath = []
        self.postpath = [unquote_to_bytes(element) for element in self.path[1:].split(b"/")]
        resource: IResource = site.getResourceFor(self)
        self.render(resource)

    # -- answering --------------------------------------------------------------------------------

    def respond(self, status: int, head: bytes, body: bytes) -> None:
        """Answer and be done. ``head`` is made by `edge.web.headers.lines`."""
        if self.gone:
            return
        channel = self.channel
        self.code = status
        self.startedWriting = 1
        self.sentLength = len(body)
        connection = b"" if channel.persistent else b"Connection: close\r\n"
        length = b"" if status == NO_CONTENT else b"Content-Length: %d\r\n" % len(body)  # RFC 9110 §8.6
        octets = b"%bDate: %b\r\n%b%b%b\r\n" % (
            STATUS_LINES[status],
            channel.site.date(),
            head,
            connection,
            length,
        )
        channel.write(octets if self.method == b"HEAD" else octets + body)
        self.finish()

    def stream(self, head: bytes) -> None:
        """Begin an answer of which only the beginning is there; ``write`` goes on with it, whole lines at a
        time, and `finish` ends it if it has an end."""
        channel = self.channel
        self.code = 200
        self.startedWriting = 1
        if self.clientproto == b"HTTP/1.1":
            self.chunked = 1
            head += b"Transfer-Encoding: chunked\r\n"
        else:
            channel.persistent = False
        head += b"" if channel.persistent else b"Connection: close\r\n"
        channel.write(b"%bDate: %b\r\n%b\r\n" % (STATUS_LINES[200], channel.site.date(), head))

    def abort(self) -> None:
        """Cut off a client that takes nothing: to close the connection would be to wait until it has taken
        what is written."""
        transport: Any = self.channel.transport
        if not self.gone and transport is not None:
            transport.abortConnection()

    def processingFailed(self, reason: Failure) -> Failure:
        """Our own mistake: all of it to the log, none of it to the client."""
        log.error("http_handler_broken", path=self.path.decode("latin-1"), error=reason.getTraceback())
        if self.startedWriting:
            self.loseConnection()  # what was begun cannot be mended
        elif not self.gone:
            self.channel.site.refuse(self, 500)
        return reason

    def connectionLost(self, reason: Any) -> None:
        """The client left before it was answered."""
        self.gone = True
        super().connectionLost(reason)
