"""Which addresses an account's programs may come from: addresses, networks, wildcards, host names.

Written as people write it, "203.0.113.7, 198.51.100.0/24 192.0.2.* home.example.net"; `ANYWHERE` among
them stands for every address, `localhost` for those of this machine (RFC 6761, 6.3), and nothing at all for
none.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

ANYWHERE = "0.0.0.0"
MAX_CHARACTERS = 2_000
_SEPARATORS = re.compile(r"[,;\s]+")
_WILDCARD = re.compile(r"(?:[0-9]{1,3}\.){1,3}\*(?:\.\*){0,2}", re.ASCII)
_NAME = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.ASCII
)
_OCTETS = 4
_LOCALHOST = "localhost"
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))


class NotAnAddress(ValueError):
    """One of the words is no address, network, wildcard or host name; the text names it."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """A list that was read. ``names`` are host names, whose addresses have to be looked up."""

    anywhere: bool
    networks: tuple[IPv4Network | IPv6Network, ...]
    names: tuple[str, ...]

    def allows(self, address: str) -> bool:
        """May this address in, without asking for names?"""
        if self.anywhere:
            return True
        found = canonical(address)
        return found is not None and any(found in network for network in self.networks)


NOBODY = AllowList(False, (), ())


@lru_cache(1_024)
def read(written: str) -> AllowList:
    """Raises NotAnAddress."""
    words = [word for word in _SEPARATORS.split(written.strip().lower()) if word]
    networks: list[IPv4Network | IPv6Network] = []
    names = []
    for word in words:
        network = None if word == ANYWHERE else _network(word)
        if network is not None:
            networks.append(network)
        elif word == _LOCALHOST:
            networks += _LOOPBACK
        elif _NAME.fullmatch(word):
            names.append(word)
        elif word != ANYWHERE:
            raise NotAnAddress(word)
    return AllowList(ANYWHERE in words, tuple(networks), tuple(names))


def normal(written: str) -> str:
    """The same list with one blank between its words. Raises NotAnAddress."""
    if len(written) > MAX_CHARACTERS:
        raise NotAnAddress(f"a list of more than {MAX_CHARACTERS} characters")
    read(written)
    return " ".join(word for word in _SEPARATORS.split(written.strip().lower()) if word)


def canonical(address: str) -> IPv4Address | IPv6Address | None:
    """An address; one of IPv4 that is written as IPv6 becomes what it is."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _network(word: str) -> IPv4Network | IPv6Network | None:
    if _WILDCARD.fullmatch(word):
        octets = [octet for octet in word.split(".") if octet != "*"]
        word = f"{'.'.join(octets + ['0'] * (_OCTETS - len(octets)))}/{8 * len(octets)}"
    try:
        return ip_network(word, strict=False)
    except ValueError:
        return None
