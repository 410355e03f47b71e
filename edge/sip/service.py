"""The SIP side of the server, built from its configuration: sockets, agent, gate, registrar, intake,
handlers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from edge.certificate import Certificate
from edge.config import SIPConfig
from edge.endpoints import host_and_port
from edge.handlers.imdn import ImdnHandler
from edge.handlers.sip import SipHandler, SipSettings
from edge.handlers.trunk import TrunkHandler
from edge.octet_pool import OctetPool
from edge.outbound import Outbound
from edge.sip.agent import Incoming, Reply, UserAgent
from edge.sip.bindings import Binding, Bindings
from edge.sip.delivery import Delivery
from edge.sip.directory import SipDirectory
from edge.sip.flows import Flows
from edge.sip.gate import Gate
from edge.sip.guard import Guard, Limits
from edge.sip.intake import Counters as IntakeCounters
from edge.sip.intake import Intake
from edge.sip.listeners import Address, Listeners
from edge.sip.locating import Names
from edge.sip.ourselves import Ourselves
from edge.sip.registrar import Counters as RegistrarCounters
from edge.sip.registrar import Expiry, Registrar
from edge.sip.reports import Reports
from edge.sip.senders import PhoneSender, Sender, TrunkSender
from edge.sip.snapshots import SipSnapshot, by_transport, of_trunks
from edge.sip.trunks import Trunks, TrunkTools
from protocols.sip.digest import Nonces
from protocols.sip.transport import Flow
from storage import registrations
from storage.records import Did
from storage.sip_accounts import SipAccount
from storage.store import Store

log = structlog.get_logger(__name__)

TAKEN_MS = 3_600_000
"""How long a request is remembered against its retransmission: far beyond the 32 seconds of RFC 3261."""

MAX_TURN_SECONDS = 0.2
"""New work is refused after so much of it in one turn: all that stands before it must be done first, and a
phone asks again after half a second. It shows a 503 as a text that failed, but repeats by itself what is
late: so this is no smaller than it must be, and a short pause of the machine refuses nothing."""

TIDY_SECONDS = 600.0
TOKEN_OCTETS = 8
MAX_PENDING = 2_000
"""Units that wait for the store; beyond this new requests are answered 503 while the queue is still short."""


class SipEdge:
    """I own everything of SIP, from `start` to `stop`. ``octets`` gives random octets for keys, tags and
    branches, ``look`` makes the outbox see what has become due, ``spent`` says how many seconds of work this
    turn of the reactor has had."""

    def __init__(
        self,
        config: SIPConfig,
        region: str,
        store: Store,
        outbound: Callable[[], Outbound],
        reactor: Any,
        wall_ms: Callable[[], int],
        octets: Callable[[int], bytes],
        look: Callable[[], None],
        did: Callable[[str], Did | None],
        names: Names,
        draw: Callable[[], float],
        spent: Callable[[], float],
    ) -> None:
        self._config = config
        self._region = region
        self._store = store
        self._outbound = outbound
        self._reactor = reactor
        self._wall_ms = wall_ms
        pool = OctetPool(octets).take
        self.directory = SipDirectory(store, reactor, config.domain, octets(32))
        self.bindings = Bindings(wall_ms)
        self._did = did
        self._spent = spent
        self.guard = Guard(_limits(config), config.trusted, lambda host: self.trunks.at(host) is not None)
        nonces = Nonces(octets(32), pool, config.nonce_seconds)
        self._gate = Gate(config.domain, self.directory, nonces, self.guard, config.allow_legacy_digest)
        ourselves = Ourselves(config.domain, config.public_address)

        def token() -> str:
            """For tags, branches and client nonces: each is new, and nobody can guess the next."""
            return pool(TOKEN_OCTETS).hex()

        self.agent = UserAgent(self.guard, reactor, token, self._overloaded, ourselves)
        self.listeners = Listeners(_addresses(config), _certificate(config), self.agent, ourselves, reactor)
        self.flows = Flows(self.listeners, config.large_udp == "send")
        self.delivery = Delivery(config.domain, self.agent, self.flows, self.bindings.current, token)
        self.trunks = Trunks(
            config.trunks,
            TrunkTools(
                config.domain, region, self.agent, self.flows, self.listeners, names, draw, token, reactor
            ),
        )
        settings = SipSettings(config.keep_hours * 3600.0, config.sms_to_header)
        find = self.directory.find
        self.handler = SipHandler(find, self.bindings, self.delivery, store, settings, look, wall_ms)
        self.delivery.settled = self.handler.settled
        self.trunk_handler = TrunkHandler(self.trunks.get, store, settings.keep_seconds, wall_ms)
        self.imdn = ImdnHandler(config.domain, find, self.bindings, self.delivery)
        self.reports = Reports(store, wall_ms)
        self.intake: Intake | None = None
        self.registrar: Registrar | None = None
        self._tidy = LoopingCall(self._tidy_up)
        self._tidy.clock = reactor

    def handlers(self) -> dict[str, Any]:
        """For the outbox."""
        all_of_them = (self.handler, self.trunk_handler, self.imdn)
        return {handler.name: handler for handler in all_of_them}

    def configure(self, config: SIPConfig) -> None:
        """Limits and trusted networks of another configuration."""
        self.guard.configure(_limits(config), config.trusted)

    def snapshot(self) -> SipSnapshot:
        """What has been counted since the start."""
        return SipSnapshot(
            bindings=by_transport(self.bindings),
            transactions=self.agent.transactions,
            requests=replace(self.agent.counters),
            guard=replace(self.guard.counters),
            registrar=RegistrarCounters() if self.registrar is None else replace(self.registrar.counters),
            intake=IntakeCounters() if self.intake is None else replace(self.intake.counters),
            delivery=replace(self.delivery.counters),
            flows=replace(self.flows.counters),
            reports=replace(self.reports.counters),
            trunks=of_trunks(self.trunks),
        )

    async def start(self) -> None:
        """Load what the store has, then listen: nobody is answered by a server that knows nothing."""
        await self.directory.start()
        now_ms = self._wall_ms()
        known = await self._store.read(registrations.bindings, now_ms)
        self.bindings.load([Binding(record, None) for record in known])
        await self.handler.start()
        taken = await self._store.read(registrations.recently_taken, now_ms - TAKEN_MS)
        self._begin(taken)
        self.listeners.start()
        self.trunks.start()
        log.info("sip_ready", domain=self._config.domain, bindings=len(known))

    async def stop(self) -> None:
        """Stop listening; what is under way is answered by nobody and comes again."""
        await self.trunks.stop()
        await self.listeners.stop()
        self.agent.stop()
        self.directory.stop()
        if self._tidy.running:
            self._tidy.stop()

    def kick(self, sip_account_id: int) -> Deferred[int]:
        """Forget where the phones of an account are; how many contacts there were."""
        gone = [binding.record.id for binding in self.bindings.of(sip_account_id)]

        def forgotten(_: None) -> int:
            self.bindings.apply(sip_account_id, gone, ())
            self.delivery.moved(gone)
            return len(gone)

        done = self._store.writer.run("SIP kick", lambda conn: registrations.change(conn, gone, ()))
        return done.addCallback(forgotten)

    def _begin(self, taken: dict[str, int]) -> None:
        config = self._config
        self.intake = Intake(
            self._who,
            self.guard,
            self._outbound(),
            self.reports,
            self._reactor.seconds,
            self._wall_ms,
        )
        self.intake.restore(taken)
        self.registrar = Registrar(
            config.domain,
            self._identify,
            self.bindings,
            self._store,
            Expiry(config.min_expires_seconds, config.default_expires_seconds, config.max_expires_seconds),
            config.max_contacts,
            self._wall_ms,
            self._bindings_changed,
        )
        self.agent.methods = {"REGISTER": self.registrar, "MESSAGE": self.intake}
        self.agent.flow_gone = self._flow_gone
        self.agent.start()
        self._tidy.start(TIDY_SECONDS, now=False)

    def _identify(self, incoming: Incoming) -> SipAccount | Reply:
        return self._gate.identify(incoming.request, incoming.flow.peer[0], self._reactor.seconds())

    def _who(self, incoming: Incoming) -> Sender | Reply:
        """A trunk is known by its address, a phone by its password."""
        host = incoming.flow.peer[0]
        trunk = self.trunks.at(host)
        if trunk is not None:
            trunk.counters.received += 1
            return TrunkSender(trunk, self._config.domain, self._did)
        account = self._identify(incoming)
        if isinstance(account, Reply):
            return account
        return PhoneSender(account, self._config.domain, self._region, self.guard.trusts(host))

    def _bindings_changed(self, aor: str, kept: Sequence[Binding], gone: Sequence[int]) -> None:
        if kept:
            self.handler.registered(aor)
            self.delivery.joined(aor, kept)
        self.delivery.moved([*(binding.record.id for binding in kept), *gone])

    def _flow_gone(self, flow: Flow) -> None:
        self.bindings.flow_gone(flow)
        self.trunks.flow_gone(flow)

    def _overloaded(self, begun: bool) -> bool:
        """What is begun is only refused when the store is behind; new work also late in a long turn."""
        return self._store.writer.pending > MAX_PENDING or (not begun and self._spent() > MAX_TURN_SECONDS)

    def _tidy_up(self) -> Deferred[Any]:
        """Forget expired bindings and old requests, in the store too."""
        now_ms = self._wall_ms()
        return self._store.writer.run("tidy SIP", lambda connection: _purge(connection, now_ms)).addErrback(
            lambda failure: log.error("sip_not_tidied", error=failure.getErrorMessage())
        )


def _purge(connection: Any, now_ms: int) -> None:
    registrations.purge_bindings(connection, now_ms)
    registrations.purge_taken(connection, now_ms - TAKEN_MS)


def _addresses(config: SIPConfig) -> tuple[Address, ...]:
    listens = {"UDP": config.udp, "TCP": config.tcp, "TLS": config.tls, "WS": config.ws, "WSS": config.wss}
    return tuple(Address(kind, *host_and_port(where)) for kind, places in listens.items() for where in places)


def _certificate(config: SIPConfig) -> Certificate | None:
    return Certificate(config.certificate, config.private_key) if config.certificate else None


def _limits(config: SIPConfig) -> Limits:
    return Limits(
        address_rate=config.address_requests_per_second,
        address_burst=max(2.0, config.address_requests_per_second * 4),  # a request, and its password
        account_rate=config.account_messages_per_second,
        account_burst=max(1.0, config.account_messages_per_second * 6),
        wrong_answers=config.ban_after_wrong_passwords,
        wrong_answers_address=config.ban_after_wrong_passwords * 10,
        ban_seconds=config.ban_seconds,
        ban_max_seconds=max(config.ban_seconds, config.ban_max_seconds),
    )
