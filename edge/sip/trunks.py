"""Trunks: other telephone systems that numbers' texts go to and come from (a PBX, a proxy, a provider).

A trunk is known by the address that its requests come from; a text to it is a MESSAGE for the number, from
the other side's number at our domain.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import formatdate
from ipaddress import ip_address, ip_network
from typing import Any

import structlog
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge.config_sip import TrunkConfig
from edge.policy import numbers
from edge.policy.numbers import NumberFormat
from edge.sip.agent import SERVER, NoAnswer, UserAgent
from edge.sip.client import MOST_REQUESTS, Client
from edge.sip.delivery import GONE, Result, Verdict, judged
from edge.sip.flows import Flows, TooLarge
from edge.sip.listeners import Listeners
from edge.sip.locating import Names
from edge.sip.login import Login
from edge.sip.registration import Registration
from edge.sip.servers import Servers
from edge.tls import client_options
from protocols.sip.headers import display_name
from protocols.sip.locating import Hop
from protocols.sip.message import Headers, Request, Response
from protocols.sip.transport import Flow
from protocols.sip.uri import escape_user

log = structlog.get_logger(__name__)

LOOK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class TrunkText:
    """A text for a number behind a trunk. ``identity`` stays the same over all attempts; ``name`` is what
    the account calls ``source``."""

    identity: int
    attempt: int
    did: str
    source: str
    name: str
    content_type: str
    body: bytes
    created_at: int


@dataclass(slots=True)
class Counters:
    """What passed since the start, for operators."""

    sent: int = 0
    delivered: int = 0
    unreachable: int = 0
    refused: int = 0
    too_large: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class TrunkTools:
    """What all trunks of a server share. ``domain`` is ours, ``region`` that of numbers when a trunk has
    none."""

    domain: str
    region: str
    agent: UserAgent
    flows: Flows
    listeners: Listeners
    names: Names
    draw: Callable[[], float]
    token: Callable[[], str]
    reactor: Any


class Trunk:
    """I am one."""

    def __init__(self, config: TrunkConfig, tools: TrunkTools) -> None:
        self.config = config
        self.region = config.region or tools.region
        self.counters = Counters()
        self._tools = tools
        self.domain = config.domain or in_uri(config.host)
        self._format = NumberFormat(config.number_format)
        self._networks = tuple(ip_network(network) for network in config.networks)
        where = config.host, config.port, config.transport.upper()
        self._servers = Servers(config.name, tools.names, where, tools.draw, tools.reactor)
        login = Login(config.username, config.password.reveal(), tools.token)
        self._client = Client(tools.agent, tools.flows, self._servers, login, self._tls)
        self._call_id = f"{tools.token()}@{tools.domain}"
        self.registration = (
            Registration(config.name, self._client, self._register, config.expires_seconds, tools.reactor)
            if config.register
            else None
        )

    @property
    def servers(self) -> tuple[int, int]:
        """How many are known, and how many of them failed a moment ago."""
        return self._servers.count()

    def start(self) -> None:
        """Look where it is; register, if it wants that."""
        self.look()
        if self.registration is not None:
            self.registration.start()

    def stop(self) -> "Deferred[object] | None":
        """Say goodbye."""
        return None if self.registration is None else self.registration.stop()

    def look(self) -> None:
        """Keep the addresses of its servers fresh: its requests are known by them."""
        Deferred.fromCoroutine(self._servers.hops()).addErrback(
            lambda failure: log.error("sip_trunk_look_failed", error=failure.getTraceback())
        )

    def sends_from(self, host: str) -> bool:
        """Whether a request of this address is the trunk's."""
        if not self._networks:
            return self._servers.holds(host)
        address = ip_address(host.partition("%")[0])
        return any(address in network for network in self._networks)

    def serves(self, account_id: int) -> bool:
        """Whether numbers of this account may go to it."""
        return not self.config.accounts or account_id in self.config.accounts

    def number(self, written: str, field: str) -> str:
        """A number as the trunk writes it, in E.164, or a short code. Raises Refused."""
        if self._format is NumberFormat.E164:
            written = numbers.from_wire(written, 0, self._format, self.region)
        return numbers.destination(written, self.region, field)

    # -- texts ------------------------------------------------------------------------------------

    def send(self, text: TrunkText) -> "Deferred[Verdict]":
        """Send a text; what became of it."""
        self.counters.sent += 1
        asked = self._client.ask(lambda count, hop: self._message(text, count))
        return Deferred.fromCoroutine(asked).addCallbacks(_verdict, _no_answer).addCallback(self._counted)

    def _message(self, text: TrunkText, count: int) -> Request:
        uri = f"sip:{escape_user(self._spelled(text.did))}@{self.domain}"
        source = f"<sip:{escape_user(self._spelled(text.source))}@{self._tools.domain}>"
        headers = Headers(
            (
                ("Max-Forwards", "70"),
                ("From", f"{display_name(text.name)}{source};tag={text.identity:x}"),
                ("To", f"<{uri}>"),
                ("Call-ID", f"{text.identity:x}@{self._tools.domain}"),
                ("CSeq", f"{text.attempt * MOST_REQUESTS + count} MESSAGE"),
                ("Date", formatdate(text.created_at / 1000, usegmt=True)),
                ("User-Agent", SERVER),
                ("Content-Type", text.content_type),
            )
        )
        return Request("MESSAGE", uri, headers, text.body)

    def _spelled(self, number: str) -> str:
        return numbers.to_wire(number, self._format, self.region).addr

    def _counted(self, verdict: Verdict) -> Verdict:
        name = verdict.result.value
        setattr(self.counters, name, getattr(self.counters, name) + 1)
        return verdict

    # -- registration -----------------------------------------------------------------------------

    def _register(self, count: int, hop: Hop, seconds: int) -> Request:
        user = escape_user(self.config.username)
        aor = f"<sip:{user}@{self.domain}>"
        contact = f"sip:{user}@{self._tools.listeners.reached_at(hop)}"
        transport = "" if hop.kind == "UDP" else f";transport={hop.kind.lower()}"
        headers = Headers(
            (
                ("Max-Forwards", "70"),
                ("From", f"{aor};tag={self._call_id.partition('@')[0]}"),
                ("To", aor),
                ("Call-ID", self._call_id),
                ("CSeq", f"{count} REGISTER"),
                ("Contact", f"<{contact}{transport}>"),
                ("Expires", str(seconds)),
                ("Allow", "MESSAGE, OPTIONS"),
                ("User-Agent", SERVER),
            )
        )
        return Request("REGISTER", f"sip:{self.domain}", headers)

    def _tls(self) -> IOpenSSLClientConnectionCreator:
        return client_options(self.config)


class Trunks:
    """I hold the trunks of one server."""

    def __init__(self, configs: Iterable[TrunkConfig], tools: TrunkTools) -> None:
        self._trunks = {config.name: Trunk(config, tools) for config in configs}
        self._look = LoopingCall(self._look_all)
        self._look.clock = tools.reactor

    def __iter__(self) -> Any:
        return iter(self._trunks.values())

    def start(self) -> None:
        """Find them all, and register where that is wanted."""
        for trunk in self:
            trunk.start()
        if self._trunks:
            self._look.start(LOOK_SECONDS, now=False)

    def stop(self) -> "Deferred[Any]":
        """Say goodbye everywhere."""
        if self._look.running:
            self._look.stop()
        return DeferredList([gone for trunk in self if (gone := trunk.stop()) is not None])

    def get(self, name: str) -> Trunk | None:
        """The trunk of this name."""
        return self._trunks.get(name)

    def at(self, host: str) -> Trunk | None:
        """The trunk that requests of this address are from."""
        if not self._trunks:
            return None
        return next((trunk for trunk in self if trunk.sends_from(host)), None)

    def flow_gone(self, flow: Flow) -> None:
        """A connection is closed."""
        for trunk in self:
            if trunk.registration is not None:
                trunk.registration.flow_gone(flow)

    def _look_all(self) -> None:
        for trunk in self:
            trunk.look()


def in_uri(host: str) -> str:
    """A host as it stands in a URI: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _verdict(result: tuple[Response, Flow]) -> Verdict:
    response = result[0]
    verdict = judged(response)
    return replace(verdict, result=Result.REFUSED) if response.status in GONE else verdict


def _no_answer(failure: Failure) -> Verdict:
    if failure.check(TooLarge) is not None:
        return Verdict(Result.TOO_LARGE, reason="longer than a datagram may be")
    failure.trap(NoAnswer)
    return Verdict(Result.UNREACHABLE, reason=failure.getErrorMessage()[:200])
