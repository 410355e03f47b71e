"""The server as one Twisted service: built from a configuration, started, drained, stopped.

Start: HTTP's port → store (while it is awaited: console) → claims → console → directory → SIP, outbox →
upstreams: what the last run left is restored and settled → binds → mail. Until all of it is done traffic is
refused for now.
Stop: send nothing new, refuse what comes → wait for what is on the wire (at most `drain_seconds`) → answer
all that was taken → unbind → close the connections of HTTP → flush → close.
"""

import sys
from collections.abc import Callable, Collection, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import structlog
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge import composition, hops, outgoing
from edge import log as logging
from edge.certificate import ServerContext
from edge.config import Config, TracingConfig
from edge.console.service import ConsoleService
from edge.deliveries import Outbox
from edge.depths import Depths
from edge.directory import Directory
from edge.disk import Disk
from edge.doubts import Doubts
from edge.ending import ANSWER_SECONDS, at_most, quietly
from edge.events import Events
from edge.figures import figures
from edge.gone import Gone
from edge.handlers.endpoints import Endpoints
from edge.health import Health
from edge.holder import Holder, Taken
from edge.http.client import HTTPClient
from edge.http.resolving import NameResolver
from edge.indexing import Indexing
from edge.interventions import Interventions
from edge.kill_switch import KillSwitch
from edge.lag import Lag
from edge.lines import Line, LineKeeper
from edge.metrics import BindSnapshot
from edge.mover import LOOK_SECONDS, Mover
from edge.outbound import Outbound
from edge.policy.optout import OptOuts
from edge.purging import Purging
from edge.reloading import Reloading
from edge.simulator import Simulator
from edge.store_opening import open_store
from edge.supervisor import TAKING, Supervisor
from edge.upstreams import Upstream
from edge.web.metrics import MetricsSite
from edge.web_ports import WebPorts
from storage.claims import of_server
from storage.engines import file_of
from storage.store import Store

if TYPE_CHECKING:
    from edge.tracing import Tracing

log = structlog.get_logger(__name__)

SPANS_SECONDS = 5.0  # for what a collector has not taken when the server ends
WAIT_SECONDS = 60.0  # so long a supervisor is asked to wait for a start that waits for the store, each time


class TrunklineService(Service):
    """I own everything that runs. ``store`` is not open yet; ``fatal`` is for a start that fails."""

    name = "trunkline"
    tracing: "Tracing | None" = None
    lines: dict[str, Line]

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
        self.reactor = reactor
        self.clock: IReactorTime = reactor
        self.wall_ms = wall_ms
        self.random = random
        self._fatal = fatal
        self.supervisor = supervisor or Supervisor()
        disk = Disk(file_of(config.store.url), config.store.min_free_mib, store.in_thread)
        self.health = Health(store, self.upstreams, disk, reactor)
        self.depths = Depths(store, self.upstreams, lambda: self.handlers, reactor, wall_ms)
        self.reloading = Reloading(self)
        self.holder = Holder(store, reactor, self._claim_lost)
        self.simulator = None if config.simulator is None else Simulator(config.simulator, reactor, wall_ms)
        self.directory = Directory(store, reactor)
        self.opt_outs = OptOuts(store, reactor, wall_ms, composition.words(config.optout))
        self.resolver = NameResolver(reactor, outgoing.nameservers(config))
        self.http = HTTPClient(reactor, outgoing.settings(config), self.resolver)
        self.endpoints = Endpoints(store, wall_ms, config.webhook.pause_after_days * 86400)
        self.sip = composition.sip_edge(self)
        self.mail = composition.mail_edge(self)
        self.handlers = composition.handlers(self)
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
        self.mover = Mover(store, self.upstreams, lambda: self.outbound.planner)
        self.kill_switch = KillSwitch(store, self.upstreams, reactor, wall_ms)
        self.line_keeper = LineKeeper(composition.shared_by_lines(self))
        self.doubts = Doubts(store, self.outbox, self.upstreams, wall_ms)
        self.gone = Gone(
            store,
            self.upstreams,
            self.holder,
            self.mover,
            self.outbox,
            self.line_keeper.stray,
            reactor,
            wall_ms,
        )
        self._moving = LoopingCall(self._look_around)
        self._moving.clock = reactor
        self.lines = self.line_keeper.make_all(config)
        self.outbound = Outbound(
            composition.planner(self), store, self.upstreams(), wall_ms, self.outbox.stamp
        )
        self.outbound.draining = True  # until the start is over
        self.lag = Lag(reactor)
        self.purging = Purging(store, reactor, wall_ms)
        self.interventions = Interventions(store, self.outbox, self.mover, self.gone, self.upstreams, wall_ms)
        self.console = ConsoleService(
            config.console, composition.console_server(self), reactor, {"service": self}
        )
        self.web = WebPorts(self.supervisor, reactor, partial(composition.site, self), self._make_metrics)

    # -- building ---------------------------------------------------------------------------------

    def upstreams(self) -> dict[str, Upstream]:
        """By name."""
        return {name: line.upstream for name, line in self.lines.items()}

    def _look_around(self) -> Deferred[None]:
        return self.mover.look().addCallback(lambda _: self.gone.look())

    def receipts_settled(self, part_ids: Sequence[int], guessed: Collection[int]) -> None:
        """The parts may be those of any upstream of a group."""
        for line in self.lines.values():
            line.upstream.known_taken(part_ids, guessed)

    # -- life -------------------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Take the ports of HTTP: if one is not to be had, that is told and nothing runs."""
        try:
            self.web.listen(self.config.http, self.config.metrics)
        except (CannotListenError, OSError) as error:
            log.error("start_refused", reason=str(error))
            print(f"trunkline: {error}", file=sys.__stderr__)  # Twisted has taken the other
            raise SystemExit(1) from error

    def _make_metrics(self) -> MetricsSite:
        return MetricsSite(self.bind_snapshots, self.reactor, lambda: figures(self))

    # -- what a reload changes --------------------------------------------------------------------

    def renew_handlers(self) -> None:
        """As the configuration has them now; the outbox looks each up when it delivers."""
        self.handlers.update(composition.handlers(self))

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
        await self.holder.take(of_server(self.store.engine, self.config.server.node))
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
        await self.line_keeper.start(self.lines.values())
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

    async def stop(self) -> None:
        """Drain and close; see the module's docstring."""
        log.info("server_draining", seconds=self.config.server.drain_seconds)
        self.supervisor.stopping("Draining")
        self.health.ready = False
        self.outbound.draining = True
        await at_most(self.reloading.end(), self.config.server.drain_seconds, self.clock)
        if self._moving.running:
            self._moving.stop()
        await at_most(self.gone.end(), ANSWER_SECONDS, self.clock)
        if self.mail is not None:
            await self.mail.stop()
        self.purging.stop()
        self.kill_switch.stop()
        waits = [self.outbox.drain(), *(line.upstream.drain() for line in self.lines.values())]
        drained = DeferredList(waits, consumeErrors=True)
        await at_most(drained, self.config.server.drain_seconds, self.clock)
        await DeferredList(
            [Deferred.fromCoroutine(self.line_keeper.stop(line)) for line in self.lines.values()],
            consumeErrors=True,
        )
        if self.sip is not None:
            await self.sip.stop()
        await self.web.close_site()
        if self.simulator is not None:
            await quietly(self.simulator.stop())
        self.directory.stop()
        self.opt_outs.stop()
        self.health.stop()
        self.indexing.stop()
        self.lag.stop()
        self.depths.stop()
        await quietly(self.console.stop())
        await quietly(self.events.stop())
        self.http.close()
        await self.web.close_metrics()
        await quietly(self.holder.close())
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

            self.tracing = Tracing(config, self.config.server.node, self.wall_ms)
        hops.tracing = self.tracing
        return succeed(None) if old is None else old.close(self.reactor)

    def _claim_lost(self, name: str) -> None:
        """Another server carries on what was ours: whatever we did now would be done twice."""
        self._fatal(Failure(Taken(name)))

    def stopService(self) -> Deferred[None]:
        """The reactor waits for this before it stops."""
        super().stopService()
        return Deferred.fromCoroutine(self.stop()).addErrback(_log_failed_stop)

    # -- for operators ----------------------------------------------------------------------------

    def bind_snapshots(self) -> list[BindSnapshot]:
        """What every bind has counted."""
        return [bind.snapshot() for line in self.lines.values() for bind in line.upstream.binds]


def _log_failed_stop(failure: Failure) -> None:
    log.error("stop_failed", error=failure.getTraceback())
