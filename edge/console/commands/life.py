"""The server itself: status, reload, drain, the reactor, backup, purge, version, help."""

import gc
import platform
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection
from twisted import __version__ as twisted_version
from twisted.internet import defer

from edge import __version__, purging
from edge.console.answers import choice, done, fields, limit, rows, time
from edge.console.language import Answer, Command, Given, Language, Misused, Parameter
from edge.console.server import Server
from storage import audit, operators
from storage.backup import backup
from storage.errors import StoreUnavailable
from storage.operators import Count
from storage.writer import Writer

STORE_SECONDS = 5.0
"""A store that has not answered `status` by then is away."""


async def status(server: Server, given: Given) -> Answer:
    """Whether traffic is taken, and how much waits where; of a store that is away all but that."""
    waiting = await _waiting(server)
    ready, parts = server.ready()
    binds = list(server.binds().values())
    return fields(
        {
            "version": __version__,
            "ready": ready,
            "not_ready": "; ".join(map(str, parts["reasons"])),  # type: ignore[call-overload]
            "up_seconds": (server.wall_ms() - server.started_ms) // 1000,
            "draining": parts["draining"],
            "store": "ok" if parts["store"] and waiting is not None else "takes nothing",
            "store_waiting": server.store.writer.pending,
            "store_commit_mean_seconds": _mean_commit(server.store.writer),
            "binds_bound": sum(bind.bound for bind in binds),
            "binds": len(binds),
            "parts": waiting and _by_kind(waiting[0]),
            "deliveries": waiting and _by_kind(waiting[1]),
            "deliveries_running": server.outbox.running,
            "reactor_lag_seconds": server.lag.last,
        }
    )


async def _waiting(server: Server) -> tuple[list[Count], list[Count]] | None:
    """What waits in the store; None while it cannot be read, which must not hide the rest."""
    reading = server.store.read(_counts)
    try:
        return await reading.addTimeout(STORE_SECONDS, server.reactor)
    except (StoreUnavailable, defer.TimeoutError):
        return None


def _mean_commit(writer: Writer) -> float | None:
    """Seconds of a COMMIT, of all since the start; None before the first."""
    return round(writer.commit_seconds / writer.batches, 6) if writer.batches else None


def _counts(connection: Connection) -> tuple[list[Count], list[Count]]:
    return operators.part_counts(connection), operators.delivery_counts(connection)


def _by_kind(counts: list[Count]) -> dict[str, int]:
    return {f"{count.kind} {count.state}": count.rows for count in counts}


async def reload(server: Server, given: Given) -> Answer:
    """Read the configuration again."""
    found = await server.reload()
    if found.problems:
        raise Misused("Nothing was changed: " + "; ".join(found.problems))
    sentence = f"Read again; upstreams changed: {', '.join(found.changed) or 'none'}."
    if found.applied:
        sentence += f" In force: {', '.join(found.applied)}."
    if found.needs_restart:
        sentence += f" A restart is needed for: {', '.join(found.needs_restart)}."
    return done(
        sentence,
        changed=list(found.changed),
        applied=list(found.applied),
        needs_restart=list(found.needs_restart),
    )


def drain(server: Server, given: Given) -> Answer:
    """As SIGTERM does; the answer goes out before the end."""
    server.reactor.callLater(0.2, server.drain)
    return done(f"Draining for at most {server.config().server.drain_seconds:g} s, then the server ends.")


def reactor(server: Server, given: Given) -> Answer:
    """How late it is, and what it waits for."""
    calls = server.reactor.getDelayedCalls()
    kinds = Counter(getattr(call.func, "__qualname__", type(call.func).__name__) for call in calls)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return fields(
        {
            "lag_seconds": server.lag.last,
            "lag_worst_of_a_minute": server.lag.worst,
            "timers": len(calls),
            "timers_by_kind": dict(kinds.most_common(10)),
            "sockets": len(server.reactor.getReaders()),
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "memory_peak_mib": usage.ru_maxrss // 1024,
            "garbage_collections": [generation["collections"] for generation in gc.get_stats()],
        }
    )


async def backup_to(server: Server, given: Given) -> Answer:
    """A copy of the store while it works."""
    target = Path(given["file"])
    if not target.is_absolute():
        raise Misused("Say the whole path: the server's folder may not be yours.")
    await server.store.in_thread(lambda: backup(server.store.engine, target))
    return done(f"The store is in {target}.", file=str(target))


def version(server: Server, given: Given) -> Answer:
    """Of what runs."""
    return fields(
        {
            "trunkline": __version__,
            "python": platform.python_version(),
            "twisted": twisted_version,
            "store": server.store.engine.name,
            "configuration": str(server.config().path),
        }
    )


async def kill_switch(server: Server, given: Given) -> Answer:
    """Stop, or let go on, everything that goes out to carriers."""
    switch = server.kill_switch
    if "state" in given:
        await switch.set(choice(given, "state", ("on", "off")) == "on")
    held = [name for name, upstream in server.upstreams().items() if upstream.held]
    if not switch.on:
        return done("Sending goes on.", on=False, stored=switch.stored, stopped=held)
    sentence = f"Nothing is sent to: {', '.join(held) or 'anybody'}. What is accepted waits in the store."
    if not switch.stored:
        sentence += (
            " The store is away: this is in force here, but not yet on other servers, nor over a restart; it "
            "is stored as soon as the store is back."
        )
    return done(sentence, on=True, stored=switch.stored, stopped=held)


async def audit_ls(server: Server, given: Given) -> Answer:
    """What was changed or asked for, by whom, newest first."""
    found = await server.store.read(audit.everything, limit=limit(given))
    return rows(
        [
            {
                "at": time(entry.at),
                "who": entry.actor,
                "action": entry.action,
                "subject": entry.subject,
                "detail": dict(entry.detail),
                "from": entry.address,
            }
            for entry in found
        ]
    )


def limits(server: Server, given: Given) -> Answer:
    """What bounds the server, as configured."""
    config = server.config()
    found = [
        {
            "upstream": upstream.name,
            "rate": upstream.rate,
            "burst": upstream.burst,
            "window": upstream.window,
            "binds": upstream.binds,
            "backlog": upstream.backlog,
        }
        for upstream in config.upstreams
    ]
    answer = rows(found, "There is no upstream.")
    outbox = {
        "concurrency": config.outbox.concurrency,
        "per_target": config.outbox.per_target,
        "memory": config.outbox.memory,
    }
    return Answer(f"{answer.text}\n\n{fields(outbox).text}", {"upstreams": found, "deliveries": outbox})


def help_command(language: Callable[[], Language]) -> Command:
    """`help`, which needs to know all commands."""

    def run(server: Server, given: Given) -> Answer:
        words = given.get("command", "")
        commands = [{"usage": c.usage, "help": c.help} for c in language().found(words)]
        return Answer(language().help(words), commands)

    command = Parameter("command", "the first words of a command", required=False, rest=True)
    return Command(("help",), "list the commands, or explain one", run, (command,))


async def purge(server: Server, given: Given) -> Answer:
    """What retention rules say is too old goes now, batch by batch."""
    gone = await purging.purge(server.store, server.wall_ms)
    return done(f"Gone: {', '.join(f'{n} {what}' for what, n in gone.items() if n) or 'nothing'}.", gone=gone)


LIMIT = Parameter("limit", "how many rows, 50 if not said", named=True)
SWITCH = Parameter(
    "state",
    "on or off; without it the present state is shown",
    required=False,
    values=lambda server: ("on", "off"),
)

COMMANDS = (
    Command(("status",), "whether traffic is taken, and how much waits where", status),
    Command(("reload",), "read the configuration again; an error keeps what is", reload),
    Command(("drain",), "end politely: take nothing new, finish what is on the wire, stop", drain),
    Command(("kill-switch",), "stop all sending to carriers, or let it go on", kill_switch, (SWITCH,)),
    Command(
        ("backup",),
        "copy the store while it works",
        backup_to,
        (Parameter("file", "a new file, with its whole path"),),
    ),
    Command(("purge",), "remove what is older than the retention rules allow", purge),
    Command(("audit",), "who did what, newest first", audit_ls, (LIMIT,)),
    Command(("limits",), "rates, windows and other bounds, as configured", limits),
    Command(("reactor",), "how late the reactor is, its timers, CPU and memory", reactor),
    Command(("version",), "what runs here", version),
)
