"""Which servers a request may go to, from what DNS says of a domain (RFC 3263 §4, RFC 2782).

Nothing is asked here: these are the names to ask for, and the order in which answers are tried.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

PORTS = {"UDP": 5060, "TCP": 5060, "TLS": 5061}
"""Where a transport is when nobody says (RFC 3261 §19.1.2)."""

_SERVICES = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}
_PREFIXES = {"UDP": "_sip._udp", "TCP": "_sip._tcp", "TLS": "_sips._tcp"}


class Hop(NamedTuple):
    """One server by one transport: ``kind`` is UDP, TCP or TLS, ``host`` an address."""

    kind: str
    host: str
    port: int


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403 §4.1)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


def service_names(host: str, kind: str = "") -> list[tuple[str, str]]:
    """(kind, name to ask for SRV) of a domain: of one transport, or of each, when there is no NAPTR."""
    return [(found, f"{prefix}.{host}") for found, prefix in _PREFIXES.items() if kind in ("", found)]


def by_naptr(records: Iterable[Naptr]) -> list[tuple[str, str]]:
    """(kind, name to ask for SRV) as the domain's owner prefers; services that are not known are left out."""
    ordered = sorted(records, key=lambda record: (record.order, record.preference))
    return [
        (_SERVICES[record.service.upper()], record.replacement)
        for record in ordered
        if record.flags.lower() == "s" and record.service.upper() in _SERVICES and record.replacement
    ]


def by_srv(records: Iterable[Srv], draw: Callable[[], float]) -> list[Srv]:
    """In the order to be tried: by priority, and at random by weight within one (RFC 2782).

    ``draw`` gives a number from 0 up to, but not including, 1. A target of "." is no server.
    """
    left = sorted((record for record in records if record.target not in ("", ".")), key=lambda it: it[:2])
    tried: list[Srv] = []
    while left:
        first = [record for record in left if record.priority == left[0].priority]
        mark = draw() * (sum(record.weight for record in first) + 1)
        for record in first:  # those of weight 0 stand first, and come first with a small chance
            mark -= record.weight
            if mark < 1:
                break
        left.remove(record)
        tried.append(record)
    return tried
