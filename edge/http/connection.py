"""One connection of plain HTTP/1.1: a request, its response, and the next one while both sides keep it open.

The parser is httptools' (llhttp). Nothing is ever sent twice: a connection that dies before the first octet
of a response is an answer too (`connection_lost`), and another attempt is somebody else's decision.
"""

from collections.abc import Callable
from socket import MSG_PEEK, socket
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from OpenSSL import SSL
from service_identity.exceptions import VerificationError
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from edge.http.answer import Answer
from edge.http.errors import NoAnswer

MAX_BODY_OCTETS = 64 * 1024
MAX_HEAD_OCTETS = 32 * 1024
MAX_OCTETS = 1024 * 1024  # of a response with all that is no body: chunk lengths, trailers, 100 Continue


class Connection(Protocol):
    """I serve one request at a time. ``made`` may look at the transport and raise NoAnswer; ``gone`` is told
    of my end."""

    def __init__(self, made: Callable[[Any], None], gone: Callable[["Connection"], None]) -> None:
        self.open = True
        self.idle_since = 0.0
        self.generation = 0  # of the settings that it was made under; see the pool
        self.served = 0  # whole answers
        self.unanswered = False  # it ended with a request sent and no octet of an answer
        self.refused: NoAnswer | None = None
        self._made = made
        self._gone = gone
        self._waiting: Deferred[Answer] | None = None
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)  # RFC 9112 §2.2
        self._octets = 0
        self._begin()

    @property
    def reusable(self) -> bool:
        """Both sides keep it open, and nothing is under way."""
        return self.open and self._waiting is None

    def is_quiet(self) -> bool:
        """Has nothing come that the reactor has not read yet: no end, and (on plain TCP) nothing unasked?"""
        inner: Any = self.transport
        while (below := getattr(inner, "transport", None)) is not None:
            inner = below
        handle = inner.getHandle() if hasattr(inner, "getHandle") else None
        if not isinstance(handle, socket):
            return True
        try:
            octets = handle.recv(1, MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return bool(octets) and inner is not self.transport  # TLS talks of itself between answers

    def ask(self, request: bytes) -> Deferred[Answer]:
        """Send a request. Cancelling the Deferred closes the connection. Errback NoAnswer."""
        if not self.open:
            return fail(NoAnswer("connection_lost", "the connection was closed before the request"))
        asked: Deferred[Answer] = Deferred(self._cancelled)
        self._waiting = asked
        self._octets = 0
        self._begin()
        self.transport.write(request)  # type: ignore[union-attr]
        return asked

    def close(self) -> None:
        """Close it now, whatever is under way."""
        self.open = False
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    # -- what Twisted calls -----------------------------------------------------------------------

    def connectionMade(self) -> None:
        """The connection is there; whether it may be used is not decided yet."""
        transport: Any = self.transport
        try:
            self._made(transport)
        except NoAnswer as error:
            self.refused = error
            self.close()
            return
        transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """Octets of a response."""
        if self._waiting is None:
            self.close()  # nobody asked
            return
        self._octets += len(data)
        problem = self._feed(data)
        # Only now, with all octets parsed: who gets the answer may ask again on this connection at once.
        if self._answer is not None:
            self._complete()
        elif problem is not None:
            self._end(NoAnswer("answer_invalid", problem))
        elif self._octets > (MAX_OCTETS if self._head_done else MAX_HEAD_OCTETS):
            self._end(NoAnswer("answer_invalid", "there are too many octets before the body, or around it"))

    def _feed(self, data: bytes) -> str | None:
        """Parse; what is wrong. What follows a whole answer is nobody's, and ends the connection."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            problem = "the server changed the protocol"
        except HttpParserError as error:
            problem = f"this is not HTTP: {error}"
        else:
            return None
        self.open = False
        return problem

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other side closed, or the network did."""
        self.open = False
        if self._waiting is not None:
            if self._until_close and reason.check(ConnectionDone):
                self._ready()
                self._complete()
            else:
                self.unanswered = not self._octets
                self._fire(lost(reason))
        self._gone(self)

    # -- what the parser calls --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A response begins; a second one was not asked for."""
        if self._answer is not None:
            self.open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if self._answer is None:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole. A response with neither length nor chunks ends with the connection."""
        if self._answer is not None:
            return
        self._head_done = True
        self._status = self._parser.get_status_code()
        self._until_close = self._status >= 200 and not any(map(_delimits, self._headers))

    def on_body(self, octets: bytes) -> None:
        """Octets of the body, without the chunks' lengths. Of one that is too long the rest is not read."""
        if self._answer is not None:
            return
        self._body += octets
        if len(self._body) > MAX_BODY_OCTETS:
            self.open = False
            self._ready(cut=True)

    def on_message_complete(self) -> None:
        """The response is whole, unless it was only a 100 Continue or the like."""
        if self._answer is not None:
            return
        if self._status < 200:
            self._begin()
            return
        if not self._parser.should_keep_alive():
            self.open = False
        self._ready()

    # -- answers ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._status = 0
        self._head_done = False
        self._until_close = False
        self._answer: Answer | None = None

    def _ready(self, cut: bool = False) -> None:
        body = bytes(self._body[:MAX_BODY_OCTETS])
        self._answer = Answer(self._status, body, cut, tuple(self._headers))

    def _complete(self) -> None:
        """Hand the answer over, and close first what will not be used again: who is told may use it."""
        answer, self._answer = self._answer, None
        assert answer is not None
        self.served += 1
        if not self.open:
            self.close()
        self._fire(answer)

    def _end(self, error: NoAnswer) -> None:
        self.close()
        self._fire(error)

    def _fire(self, result: Answer | NoAnswer) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if isinstance(result, Answer):
            waiting.callback(result)
        else:
            waiting.errback(result)

    def _cancelled(self, _: Deferred[Answer]) -> None:
        self._waiting = None
        self.close()


def _delimits(header: tuple[bytes, bytes]) -> bool:
    """Does this header say where the body ends? `identity`, of old servers, does not (RFC 2616 §4.4)."""
    name, value = header
    if name == b"transfer-encoding":
        return value.strip().lower() != b"identity"
    return name == b"content-length"


def lost(reason: Failure) -> NoAnswer:
    """Why a connection ended before its response did."""
    error: Any = reason.value
    if isinstance(error, SSL.Error | VerificationError):
        return NoAnswer("tls_failed", _tls_detail(error))
    return NoAnswer("connection_lost", reason.getErrorMessage())


def _tls_detail(error: Exception) -> str:
    """OpenSSL says (library, function, reason), several times over."""
    words = [part for item in error.args if isinstance(item, list) for part in item]
    reasons = [str(part[-1]) for part in words if isinstance(part, tuple) and part]
    return "; ".join(reasons) or str(error) or type(error).__name__
