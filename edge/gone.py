"""Upstreams that the store names and nobody carries any more: what was acknowledged for them is looked after.

An upstream is taken out of the configuration, or renamed, while parts wait for it and half of a long message
lies there. Its parts go to where their route leads now, expire, and can be changed by operators; what came of
its long messages is delivered when the rest is overdue, and receipts without a part are forgotten in time.
On a store that several servers share it may be another's: who works on it claims it first, for that moment.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime

from edge import statuses
from edge.config import Secret, UpstreamConfig
from edge.deliveries import Outbox
from edge.holder import Holder, Taken
from edge.inbound import Inbound
from edge.mover import Mover
from edge.receipts import PURGED_AT_ONCE
from edge.upstreams import Upstream
from storage import parts, progress, receipts, strays
from storage.deliveries import DueDelivery
from storage.progress import Change
from storage.store import Store

log = structlog.get_logger(__name__)

SHARED_SECONDS = 30.0
"""How long nobody has carried an upstream of a store that servers share, until it is gone: they restart."""

EXPIRED_PARTS = 1_000  # the most that one look brings


class Gone:
    """I look after them from time to time; ``upstreams`` gives those of the present configuration.
    ``inbound`` makes what delivers the MO messages of an upstream, none of which is in memory."""

    def __init__(
        self,
        store: Store,
        upstreams: Callable[[], Mapping[str, Upstream]],
        holder: Holder,
        mover: Mover,
        outbox: Outbox,
        inbound: Callable[[UpstreamConfig], Inbound],
        clock: IReactorTime,
        wall_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._upstreams = upstreams
        self._holder = holder
        self._mover = mover
        self._outbox = outbox
        self._inbound = inbound
        self._clock = clock
        self._wall_ms = wall_ms
        self._shared = store.engine.name == "postgresql"
        self._turn = DeferredLock()
        self._configs: dict[str, UpstreamConfig] = {}  # how those were that this server has carried
        self._free_since: dict[str, float] = {}
        self._said: set[str] = set()

    def look(self) -> Deferred[None]:
        """Do for each of them what is due; never an errback."""
        return Deferred.fromCoroutine(self._look())

    @asynccontextmanager
    async def changing(self, removed: Iterable[UpstreamConfig]) -> AsyncIterator[None]:
        """The configuration changes meanwhile: those that it does not have any more, and that this server has
        carried until now, are gone at once."""
        await self._turn.acquire()
        try:
            yield
            self._said.clear()
            for config in removed:
                self._configs[config.name] = config
                self._free_since[config.name] = self._clock.seconds() - SHARED_SECONDS
        finally:
            self._turn.release()

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Nobody else touches what waits for an upstream that is not configured here. Raises Taken when
        somebody carries it, by now or on another server."""
        await self._turn.acquire()
        try:
            if name in self._upstreams():
                raise Taken(f"upstream {name}")
            await self._holder.take(f"upstream {name}")
            try:
                yield
            finally:
                await self._holder.release(f"upstream {name}")
        finally:
            self._turn.release()

    def end(self) -> Deferred[DeferredLock]:
        """Fires when nothing is under way; nothing begins any more."""
        return self._turn.acquire()

    # -- one look ---------------------------------------------------------------------------------

    async def _look(self) -> None:
        try:
            names = sorted(await self._store.read(strays.upstreams) - self._upstreams().keys())
        except Exception as error:
            log.error("upstreams_not_read", error=str(error))
            return
        self._said.intersection_update(names)
        self._free_since = {name: at for name, at in self._free_since.items() if name in names}
        for name in names:
            try:
                await self._look_at(name)
            except Exception as error:
                log.error("upstream_gone_not_served", upstream=name, error=str(error))

    async def _look_at(self, name: str) -> None:
        try:
            async with self.alone(name):
                if self._is_gone(name):
                    await self._serve(name)
        except Taken:
            self._free_since.pop(name, None)

    def _is_gone(self, name: str) -> bool:
        """Does nobody carry it, and has nobody for a while?"""
        now = self._clock.seconds()
        return not self._shared or now - self._free_since.setdefault(name, now) >= SHARED_SECONDS

    async def _serve(self, name: str) -> None:
        if name not in self._said:
            self._said.add(name)
            waiting, incomplete, unmatched = await self._store.read(strays.count, name)
            log.warning(
                "upstream_gone", upstream=name, parts=waiting, inbound_parts=incomplete, receipts=unmatched
            )
        due = await self._store.writer.run("upstream gone", lambda conn: self._settle(conn, name))
        if due:
            self._outbox.offer(due)
        await self._mover.bequeath(name)
        await self._flush(name)
        await self._purge(name)

    def _settle(self, conn: Connection, name: str) -> list[DueDelivery]:
        """What the last run left open is decided, and what is over has expired."""
        now_ms = self._wall_ms()
        left = parts.unanswered(conn, name)
        if left:
            log.warning("parts_in_doubt", upstream=name, parts=len(left))
        over = parts.overdue(conn, name, now_ms, EXPIRED_PARTS)
        if over:
            log.warning("parts_expired", upstream=name, parts=len(over))
        writes = [write for item in left for write in parts.settle_doubt(item.part, now_ms)]
        writes += [write for part_id in over for write in parts.expire(part_id, now_ms)]
        changed = [*(item.part.id for item in left), *over]
        if changed:
            progress.apply(conn, [Change(writes, changed, now_ms)])
        return statuses.due(conn, over, self._store.ids.next, self._outbox.stamp, now_ms) if over else []

    async def _flush(self, name: str) -> None:
        config = self._configs.get(name)
        if config is not None and self._has_group(config):
            return  # its group remembers them, and flushes them
        config = config or self._unknown(name)
        oldest = await self._store.read(strays.oldest_incomplete, name)
        if oldest is None or self._wall_ms() - oldest < config.reassembly_timeout_seconds * 1000:
            return
        inbound = self._inbound(config)
        await inbound.start()
        await inbound.flush_overdue()

    async def _purge(self, name: str) -> None:
        """Its receipts wait as long for their parts as the others'."""
        config = self._configs.get(name) or self._unknown(name)
        before_ms = self._wall_ms() - round(config.unmatched_receipt_hours * 3_600_000)
        purged = await self._store.writer.run(
            "old receipts", lambda conn: receipts.purge_unmatched(conn, name, before_ms, PURGED_AT_ONCE)
        )
        if purged:
            log.warning("receipts_unmatched_purged", upstream=name, receipts=purged)

    def _has_group(self, config: UpstreamConfig) -> bool:
        return any(each.config.group_name == config.group_name for each in self._upstreams().values())

    def _unknown(self, name: str) -> UpstreamConfig:
        """An upstream of which the store has the name alone: as patient as the others."""
        unknown = UpstreamConfig(name=name, port=1, system_id=name, password=Secret(""))
        known = [each.config for each in self._upstreams().values()] or [unknown]
        return replace(
            unknown,
            reassembly_timeout_seconds=max(each.reassembly_timeout_seconds for each in known),
            unmatched_receipt_hours=max(each.unmatched_receipt_hours for each in known),
        )
