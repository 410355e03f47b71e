"""treq on vetted ground: an `IAgent` over our own client, for handlers that want treq's interface.

    treq_over(http).get("https://example.net/", params={"id": "7"})

What treq sends goes through the same address checks, limits and connections as every callback. The response
is complete when it comes, at most 64 KiB; redirects are answers, not followed.
"""

from http.cookiejar import DefaultCookiePolicy
from typing import Any

from treq.client import HTTPClient as TreqClient
from treq.cookies import IndexableCookieJar
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer, IProtocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import RESPONSES, PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from edge.http.answer import Answer
from edge.http.client import HTTPClient

METHODS = frozenset({b"GET", b"POST", b"PUT", b"PATCH", b"DELETE"})
OURS = frozenset({b"host", b"user-agent", b"accept-encoding", b"connection", b"content-length"})
LINE_ENDS = (b"\r", b"\n", b"\0")


def treq_over(http: HTTPClient) -> TreqClient:
    """treq's client; no cookie of one customer's page is kept for another's."""
    return TreqClient(Agent(http), cookiejar=IndexableCookieJar(DefaultCookiePolicy(allowed_domains=[])))


@implementer(IAgent)
class Agent:
    """I send treq's requests. Errback `edge.http.errors.NoAnswer`."""

    def __init__(self, http: HTTPClient) -> None:
        self._http = http

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """See `twisted.web.iweb.IAgent`; a HEAD cannot be asked."""
        if method not in METHODS:
            return fail(ValueError(f"the method {method!r} is not one of {sorted(METHODS)}"))
        body = succeed(b"") if bodyProducer is None else _produced(bodyProducer)

        def send(octets: bytes) -> Deferred[Answer]:
            head = _lines(headers or Headers())
            if octets or method != b"GET":
                head += b"Content-Length: %d\r\n" % len(octets)
            return self._http.send(uri.decode("ascii"), method.decode("ascii"), head, octets)

        return body.addCallback(send).addCallback(Response)


@implementer(IResponse)
class Response:
    """A complete answer as Twisted's clients know it."""

    version = (b"HTTP", 1, 1)
    request: Any = None
    previousResponse: Any = None

    def __init__(self, answer: Answer) -> None:
        self.code = answer.status
        self.phrase = RESPONSES.get(answer.status, b"")
        self.headers = Headers()
        for name, value in answer.headers:
            self.headers.addRawHeader(name, value)
        self.length: Any = UNKNOWN_LENGTH if answer.cut else len(answer.body)
        self._answer = answer

    def deliverBody(self, protocol: IProtocol) -> None:
        """At once and whole; a body that was cut ends with PotentialDataLoss."""
        protocol.makeConnection(None)  # type: ignore[arg-type]
        protocol.dataReceived(self._answer.body)
        protocol.connectionLost(Failure(PotentialDataLoss() if self._answer.cut else ResponseDone()))

    def setPreviousResponse(self, response: IResponse) -> None:
        """See `IResponse`."""
        self.previousResponse = response


@implementer(IConsumer)
class _Gather:
    """I take what a body producer writes."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Nothing to hold back: memory takes it all."""

    def unregisterProducer(self) -> None:
        """It has written everything."""

    def write(self, data: bytes) -> None:
        """Some of it."""
        self.octets += data


def _produced(producer: IBodyProducer) -> Deferred[bytes]:
    gather = _Gather()
    done: Deferred[Any] = producer.startProducing(gather)
    return done.addCallback(lambda _: bytes(gather.octets))


def _lines(headers: Headers) -> bytes:
    """Header lines; those that the client sets itself are left out."""
    lines = []
    for name, values in headers.getAllRawHeaders():
        for value in values:
            if name.lower() not in OURS and not any(end in name + value for end in LINE_ENDS):
                lines.append(b"%s: %s\r\n" % (name, value))
    return b"".join(lines)
