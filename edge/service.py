"""The server as one Twisted service: built from a configuration, started, drained, stopped.

Start: store → directory → upstreams settle what the last run left → binds, outbox, HTTP.
Stop: take nothing new → wait for what is on the wire (at most `drain_seconds`) → unbind → flush → close.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge import config as configuration
from edge.assembly import Assembly
from edge.binds import KINDS, Backoff, Bind
from edge.config import Config, ConfigError, UpstreamConfig
from edge.deliveries import Outbox
from edge.dialect import Dialect
from edge.directory import Directory
from edge.endpoints import endpoint_for, host_and_port
from edge.handlers.callback import CallbackHandler, CallbackSettings
from edge.handlers.http import HTTPSender, HTTPSettings
from edge.handlers.status import StatusHandler
from edge.inbound import Inbound, Policy
from edge.incoming import Incoming
from edge.indexing import Indexing
from edge.outbound import Outbound, Planner
from edge.receipts import Receipts
from edge.references import References
from edge.repeats import Repeats
from edge.simulator import Simulator
from edge.upstreams import Upstream
from edge.web.services import WebServices
from edge.web.site import make_site
from storage.store import Store

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 10.0
THROTTLE_MIN_SECONDS = 0.25
THROTTLE_MAX_SECONDS = 30.0


@dataclass(slots=True)
class Line:
    """One upstream with the pipelines that serve it."""

    upstream: Upstream
    incoming: Incoming
    flush: LoopingCall


class TrunklineService(Service):
    """I own everything that runs. ``store`` is not open yet; ``fatal`` is for a start that fails."""

    name = "trunkline"

    def __init__(
        self,
        config: Config,
        store: Store,
        reactor: Any,
        wall_ms: Callable[[], int],
        random: Random,
        fatal: Callable[[Failure], None],
    ) -> None:
        self.config = config
        self.store = store
        self._reactor = reactor
        self._clock: IReactorTime = reactor
        self._wall_ms = wall_ms
        self._random = random
        self._fatal = fatal
        self._ready = False
        self._port: IListeningPort | None = None
        self.simulator = None if config.simulator is None else Simulator(config.simulator, reactor, wall_ms)
        self.directory = Directory(store, reactor)
        self.http = HTTPSender(reactor, _http_settings(config))
        self.outbox = Outbox(
            self._handlers(), self.directory.did, store, reactor, wall_ms, config.callback.concurrency
        )
        self.indexing = Indexing(store, self._clock)
        self.lines: dict[str, Line] = {}
        for upstream in config.upstreams:
            self.lines[upstream.name] = self._line(upstream)
        self.outbound = Outbound(self._planner(), store, self.upstreams(), wall_ms)
        self.outbound.draining = True  # until the start is over

    # -- building ---------------------------------------------------------------------------------

    def upstreams(self) -> dict[str, Upstream]:
        """By name."""
        return {name: line.upstream for name, line in self.lines.items()}

    def _handlers(self) -> dict[str, Any]:
        callback = self.config.callback
        settings = CallbackSettings(
            retry_seconds=callback.retry_minutes * 60,
            jitter=callback.retry_jitter,
            give_up_seconds=callback.give_up_days * 86400,
            zone=ZoneInfo(callback.timezone),
        )
        return {
            CallbackHandler.name: CallbackHandler(self.http, settings, self._random, self._wall_ms),
            StatusHandler.name: StatusHandler(self.http, self._random),
        }

    def _planner(self) -> Planner:
        dialects = {name: line.upstream.dialect for name, line in self.lines.items()}
        return Planner(
            dialects,
            self.config.numbers.region,
            self.directory.did,
            References(lambda: self._random.randrange(0x10000)),
        )

    def _line(self, config: UpstreamConfig) -> Line:
        dialect = Dialect(config, self.config.numbers.region)
        receipts = Receipts(config.name, config.message_id_base, self.store, self.outbox, self._wall_ms)
        inbound = Inbound(
            Policy(config.name, config.unknown_did == "quarantine", config.repeats == "merge"),
            dialect,
            self.directory,
            self.store,
            self.outbox,
            Assembly(config.reassembly_timeout_seconds),
            Repeats(),
            self._wall_ms,
        )
        incoming = Incoming(inbound, receipts, self._wall_ms)
        throttle = Backoff(THROTTLE_MIN_SECONDS, THROTTLE_MAX_SECONDS, self._random)
        upstream = Upstream(config, dialect, self.store, self._clock, self._wall_ms, throttle, incoming)
        for kind in KINDS[config.bind]:
            name = f"{config.name}/{kind.name.lower()}"
            endpoint = endpoint_for(self._reactor, config)
            upstream.binds.append(Bind(name, kind, config, endpoint, self._clock, self._random, upstream))
        flush = LoopingCall(inbound.flush_overdue)
        flush.clock = self._clock
        return Line(upstream, incoming, flush)

    # -- life -------------------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Take the HTTP port: if it is not free, the start fails here and nothing runs."""
        host, port = host_and_port(self.config.http.listen)
        site = make_site(
            WebServices(
                store=self.store,
                directory=self.directory,
                outbound=self.outbound,
                config=self.config,
                simulator=self.simulator,
                ready=self.readiness,
                wall_ms=self._wall_ms,
                reactor=self._reactor,
            )
        )
        self._port = self._reactor.listenTCP(port, site, interface=host)

    def startService(self) -> None:
        """Start in the order of the module's docstring."""
        super().startService()
        Deferred.fromCoroutine(self._start()).addErrback(self._fatal)

    async def _start(self) -> None:
        await self.store.open()
        await self.directory.start()
        if self.simulator is not None:
            await self.simulator.start()
        for line in self.lines.values():
            await self._start_line(line)
        self.outbox.start()
        self.indexing.start()
        self.outbound.draining = False
        self._ready = True
        log.info("server_ready", listen=self.config.http.listen, upstreams=list(self.lines))

    async def _start_line(self, line: Line) -> None:
        await line.incoming.inbound.start()
        await line.incoming.receipts.start()
        line.flush.start(FLUSH_SECONDS, now=False)
        await line.upstream.start()

    async def stop(self) -> None:
        """Drain and close; see the module's docstring."""
        log.info("server_draining", seconds=self.config.server.drain_seconds)
        self._ready = False
        self.outbound.draining = True
        if self._port is not None:
            await _quietly(self._port.stopListening())
        waits = [self.outbox.drain(), *(line.upstream.drain() for line in self.lines.values())]
        await self._at_most(DeferredList(waits), self.config.server.drain_seconds)
        for line in self.lines.values():
            await self._stop_line(line)
        if self.simulator is not None:
            await _quietly(self.simulator.stop())
        self.directory.stop()
        self.indexing.stop()
        await self.http.close()
        await self.store.close()
        log.info("server_stopped")

    async def _stop_line(self, line: Line) -> None:
        if line.flush.running:
            line.flush.stop()
        await self._at_most(line.upstream.stop(), 5.0)

    def stopService(self) -> Deferred[None]:
        """The reactor waits for this before it stops."""
        super().stopService()
        return Deferred.fromCoroutine(self.stop()).addErrback(_log_failed_stop)

    def _at_most(self, work: Deferred[Any], seconds: float) -> Deferred[Any]:
        return work.addTimeout(seconds, self._clock).addErrback(
            lambda failure: log.warning("drain_incomplete", error=failure.getErrorMessage())
        )

    # -- for operators ----------------------------------------------------------------------------

    def readiness(self) -> tuple[bool, dict[str, object]]:
        """Whether traffic can be taken, and each part's state."""
        states = {
            bind.name: bind.state.name.lower() for line in self.lines.values() for bind in line.upstream.binds
        }
        bound = all(any(b.bound for b in line.upstream.binds) for line in self.lines.values())
        return self._ready and bound, {"started": self._ready, "binds": states}

    def reload(self) -> None:
        """Read the configuration file again and apply what changed; on an error keep what is."""
        try:
            fresh = configuration.load(self.config.path)
        except ConfigError as error:
            for problem in error.problems:
                log.error("config_not_reloaded", problem=problem)
            return
        Deferred.fromCoroutine(self._apply(fresh)).addErrback(
            lambda failure: log.error("reload_failed", error=failure.getTraceback())
        )

    async def _apply(self, fresh: Config) -> None:
        """Only what changed is touched: a changed upstream binds again, the others do not notice."""
        old = {upstream.name: upstream for upstream in self.config.upstreams}
        new = {upstream.name: upstream for upstream in fresh.upstreams}
        changed = [name for name in old if new.get(name) != old[name]]
        for name in changed:
            line = self.lines.pop(name)
            self.outbound.replace(self._planner(), self.upstreams())
            await self._at_most(line.upstream.drain(), self.config.server.drain_seconds)
            await self._stop_line(line)
        needs_restart = [
            key
            for key in ("server", "store", "http", "numbers", "callback", "simulator")
            if getattr(fresh, key) != getattr(self.config, key)
        ]
        self.config = replace(self.config, upstreams=fresh.upstreams, log=fresh.log)
        for name in new:
            if name not in self.lines:
                self.lines[name] = self._line(new[name])
                await self._start_line(self.lines[name])
        self.lines = {name: self.lines[name] for name in new}
        self.outbound.replace(self._planner(), self.upstreams())
        log.info("config_reloaded", upstreams_changed=changed, restart_needed_for=needs_restart)


def _http_settings(config: Config) -> HTTPSettings:
    callback = config.callback
    return HTTPSettings(
        callback.timeout_seconds, callback.connect_timeout_seconds, callback.connections_per_host
    )


def _quietly(work: Any) -> Deferred[Any]:
    done: Deferred[Any] = work if isinstance(work, Deferred) else succeed(work)
    return done.addErrback(lambda failure: log.warning("stop_failed", error=failure.getErrorMessage()))


def _log_failed_stop(failure: Failure) -> None:
    log.error("stop_failed", error=failure.getTraceback())
