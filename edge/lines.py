"""One upstream with the pipelines that serve it: made, begun step by step, ended."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from edge.binds import Bind, bind_names
from edge.config import Config, UpstreamConfig
from edge.deliveries import Outbox
from edge.dialect import Dialect
from edge.directory import Directory
from edge.ending import ANSWER_SECONDS, at_most, quietly
from edge.endpoints import endpoint_for
from edge.groups import Group
from edge.holder import Holder
from edge.inbound import Inbound, Policy
from edge.incoming import Incoming
from edge.kill_switch import KillSwitch
from edge.mover import Mover
from edge.policy.optout import OptOuts
from edge.receipts import Receipts
from edge.tls import files_digest
from edge.upstreams import Upstream
from protocols.sms import packing
from storage.store import Store

FLUSH_SECONDS = 10.0
PURGE_SECONDS = 3600.0
READ_AGAIN_SECONDS = 1.0
UNBIND_SECONDS = 5.0


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


@dataclass(frozen=True, slots=True)
class Shared:
    """What all lines work with. ``settled``: these parts were taken, as a receipt told; see
    `Upstream.known_taken`."""

    config: Callable[[], Config]
    store: Store
    directory: Directory
    outbox: Outbox
    mover: Mover
    opt_outs: OptOuts
    holder: Holder
    kill_switch: KillSwitch
    settled: Callable[[Sequence[int], Collection[int]], None]
    reactor: Any
    wall_ms: Callable[[], int]
    random: Random


class LineKeeper:
    """I make lines, begin them and end them; who has them is the service."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._clock: IReactorTime = shared.reactor
        self._groups: dict[str, Group] = {}

    # -- making -----------------------------------------------------------------------------------

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

    def make_all(self, config: Config) -> dict[str, Line]:
        """Those of a configuration, by the names of their upstreams."""
        self.set_groups(config)
        return {upstream.name: self.make(upstream) for upstream in config.upstreams}

    def make(self, config: UpstreamConfig) -> Line:
        """One that does nothing yet. Raises for certificates that cannot be used."""
        shared = self._shared
        dialect = Dialect(config, shared.config().numbers.region)
        group = self._groups[config.group_name]
        receipts = Receipts(
            config, dialect, group, shared.store, shared.outbox, shared.wall_ms, shared.settled
        )
        inbound = self._inbound(config, dialect, group)
        pattern = re.compile(config.receipt_pattern) if config.receipt_pattern else None
        unpack = packing.unpack if config.default_alphabet == "gsm7_packed" else None
        incoming = Incoming(inbound, receipts, shared.mover, pattern, unpack, shared.wall_ms)
        upstream = Upstream(
            config, dialect, shared.store, self._clock, shared.wall_ms, incoming, shared.opt_outs.forbids
        )
        endpoint = endpoint_for(shared.reactor, config)
        for name, kind in bind_names(config):
            upstream.binds.append(Bind(name, kind, config, endpoint, self._clock, shared.random, upstream))
        loops = [LoopingCall(call) for call in (inbound.flush_overdue, receipts.purge, receipts.read_again)]
        for loop in loops:
            loop.clock = self._clock
        return Line(upstream, incoming, files_digest(config), *loops)

    def _inbound(self, config: UpstreamConfig, dialect: Dialect, group: Group) -> Inbound:
        shared = self._shared
        return Inbound(
            Policy(
                config.name,
                config.unknown_did == "quarantine",
                config.repeats == "merge",
                config.reassembly_timeout_seconds,
            ),
            dialect,
            shared.directory,
            shared.store,
            shared.outbox,
            group.assembly,
            group.repeats,
            shared.wall_ms,
            shared.opt_outs,
        )

    def stray(self, config: UpstreamConfig) -> Inbound:
        """For an upstream that is not configured."""
        return self._inbound(config, Dialect(config, self._shared.config().numbers.region), Group(()))

    # -- beginning and ending ---------------------------------------------------------------------

    async def start(self, lines: Iterable[Line]) -> None:
        """Restore what all hold before the first may bring more: a long message may lie with several."""
        lines = list(lines)
        for doing in (self.claim, self.restore, self.open):
            for line in lines:
                await doing(line)

    async def claim(self, line: Line) -> None:
        """No other server has this upstream while we do. Raises Taken."""
        await self._shared.holder.take(f"upstream {line.upstream.name}")

    async def restore(self, line: Line) -> None:
        """What the store has for it. Not twice, when what comes after it has to be done again."""
        await self._shared.kill_switch.refresh()
        line.upstream.hold(self._shared.kill_switch.on)
        if not line.restored:
            await line.incoming.inbound.start()
            await line.incoming.receipts.start()
            line.restored = True

    async def open(self, line: Line) -> None:
        """Settle what the last run left, and bind."""
        await line.upstream.start()
        line.flush.start(FLUSH_SECONDS, now=False)
        line.purge.start(PURGE_SECONDS, now=False)
        line.read_again.start(READ_AGAIN_SECONDS, now=False)

    async def stop(self, line: Line) -> None:
        """Answer what was taken, unbind, and let others have it."""
        for loop in line.loops:
            if loop.running:
                loop.stop()
        await at_most(line.incoming.close(), ANSWER_SECONDS, self._clock)
        await at_most(line.upstream.stop(), UNBIND_SECONDS, self._clock)
        if line.restored and all(bind.orderly for bind in line.upstream.binds):
            await quietly(line.incoming.inbound.ended())
        await quietly(self._shared.holder.release(f"upstream {line.upstream.name}"))
