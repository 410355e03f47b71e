"""Addresses to listen on, and which two of them cannot both be had."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import combinations


@dataclass(frozen=True, slots=True)
class Listener:
    """One address: the key that names it, and the transport, ``tcp`` or ``udp``."""

    key: str
    address: str
    transport: str = "tcp"

    def excludes(self, other: "Listener") -> bool:
        """Can only one of them be had? A wildcard address takes the port of every address of its family."""
        host, _, port = self.address.rpartition(":")
        other_host, _, other_port = other.address.rpartition(":")
        if self.transport != other.transport or int(port) != int(other_port):
            return False
        return host == other_host or _overlap(host.strip("[]"), other_host.strip("[]"))


def clashes(listeners: Iterable[Listener]) -> Iterator[tuple[Listener, Listener]]:
    """Each pair of which the second would find its port taken."""
    return ((one, other) for one, other in combinations(listeners, 2) if one.excludes(other))


def _overlap(host: str, other: str) -> bool:
    try:
        one, two = ip_address(host), ip_address(other)
    except ValueError:
        return False
    return one.version == two.version and (one == two or one.is_unspecified or two.is_unspecified)
