"""What people do about deliveries: make one due, end one, owe what failed again."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.deliveries import Outbox
from storage import deliveries
from storage.store import Store

T = TypeVar("T")


class Actions:
    """I am `edge.web.services.DeliveryActions`: each change is committed, then the outbox looks for it.

    Whose deliveries they are the caller has checked.
    """

    def __init__(self, store: Store, outbox: Outbox, wall_ms: Callable[[], int]) -> None:
        self._store = store
        self._outbox = outbox
        self._wall_ms = wall_ms

    def retry_now(self, delivery_id: int) -> Deferred[bool]:
        """Make a pending delivery due at once; False when it is not pending any more."""
        now_ms = self._wall_ms()
        return self._do("retry now", lambda conn: deliveries.retry_now(conn, delivery_id, None, now_ms))

    def skip(self, delivery_id: int, why: str) -> Deferred[bool]:
        """End a pending delivery as failed, with this reason; False when it is not pending any more."""
        now_ms = self._wall_ms()
        change = partial(deliveries.skip, delivery_id=delivery_id, account_id=None, why=why, now_ms=now_ms)
        return self._do("skip", change, [delivery_id])

    def replay(self, delivery_ids: Sequence[int], handler: str | None = None) -> Deferred[int]:
        """Make failed deliveries, of all handlers or this one, pending and due again, under their ids; how
        many of them were failed."""
        now_ms = self._wall_ms()
        change = partial(
            deliveries.replay, delivery_ids=delivery_ids, account_id=None, now_ms=now_ms, handler=handler
        )
        return self._do("replay", change, delivery_ids)

    def _do(
        self, description: str, change: Callable[[Connection], T], changed: Sequence[int] = ()
    ) -> Deferred[T]:
        return self._store.writer.run(description, change).addCallback(self._look, changed)

    def _look(self, result: T, changed: Sequence[int]) -> T:
        self._outbox.look(changed)
        return result
