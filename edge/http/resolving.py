"""Names to addresses, all of them, without a thread: the hosts file, then the name servers.

Every address of a name is vetted, and one that may not be reached refuses the name: which of them would be
taken is not left to chance, or to whoever answers.
"""

from collections.abc import Sequence
from pathlib import Path
from socket import AF_INET6, inet_ntop
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.names import client, dns
from twisted.names.error import DomainError

from edge.http.addresses import AddressPolicy
from edge.http.errors import AddressRefused, NoAnswer
from edge.http.urls import Origin

HOSTS = Path("/etc/hosts")
RESOLV_CONF = "/etc/resolv.conf"
TRIES_SECONDS = (1, 2, 4)  # how long a name server may take, each time that it is asked


class Resolver(Protocol):
    """What the client needs of a resolver."""

    def addresses(self, host: str) -> Deferred[list[str]]:
        """Every address of a name. Errback NoAnswer when it has none or cannot be looked up."""
        ...


class NameResolver:
    """I look in the hosts file, then ask for A and AAAA: ``servers`` if there are any, else resolv.conf's."""

    def __init__(self, reactor: Any, servers: Sequence[tuple[str, int]] = (), hosts: Path = HOSTS) -> None:
        self._hosts = hosts
        self._client = client.Resolver(
            resolv=None if servers else RESOLV_CONF,
            servers=list(servers) or None,
            timeout=TRIES_SECONDS,
            reactor=reactor,
        )

    def addresses(self, host: str) -> Deferred[list[str]]:
        """See `Resolver`."""
        known = in_hosts(self._hosts, host)
        if known:
            return succeed(known)
        name = host.encode("ascii")
        asked = [self._client.lookupAddress(name), self._client.lookupIPV6Address(name)]
        return DeferredList(asked, consumeErrors=True).addCallback(_merged, host)


def vetted(resolver: Resolver, origin: Origin, policy: AddressPolicy) -> Deferred[list[str]]:
    """The addresses of an origin, each of which may be reached. Errback AddressRefused or NoAnswer."""

    def vet(addresses: list[str]) -> list[str]:
        for address in addresses:
            why = policy.refusal(address)
            if why is not None:
                raise AddressRefused(origin.host, address, why)
        return addresses

    found = succeed([origin.host]) if origin.is_address else resolver.addresses(origin.host)
    return found.addCallback(vet)


def in_hosts(file: Path, host: str) -> list[str]:
    """The addresses that a hosts(5) file has for a name."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    entries = [line.partition("#")[0].split() for line in lines]
    wanted = host.lower()
    return [entry[0] for entry in entries if wanted in (name.lower() for name in entry[1:])]


def _merged(results: list[tuple[bool, Any]], host: str) -> list[str]:
    found = [address for good, result in results if good for address in _addresses(result)]
    if not found:
        raise _no_addresses(results, host)
    return list(dict.fromkeys(found))


def _addresses(result: tuple[list[dns.RRHeader], ...]) -> list[str]:
    records: list[Any] = [header.payload for header in result[0]]
    return [
        record.dottedQuad() if isinstance(record, dns.Record_A) else inet_ntop(AF_INET6, record.address)
        for record in records
        if isinstance(record, dns.Record_A | dns.Record_AAAA)
    ]


def _no_addresses(results: list[tuple[bool, Any]], host: str) -> NoAnswer:
    failures = [result for good, result in results if not good]
    if all(failure.check(DomainError, dns.AuthoritativeDomainError) for failure in failures):
        return NoAnswer("no_such_host", f"{host} has no address")
    return NoAnswer("lookup_failed", f"{host} could not be looked up: no name server answered")
