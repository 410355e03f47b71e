"""The sockets: where phones and trunks come in, and connections that we open to them (RFC 3261 §18).

Each listener is an address; an IPv6 one is a socket of its own. A port that is taken fails the start.
"""

import socket
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.protocols.tls import TLSMemoryBIOFactory

from edge.certificate import Certificate, ServerContext
from edge.endpoints import listen_tcp, listen_udp
from edge.sip.connections import Connections, TLSSide
from edge.sip.ourselves import Ourselves
from protocols.sip.locating import Hop
from protocols.sip.transport import ConnectionFactory, Flow, Receiver, UDPTransport

MAX_DATAGRAM = 65_536
UDP_BUFFER = 1 << 19
"""Room for what comes while a turn of the reactor lasts; what finds none is lost, and comes again."""


def place(address: tuple[str, int]) -> str:
    """One of our addresses as bindings keep it."""
    return f"{address[0]} {address[1]}"


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
        ourselves: Ourselves,
        reactor: Any,
    ) -> None:
        self._ourselves = ourselves
        self._addresses = addresses
        self._certificate = certificate
        self._receiver = receiver
        self._reactor = reactor
        self._udp: list[UDPTransport] = []
        self._ports: list[Any] = []
        self.contexts: list[ServerContext] = []
        self._factories: list[ConnectionFactory] = []
        self._connections = Connections(receiver, reactor)

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
        for factory in self._factories:
            factory.close()
        self._connections.close()
        ports, self._ports = self._ports, []
        return DeferredList([maybeDeferred(port.stopListening) for port in ports])

    def datagrams_to(self, host: str, port: int, local: str | None = None) -> Flow | None:
        """The flow to an address by UDP, from our socket ``local`` when that is (still) there: a NAT lets in
        only what comes from where its phone sent to. None when no socket of its family is there."""
        family = [transport for transport in self._udp if (":" in transport.local[0]) == (":" in host)]
        same = [transport for transport in family if place(transport.local) == local]
        return (same or family)[0].flow(host, port) if family else None

    def connect(self, hop: Hop, tls: TLSSide | None = None) -> "Deferred[Flow]":
        """A connection to a place: see `edge.sip.connections`. (Phones are never called by TLS: they have
        no certificate to verify.)"""
        return self._connections.connect(hop, tls)

    def reached_at(self, hop: Hop) -> str:
        """host:port at which a server may reach us, by the transport that we reach it by (for Contact)."""
        for address, port in zip(self._addresses, self._ports, strict=True):
            if address.kind == hop.kind and (":" in address.host) == (":" in hop.host):
                return self._ourselves.at(port.getHost().host, port.getHost().port)
        return self._ourselves.public or self._ourselves.domain  # only by the connection that we open

    def _listen(self, address: Address) -> None:
        if address.kind == "UDP":
            transport = UDPTransport(self._receiver)
            self._udp.append(transport)
            udp = listen_udp(self._reactor, address.host, address.port, transport, MAX_DATAGRAM)
            if (sock := getattr(udp, "socket", None)) is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
            self._ports.append(udp)
            return
        factory = ConnectionFactory(address.kind, self._receiver, self._reactor)
        self._factories.append(factory)
        if address.kind in ("TLS", "WSS"):
            assert self._certificate is not None, "the configuration asks for it"
            context = self._certificate.context_factory()
            self.contexts.append(context)
            by_tls = TLSMemoryBIOFactory(context, False, factory)
            self._ports.append(listen_tcp(self._reactor, address.host, address.port, by_tls))
        else:
            self._ports.append(listen_tcp(self._reactor, address.host, address.port, factory))
