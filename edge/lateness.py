"""How late the reactor is: the first thing that grows when more comes than it can take."""

from twisted.internet.interfaces import IDelayedCall, IReactorTime

INTERVAL = 0.02
SMOOTHING = 0.2
"""The part of each measure in the mean: about a tenth of a second decides, one pause does not."""

MOST = 0.1
"""A pause counts as no longer than this: a machine that slept is not overloaded when it wakes."""


class Lateness:
    """I ask to be called again and again, and see how late that is."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._due = 0.0
        self.seconds = 0.0

    def start(self) -> None:
        """Begin to measure."""
        self._again()

    def stop(self) -> None:
        """Measure no more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self.seconds = 0.0

    def _again(self) -> None:
        self._due = self._clock.seconds() + INTERVAL
        self._call = self._clock.callLater(INTERVAL, self._look)

    def _look(self) -> None:
        late = min(max(self._clock.seconds() - self._due, 0.0), MOST)
        self.seconds += SMOOTHING * (late - self.seconds)
        self._again()
