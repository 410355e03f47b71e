"""How much waits in the store, looked up from time to time: a page of metrics must not wait for it."""

from collections.abc import Callable, Collection, Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from storage import operators
from storage.operators import DELIVERY_STATES, PART_STATES, Count
from storage.store import Store

LOOK_SECONDS = 15.0


class Depths:
    """I know ``parts`` by upstream and ``deliveries`` by handler, as of the last look.

    Of what is configured there is a 0 too: whoever follows a count must see the step from 0 to 1, and a
    series that begins with 1 has none.
    """

    def __init__(
        self,
        store: Store,
        upstreams: Callable[[], Collection[str]],
        handlers: Callable[[], Collection[str]],
        clock: IReactorTime,
        wall_ms: Callable[[], int],
    ) -> None:
        self.parts: Sequence[Count] = ()
        self.deliveries: Sequence[Count] = ()
        self._store = store
        self._upstreams = upstreams
        self._handlers = handlers
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
        deliveries = await self._store.read(operators.delivery_counts)
        self.parts = _with_zeros(parts, self._upstreams(), PART_STATES)
        self.deliveries = _with_zeros(deliveries, self._handlers(), DELIVERY_STATES)
        self._at = self._clock.seconds()


def _with_zeros(counts: Sequence[Count], kinds: Iterable[str], states: Iterable[str]) -> list[Count]:
    there = {(count.kind, count.state) for count in counts}
    absent = [(kind, state) for kind in kinds for state in states if (kind, state) not in there]
    return [*counts, *(Count(kind, state, 0, None) for kind, state in absent)]
