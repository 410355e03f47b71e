"""How late the reactor is: a timer that should fire each tick tells by how much it did not."""

from collections import deque

from twisted.internet.interfaces import IDelayedCall, IReactorTime

TICK_SECONDS = 0.1
KEPT = 600  # a minute of ticks


class Lag:
    """I measure from `start` until `stop`; ``last`` and ``worst`` are seconds."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ticks: deque[float] = deque(maxlen=KEPT)
        self._next: IDelayedCall | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin to measure."""
        self._due = self._clock.seconds() + TICK_SECONDS
        self._next = self._clock.callLater(TICK_SECONDS, self._tick)

    def stop(self) -> None:
        """Measure no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _tick(self) -> None:
        self._ticks.append(max(self._clock.seconds() - self._due, 0.0))
        self.start()

    @property
    def last(self) -> float:
        """By how much the last tick was late."""
        return self._ticks[-1] if self._ticks else 0.0

    @property
    def worst(self) -> float:
        """The worst of the last minute."""
        return max(self._ticks, default=0.0)
