"""Outgoing HTTP for handlers: treq over one tuned pool.

The pool keeps as many connections per host as we work in parallel (the stock two would open a new
one for nearly every request), and never repeats a request by itself: attempts are counted, and only
the outbox decides on another one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy

from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.internet import defer, error
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web._newclient import RequestNotSent
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from edge.handlers import EXCERPT_CHARACTERS, Outcome

GET_HEADERS = Headers({b"User-Agent": [b"Trunkline"]})
POST_HEADERS = Headers({b"User-Agent": [b"Trunkline"], b"Content-Type": [b"application/json"]})
MAX_ANSWER_OCTETS = 64 * 1024


@dataclass(frozen=True, slots=True)
class HTTPSettings:
    """Seconds, and connections kept open to one host."""

    timeout: float = 30.0
    connect_timeout: float = 10.0
    connections_per_host: int = 50


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, its body cut at MAX_ANSWER_OCTETS."""

    status: int
    body: bytes
    cut: bool

    @property
    def successful(self) -> bool:
        """2xx, and the body came whole."""
        return 200 <= self.status < 300 and not self.cut

    @property
    def excerpt(self) -> str:
        """The first characters of the body, whatever it is."""
        return self.body[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")[:EXCERPT_CHARACTERS]


class NoAnswer(Exception):
    """There was no usable response; ``reason`` is a short stable word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def heard(
    attempt: Deferred[Answer], answered: Callable[[Answer], Outcome], silent: Callable[[str, str], Outcome]
) -> Deferred[Outcome]:
    """The outcome of a request.

    ``answered`` judges a response, ``silent`` gets the reason and an excerpt of why there was none.
    """

    def no_answer(failure: Failure) -> Outcome:
        error = failure.value
        if not isinstance(error, NoAnswer):
            failure.raiseException()
            raise AssertionError
        return silent(error.reason, error.detail[:EXCERPT_CHARACTERS])

    return attempt.addCallbacks(answered, no_answer)


class HTTPSender:
    """I make requests for all handlers; I am closed with the server."""

    def __init__(self, reactor: IReactorTCP, settings: HTTPSettings) -> None:
        self._clock = IReactorTime(reactor)
        self._settings = settings
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = settings.connections_per_host
        self._pool.retryAutomatically = False
        agent = Agent(reactor, connectTimeout=settings.connect_timeout, pool=self._pool)
        # Pages of many customers are asked through this one client: none may leave a cookie for another.
        self._client = HTTPClient(
            agent, cookiejar=IndexableCookieJar(DefaultCookiePolicy(allowed_domains=[]))
        )
        self._lanes: dict[str, DeferredSemaphore] = {}

    def close(self) -> Deferred[None]:
        """Close the idle connections."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing

    def get(self, url: str) -> Deferred[Answer]:
        """GET; errback NoAnswer."""
        return self._request("GET", url, None, GET_HEADERS)

    def post_json(self, url: str, body: bytes) -> Deferred[Answer]:
        """POST of a JSON document; errback NoAnswer."""
        return self._request("POST", url, body, POST_HEADERS)

    def _request(self, method: str, url: str, body: bytes | None, headers: Headers) -> Deferred[Answer]:
        """One request at a time for each connection that is kept: a request beyond them would open a
        connection of its own and close it, which costs more than to wait."""
        origin = url[: url.index("/", url.index("//") + 2)]
        lane = self._lanes.get(origin)
        if lane is None:
            lane = self._lanes[origin] = DeferredSemaphore(self._settings.connections_per_host)

        def leave(result: Answer | Failure) -> Answer | Failure:
            lane.release()
            if lane.tokens == lane.limit and not lane.waiting:
                self._lanes.pop(origin, None)
            return result

        return lane.acquire().addCallback(lambda _: self._send(method, url, body, headers).addBoth(leave))

    def _send(self, method: str, url: str, body: bytes | None, headers: Headers) -> Deferred[Answer]:
        request = self._client.request(
            method,
            url,
            data=body,
            headers=headers,
            allow_redirects=False,
            unbuffered=True,
            browser_like_redirects=False,
        )
        answer: Deferred[Answer] = request.addCallback(_collect)
        timer = self._clock.callLater(self._settings.timeout, answer.cancel)

        def ended(result: Answer | Failure) -> Answer | Failure:
            if timer.active():
                timer.cancel()
            return result

        return answer.addBoth(ended).addErrback(_no_answer)


class _Body(Protocol):
    """I gather a body up to the limit, then drop the connection."""

    def __init__(self, status: int, done: Deferred[Answer]) -> None:
        self._status = status
        self._done: Deferred[Answer] | None = done
        self._octets = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        if len(self._octets) >= MAX_ANSWER_OCTETS:
            self._fire(cut=True)
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reason.check(ResponseDone, PotentialDataLoss):
            self._fire(cut=False)
        elif self._done is not None:
            done, self._done = self._done, None
            done.errback(reason)

    def abort(self) -> None:
        """Close the connection now."""
        transport = self.transport
        if transport is not None and hasattr(transport, "abortConnection"):
            transport.abortConnection()

    def _fire(self, cut: bool) -> None:
        done, self._done = self._done, None
        if done is not None:
            done.callback(Answer(self._status, bytes(self._octets[:MAX_ANSWER_OCTETS]), cut))


def _collect(response: IResponse) -> Deferred[Answer]:
    body: _Body

    def cancel(_: Deferred[Answer]) -> None:
        body.abort()

    done: Deferred[Answer] = Deferred(cancel)
    body = _Body(response.code, done)
    response.deliverBody(body)
    return done


# The order matters: the first class that fits names the reason.
REASONS = (
    (error.DNSLookupError, "no_such_host"),
    (error.ConnectionRefusedError, "connection_refused"),
    (error.TimeoutError, "connect_timeout"),
    (defer.CancelledError, "timeout"),
    (error.ConnectError, "connect_failed"),
    (ResponseNeverReceived, "connection_lost"),
    (ResponseFailed, "connection_lost"),
    (RequestNotSent, "connection_lost"),
    (error.ConnectionClosed, "connection_lost"),
)


def _no_answer(failure: Failure) -> Answer:
    """Name what went wrong; a cancelled request may hide in the reasons of a lost one."""
    reasons = getattr(failure.value, "reasons", None) or []
    if any(inner.check(defer.CancelledError) for inner in reasons):
        raise NoAnswer("timeout", "no complete answer in time")
    for kind, reason in REASONS:
        if failure.check(kind):
            raise NoAnswer(reason, failure.getErrorMessage())
    raise NoAnswer("request_failed", failure.getErrorMessage())
