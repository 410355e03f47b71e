"""One HTTP connection: how long a request may take to arrive, what becomes of one that is too large, and how
the connection ends when the server does."""

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from edge.web.headers import STATUS_LINES, lines
from edge.web.request import origin_form

if TYPE_CHECKING:
    from edge.web.site import EdgeSite

REQUEST_SECONDS = 60
LINGER_SECONDS = 3
FIRST_SECONDS = 1.0  # at the end: who has just connected has not asked yet, but means to
NEXT_SECONDS = 0.1  # who has had an answer may have written again before he could see that we leave
MAX_HEADERS = 100
BUSY_HEAD = lines(((b"Retry-After", b"5"),))


class EdgeChannel(HTTPChannel):
    """Twisted's channel with a time-out for the whole request.

    Twisted begins the time-out anew with each read, so one octet a minute holds a connection for ever.
    Here it runs from a request's first octet to its last, and between requests.
    """

    site: "EdgeSite"
    maxHeaders = MAX_HEADERS
    streaming = False
    large = False
    """Is a request here, or coming, that may be larger than others?"""

    _fresh = True
    _idle = True
    _retired = False
    _leaving: IDelayedCall | None = None

    @property
    def asked_path(self) -> bytes:
        """The path of the request that is arriving, before there is a request."""
        return origin_form(self._path).partition(b"?")[0]

    def connectionMade(self) -> None:
        """One more; if that is too many, it is told so and closed at once."""
        super().connectionMade()
        site = self.site
        site.channels.add(self)
        if len(site.channels) > site.max_connections:
            self.refuse(STATUS_LINES[503], BUSY_HEAD, b"")
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """One less."""
        if self._leaving is not None and self._leaving.active():
            self._leaving.cancel()
        super().connectionLost(reason)
        self.site.closed(self)

    def retire(self) -> None:
        """The server ends: close the connection, after the answer that is owed if one is, or that will be in
        a moment. A stream has no end of its own, and its reader comes back to where it was."""
        self._retired = True
        if self.requests:  # one that comes asks `checkPersistence`; until then Twisted would drop it
            self.persistent = False
        if self.transport is None:
            return
        if self.streaming:
            self.loseConnection()
        elif self._idle and self._leaving is None:
            self._leave_in(FIRST_SECONDS if self._fresh else NEXT_SECONDS)

    def begin_stream(self) -> None:
        """What is answered now has no end of its own."""
        self.streaming = True
        if self._retired and self._leaving is None:
            self._leave_in(0)

    def _leave_in(self, seconds: float) -> None:
        self._leaving = self.callLater(seconds, self._read_once_more)

    def _read_once_more(self) -> None:
        """Closed with octets that nobody has read, the connection would be reset: the reactor reads first."""
        self._leaving = self.callLater(0, self._leave)

    def _leave(self) -> None:
        self._leaving = None  # a stream that begins later leaves by itself
        if self._idle or self.streaming:
            self.loseConnection()

    def checkPersistence(self, request: object, version: bytes) -> bool:
        """Whether another request may follow."""
        return not self._retired and super().checkPersistence(request, version)

    def dataReceived(self, data: bytes) -> None:
        """Octets, of any number."""
        if self._idle:
            self._fresh = self._idle = False
            self.resetTimeout()
        LineReceiver.dataReceived(self, data)

    def requestDone(self, request: object) -> None:
        """A request has been answered."""
        self._idle, self.streaming, self.large = True, False, False
        super().requestDone(request)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A request line or header that is longer than we buffer."""
        self.refuse(b"HTTP/1.1 431 Request Header Fields Too Large\r\n", b"", b"")
        self.loseConnection()

    def refuse(self, status_line: bytes, head: bytes, body: bytes) -> None:
        """Answer before the request is here.

        The connection is closed when the rest has arrived or LINGER_SECONDS later: closing it while the
        client still writes would reset it, and the client would never read the answer.
        """
        if self.transport is None:
            return
        length = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(status_line + head + length + body)
        self.setTimeout(LINGER_SECONDS)
