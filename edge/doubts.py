"""Parts that an SMSC may or may not have: an operator sees them, and decides."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge import statuses
from edge.deliveries import Outbox
from edge.upstreams import Upstream
from storage import parts
from storage.deliveries import DueDelivery
from storage.parts import Decided, QueuedPart
from storage.store import Store

log = structlog.get_logger(__name__)


class Doubts:
    """What operators ask of the pipeline; ``upstreams`` gives those of the present configuration."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        upstreams: Callable[[], Mapping[str, Upstream]],
        wall_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._upstreams = upstreams
        self._wall_ms = wall_ms

    def doubtful(self, upstream: str, limit: int = 100) -> Deferred[list[QueuedPart]]:
        """The parts of an upstream that are in doubt or held, oldest first."""
        return self._store.read(parts.doubtful, upstream, limit)

    def resend(self, part_ids: Iterable[int]) -> Deferred[list[int]]:
        """Send these again, flagged as possible duplicates; the ids of those that were in doubt or held."""
        return self._decide(list(part_ids), resend=True)

    def give_up(self, part_ids: Iterable[int]) -> Deferred[list[int]]:
        """Take these for failed, and tell their senders; the ids of those that were in doubt or held."""
        return self._decide(list(part_ids), resend=False)

    def _decide(self, part_ids: Sequence[int], *, resend: bool) -> Deferred[list[int]]:
        def work(conn: Connection) -> tuple[list[Decided], Sequence[DueDelivery]]:
            now_ms = self._wall_ms()
            decided = parts.decide(conn, part_ids, now_ms, resend=resend)
            if resend:
                return decided, ()
            identities = [one.id for one in decided]
            return decided, statuses.due(conn, identities, self._store.ids.next, self._outbox.stamp, now_ms)

        return self._store.writer.run("doubt settled", work).addCallback(self._settled, resend)

    def _settled(self, result: tuple[list[Decided], Sequence[DueDelivery]], resend: bool) -> list[int]:
        decided, due = result
        for name, upstream in self._upstreams().items():
            mine = [one for one in decided if one.upstream == name]
            if mine:
                given_up = () if resend else {one.message_id for one in mine}
                upstream.settled([one.id for one in mine], given_up)
        if due:
            self._outbox.offer(due)
        identities = [one.id for one in decided]
        log.info("doubt_settled", parts=identities, resend=resend)
        return identities
