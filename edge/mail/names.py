"""What mail asks the DNS for: the mail exchanges of a domain (RFC 5321 §5.1, RFC 7505), and texts."""

import re
from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.names import client, dns
from twisted.names.error import DNSNameError
from twisted.python.failure import Failure

from edge.http.errors import NoAnswer
from edge.http.resolving import RESOLV_CONF, TRIES_SECONDS, Resolver

MAX_NAME = 253  # characters, RFC 1035 §2.3.4
_NAME = re.compile(r"(?:[!-\-/-~]{1,63}\.)*[!-\-/-~]{1,63}\.?")
_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")


class NoSuchDomain(Exception):
    """There is no such domain, or it says that it takes no mail."""


class LookupFailed(Exception):
    """No name server answered."""


class MailNames:
    """I ask ``servers`` if there are any, else those of resolv.conf; ``resolver`` knows addresses.

    What is no name is not asked for. Whoever signs a mail writes the names that are, and Twisted puts the
    length of a label into one octet as it is: with more than 63 characters it says something else there (RFC
    1035 §4.1.4), and the question would be about a name of the writer's own.
    """

    def __init__(
        self, reactor: Any, resolver: Resolver, random: Random, servers: Sequence[tuple[str, int]] = ()
    ) -> None:
        self._resolver = resolver
        self._random = random
        self._client = client.Resolver(
            resolv=None if servers else RESOLV_CONF,
            servers=list(servers) or None,
            timeout=TRIES_SECONDS,
            reactor=reactor,
        )

    def exchanges(self, domain: str) -> Deferred[list[str]]:
        """Hosts that take a domain's mail, the preferred one first, those alike in any order (RFC 5321 §5.1);
        itself when it names none.

        Errback NoSuchDomain, LookupFailed.
        """
        if not _is_name(domain):
            return fail(NoSuchDomain(f"{domain[:MAX_NAME]!r} is no name"))
        asked: Deferred[Any] = self._client.lookupMailExchange(domain.encode("ascii"))
        asked.addCallbacks(self._exchanges, _no_records)
        return asked.addCallback(lambda found: _hosts(found, domain))

    def mail_hosts(self, domain: str) -> Deferred[list[str]]:
        """The mail exchanges that a domain names, none when it names none. Errback LookupFailed."""
        if not _is_name(domain):
            return succeed([])
        asked: Deferred[Any] = self._client.lookupMailExchange(domain.encode("ascii"))
        named = asked.addCallbacks(self._exchanges, _no_records).addErrback(_none)
        return named.addCallback(lambda found: [host for host in found if host])

    def hosts(self, name: str) -> Deferred[list[str]]:
        """The addresses of a name, none when it has none. Errback LookupFailed."""
        return self._resolver.addresses(name).addErrback(_no_addresses) if _is_name(name) else succeed([])

    def texts(self, name: str) -> Deferred[list[bytes]]:
        """The TXT records of a name, each in one piece; none when there is no such name.

        Errback LookupFailed.
        """
        if not _is_name(name):
            return succeed([])
        asked: Deferred[Any] = self._client.lookupText(name.rstrip(".").encode("ascii"))
        return asked.addCallbacks(_texts, _no_records).addErrback(_none)

    def _exchanges(self, result: tuple[list[dns.RRHeader], ...]) -> list[str]:
        """Hosts, the preferred one first; "" for what is no host's name."""
        payloads: list[Any] = [header.payload for header in result[0]]
        named = [
            (record.preference, self._random.random(), record.name.name.decode("ascii", "replace"))
            for record in payloads
            if isinstance(record, dns.Record_MX)
        ]
        hosts = [name.rstrip(".").lower() for _, _, name in sorted(named)]
        return [host if _HOST.fullmatch(host) else "" for host in hosts]


def _is_name(written: str) -> bool:
    return len(written) <= MAX_NAME and _NAME.fullmatch(written) is not None


def _texts(result: tuple[list[dns.RRHeader], ...]) -> list[bytes]:
    payloads: list[Any] = [header.payload for header in result[0]]
    return [b"".join(record.data) for record in payloads if isinstance(record, dns.Record_TXT)]


def _no_records(failure: Failure) -> list[Any]:
    """Of all that a name server may answer only "no such name" is an answer."""
    if failure.check(DNSNameError):
        raise NoSuchDomain(failure.getErrorMessage()) from failure.value
    raise LookupFailed(failure.getErrorMessage()) from failure.value


def _no_addresses(failure: Failure) -> list[str]:
    failure.trap(NoAnswer)
    error = failure.value
    if isinstance(error, NoAnswer) and error.reason != "no_such_host":
        raise LookupFailed(str(error)) from error
    return []


def _none(failure: Failure) -> list[Any]:
    failure.trap(NoSuchDomain)
    return []


def _hosts(found: list[str], domain: str) -> list[str]:
    if found and not any(found):
        raise NoSuchDomain(f"{domain} takes no mail (RFC 7505)")
    return [host for host in found if host] or [domain]
