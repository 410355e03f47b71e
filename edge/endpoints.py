"""Where to connect and listen."""

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

from edge.config import UpstreamConfig

CONNECT_SECONDS = 10.0


def endpoint_for(reactor: Any, config: UpstreamConfig) -> IStreamClientEndpoint:
    """The SMSC's endpoint; with ``tls`` its certificate is verified against the system's authorities."""
    plain = HostnameEndpoint(reactor, config.host.encode(), config.port, timeout=CONNECT_SECONDS)
    if not config.tls:
        return plain
    return wrapClientTLS(optionsForClientTLS(config.host), plain)


def host_and_port(listen: str) -> tuple[str, int]:
    """ "127.0.0.1:8080" or "[::1]:8080" taken apart."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)
