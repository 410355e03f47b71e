"""Finding the servers of a trunk: NAPTR, SRV and addresses, by the name servers (RFC 3263 §4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.names import client, dns
from twisted.names.error import DomainError
from twisted.python.failure import Failure

from edge.http.errors import NoAnswer
from edge.http.resolving import RESOLV_CONF, TRIES_SECONDS, NameResolver
from protocols.sip.locating import PORTS, Hop, Naptr, Srv, by_naptr, by_srv, service_names

MOST_SECONDS = 300.0
LEAST_SECONDS = 5.0


class Names(Protocol):
    """What is asked of DNS. Errback NoAnswer; a name that is not there has no records."""

    def addresses(self, host: str) -> Deferred[list[str]]: ...
    def naptr(self, name: str) -> Deferred[tuple[list[Naptr], float]]: ...
    def srv(self, name: str) -> Deferred[tuple[list[Srv], float]]: ...


class DNS:
    """I ask: ``servers`` if there are any, else those of resolv.conf. Records come with their time to
    live."""

    def __init__(self, reactor: Any, servers: Sequence[tuple[str, int]] = ()) -> None:
        self._hosts = NameResolver(reactor, servers)
        self._client = client.Resolver(
            resolv=None if servers else RESOLV_CONF,
            servers=list(servers) or None,
            timeout=TRIES_SECONDS,
            reactor=reactor,
        )

    def addresses(self, host: str) -> Deferred[list[str]]:
        """IPv4 and IPv6, from the hosts file too."""
        return self._hosts.addresses(host)

    def naptr(self, name: str) -> Deferred[tuple[list[Naptr], float]]:
        """The NAPTR records of a domain."""
        asked: Deferred[Any] = self._client.lookupNamingAuthorityPointer(name.encode("idna"))
        return asked.addCallbacks(_naptr_of, _none, errbackArgs=(name,))

    def srv(self, name: str) -> Deferred[tuple[list[Srv], float]]:
        """The SRV records of a service."""
        asked: Deferred[Any] = self._client.lookupService(name.encode("idna"))
        return asked.addCallbacks(_srv_of, _none, errbackArgs=(name,))


@dataclass(frozen=True, slots=True)
class Located:
    """Servers in the order to be tried, which may be believed for so many ``seconds``."""

    hops: tuple[Hop, ...]
    seconds: float


async def locate(names: Names, host: str, port: int, kind: str, draw: Callable[[], float]) -> Located:
    """The servers of a host; ``port`` 0 and ``kind`` "" are for DNS to say. Raises NoAnswer."""
    bare = host.strip("[]")
    if isIPAddress(bare) or isIPv6Address(bare):
        return Located((_hop(kind, bare, port),), MOST_SECONDS)
    if port:
        addresses = await names.addresses(host)
        return Located(tuple(_hop(kind, address, port) for address in addresses), LEAST_SECONDS)
    services, seconds = await _services(names, host, kind)
    hops: list[Hop] = []
    for found, name in services:
        records, alive = await names.srv(name)
        seconds = min(seconds, alive)
        for record in by_srv(records, draw):
            hops += [Hop(found, address, record.port) for address in await _some(names, record.target)]
    if not hops:
        hops = [_hop(kind, address, 0) for address in await names.addresses(host)]
        seconds = LEAST_SECONDS
    return Located(tuple(hops), max(seconds, LEAST_SECONDS))


async def _services(names: Names, host: str, kind: str) -> tuple[list[tuple[str, str]], float]:
    """(kind, name) of each service to ask for; by NAPTR when no transport is given."""
    if not kind:
        records, seconds = await names.naptr(host)
        found = by_naptr(records)
        if found:
            return found, min(seconds, MOST_SECONDS)
    return service_names(host, kind), MOST_SECONDS


async def _some(names: Names, target: str) -> list[str]:
    """The addresses of one server of several: one that cannot be looked up is left out."""
    try:
        return await names.addresses(target)
    except NoAnswer:
        return []


def _hop(kind: str, address: str, port: int) -> Hop:
    kind = kind or "UDP"
    return Hop(kind, address, port or PORTS[kind])


def _naptr_of(answer: Any) -> tuple[list[Naptr], float]:
    found = [header for header in answer[0] if isinstance(header.payload, dns.Record_NAPTR)]
    records = [
        Naptr(
            one.order,
            one.preference,
            one.flags.string.decode("latin-1"),
            one.service.string.decode("latin-1"),
            str(one.replacement),
        )
        for one in (header.payload for header in found)
    ]
    return records, _alive(found)


def _srv_of(answer: Any) -> tuple[list[Srv], float]:
    found = [header for header in answer[0] if isinstance(header.payload, dns.Record_SRV)]
    records = [
        Srv(one.priority, one.weight, one.port, str(one.target))
        for one in (header.payload for header in found)
    ]
    return records, _alive(found)


def _alive(headers: list[Any]) -> float:
    return min((float(header.ttl) for header in headers), default=LEAST_SECONDS)


def _none(failure: Failure, name: str) -> tuple[list[Any], float]:
    """That there is no such name is an answer; that nobody answers is not."""
    if failure.check(DomainError, dns.AuthoritativeDomainError):
        return [], LEAST_SECONDS
    raise NoAnswer("lookup_failed", f"{name} could not be looked up: {failure.getErrorMessage()}")
