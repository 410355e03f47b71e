"""Doing things later, and doing things to every nth."""

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class DelayLine:
    """I call functions a fixed time after they were put in, in their order, with one timer.

    A delay of 0 seconds calls at once.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._queue: deque[tuple[float, Callable[[], None]]] = deque()
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, function: Callable[[], None]) -> None:
        """Call ``function`` after the delay."""
        if self._seconds <= 0:
            function()
            return
        self._queue.append((self._clock.seconds() + self._seconds, function))
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._due)

    def clear(self) -> None:
        """Forget what waits."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._queue and self._queue[0][0] <= now:
            self._queue.popleft()[1]()
        if self._queue and self._timer is None:
            self._timer = self._clock.callLater(max(0.0, self._queue[0][0] - now), self._due)


class Every:
    """I am true at each nth asking; never when ``n`` is 0."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._asked = 0

    def hit(self) -> bool:
        """Is it this one's turn?"""
        if self._n <= 0:
            return False
        self._asked += 1
        return self._asked % self._n == 0
