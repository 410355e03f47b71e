"""Where to connect and listen."""

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
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
