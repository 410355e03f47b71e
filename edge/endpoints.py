"""Where to connect and listen."""

import socket
from ipaddress import ip_address
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamClientEndpoint

from edge.config import UpstreamConfig
from edge.tls import client_options


def endpoint_for(reactor: Any, config: UpstreamConfig) -> IStreamClientEndpoint:
    """The SMSC's endpoint, with TLS if it is so configured (see `edge.tls`)."""
    plain = HostnameEndpoint(
        reactor, config.host.encode(), config.port, timeout=config.connect_timeout_seconds
    )
    return wrapClientTLS(client_options(config), plain) if config.tls else plain


def host_and_port(listen: str) -> tuple[str, int]:
    """ "127.0.0.1:8080" or "[::1]:8080" taken apart."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def listen_tcp(reactor: Any, host: str, port: int, factory: Any) -> Any:
    """Listen at an address; one of IPv6 is a socket of IPv6 alone. Raises CannotListenError.

    By itself "::" has IPv4 too: "0.0.0.0" then finds its port taken, and networks, trunks and bans do not
    know the peers, whose addresses are ::ffff:a.b.c.d.
    """
    if not is_ipv6(host):
        return reactor.listenTCP(port, factory, interface=host)
    with _bound(host, port, socket.SOCK_STREAM) as sock:
        sock.listen()
        return reactor.adoptStreamPort(sock.fileno(), socket.AF_INET6, factory)


def listen_udp(reactor: Any, host: str, port: int, protocol: Any, max_octets: int) -> Any:
    """The same for datagrams of at most ``max_octets``."""
    if not is_ipv6(host):
        return reactor.listenUDP(port, protocol, host, maxPacketSize=max_octets)
    with _bound(host, port, socket.SOCK_DGRAM) as sock:
        return reactor.adoptDatagramPort(sock.fileno(), socket.AF_INET6, protocol, maxPacketSize=max_octets)


def is_ipv6(host: str) -> bool:
    """Is it an address of IPv6?"""
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def _bound(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    sock = None
    try:
        sock = socket.socket(socket.AF_INET6, kind)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind is socket.SOCK_STREAM:  # as Twisted does: a start soon after a stop finds its port free
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # An address may have a zone, which only the system can read (RFC 4007 §11).
        found = socket.getaddrinfo(host, port, socket.AF_INET6, kind, flags=socket.AI_NUMERICHOST)
        sock.bind(found[0][4])
    except OSError as error:
        if sock is not None:
            sock.close()
        raise CannotListenError(host, port, error) from error
    return sock
