"""Which addresses outgoing HTTP may reach: a pure function with a deny table of its own.

The standard library's predicates are no guard: `ipaddress.is_global` of Python 3.11 is true for
64:ff9b::7f00:1, 2002:7f00:1::, ::127.0.0.1, fec0::1 and 224.0.0.1. Only what is in none of the networks
below is let through, and of IPv6 only global unicast (2000::/3) at all. An address that carries an IPv4
address is judged by that one. What the operator allows is allowed first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# IANA's special-purpose registries (RFC 6890 and its updates), and two that are special by custom.
DENIED = tuple(
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared address space (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's metadata service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "multicast tunnels (AMT)"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discarded"),
        ("100:0:0:1::/64", "a dummy prefix"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved for protocols"),  # anycast, benchmarks, AMT, AS112, ORCHID, DRIP: all in it
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment identifiers (SRv6)"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
MAPPED = IPv6Network("::ffff:0:0/96")
COMPATIBLE = IPv6Network("::/96")
TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765
NAT64 = IPv6Network("64:ff9b::/96")
ISATAP = (0x00005EFE, 0x02005EFE)  # bits 64 to 95, RFC 5214 §6.1


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """``allowed``: the operator's own networks, which may be reached although they are denied to all else."""

    allowed: tuple[Network, ...] = ()

    def refusal(self, written: str) -> str | None:
        """Why this address may not be reached, in a few words; None when it may."""
        try:
            address = ip_address(written)
        except ValueError:
            return "no address"
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return "link-local"
        return self._refusal(address)

    def is_allowed(self, written: str) -> bool:
        """True for an address in the operator's own networks, or one that carries such an address."""
        address = ip_address(written)
        embedded = carried(address) if isinstance(address, IPv6Address) else None
        return self._is_allowed(address) or (embedded is not None and self._is_allowed(embedded))

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self.allowed if network.version == address.version)

    def _refusal(self, address: Address) -> str | None:
        if self._is_allowed(address):
            return None
        if isinstance(address, IPv6Address):
            embedded = carried(address)
            if embedded is not None:
                return self._refusal(embedded)
            if address not in GLOBAL_UNICAST:
                return next((why for network, why in DENIED if address in network), "reserved")
            if is_isatap(address):
                return "ISATAP"
        return next((why for network, why in DENIED if address in network), None)


PUBLIC_ONLY = AddressPolicy()


def policy(networks: Iterable[str]) -> AddressPolicy:
    """The policy that allows these networks. Raises ValueError for one that is none."""
    return AddressPolicy(tuple(ip_network(network) for network in networks))


def is_network(written: str) -> bool:
    """True for a network such as 10.0.0.0/8 or an address."""
    try:
        ip_network(written)
    except (AddressValueError, ValueError):
        return False
    return True


def carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to a mapped, compatible, translated or NAT64 address end at."""
    if address in COMPATIBLE and int(address) <= 1:
        return None  # "::" and "::1" are addresses of IPv6's own
    if any(address in network for network in (MAPPED, COMPATIBLE, TRANSLATED, NAT64)):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def is_isatap(address: IPv6Address) -> bool:
    """True for an interface identifier that is made of an IPv4 address."""
    return int(address) >> 32 & 0xFFFFFFFF in ISATAP
