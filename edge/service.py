"""The server as one Twisted service: built from a configuration, started, drained, stopped.

Start: HTTP's port → store (while it is awaited: console) → claims → console → directory → SIP, outbox →
upstreams: what the last run left is restored and settled → binds → mail. Until all of it is done traffic is
refused for now.
Stop: send nothing new, refuse what comes → wait for what is on the wire (at most `drain_seconds`) → answer
all that was taken → unbind → close the connections of HTTP → flush → close.
"""

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Any

import structlog
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge import hops, outgoing
from edge import log as logging
from edge.actions import Actions
from edge.binds import Bind, bind_names
from edge.certificate import ServerContext
from edge.config import Config, MetricsConfig, OptOutsConfig, TracingConfig, UpstreamConfig
from edge.console.server import Server
from edge.console.service import ConsoleService
from edge.crowd import AtMost
from edge.deliveries import Outbox
from edge.depths import Depths
from edge.dialect import Dialect
from edge.directory import Directory
from edge.disk import Disk
from edge.doubts import Doubts
from edge.endpoints import endpoint_for, host_and_port
from edge.events import Events
from edge.figures import figures
from edge.gone import Gone
from edge.groups import Group
from edge.handlers import registry
from edge.handlers.absent import Absent
from edge.handlers.base import CallbackTimes, DIDHandler, Tools
from edge.handlers.endpoints import Endpoints
from edge.handlers.imdn import ImdnHandler
from edge.handlers.reports import ReportHandler
from edge.handlers.status import StatusHandler
from edge.health import Health
from edge.holder import Holder, Taken
from edge.http.client import HTTPClient
from edge.http.resolving import NameResolver
from edge.inbound import Inbound, Policy
from edge.incoming import Incoming
from edge.indexing import Indexing
from edge.interventions import Interventions
from edge.kill_switch import KillSwitch
from edge.lag import Lag
from edge.mail.names import MailNames
from edge.mail.service import MailEdge
from edge.metrics import BindSnapshot
from edge.mover import LOOK_SECONDS, Mover
from edge.outbound import Accepted, Draft, Outbound, Planner
from edge.policy.optout import OptOuts, Words
from edge.purging import Purging
from edge.quarantine import Quarantine
from edge.receipts import Receipts
from edge.references import References
from edge.reloading import Reloading
from edge.simulator import Simulator
from edge.sip.locating import DNS
from edge.sip.service import SipEdge
from edge.store_opening import open_store
from edge.supervisor import TAKING, Supervisor
from edge.tls import files_digest
from edge.turn import Turn
from edge.upstreams import Upstream
from edge.web.metrics import MetricsSite
from edge.web.services import WebServices
from edge.web.site import EdgeSite, make_site
from protocols.sms import packing
from storage.claims import of_server
from storage.engines import file_of
from storage.store import Store

if TYPE_CHECKING:
    from edge.tracing import Tracing

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 10.0
PURGE_SECONDS = 3600.0
READ_AGAIN_SECONDS = 1.0
ANSWER_SECONDS = 5.0  # for what was taken and is not answered, when a link or a connection is to end
SPANS_SECONDS = 5.0  # for what a collector has not taken when the server ends
MOST_SCRAPES = 20  # connections to /metrics at a time
WAIT_SECONDS = 60.0  # so long a supervisor is asked to wait for a start that waits for the store, each time


@dataclass(slots=True)
class Line:
    """One upstream with the pipelines that serve it."""

    upstream: Upstream
    incoming: Incoming
    files: bytes  # what those of its certificates held: see `edge.tls.files_digest`
    flush: LoopingCall
    purge: LoopingCall
    read_again: LoopingCall
    restored: bool = field(default=False, init=False)

    @property
    def loops(self) -> tuple[LoopingCall, ...]:
        """What is done from time to time."""
        return self.flush, self.purge, self.read_again


class TrunklineService(Service):
    """I own everything that runs. ``store`` is not open yet; ``fatal`` is for a start that fails."""

    name = "trunkline"
    site: EdgeSite | None = None
    tracing: "Tracing | None" = None
    lines: dict[str, Line]
    _port: IListeningPort | None = None
    _metrics_port: IListeningPort | None = None
    _stale_sites: tuple[EdgeSite, ...] = ()  # of before a reload, while they owe answers

    def __init__(
        self,
        config: Config,
        store: Store,
        reactor: Any,
        wall_ms: Callable[[], int],
        random: Random,
        fatal: Callable[[Failure], None],
        supervisor: Supervisor | None = None,
    ) -> None:
        self.config = config
        self.store = store
        self._reactor = reactor
        self.clock: IReactorTime = reactor
        self._wall_ms = wall_ms
        self._random = random
        self._fatal = fatal
        self.supervisor = supervisor or Supervisor()
        disk = Disk(file_of(config.store.url), config.store.min_free_mib, store.in_thread)
        self.health = Health(store, self.upstreams, disk, reactor)
        self.depths = Depths(store, self.upstreams, lambda: self.handlers, reactor, wall_ms)
        self.reloading = Reloading(self)
        self._holder = Holder(store, reactor, self._claim_lost)
        self.simulator = None if config.simulator is None else Simulator(config.simulator, reactor, wall_ms)
        self.directory = Directory(store, reactor)
        self.opt_outs = OptOuts(store, reactor, wall_ms, _words(config.optout))
        self.resolver = NameResolver(reactor, outgoing.nameservers(config))
        self.http = HTTPClient(reactor, outgoing.settings(config), self.resolver)
        self.endpoints = Endpoints(store, wall_ms, config.webhook.pause_after_days * 86400)
        self.sip = self._sip()
        self.mail = self._mail()
        self.handlers = self._handlers()
        self.outbox = Outbox(
            self.handlers,
            self.directory.did,
            store,
            reactor,
            wall_ms,
            outgoing.limits(config),
            config.outbox.lease_seconds,
        )
        self.indexing = Indexing(store, self.clock)
        self.events = Events(store, self.clock, reactor)
        self._groups: dict[str, Group] = {}
        self.mover = Mover(store, self.upstreams, lambda: self.outbound.planner)
        self.doubts = Doubts(store, self.outbox, self.upstreams, wall_ms)
        self.gone = Gone(
            store, self.upstreams, self._holder, self.mover, self.outbox, self._stray, reactor, wall_ms
        )
        self._moving = LoopingCall(self._look_around)
        self._moving.clock = reactor
        self.kill_switch = KillSwitch(store, self.upstreams, reactor, wall_ms)
        self.set_groups(config)
        self.lines = {upstream.name: self.make_line(upstream) for upstream in config.upstreams}
        self.outbound = Outbound(self.planner(), store, self.upstreams(), wall_ms, self.outbox.stamp)
        self.outbound.draining = True  # until the start is over
        self.lag = Lag(reactor)
        self.purging = Purging(store, reactor, wall_ms)
        self.interventions = Interventions(store, self.outbox, self.mover, self.gone, self.upstreams, wall_ms)
        self.console = ConsoleService(config.console, self._server(), reactor, {"service": self})

    # -- building ---------------------------------------------------------------------------------

    def upstreams(self) -> dict[str, Upstream]:
        """By name."""
        return {name: line.upstream for name, line in self.lines.items()}

    def _sip(self) -> SipEdge | None:
        if self.config.sip is None:
            return None
        region = self.config.numbers.region
        return SipEdge(
            self.config.sip,
            region,
            self.store,
            lambda: self.outbound,
            self._reactor,
            self._wall_ms,
            os.urandom,
            self._look,
            self.directory.did,
            DNS(self._reactor, outgoing.nameservers(self.config)),
            self._random.random,
            Turn(self.clock, time.thread_time).spent,
        )

    def _mail(self) -> MailEdge | None:
        if self.config.mail is None:
            return None
        return MailEdge(
            self.config.mail,
            self.config.numbers.region,
            self.store,
            self.directory,
            MailNames(self._reactor, self.resolver, outgoing.nameservers(self.config)),
            self.resolver,
            outgoing.settings(self.config).addresses,
            self._reactor,
            self._wall_ms,
            self._random,
            lambda: self.outbound,
        )

    def _look(self) -> None:
        """For the SIP side, which is built before the outbox is."""
        self.outbox.look()

    def _handlers(self) -> dict[str, Any]:
        callback = self.config.callback
        tools = Tools(
            http=self.http,
            store=self.store,
            did=self.directory.did,
            submit=self._submit,
            endpoints=self.endpoints,
            random=self._random,
            wall_ms=self._wall_ms,
            sip={} if self.sip is None else self.sip.handlers(),
            email=None if self.mail is None else self.mail.handler,
            callback=CallbackTimes(
                retry_seconds=callback.retry_minutes * 60,
                jitter=callback.retry_jitter,
                give_up_seconds=callback.give_up_days * 86400,
                timezone=callback.timezone,
            ),
        )
        return {
            **registry.installed().build(tools),
            StatusHandler.name: StatusHandler.build(tools),
            ReportHandler.name: ReportHandler.build(tools),
            ImdnHandler.name: tools.sip.get(ImdnHandler.name) or Absent(ImdnHandler.name, self._wall_ms),
        }

    def _submit(self, draft: Draft) -> Deferred[Accepted]:
        """For handlers, which are built before the way out is."""
        return self.outbound.submit(draft)

    def planner(self) -> Planner:
        dialects = {name: line.upstream.dialect for name, line in self.lines.items()}
        return Planner(
            dialects,
            self.config.numbers.region,
            self.directory.did,
            References(lambda: self._random.randrange(0x10000)),
            self.config.routes,
            self._usable,
            self._random.random,
            self.opt_outs.forbids,
        )

    def _usable(self, name: str) -> bool:
        line = self.lines.get(name)
        return line is not None and line.upstream.usable

    def set_groups(self, config: Config) -> None:
        """Groups that are there keep what they hold."""
        members: dict[str, list[str]] = {}
        for upstream in config.upstreams:
            members.setdefault(upstream.group_name, []).append(upstream.name)
        for name, upstreams in members.items():
            group = self._groups.setdefault(name, Group(()))
            group.upstreams = tuple(upstreams)

    def forget_groups(self, config: Config) -> None:
        """What those hold that have no upstream any more, the store has: see `edge.gone`."""
        names = {upstream.group_name for upstream in config.upstreams}
        self._groups = {name: group for name, group in self._groups.items() if name in names}

    def make_line(self, config: UpstreamConfig) -> Line:
        dialect = Dialect(config, self.config.numbers.region)
        group = self._groups[config.group_name]
        receipts = Receipts(
            config, dialect, group, self.store, self.outbox, self._wall_ms, self._receipts_settled
        )
        inbound = self._inbound(config, dialect, group)
        pattern = re.compile(config.receipt_pattern) if config.receipt_pattern else None
        unpack = packing.unpack if config.default_alphabet == "gsm7_packed" else None
        incoming = Incoming(inbound, receipts, self.mover, pattern, unpack, self._wall_ms)
        upstream = Upstream(
            config, dialect, self.store, self.clock, self._wall_ms, incoming, self.opt_outs.forbids
        )
        endpoint = endpoint_for(self._reactor, config)
        for name, kind in bind_names(config):
            upstream.binds.append(Bind(name, kind, config, endpoint, self.clock, self._random, upstream))
        loops = [LoopingCall(call) for call in (inbound.flush_overdue, receipts.purge, receipts.read_again)]
        for loop in loops:
            loop.clock = self.clock
        return Line(upstream, incoming, files_digest(config), *loops)

    def _inbound(self, config: UpstreamConfig, dialect: Dialect, group: Group) -> Inbound:
        return Inbound(
            Policy(
                config.name,
                config.unknown_did == "quarantine",
                config.repeats == "merge",
                config.reassembly_timeout_seconds,
            ),
            dialect,
            self.directory,
            self.store,
            self.outbox,
            group.assembly,
            group.repeats,
            self._wall_ms,
            self.opt_outs,
        )

    def _stray(self, config: UpstreamConfig) -> Inbound:
        """For an upstream that is not configured."""
        return self._inbound(config, Dialect(config, self.config.numbers.region), Group(()))

    def _merging(self) -> set[str]:
        return {each.name for each in self.config.upstreams if each.repeats == "merge"}

    def _look_around(self) -> Deferred[None]:
        return self.mover.look().addCallback(lambda _: self.gone.look())

    def _server(self) -> Server:
        return Server(
            reactor=self._reactor,
            wall_ms=self._wall_ms,
            started_ms=self._wall_ms(),
            config=lambda: self.config,
            store=self.store,
            directory=self.directory,
            upstreams=self.upstreams,
            outbound=self.outbound,
            outbox=self.outbox,
            actions=Actions(self.store, self.outbox, self._wall_ms),
            doubts=self.doubts,
            interventions=self.interventions,
            quarantine=Quarantine(
                self.store, self.directory, self.outbox, self.opt_outs, self._merging, self._wall_ms
            ),
            lag=self.lag,
            sip=self.sip,
            ready=self.health.readiness,
            reload=self.reloading.run,
            opt_outs=self.opt_outs,
            drain=self._reactor.stop,
            kill_switch=self.kill_switch,
        )

    def _receipts_settled(self, part_ids: Sequence[int], guessed: Collection[int]) -> None:
        """The parts may be those of any upstream of a group."""
        for line in self.lines.values():
            line.upstream.known_taken(part_ids, guessed)

    # -- life -------------------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Take the ports of HTTP: if one is not to be had, that is told and nothing runs."""
        try:
            self._listen()
        except (CannotListenError, OSError) as error:
            log.error("start_refused", reason=str(error))
            print(f"trunkline: {error}", file=sys.__stderr__)  # Twisted has taken the other
            raise SystemExit(1) from error

    def _listen(self) -> None:
        host, port = host_and_port(self.config.http.listen)
        self.site = self._make_site()
        given = self.supervisor.sockets.get("http")
        if given is None:
            self._port = self._reactor.listenTCP(port, self.site, interface=host)
        else:
            family = AF_INET6 if ":" in host else AF_INET
            os.set_blocking(given, False)  # as it comes, a second accept would hold up everything
            self._port = self._reactor.adoptStreamPort(given, family, self.site)
        if self.config.metrics is not None:
            self.open_metrics(self.config.metrics)()

    def _make_site(self) -> EdgeSite:
        return make_site(
            WebServices(
                store=self.store,
                directory=self.directory,
                outbound=self.outbound,
                config=self.config,
                simulator=self.simulator,
                ready=self.health.readiness,
                wall_ms=self._wall_ms,
                reactor=self._reactor,
                deliveries=Actions(self.store, self.outbox, self._wall_ms),
                resolver=self.resolver,
                events=self.events,
                opt_outs=self.opt_outs,
                handlers={name: each for name, each in self.handlers.items() if isinstance(each, DIDHandler)},
                console=self.console.console,
                started=self.health.startup.state,
            )
        )

    # -- what a reload changes --------------------------------------------------------------------

    def open_metrics(self, config: MetricsConfig | None) -> Callable[[], object]:
        """Listen, if there are to be metrics; what is given back ends the listening of before. Raises
        CannotListenError."""
        fresh = None
        if config is not None:
            host, port = host_and_port(config.listen)
            site = MetricsSite(self.bind_snapshots, self._reactor, lambda: figures(self))
            metrics = AtMost(MOST_SCRAPES, site)
            fresh = self._reactor.listenTCP(port, metrics, interface=host)

        def use() -> object:
            stale, self._metrics_port = self._metrics_port, fresh
            return None if stale is None else _quietly(stale.stopListening())

        return use

    def renew_site(self) -> None:
        """Pages and API as the configuration has them now, for new connections; the old ones are let go."""
        if self._port is not None and self.site is not None:
            stale, self.site = self.site, self._make_site()
            self.site.requests = stale.requests
            port: Any = self._port
            port.factory = self.site
            stale.drain()
            self._stale_sites = (*(site for site in self._stale_sites if site.channels), stale)

    def renew_handlers(self) -> None:
        """As the configuration has them now; the outbox looks each up when it delivers."""
        self.handlers.update(self._handlers())

    def configure_sip(self) -> None:
        """Its limits are others."""
        if self.sip is not None and self.config.sip is not None:
            self.sip.configure(self.config.sip)

    def contexts(self) -> list[ServerContext]:
        """Those of all listeners that have a certificate."""
        sip = [] if self.sip is None else self.sip.listeners.contexts
        return sip + ([] if self.mail is None else self.mail.listeners.contexts)

    def startService(self) -> None:
        """Start in the order of the module's docstring."""
        super().startService()
        self.trace(self.config.tracing)
        self.supervisor.watch(self.clock)
        Deferred.fromCoroutine(self._start()).addErrback(self._fatal)

    def setServiceParent(self, parent: Any) -> None:
        """Under `twistd`, Twisted's own log goes where ours does."""
        logging.observe(parent)
        super().setServiceParent(parent)

    async def _start(self) -> None:
        self.health.startup.begin("store")
        if not await open_store(self.store, self.clock, lambda: bool(self.running), self._store_awaited):
            return
        self.health.store_awaited = False
        self.health.start()
        await self._holder.take(of_server(self.store.engine, self.config.server.node))
        self.console.start()
        self.health.startup.begin("directory")
        await self.directory.start()
        await self.opt_outs.start()
        await self.endpoints.start()
        if self.sip is not None:
            self.health.startup.begin("sip")
            await self.sip.start()  # before the outbox, which must find the phones
        self.outbox.start()
        if self.simulator is not None:
            self.health.startup.begin("simulator")
            await self.simulator.start()
        self.health.startup.begin("upstreams")
        await self.start_lines(self.lines.values())
        self._moving.start(LOOK_SECONDS, now=False)
        self.kill_switch.start()
        self.indexing.start()
        self.purging.start()
        self.lag.start()
        self.depths.start()
        self.events.start()
        self.outbound.draining = False
        if self.mail is not None:
            self.mail.start()
        self.health.startup.finish()
        self.health.ready = True
        log.info("server_ready", listen=self.config.http.listen, upstreams=list(self.lines))
        self.supervisor.ready(TAKING)

    def _store_awaited(self) -> None:
        """Whoever asks is told; the console can be asked meanwhile."""
        if not self.health.store_awaited:
            self.health.store_awaited = True
            self.console.start()
        self.supervisor.waiting("Waiting for the store", WAIT_SECONDS)

    async def start_lines(self, lines: Iterable[Line]) -> None:
        """Restore what all hold before the first may bring more: a long message may lie with several."""
        lines = list(lines)
        for doing in (self.claim, self.restore_line, self.open_line):
            for line in lines:
                await doing(line)

    async def claim(self, line: Line) -> None:
        """No other server has this upstream while we do. Raises Taken."""
        await self._holder.take(f"upstream {line.upstream.name}")

    async def restore_line(self, line: Line) -> None:
        """What the store has for it. Not twice, when what comes after it has to be done again."""
        await self.kill_switch.refresh()
        line.upstream.hold(self.kill_switch.on)
        if not line.restored:
            await line.incoming.inbound.start()
            await line.incoming.receipts.start()
            line.restored = True

    async def open_line(self, line: Line) -> None:
        """Settle what the last run left, and bind."""
        await line.upstream.start()
        line.flush.start(FLUSH_SECONDS, now=False)
        line.purge.start(PURGE_SECONDS, now=False)
        line.read_again.start(READ_AGAIN_SECONDS, now=False)

    async def stop(self) -> None:
        """Drain and close; see the module's docstring."""
        log.info("server_draining", seconds=self.config.server.drain_seconds)
        self.supervisor.stopping("Draining")
        self.health.ready = False
        self.outbound.draining = True
        await self.at_most(self.reloading.end(), self.config.server.drain_seconds)
        if self._moving.running:
            self._moving.stop()
        await self.at_most(self.gone.end(), ANSWER_SECONDS)
        if self.mail is not None:
            await self.mail.stop()
        self.purging.stop()
        self.kill_switch.stop()
        waits = [self.outbox.drain(), *(line.upstream.drain() for line in self.lines.values())]
        await self.at_most(DeferredList(waits, consumeErrors=True), self.config.server.drain_seconds)
        await DeferredList(
            [Deferred.fromCoroutine(self.stop_line(line)) for line in self.lines.values()],
            consumeErrors=True,
        )
        if self.sip is not None:
            await self.sip.stop()
        await self._stop_http()
        if self.simulator is not None:
            await _quietly(self.simulator.stop())
        self.directory.stop()
        self.opt_outs.stop()
        self.health.stop()
        self.indexing.stop()
        self.lag.stop()
        self.depths.stop()
        await _quietly(self.console.stop())
        await _quietly(self.events.stop())
        self.http.close()
        if self._metrics_port is not None:
            await _quietly(self._metrics_port.stopListening())
        await _quietly(self._holder.close())
        await self.store.close()
        await self._last_spans()
        log.info("server_stopped")

    def _last_spans(self) -> Deferred[None]:
        sending = self.trace(None).addTimeout(SPANS_SECONDS, self.clock)
        return sending.addErrback(lambda failure: log.warning("spans_not_taken", error="the server ends"))

    def trace(self, config: TracingConfig | None) -> Deferred[None]:
        """Make spans as ``config`` says from now on, or none; fires when those made so far are sent."""
        old, self.tracing = self.tracing, None
        if config is not None:
            from edge.tracing import Tracing  # what is not wanted costs no import, and need not be there

            self.tracing = Tracing(config, self.config.server.node, self._wall_ms)
        hops.tracing = self.tracing
        return succeed(None) if old is None else old.close(self._reactor)

    async def _stop_http(self) -> None:
        """Until now senders were told to come again in a moment. What is being answered gets its answer."""
        if self._port is not None:
            await _quietly(self._port.stopListening())
        if self.site is not None:
            await self.at_most(
                DeferredList([site.drain() for site in (*self._stale_sites, self.site)], consumeErrors=True),
                ANSWER_SECONDS,
            )

    async def stop_line(self, line: Line) -> None:
        for loop in line.loops:
            if loop.running:
                loop.stop()
        await self.at_most(line.incoming.close(), ANSWER_SECONDS)
        await self.at_most(line.upstream.stop(), 5.0)
        if line.restored and all(bind.orderly for bind in line.upstream.binds):
            await _quietly(line.incoming.inbound.ended())
        await _quietly(self._holder.release(f"upstream {line.upstream.name}"))

    def _claim_lost(self, name: str) -> None:
        """Another server carries on what was ours: whatever we did now would be done twice."""
        self._fatal(Failure(Taken(name)))

    def stopService(self) -> Deferred[None]:
        """The reactor waits for this before it stops."""
        super().stopService()
        return Deferred.fromCoroutine(self.stop()).addErrback(_log_failed_stop)

    def at_most(self, work: Deferred[Any], seconds: float) -> Deferred[Any]:
        return work.addTimeout(seconds, self.clock).addErrback(
            lambda failure: log.warning("drain_incomplete", error=failure.getErrorMessage())
        )

    # -- for operators ----------------------------------------------------------------------------

    @property
    def requests(self) -> Counter[tuple[str, str, str]]:
        """Of HTTP, by method, route and status."""
        return Counter() if self.site is None else self.site.requests

    def bind_snapshots(self) -> list[BindSnapshot]:
        """What every bind has counted."""
        return [bind.snapshot() for line in self.lines.values() for bind in line.upstream.binds]


def _words(config: OptOutsConfig) -> Words:
    if not config.words:
        return Words()
    return Words.of(config.stop, config.start, config.towards == "account")


def _quietly(work: Any) -> Deferred[Any]:
    done: Deferred[Any] = work if isinstance(work, Deferred) else succeed(work)
    return done.addErrback(lambda failure: log.warning("stop_failed", error=failure.getErrorMessage()))


def _log_failed_stop(failure: Failure) -> None:
    log.error("stop_failed", error=failure.getTraceback())
