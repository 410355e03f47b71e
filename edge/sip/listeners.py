"""The sockets: where phones come in, and connections that we open to them (RFC 3261 §18).

Each listener is an address; an IPv6 one is a socket of its own. A port that is taken fails the start.
"""

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint

from edge.certificate import Certificate
from protocols.sip.transport import ConnectionFactory, Flow, Receiver, UDPTransport

MAX_DATAGRAM = 65_536
CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Address:
    """One place to listen: kind UDP, TCP, TLS, WS or WSS; an address and a port (0: any that is free)."""

    kind: str
    host: str
    port: int


class Listeners:
    """I own the sockets of one server, from `start` to `stop`."""

    def __init__(
        self,
        addresses: tuple[Address, ...],
        certificate: Certificate | None,
        receiver: Receiver,
        reactor: Any,
    ) -> None:
        self._addresses = addresses
        self._certificate = certificate
        self._receiver = receiver
        self._reactor = reactor
        self._udp: list[UDPTransport] = []
        self._ports: list[Any] = []
        self._factories: list[ConnectionFactory] = []
        self._outgoing = ConnectionFactory("TCP", receiver, reactor)

    def start(self) -> None:
        """Listen everywhere. Raises CannotListenError, or SSL.Error for a bad certificate."""
        for address in self._addresses:
            self._listen(address)

    def bound(self, kind: str) -> list[tuple[str, int]]:
        """Where I listen for this kind: for tests and logs."""
        return [
            (port.getHost().host, port.getHost().port)
            for address, port in zip(self._addresses, self._ports, strict=True)
            if address.kind == kind
        ]

    def stop(self) -> Deferred[Any]:
        """Listen no more and close what is open."""
        for factory in (*self._factories, self._outgoing):
            factory.close()
        ports, self._ports = self._ports, []
        return DeferredList([maybeDeferred(port.stopListening) for port in ports])

    def datagrams_to(self, host: str, port: int) -> Flow | None:
        """The flow to an address by UDP; None when no socket of its family is there."""
        for transport in self._udp:
            if (":" in transport.local[0]) == (":" in host):
                return transport.flow(host, port)
        return None

    def connect(self, host: str, port: int) -> "Deferred[Flow]":
        """Open a connection to an address by TCP. (By TLS a phone would need a certificate to verify.)"""
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        endpoint = kind(self._reactor, host, port, timeout=CONNECT_SECONDS)
        connected: Deferred[Any] = endpoint.connect(self._outgoing)
        return connected

    def _listen(self, address: Address) -> None:
        if address.kind == "UDP":
            transport = UDPTransport(self._receiver)
            self._udp.append(transport)
            self._ports.append(
                self._reactor.listenUDP(address.port, transport, address.host, maxPacketSize=MAX_DATAGRAM)
            )
            return
        factory = ConnectionFactory(address.kind, self._receiver, self._reactor)
        self._factories.append(factory)
        if address.kind in ("TLS", "WSS"):
            assert self._certificate is not None, "the configuration asks for it"
            context = self._certificate.context_factory()
            port = self._reactor.listenSSL(address.port, factory, context, interface=address.host)
        else:
            port = self._reactor.listenTCP(address.port, factory, interface=address.host)
        self._ports.append(port)
