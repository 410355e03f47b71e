"""How much work the reactor has done since it last looked at anything else: the length of its present turn.

What waits in a socket is read to the end in one turn, so under overload turns grow. Whoever takes new work
asks first, and refuses what comes late in a long turn: that bounds the wait of all, and what is taken is
done. CPU time is what counts, so other processes on a busy machine do not make a turn long.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime


class Turn:
    """I measure from the first question of a turn on. ``cpu`` is the thread's CPU time in seconds."""

    def __init__(self, clock: IReactorTime, cpu: Callable[[], float]) -> None:
        self._clock = clock
        self._cpu = cpu
        self._began: float | None = None

    def spent(self) -> float:
        """Seconds of work in this turn so far."""
        if self._began is None:
            self._began = self._cpu()
            self._clock.callLater(0, self._over)
            return 0.0
        return self._cpu() - self._began

    def _over(self) -> None:
        self._began = None
