"""The client that handlers use: GET and POST with limits, to origins that are vetted.

A request has one deadline for everything: its turn, looking the name up, connecting, the answer, and all
redirects. It is never repeated, and is redirected only as far as the settings say; each hop is vetted like
the first. Nothing is kept between requests but connections: no cookies, no cached answers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.ssl import optionsForClientTLS
from twisted.python.failure import Failure

from edge.http.addresses import PUBLIC_ONLY, AddressPolicy
from edge.http.answer import Answer
from edge.http.connecting import Connector, TLSOptions
from edge.http.connection import Connection
from edge.http.errors import NoAnswer, URLRefused
from edge.http.pool import Pool
from edge.http.resolving import Resolver
from edge.http.urls import USUAL_PORTS, Origin, Ports, is_target, split

REDIRECTS = frozenset({301, 302, 303, 307, 308})
SAME_METHOD = frozenset({307, 308})
ORIGINS_REMEMBERED = 4_096

_ORIGIN = re.compile(r"[^:/?#]*://[^/?#]*")


@dataclass(frozen=True, slots=True)
class HTTPSettings:
    """Seconds for the whole (the wait for a turn and redirects included) and for the connection alone;
    connections kept open to one origin; how many redirects are followed; which networks and ports may be
    reached."""

    timeout: float = 30.0
    connect_timeout: float = 10.0
    connections_per_host: int = 50
    max_redirects: int = 0
    addresses: AddressPolicy = PUBLIC_ONLY
    ports: Ports = USUAL_PORTS


@dataclass(frozen=True, slots=True)
class _Request:
    """What is sent, but for where. ``head`` are further header lines, each with its line end."""

    method: str
    head: bytes
    body: bytes


class HTTPClient:
    """I make requests for all handlers; I am closed with the server."""

    def __init__(
        self,
        reactor: Any,
        settings: HTTPSettings,
        resolver: Resolver,
        tls: TLSOptions = optionsForClientTLS,
    ) -> None:
        self._clock: IReactorTime = reactor
        self._settings = settings
        self._connector = Connector(reactor, resolver, settings.addresses, settings.connect_timeout, tls)
        self.pool = Pool(self._connector, reactor, settings.connections_per_host)
        self._origin = lru_cache(ORIGINS_REMEMBERED)(self._read_origin)

    def configure(self, settings: HTTPSettings) -> None:
        """Other settings, for what is asked from now on. No connection of before serves a request again: it
        may lead where none may go any more."""
        self._settings = settings
        self._connector.policy = settings.addresses
        self._connector.seconds = settings.connect_timeout
        self.pool.limit = settings.connections_per_host
        self._origin.cache_clear()
        self.pool.renew()

    def close(self) -> None:
        """Close the idle connections."""
        self.pool.close()

    def get(self, url: str) -> Deferred[Answer]:
        """GET; errback NoAnswer."""
        return self._in_time(self._follow(url, _Request("GET", b"", b""), self._settings.max_redirects))

    def post_json(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Deferred[Answer]:
        """POST of a JSON document; errback NoAnswer. ``headers`` are in ASCII, without line ends."""
        head = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        lines = b"%sContent-Type: application/json\r\nContent-Length: %d\r\n" % (
            head.encode("ascii"),
            len(body),
        )
        return self._in_time(self._follow(url, _Request("POST", lines, body), self._settings.max_redirects))

    def send(self, url: str, method: str, head: bytes, body: bytes) -> Deferred[Answer]:
        """Any other request, not redirected; for `edge.http.agent`."""
        return self._in_time(self._follow(url, _Request(method, head, body), 0))

    def _in_time(self, asking: Deferred[Answer]) -> Deferred[Answer]:
        """The whole within the time allowed; cancelling ends whatever it waits for just now."""
        timer = self._clock.callLater(self._settings.timeout, asking.cancel)

        def ended(result: Answer | Failure) -> Answer | Failure:
            if timer.active():
                timer.cancel()
            if isinstance(result, Failure) and result.check(CancelledError):
                raise NoAnswer("timeout", "no complete answer in time")
            return result

        return asking.addBoth(ended)

    def _follow(self, url: str, request: _Request, redirects: int) -> Deferred[Answer]:
        sent = self._once(url, request)
        if not redirects:
            return sent
        return sent.addCallback(lambda answer: self._redirected(answer, url, request, redirects))

    def _redirected(
        self, answer: Answer, url: str, request: _Request, redirects: int
    ) -> Answer | Deferred[Answer]:
        """Go on where the answer points to; a POST only where it is to be a POST again."""
        location = answer.header(b"location")
        follows = answer.status in (REDIRECTS if request.method == "GET" else SAME_METHOD)
        if location is None or not follows:
            return answer
        return self._follow(self._target(url, location), request, redirects - 1)

    def _target(self, url: str, location: str) -> str:
        """Where a redirect leads. What begins with https is never continued without TLS."""
        try:
            target = urljoin(url, location)
            here, there = self._address(url)[0], self._address(target)[0]
        except URLRefused as error:
            raise _refused_there(error) from error
        except ValueError as error:
            raise NoAnswer("redirect_refused", f"the page redirects to what is no URL: {error}") from error
        if here.scheme == "https" and there.scheme != "https":
            raise NoAnswer("redirect_refused", "a redirect from https leads to something else")
        return target

    def _once(self, url: str, request: _Request) -> Deferred[Answer]:
        try:
            origin, rest, host = self._address(url)
        except URLRefused:
            return fail(Failure())
        line = f"{request.method} {rest} HTTP/1.1\r\n".encode("ascii")
        octets = b"".join((line, host, request.head, b"\r\n", request.body))
        return self.pool.acquire(origin).addCallback(self._ask, origin, octets)

    def _address(self, url: str) -> tuple[Origin, str, bytes]:
        """The origin, the target, and the header lines that every request to the origin has."""
        written = _ORIGIN.match(url)
        if written is None:
            raise URLRefused("a URL begins with http:// or https://")
        origin, host = self._origin(written[0])
        rest = url[written.end() :].partition("#")[0]
        if not is_target(rest):
            raise URLRefused("path and query of a URL are printable ASCII")
        return origin, rest if rest.startswith("/") else f"/{rest}", host

    def _read_origin(self, written: str) -> tuple[Origin, bytes]:
        origin, _ = split(written, self._settings.ports)
        lines = f"Host: {origin.authority}\r\nUser-Agent: Trunkline\r\nAccept-Encoding: identity\r\n"
        return origin, lines.encode("ascii")

    def _ask(self, connection: Connection, origin: Origin, octets: bytes) -> Deferred[Answer]:
        def ended(result: Answer | Failure) -> Answer | Failure:
            self.pool.release(origin, connection)
            return result

        return connection.ask(octets).addBoth(ended)


def _refused_there(error: URLRefused) -> NoAnswer:
    """Where a page points to is its answer of today, not our URL."""
    return NoAnswer("redirect_refused", f"the page redirects to a URL that may not be asked: {error.detail}")
