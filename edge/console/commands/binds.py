"""Binds: what they are doing, start, stop, trace."""

from collections.abc import Sequence

from edge.binds import Bind
from edge.console.answers import done, number, rows
from edge.console.language import Answer, Command, Given, Misused, Parameter
from edge.console.server import Server

TRACE_SECONDS = 60
MAX_TRACE_SECONDS = 3_600


def ls(server: Server, given: Given) -> Answer:
    """Every bind as it stands."""
    found = []
    for bind in server.binds().values():
        now = bind.snapshot()
        answers = sum(now.response_seconds)
        found.append(
            {
                "bind": now.name,
                "state": "stopped" if bind.stopped else now.state,
                "paused": now.paused,
                "window": f"{now.window_in_use}/{now.window}",
                "in": sum(now.pdus_in.values()),
                "out": sum(now.pdus_out.values()),
                "response_ms": round(now.response_seconds_sum / answers * 1000, 1) if answers else None,
                "late": now.late,
                "lost": now.lost,
                "throttles": now.throttles,
                "reconnects": now.reconnects,
            }
        )
    return rows(found, "There is no bind: add an [[upstream]] table to the configuration.")


def start(server: Server, given: Given) -> Answer:
    """Connect a stopped bind."""
    chosen = [bind for bind in _chosen(server, given) if bind.stopped]
    for bind in chosen:
        bind.start()
    return done(f"Started: {_names(chosen)}.", binds=[bind.name for bind in chosen])


async def stop(server: Server, given: Given) -> Answer:
    """Unbind and stay down until it is started, the upstream is changed, or the server restarted."""
    chosen = [bind for bind in _chosen(server, given) if not bind.stopped]
    for bind in chosen:
        await _end(server, bind)
    return done(f"Stopped: {_names(chosen)}.", binds=[bind.name for bind in chosen])


async def restart(server: Server, given: Given) -> Answer:
    """Unbind and bind again."""
    chosen = _chosen(server, given)
    for bind in chosen:
        if not bind.stopped:
            await _end(server, bind)
        if server.binds().get(bind.name) is not bind:
            raise Misused(f"{bind.name} was replaced meanwhile, by a reload.")
        bind.start()
    return done(f"Started again: {_names(chosen)}.", binds=[bind.name for bind in chosen])


async def _end(server: Server, bind: Bind) -> None:
    await bind.quiesce(server.config().server.drain_seconds)
    await bind.stop()


def trace(server: Server, given: Given) -> Answer:
    """Log each PDU for a while: commands, statuses, sequence numbers; no numbers of people and no text."""
    seconds = number(given, "seconds", TRACE_SECONDS, MAX_TRACE_SECONDS, 1)
    chosen = _chosen(server, given)
    for bind in chosen:
        bind.trace(seconds)
    return done(
        f"Every PDU of {_names(chosen)} is in the log for {seconds} s (event bind_pdu; see `log tail`).",
        binds=[bind.name for bind in chosen],
        seconds=seconds,
    )


def _names(binds: Sequence[Bind]) -> str:
    return ", ".join(bind.name for bind in binds) or "none"


def _chosen(server: Server, given: Given) -> list[Bind]:
    """The bind of this name, or all of the upstream of this name; not before what it brings can be stored."""
    server.must_run()
    name, binds = given["bind"], server.binds()
    if name in binds:
        return [binds[name]]
    upstream = server.upstreams().get(name)
    if upstream is None:
        raise Misused(f"There is no bind or upstream {name!r}; there are: {', '.join(binds) or 'none'}.")
    return upstream.binds


def _known(server: Server) -> list[str]:
    return [*server.binds(), *server.upstreams()]


BIND = Parameter("bind", "a bind as `binds` names it, or an upstream for all of its binds", values=_known)
SECONDS = Parameter("seconds", f"for how long, {TRACE_SECONDS} if not said", named=True)

COMMANDS = (
    Command(("binds",), "each bind: state, window, traffic, trouble", ls),
    Command(("bind", "start"), "connect what was stopped", start, (BIND,)),
    Command(("bind", "stop"), "unbind, and stay down until it is started", stop, (BIND,)),
    Command(("bind", "restart"), "unbind and bind again", restart, (BIND,)),
    Command(("bind", "trace"), "log every PDU for a while, without its content", trace, (BIND, SECONDS)),
)
