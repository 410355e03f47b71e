"""A mail on its way out: to the smarthost, or to the servers that the recipient's domain names (MX).

One connection a mail. The servers of a domain are tried in their order (RFC 5321 §5.1), and each one's
addresses, until one has taken the mail, refused it for good, or may have it without having said so; what went
wrong last is the verdict. A server found by MX is vetted as outgoing HTTP is:
whoever may name an address must not be able to have this server talk to the machines beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory

from edge import tls
from edge.http.addresses import AddressPolicy
from edge.http.errors import NoAnswer
from edge.http.resolving import Resolver
from edge.mail.names import LookupFailed, MailNames, NoSuchDomain
from protocols.mail.smtp import TLS, Client, Credentials, Envelope, Verdict
from protocols.mail.transport import ClientProtocol

CONNECT_SECONDS = 30.0
MAX_HOSTS = 5
MAX_ADDRESSES = 4
MX_PORT = 25
_DIGITS_OF_IPV4 = frozenset("0123456789.")


@dataclass(frozen=True, slots=True)
class Way:
    """How mail leaves. ``smarthost`` is a host and a port, None for MX; ``hello`` is our own name."""

    hello: str
    tls: TLS
    smarthost: tuple[str, int] | None = None
    credentials: Credentials | None = None
    ca_file: str = ""
    mx_port: int = MX_PORT


class Sender:
    """I bring mails to servers. ``policy`` says which addresses found by MX may be connected to."""

    def __init__(
        self, way: Way, names: MailNames, resolver: Resolver, policy: AddressPolicy, reactor: Any
    ) -> None:
        self._way = way
        self._names = names
        self._resolver = resolver
        self._policy = policy
        self._reactor = reactor

    def key(self, domain: str) -> str:
        """What mails share that fail together."""
        way = self._way.smarthost
        return domain if way is None else f"{way[0]}:{way[1]}"

    def send(self, envelope: Envelope) -> Deferred[Verdict]:
        """Bring one mail to its recipient's server. Never fails but by our own fault."""
        return Deferred.fromCoroutine(self._send(envelope))

    async def _send(self, envelope: Envelope) -> Verdict:
        try:
            hosts = await self._hosts(envelope.recipient.rpartition("@")[2])
        except NoSuchDomain as error:
            return _unreached("no_such_domain", str(error), final=True)
        except LookupFailed as error:
            return _unreached("lookup_failed", str(error))
        verdict = _unreached("no_server", "")
        for host, port in hosts[:MAX_HOSTS]:
            verdict = await self._at_host(host, port, envelope)
            if verdict.final or _is_in_doubt(verdict):
                break
        return verdict

    async def _hosts(self, domain: str) -> Sequence[tuple[str, int]]:
        if self._way.smarthost is not None:
            return [self._way.smarthost]
        return [(host, self._way.mx_port) for host in await self._names.exchanges(domain)]

    async def _at_host(self, host: str, port: int, envelope: Envelope) -> Verdict:
        try:
            addresses = await self._addresses(host)
        except NoAnswer as error:
            return _unreached(error.reason, error.detail)
        verdict = _unreached("no_address", host)
        for address in addresses[:MAX_ADDRESSES]:
            verdict = await self._at(host, address, port, envelope, self._way.tls)
            if verdict.outcome == "tls_failed" and self._way.tls is TLS.OPPORTUNISTIC:
                verdict = await self._at(host, address, port, envelope, TLS.OFF)
            if verdict.stage != "connect":
                break
        return verdict

    async def _addresses(self, host: str) -> list[str]:
        literal = ":" in host or set(host) <= _DIGITS_OF_IPV4
        found = [host] if literal else await self._resolver.addresses(host)
        if self._way.smarthost is not None:
            return found
        return [address for address in found if self._policy.refusal(address) is None]

    async def _at(self, host: str, address: str, port: int, envelope: Envelope, policy: TLS) -> Verdict:
        protocol = ClientProtocol(
            Client(self._way.hello, envelope, policy, self._way.credentials),
            self._reactor,
            lambda: self._options(host, policy),
        )
        try:
            await self._endpoint(host, address, port, policy).connect(Factory.forProtocol(lambda: protocol))
        except ConnectError as error:
            return _unreached("connect_failed", f"{host}:{port} [{address}]: {error}")
        return await protocol.done

    def _options(self, host: str, policy: TLS) -> Any:
        strict = policy in (TLS.REQUIRED, TLS.IMPLICIT)
        return tls.verified(host, self._way.ca_file) if strict else tls.unverified(host)

    def _endpoint(self, host: str, address: str, port: int, policy: TLS) -> Any:
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        plain = kind(self._reactor, address, port, timeout=CONNECT_SECONDS)
        return wrapClientTLS(self._options(host, policy), plain) if policy is TLS.IMPLICIT else plain


def _is_in_doubt(verdict: Verdict) -> bool:
    """May the server have the mail, though it did not say so? Then no other one is to get it too at once."""
    return verdict.stage == "end" and verdict.reply is None


Send = Callable[[Envelope], Deferred[Verdict]]
"""`Sender.send`, for who writes mails."""


def _unreached(outcome: str, detail: str, final: bool = False) -> Verdict:
    return Verdict(outcome, None, final, "connect", detail)
