"""Reading the configuration again while the server runs: checked whole, then what changed is applied.

What could fail is done before anything is touched: new pipelines are built, certificates read, ports opened,
the log's file opened. So a file that is wrong, or names what is not there, leaves everything as it is. An
upstream that changed is drained, unbound and built anew; the others do not notice.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import structlog
from OpenSSL import SSL
from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from edge import composition, outgoing
from edge import config as configuration
from edge import log as logging
from edge.config import Config, ConfigError, UpstreamConfig
from edge.ending import at_most
from edge.reload import Change, Reloaded, change
from edge.supervisor import TAKING
from edge.tls import files_digest

if TYPE_CHECKING:
    from edge.lines import Line
    from edge.service import TrunklineService

log = structlog.get_logger(__name__)

SITE = frozenset({"http", "lookalikes", "outgoing", "callback", "console"})
"""What the pages and the API are built from."""

AGAIN_SECONDS = 10.0
BAD = (OSError, SSL.Error, CannotListenError, ValueError)


@dataclass(slots=True)
class Prepared:
    """What is ready to be put in force: ``lines`` that take the place of ``old`` ones, and what to ``do``."""

    change: Change
    old: tuple[str, ...]
    lines: dict[str, "Line"]
    do: list[Callable[[], object]] = field(default_factory=list)


class Reloading:
    """I change a running server, one reload after another."""

    def __init__(self, server: "TrunklineService") -> None:
        self._server = server
        self._turn = DeferredLock()

    def run(self) -> Deferred[Reloaded]:
        """Read the file again; never an errback."""
        return self._turn.run(lambda: Deferred.fromCoroutine(self._told())).addErrback(_failed)

    def end(self) -> Deferred[DeferredLock]:
        """Fires when none is under way; none begins any more."""
        return self._turn.acquire()

    async def _told(self) -> Reloaded:
        server = self._server
        if not server.health.ready:
            return _refused(["the server is not ready: it starts or ends"])
        server.supervisor.reloading()
        status = TAKING
        try:
            found = await self._read()
            if found.problems:
                status = f"{TAKING}; the new configuration was refused: {'; '.join(found.problems)}"
            return found
        except Exception as error:
            status = f"{TAKING}; the reload failed: {error}"
            raise
        finally:
            if server.health.ready:
                server.supervisor.ready(status)

    async def _read(self) -> Reloaded:
        server = self._server
        try:
            fresh = configuration.load(server.config.path)
        except ConfigError as error:
            return _refused(list(map(str, error.problems)))
        if not fresh.upstreams and server.lines:
            # Taken as it stands it ends all traffic; likelier it is not written yet.
            return _refused(
                [
                    f"{server.config.path} has no [[upstream]], and {', '.join(server.lines)} "
                    f"{'runs' if len(server.lines) == 1 else 'run'}: expected the whole file. To do without "
                    "any upstream, restart the server with it"
                ]
            )
        return await self.apply(fresh)

    async def apply(self, fresh: Config) -> Reloaded:
        """Put in force what of this configuration can be, and is otherwise than now."""
        server = self._server
        wanted = change(server.config, fresh)
        try:
            prepared = self._prepare(wanted)
        except BAD as error:
            server.line_keeper.set_groups(server.config)
            return _refused([f"{server.config.path}: {error}"])
        return await self._apply(prepared)

    # -- before anything is touched ---------------------------------------------------------------

    def _prepare(self, wanted: Change) -> Prepared:
        server = self._server
        old = {name: line.upstream.config for name, line in server.lines.items()}
        new = {upstream.name: upstream for upstream in wanted.config.upstreams}
        gone = tuple(name for name in old if new.get(name) != old[name] or self._renewed(new[name]))
        server.line_keeper.set_groups(wanted.config)
        lines = {
            name: server.line_keeper.make(upstream)
            for name, upstream in new.items()
            if name in gone or name not in old
        }
        prepared = Prepared(wanted, gone, lines)
        prepared.do += [use.renewed() for use in server.contexts()]
        logs = wanted.config.log
        if logs.file:
            logging.open_file(logs.file).close()
        # Also when it is as before: the file may have been rotated.
        prepared.do.append(lambda: logging.configure(logs))
        if "metrics" in wanted.tables:
            prepared.do.append(server.web.open_metrics(wanted.config.metrics))
        return prepared

    def _renewed(self, upstream: UpstreamConfig) -> bool:
        """Have the files of its certificates changed?"""
        return self._server.lines[upstream.name].files != files_digest(upstream)

    # -- in force ---------------------------------------------------------------------------------

    async def _apply(self, prepared: Prepared) -> Reloaded:
        server, wanted = self._server, prepared.change
        # What is accepted for a changed upstream meanwhile waits in the store for its new self.
        drained = DeferredList(
            [server.lines[name].upstream.drain() for name in prepared.old], consumeErrors=True
        )
        await at_most(drained, server.config.server.drain_seconds, server.clock)
        server.config = wanted.config
        for do in prepared.do:
            do()
        self._configure(wanted)
        await self._replace_lines(prepared)
        added = [name for name in prepared.lines if name not in prepared.old]
        applied = sorted(wanted.tables - {"upstreams"})
        log.info(
            "config_reloaded",
            upstreams_changed=list(prepared.old),
            upstreams_added=added,
            applied=applied,
            restart_needed_for=list(wanted.needs_restart),
        )
        return Reloaded((*prepared.old, *added), wanted.needs_restart, (), tuple(applied))

    def _configure(self, wanted: Change) -> None:
        """Every part that is told of new settings, if its own have changed."""
        server, config = self._server, wanted.config
        parts: Mapping[str, Callable[[], object]] = {
            "store": lambda: setattr(server.health.disk, "least_mib", config.store.min_free_mib),
            "webhook": lambda: setattr(
                server.endpoints, "pause_after_seconds", config.webhook.pause_after_days * 86400
            ),
            "outbox": lambda: server.outbox.configure(outgoing.limits(config)),
            "tracing": lambda: server.trace(config.tracing),
            "console": lambda: server.console.configure(config.console),
            "sip": server.configure_sip,
        }
        for table in wanted.tables & parts.keys():
            parts[table]()
        if wanted.tables & {"callback", "outgoing"}:
            server.http.configure(outgoing.settings(config))
            server.renew_handlers()
        if wanted.tables & SITE:
            server.web.renew_site()

    async def _replace_lines(self, prepared: Prepared) -> None:
        server = self._server
        stop, lines = server.line_keeper.stop, server.lines
        stopping = [Deferred.fromCoroutine(stop(lines[name])) for name in prepared.old]
        await DeferredList(stopping, consumeErrors=True)
        names = [upstream.name for upstream in prepared.change.config.upstreams]
        removed = [server.lines[name].upstream.config for name in prepared.old if name not in names]
        async with server.gone.changing(removed):
            server.lines = {name: prepared.lines.get(name) or server.lines[name] for name in names}
            server.line_keeper.forget_groups(server.config)
            server.outbound.replace(composition.planner(server), server.upstreams())
            await self._start(prepared.lines.values())

    async def _start(self, lines: Iterable["Line"]) -> None:
        """What another server holds, or the store does not let begin, is tried again: nobody else would."""
        server = self._server
        wanted = [line for line in lines if server.lines.get(line.upstream.name) is line]
        keeper, late = server.line_keeper, []
        for doing in (keeper.claim, keeper.restore, keeper.open):
            for line in [] if server.health.draining else [each for each in wanted if each not in late]:
                try:
                    await doing(line)
                except Exception as error:  # Taken, or a store that is away
                    log.error("upstream_not_started", upstream=line.upstream.name, error=str(error))
                    late.append(line)
        if late:
            again = partial(self._turn.run, lambda: Deferred.fromCoroutine(self._start(late)))
            server.clock.callLater(AGAIN_SECONDS, lambda: again().addErrback(_failed))


def _refused(problems: list[str]) -> Reloaded:
    for problem in problems:
        log.error("config_not_reloaded", problem=problem)
    return Reloaded(problems=tuple(problems))


def _failed(failure: Failure) -> Reloaded:
    log.error("reload_failed", error=failure.getTraceback())
    return Reloaded(problems=(failure.getErrorMessage(),))
