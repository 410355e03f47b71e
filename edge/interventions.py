"""What operators do about messages that wait for an upstream: hold, let go, cancel, hand to another upstream.

The upstream's queue is withdrawn meanwhile, so that nothing of it leaves while the table is changed; what is
on its way already is spared, but does not go a second time. An upstream that nobody carries any more has no
queue but the table.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, ensureDeferred

from edge import statuses
from edge.deliveries import Outbox
from edge.errors import Refused
from edge.gone import Gone
from edge.holder import Taken
from edge.mover import Mover
from edge.partqueue import PartQueue
from edge.upstreams import Upstream
from storage import operators
from storage.deliveries import DueDelivery
from storage.messages import is_kept
from storage.operators import Held
from storage.store import Store

Change = Callable[[Connection, Held], list[int]]


class Moved(NamedTuple):
    """The ids of the parts that another upstream has others for; ``kept``: it holds them until a retry."""

    parts: Sequence[int]
    kept: bool


class Interventions:
    """I change what waits; each answer is the ids of the parts that were changed, after the commit."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        mover: Mover,
        gone: Gone,
        upstreams: Callable[[], Mapping[str, Upstream]],
        wall_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._mover = mover
        self._gone = gone
        self._upstreams = upstreams
        self._wall_ms = wall_ms

    def hold(self, message_id: int) -> Deferred[list[int]]:
        """Nothing more of this message leaves until it is retried."""
        now_ms = self._wall_ms()
        return ensureDeferred(
            self._change(
                message_id,
                lambda conn, held: operators.hold(conn, held, now_ms),
                lambda queue: queue.keep(message_id),
            )
        )

    def retry(self, message_id: int) -> Deferred[list[int]]:
        """What waits or is held is due now; what an SMSC may have is flagged as a possible duplicate."""
        now_ms = self._wall_ms()
        return ensureDeferred(
            self._change(message_id, lambda conn, held: operators.retry(conn, held, now_ms))
        )

    def cancel(self, message_id: int) -> Deferred[list[int]]:
        """What waits or is held is given up, and the sender told."""
        now_ms = self._wall_ms()
        offered: list[DueDelivery] = []

        def work(conn: Connection, held: Held) -> list[int]:
            ids = operators.cancel(conn, held, now_ms)
            offered.extend(statuses.due(conn, ids, self._store.ids.next, self._outbox.stamp, now_ms))
            return ids

        def tell(ids: list[int]) -> list[int]:
            self._outbox.offer(offered)
            return ids

        return ensureDeferred(
            self._change(message_id, work, lambda queue: queue.bar([message_id]))
        ).addCallback(tell)

    async def move(self, message_id: int, to: str) -> Moved:
        """Hand a message of which nothing has left to another upstream; held, it stays so. Raises Refused."""
        if to not in self._upstreams():
            raise Refused("upstream_unknown", f"There is no upstream {to!r}.", "to")
        name = await self._upstream_of(message_id)
        if name == to:
            raise Refused("moved_nowhere", f"Message {message_id} waits for {to} already.", "to")
        doubtful = name not in self._upstreams()
        async with self._standing_still(name) as busy:
            moved = await self._mover.move(name, message_id, to, busy, doubtful=doubtful)
        return Moved([part.id for part in moved], any(map(is_kept, moved)))

    async def _change(
        self, message_id: int, change: Change, then: Callable[[PartQueue], None] = lambda queue: None
    ) -> list[int]:
        name = await self._upstream_of(message_id)
        async with self._standing_still(name) as busy:
            held = Held(message_id, name, busy)
            changed: list[int] = await self._store.writer.run(
                "operator's change", lambda conn: change(conn, held)
            )
            upstream = self._upstreams().get(name)
            if upstream is not None:
                then(upstream.queue)
        return changed

    async def _upstream_of(self, message_id: int) -> str:
        name = await self._store.read(operators.upstream_of, message_id)
        if name is None:
            raise Refused("nothing_waits", f"Nothing of message {message_id} waits or is held.", "message")
        return name

    @asynccontextmanager
    async def _standing_still(self, name: str) -> AsyncIterator[frozenset[int]]:
        """Nothing that waits for this upstream leaves meanwhile, but for these parts, which may have left."""
        upstream = self._upstreams().get(name)
        if upstream is not None:
            busy = upstream.queue.withdraw()
            try:
                yield busy
            finally:
                upstream.queue.resume()
            return
        try:
            async with self._gone.alone(name):
                yield frozenset()
        except Taken as taken:
            raise Refused(
                "upstream_elsewhere",
                f"Somebody carries its upstream {name!r} by now, maybe another server: ask there.",
                "message",
            ) from taken
