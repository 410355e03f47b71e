"""What a service is composed of: the parts that are built out of many others.

Some are needed by parts that come before them; those ask the service when they use them.
"""

import os
import time
from typing import TYPE_CHECKING, Any

from edge import outgoing
from edge.actions import Actions
from edge.config import OptOutsConfig
from edge.console.server import Server
from edge.handlers import registry
from edge.handlers.absent import Absent
from edge.handlers.base import CallbackTimes, DIDHandler, Tools
from edge.handlers.imdn import ImdnHandler
from edge.handlers.reports import ReportHandler
from edge.handlers.status import StatusHandler
from edge.lines import Shared
from edge.mail.names import MailNames
from edge.mail.service import MailEdge
from edge.outbound import Planner
from edge.policy.optout import Words
from edge.quarantine import Quarantine
from edge.references import References
from edge.sip.locating import DNS
from edge.sip.service import SipEdge
from edge.turn import Turn
from edge.web.services import WebServices
from edge.web.site import EdgeSite, make_site

if TYPE_CHECKING:
    from edge.service import TrunklineService


def sip_edge(server: "TrunklineService") -> SipEdge | None:
    """The SIP side, if it is configured."""
    if server.config.sip is None:
        return None
    region = server.config.numbers.region
    return SipEdge(
        server.config.sip,
        region,
        server.store,
        lambda: server.outbound,
        server.reactor,
        server.wall_ms,
        os.urandom,
        lambda: server.outbox.look(),  # noqa: PLW0108 - which is built later
        server.directory.did,
        DNS(server.reactor, outgoing.nameservers(server.config)),
        server.random.random,
        Turn(server.clock, time.thread_time).spent,
    )


def mail_edge(server: "TrunklineService") -> MailEdge | None:
    """The mail side, if it is configured."""
    if server.config.mail is None:
        return None
    return MailEdge(
        server.config.mail,
        server.config.numbers.region,
        server.store,
        server.directory,
        MailNames(server.reactor, server.resolver, server.random, outgoing.nameservers(server.config)),
        server.resolver,
        outgoing.settings(server.config).addresses,
        server.reactor,
        server.wall_ms,
        server.random,
        lambda: server.outbound,
    )


def handlers(server: "TrunklineService") -> dict[str, Any]:
    """Every handler by its name, as the configuration has them now."""
    callback = server.config.callback
    tools = Tools(
        http=server.http,
        store=server.store,
        did=server.directory.did,
        submit=lambda draft: server.outbound.submit(draft),  # noqa: PLW0108 - which is built later
        endpoints=server.endpoints,
        random=server.random,
        wall_ms=server.wall_ms,
        sip={} if server.sip is None else server.sip.handlers(),
        email=None if server.mail is None else server.mail.handler,
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
        ImdnHandler.name: tools.sip.get(ImdnHandler.name) or Absent(ImdnHandler.name, server.wall_ms),
    }


def planner(server: "TrunklineService") -> Planner:
    """Over the upstreams that there are now."""
    dialects = {name: line.upstream.dialect for name, line in server.lines.items()}

    def usable(name: str) -> bool:
        line = server.lines.get(name)
        return line is not None and line.upstream.usable

    return Planner(
        dialects,
        server.config.numbers.region,
        server.directory.did,
        References(lambda: server.random.randrange(0x10000)),
        server.config.routes,
        usable,
        server.random.random,
        server.opt_outs.forbids,
    )


def shared_by_lines(server: "TrunklineService") -> Shared:
    """What the lines work with."""
    return Shared(
        config=lambda: server.config,
        store=server.store,
        directory=server.directory,
        outbox=server.outbox,
        mover=server.mover,
        opt_outs=server.opt_outs,
        holder=server.holder,
        kill_switch=server.kill_switch,
        settled=server.receipts_settled,
        reactor=server.reactor,
        wall_ms=server.wall_ms,
        random=server.random,
    )


def console_server(server: "TrunklineService") -> Server:
    """What the console's commands work with."""

    def merging() -> set[str]:
        return {each.name for each in server.config.upstreams if each.repeats == "merge"}

    return Server(
        reactor=server.reactor,
        wall_ms=server.wall_ms,
        started_ms=server.wall_ms(),
        config=lambda: server.config,
        store=server.store,
        directory=server.directory,
        upstreams=server.upstreams,
        outbound=server.outbound,
        outbox=server.outbox,
        actions=Actions(server.store, server.outbox, server.wall_ms),
        doubts=server.doubts,
        interventions=server.interventions,
        quarantine=Quarantine(
            server.store, server.directory, server.outbox, server.opt_outs, merging, server.wall_ms
        ),
        lag=server.lag,
        sip=server.sip,
        ready=server.health.readiness,
        reload=server.reloading.run,
        opt_outs=server.opt_outs,
        drain=server.reactor.stop,
        kill_switch=server.kill_switch,
    )


def site(server: "TrunklineService") -> EdgeSite:
    """Portal and API, as the configuration has them now."""
    return make_site(
        WebServices(
            store=server.store,
            directory=server.directory,
            outbound=server.outbound,
            config=server.config,
            simulator=server.simulator,
            ready=server.health.readiness,
            wall_ms=server.wall_ms,
            reactor=server.reactor,
            deliveries=Actions(server.store, server.outbox, server.wall_ms),
            resolver=server.resolver,
            events=server.events,
            opt_outs=server.opt_outs,
            handlers={name: each for name, each in server.handlers.items() if isinstance(each, DIDHandler)},
            console=server.console.console,
            started=server.health.startup.state,
        )
    )


def words(config: OptOutsConfig) -> Words:
    """What opts out and in, as configured."""
    if not config.words:
        return Words()
    return Words.of(config.stop, config.start, config.towards == "account")
