"""Failover: messages that one upstream cannot or would not take go to another one of their route.

A message moves whole, and only while nothing of it has left, or may have: what is in doubt stays. The other
upstream may have another alphabet and other ways, so the message is segmented anew from its text; it keeps
its id, and its place by age.
"""

from collections.abc import Callable, Mapping, Sequence

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge.errors import Refused
from edge.outbound import NewPlan, Planner, part_records
from edge.upstreams import Upstream
from storage import messages, moves
from storage.messages import is_kept
from storage.moves import Waiting
from storage.parts import QueuedPart
from storage.records import PartFlag, PartRecord, PartState
from storage.store import Store

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
PAGE = 200  # messages looked at in one go
PAGES = 25  # and how many times in one look: the rest waits for the next


class Mover:
    """I watch all upstreams; ``upstreams`` and ``planner`` give those of the present configuration."""

    def __init__(
        self,
        store: Store,
        upstreams: Callable[[], Mapping[str, Upstream]],
        planner: Callable[[], Planner],
    ) -> None:
        self._store = store
        self._upstreams = upstreams
        self._planner = planner
        self._after: dict[str, int] = {}  # where the last look at an upstream's queue ended

    def look(self) -> Deferred[None]:
        """Take from the upstreams that are down what others can carry."""
        return Deferred.fromCoroutine(self._look())

    async def bequeath(self, name: str) -> None:
        """Nobody carries this upstream any more: what waits for it is for others of its route, also what it
        may have had and would have been sent again."""
        moved = await self._pages(name, frozenset(), doubtful=True)
        if moved:
            log.warning("messages_moved", upstream=name, messages=moved)

    def refused(self, upstream: Upstream, item: QueuedPart) -> Deferred[Sequence[int]]:
        """The SMSC would not take this part: see `edge.upstreams.Observer.elsewhere`."""
        return Deferred.fromCoroutine(self._refused(upstream, item)).addErrback(_not_moved)

    async def move(
        self, upstream: str, message_id: int, to: str, busy: frozenset[int], *, doubtful: bool = False
    ) -> Sequence[PartRecord]:
        """Give a message to this very upstream, up or not, while the other's queue is withdrawn and all but
        ``busy`` stand still; its old parts. What is held of it stays held. Raises Refused with the reason."""
        waiting = await self._store.read(
            moves.waiting_one, upstream, message_id, doubtful=doubtful, kept=True
        )
        if waiting is None or any(part.id in busy for part in waiting.parts):
            raise await self._obstacle(message_id, busy)
        plan = self._planner().plan_on(waiting.message, to)
        if not await self._hand_over(waiting, plan, waiting.parts[0].refused_by):
            raise await self._obstacle(message_id, busy)
        return waiting.parts

    async def _obstacle(self, message_id: int, busy: frozenset[int]) -> Refused:
        view = await self._store.read(messages.find, message_id)
        found = (_why_it_stays(part, busy) for part in (view.parts if view else ()))
        code, why = next(filter(None, found), ("gone_on", "it has just gone on"))
        return Refused(code, f"Message {message_id} cannot move: {why}.")

    async def _look(self) -> None:
        for upstream in list(self._upstreams().values()):
            if not upstream.usable and self._has_another(upstream.name):
                try:
                    await self._evacuate(upstream)
                except Exception as error:
                    log.error("messages_not_moved", upstream=upstream.name, error=str(error))

    def _has_another(self, name: str) -> bool:
        """Is an upstream up that shares a route with this one?"""
        routes = self._planner().routes
        together = [
            (*route.upstreams, *route.failover)
            for route in routes
            if name in route.upstreams or name in route.failover
        ]
        return any(self._up(other) for names in together for other in names if other != name)

    def _up(self, name: str) -> bool:
        upstream = self._upstreams().get(name)
        return upstream is not None and upstream.up

    def _usable(self, name: str) -> bool:
        """Up, or between two reconnects: better to wait there than to fail."""
        upstream = self._upstreams().get(name)
        return upstream is not None and upstream.usable

    async def _pages(self, name: str, busy: frozenset[int], *, doubtful: bool = False) -> int:
        """Go on through what waits for an upstream, where the last look at it ended; how much was moved."""
        moved = 0
        after: int | None = self._after.get(name, 0)
        for _ in range(PAGES):
            found, following = await self._store.read(moves.page, name, after or 0, PAGE, doubtful=doubtful)
            moved += await self._move_all(found, busy)
            after = following
            if following is None:
                break
        self._after[name] = after or 0
        return moved

    async def _evacuate(self, upstream: Upstream) -> None:
        """Page by page through its queue, which stands still meanwhile."""
        busy = upstream.queue.withdraw()
        try:
            moved = await self._pages(upstream.name, busy)
        finally:
            upstream.queue.resume()
        if moved:
            upstream.counters.moved += moved
            log.warning("messages_moved", upstream=upstream.name, messages=moved)

    async def _move_all(self, found: Sequence[Waiting], busy: frozenset[int]) -> int:
        planner = self._planner()
        planned = []
        for waiting in found:
            if any(part.id in busy for part in waiting.parts):
                continue
            plan = planner.plan_elsewhere(waiting.message, self._up)
            if plan is not None:
                planned.append((waiting, plan, self._parts(waiting, plan, waiting.parts[0].refused_by)))
        if not planned:
            return 0

        def work(conn: Connection) -> int:
            return sum(
                moves.move(conn, waiting, plan.upstream, plan.segmented.encoding.name, parts)
                for waiting, plan, parts in planned
            )

        moved: int = await self._store.writer.run("messages to another upstream", work)
        for name in {plan.upstream for _, plan, _ in planned}:
            self._wake(name)
        return moved

    async def _refused(self, upstream: Upstream, item: QueuedPart) -> Sequence[int]:
        waiting = await self._store.read(moves.waiting_one, upstream.name, item.part.message_id)
        if waiting is None:
            return ()
        refused_by = " ".join(filter(None, (item.part.refused_by, upstream.name)))
        plans = (
            self._planner().plan_elsewhere(waiting.message, there, refused_by.split())
            for there in (self._up, self._usable)
        )
        plan = next(filter(None, plans), None)
        if plan is None:
            return ()
        if not await self._hand_over(waiting, plan, refused_by):
            return ()
        return [part.id for part in waiting.parts]

    async def _hand_over(self, waiting: Waiting, plan: NewPlan, refused_by: str | None) -> bool:
        parts = self._parts(waiting, plan, refused_by)
        upstream, message_id = waiting.parts[0].upstream, waiting.message.id

        def work(conn: Connection) -> bool:
            return moves.move(conn, waiting, plan.upstream, plan.segmented.encoding.name, parts)

        if not await self._store.writer.run("message to another upstream", work):
            return False
        log.info("message_moved", message=message_id, upstream=upstream, to=plan.upstream)
        self._wake(plan.upstream)
        return True

    def _parts(self, waiting: Waiting, plan: NewPlan, refused_by: str | None) -> list[PartRecord]:
        first = waiting.parts[0]
        ids = self._store.ids.next
        parts = part_records(waiting.message.id, plan, ids, first.due_at, first.expires_at, refused_by)
        if any(part.flags & PartFlag.POSSIBLE_DUPLICATE for part in waiting.parts):
            parts = [part._replace(flags=part.flags | PartFlag.POSSIBLE_DUPLICATE) for part in parts]
        if any(map(is_kept, waiting.parts)):
            parts = [part._replace(state=PartState.HELD, flags=part.flags | PartFlag.KEPT) for part in parts]
        return parts

    def _wake(self, name: str) -> None:
        upstream = self._upstreams().get(name)
        if upstream is not None:
            upstream.look()


def _why_it_stays(part: PartRecord, busy: frozenset[int]) -> tuple[str, str] | None:
    """What keeps the message of this part with its upstream: a code and a clause; None if nothing does."""
    name = f"part {part.number}/{part.total}"
    if part.state in (PartState.SENT, PartState.DELIVERED):
        return "has_left", f"{name} has left ({part.state})"
    if part.state.final:
        return "has_ended", f"{name} has {part.state}"
    if part.state is PartState.IN_DOUBT or (part.state is PartState.HELD and not is_kept(part)):
        return "may_have_left", f"{name} may have left (in doubt)"
    if part.state is PartState.SENDING or part.id in busy:
        return "on_its_way", f"{name} is on its way to {part.upstream}"
    if part.flags & PartFlag.POSSIBLE_DUPLICATE:
        return "may_have_left", f"{part.upstream} may have {name} already"
    return None


def _not_moved(failure: Failure) -> Sequence[int]:
    log.error("message_not_moved", error=failure.getErrorMessage())
    return ()
