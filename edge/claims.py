"""What this server holds of the delivery table: claimed in batches, leased, renewed, given back.

A delivery that a pipeline commits for memory carries the lease from its first moment; all others are found
by looking from lane to lane (`storage.queue`). What carries this server's lease is in its memory, and the
reverse.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, succeed

from storage import paused, queue
from storage.deliveries import DueDelivery
from storage.queue import DueLane
from storage.store import Store

LOOK_LANES = 500
CLAIM_DELIVERIES = 500  # what one transaction takes, so that it holds nobody up
LANE_DELIVERIES = 200  # … and of it one lane
FRESH_MS = 1000  # for so long what the store said of a delivery is taken to hold


class Claims:
    """I know every lease of this server. Times are wall-clock milliseconds: servers share them."""

    def __init__(self, store: Store, lease_ms: int) -> None:
        self.lease_ms = lease_ms
        self._store = store
        self._owner: int | None = None
        self._leases: dict[int, int] = {}
        self._sure: dict[int, int] = {}  # when the store was last asked whether they are ours and pending
        self._doubted: set[int] | None = None  # while the store is being asked
        self._after = -(2**63)

    @property
    def owner(self) -> int:
        """This life of this server: it knows what it claimed from what the one before did."""
        if self._owner is None:
            self._owner = self._store.ids.next()
        return self._owner

    def __len__(self) -> int:
        return len(self._leases)

    def __contains__(self, delivery_id: int) -> bool:
        return delivery_id in self._leases

    def lease(self, due: DueDelivery, now_ms: int) -> DueDelivery:
        """The same, to be inserted with a lease of ours."""
        until = now_ms + self.lease_ms
        self._leases[due.delivery.id] = until
        self._sure[due.delivery.id] = now_ms
        return due._replace(delivery=due.delivery._replace(owner=self.owner, lease_until=until))

    def drop(self, delivery_id: int) -> None:
        """It is not ours any more."""
        self._leases.pop(delivery_id, None)
        self._sure.pop(delivery_id, None)

    # -- is it still what memory has? ---------------------------------------------------------------

    def is_sure(self, delivery_id: int, now_ms: int) -> bool:
        """Did the store say a moment ago that it is ours and pending?"""
        return 0 <= now_ms - self._sure.get(delivery_id, -FRESH_MS) < FRESH_MS

    def doubt(self, delivery_ids: Collection[int]) -> None:
        """Somebody has changed these in the table."""
        for delivery_id in delivery_ids:
            self._sure.pop(delivery_id, None)
        if self._doubted is not None:
            self._doubted.update(delivery_ids)

    def check(self, attempts: Mapping[int, int], wall_ms: Callable[[], int]) -> Deferred[set[int]]:
        """Ask the store about these, given with the attempts that each had when it came to memory; those that
        are over, another server's, or have had another attempt since. One question at a time.

        The answer is fresh when it comes: with a store that is slow to read nothing would ever be sure else.
        What somebody has changed meanwhile is in doubt.
        """
        doubted = self._doubted = set()

        def over(result: Any) -> Any:
            self._doubted = None
            return result

        def checked(held: Mapping[int, int]) -> set[int]:
            same = {delivery_id for delivery_id, tries in attempts.items() if held.get(delivery_id) == tries}
            now_ms = wall_ms()
            self._sure.update((known, now_ms) for known in same - doubted if known in self._leases)
            return attempts.keys() - same

        asking = self._store.read(queue.held, attempts.keys(), self.owner)
        return asking.addBoth(over).addCallback(checked)

    def take_over(self) -> Deferred[int]:
        """Free what earlier lives of this server had when they ended; how much."""
        return self._store.writer.run("take over", partial(queue.take_over, owner=self.owner))

    def look(self, now_ms: int) -> Deferred[tuple[list[DueLane], dict[str, str]]]:
        """Some lanes in which something is due, and the targets that are stopped. The next look goes on
        behind them; after the last lane it begins anew."""
        looking = self._store.read(_see, now_ms, self._after)
        return looking.addCallback(self._saw)

    def _saw(self, seen: tuple[list[DueLane], dict[str, str]]) -> tuple[list[DueLane], dict[str, str]]:
        lanes = seen[0]
        self._after = lanes[-1].lane if len(lanes) == LOOK_LANES else -(2**63)
        return seen

    @property
    def seen_all(self) -> bool:
        """The last look came to the end of the lanes."""
        return self._after == -(2**63)

    def claim(self, shares: Sequence[tuple[int, int]], now_ms: int) -> Deferred[list[DueDelivery]]:
        """Claim from each (lane, count); what is not in memory already."""
        until = now_ms + self.lease_ms
        work = partial(queue.claim, shares=shares, owner=self.owner, until_ms=until, now_ms=now_ms)

        def claimed(found: list[DueDelivery]) -> list[DueDelivery]:
            # A lease that ran out here while it could not be renewed may be claimed by ourselves again.
            fresh = [due for due in found if due.delivery.id not in self._leases]
            self.doubt([due.delivery.id for due in found if due.delivery.id in self._leases])
            self._leases.update((due.delivery.id, until) for due in found)
            self._sure.update((due.delivery.id, now_ms) for due in fresh)
            return fresh

        return self._store.writer.run("claim", work).addCallback(claimed)

    def renew(self, now_ms: int) -> Deferred[set[int]]:
        """Renew what has less than two thirds of its time left; what turned out to be lost."""
        soon = now_ms + self.lease_ms * 2 // 3
        old = [delivery_id for delivery_id, until in self._leases.items() if until <= soon]
        if not old:
            return succeed(set())
        until = now_ms + self.lease_ms
        work = partial(queue.renew, ids=old, owner=self.owner, until_ms=until)

        def renewed(kept: set[int]) -> set[int]:
            held = [delivery_id for delivery_id in old if delivery_id in self._leases]
            self._leases.update((delivery_id, until) for delivery_id in held if delivery_id in kept)
            return {delivery_id for delivery_id in held if delivery_id not in kept}

        return self._store.writer.run("renew", work).addCallback(renewed)

    def release(self, ids: Collection[int]) -> Deferred[None]:
        """Give these back to the table. Until that is stored they are still ours."""

        def released(_: None) -> None:
            for delivery_id in ids:
                self.drop(delivery_id)

        work = partial(queue.release, ids=ids, owner=self.owner)
        return self._store.writer.run("release", work).addCallback(released)


def _see(connection: Connection, now_ms: int, after: int) -> tuple[list[DueLane], dict[str, str]]:
    return queue.due_lanes(connection, now_ms, after, LOOK_LANES), paused.paused(connection)
