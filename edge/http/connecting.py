"""A connection to an origin: look up, vet, connect to the vetted address, look again at who answered."""

from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Any

from twisted.internet import defer, error
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS
from twisted.python.failure import Failure

from edge.http.addresses import AddressPolicy
from edge.http.connection import Connection
from edge.http.errors import AddressRefused, NoAnswer
from edge.http.racing import Race
from edge.http.resolving import Resolver, vetted
from edge.http.urls import Origin

TLSOptions = Callable[[str], Any]

NEXT_SECONDS = 2.5
"""So long an address may be silent until the next one of its name is tried beside it."""


class Connector:
    """I open connections. ``tls`` makes the options for a host name: certificates are always verified."""

    def __init__(
        self,
        reactor: Any,
        resolver: Resolver,
        policy: AddressPolicy,
        seconds: float,
        tls: TLSOptions = optionsForClientTLS,
    ) -> None:
        self.policy = policy
        self._reactor = reactor
        self._clock: IReactorTime = reactor
        self._resolver = resolver
        self.seconds = seconds
        self._tls = tls

    def connect(self, origin: Origin, gone: Callable[[Connection], None]) -> Deferred[Connection]:
        """A new connection within the time allowed. The addresses are tried in order, the next one when the
        one before is silent for `NEXT_SECONDS` or refuses (RFC 8305 §5). Errback NoAnswer."""
        looked_up = vetted(self._resolver, origin, self.policy)
        connecting = looked_up.addCallback(lambda addresses: self._first(origin, addresses, gone))
        return connecting.addTimeout(self.seconds, self._clock).addCallbacks(_connected, _not_connected)

    def _first(
        self, origin: Origin, addresses: list[str], gone: Callable[[Connection], None]
    ) -> Deferred[Connection]:
        """The first address that takes the connection; the error of the last one otherwise."""
        ways = [partial(self._to, origin, address, gone) for address in addresses]
        return Race(ways, NEXT_SECONDS, self._clock, Connection.close, _is_final).run()

    def _to(self, origin: Origin, address: str, gone: Callable[[Connection], None]) -> Deferred[Connection]:
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        endpoint: Any = kind(self._reactor, address, origin.port, timeout=self.seconds)
        if origin.scheme == "https":
            try:
                endpoint = wrapClientTLS(self._tls(origin.host), endpoint)
            except ValueError as problem:
                return fail(NoAnswer("tls_failed", str(problem)))

        def made(transport: Any) -> None:
            self._vet_peer(origin, address, transport)

        connecting: Deferred[Connection] = endpoint.connect(
            Factory.forProtocol(lambda: Connection(made, gone))
        )
        return connecting

    def _vet_peer(self, origin: Origin, address: str, transport: Any) -> None:
        """It must be the address that was vetted, and not this machine by another name of its own."""
        peer, here = transport.getPeer().host, transport.getHost().host
        why = self.policy.refusal(peer)
        if why is None and ip_address(peer) != ip_address(address):
            why = f"not {address}, which was asked"
        if why is None and peer == here and not self.policy.is_allowed(peer):
            why = "this machine"
        if why is not None:
            raise AddressRefused(origin.host, peer, why)


# The order matters: the first class that fits names the reason.
REASONS = (
    (error.ConnectionRefusedError, "connection_refused"),
    (error.TimeoutError, "connect_timeout"),
    (defer.TimeoutError, "connect_timeout"),
    (error.ConnectError, "connect_failed"),
)


def _is_final(failure: Failure) -> bool:
    """Would it be the same at every address?"""
    return failure.check(NoAnswer) is not None


def _connected(connection: Connection) -> Connection:
    if connection.refused is not None:
        raise connection.refused
    return connection


def _not_connected(failure: Failure) -> Connection:
    if failure.check(NoAnswer):
        failure.raiseException()
    for kind, reason in REASONS:
        if failure.check(kind):
            raise NoAnswer(reason, failure.getErrorMessage())
    raise NoAnswer("request_failed", failure.getErrorMessage())
