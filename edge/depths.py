"""How much waits in the store, looked up from time to time: a page of metrics must not wait for it."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from storage import operators
from storage.operators import Count
from storage.store import Store

LOOK_SECONDS = 15.0


class Depths:
    """I know ``parts`` by upstream and ``deliveries`` by handler, as of the last look."""

    def __init__(self, store: Store, clock: IReactorTime, wall_ms: Callable[[], int]) -> None:
        self.parts: Sequence[Count] = ()
        self.deliveries: Sequence[Count] = ()
        self._store = store
        self._clock = clock
        self._wall_ms = wall_ms
        self._at: float | None = None
        self._loop = LoopingCall(self.look)
        self._loop.clock = clock

    def start(self) -> None:
        """Look, and again and again."""
        self._loop.start(LOOK_SECONDS)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    @property
    def seconds_old(self) -> float | None:
        """How long ago the last look was; None before the first. It grows while the store cannot be read."""
        return None if self._at is None else self._clock.seconds() - self._at

    def age(self, at_ms: int | None) -> float:
        """How many seconds ago that was; what is due in the future is not late."""
        return 0.0 if at_ms is None else max(self._wall_ms() - at_ms, 0) / 1000

    def look(self) -> Deferred[None]:
        """Read what there is now; the next look comes after this one."""
        return Deferred.fromCoroutine(self._look()).addErrback(lambda _: None)  # it is seen by the age

    async def _look(self) -> None:
        parts = await self._store.read(operators.part_counts)
        self.deliveries = await self._store.read(operators.delivery_counts)
        self.parts, self._at = parts, self._clock.seconds()
