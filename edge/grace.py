"""Parts whose answer is overdue on a link that lives: the rest of their messages waits some more time."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from storage.parts import QueuedPart


class Grace:
    """I give each overdue part ``seconds``, then ``over`` is told."""

    def __init__(self, clock: IReactorTime, seconds: float, over: Callable[[QueuedPart], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._over = over
        self._timers: dict[int, tuple[IDelayedCall, QueuedPart]] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def begin(self, item: QueuedPart) -> None:
        """Its answer is overdue."""
        timer = self._clock.callLater(self._seconds, self._end, item)
        self._timers[item.part.id] = timer, item

    def end(self, part_id: int) -> QueuedPart | None:
        """The part, if it was in its grace, which ends here."""
        timer, item = self._timers.pop(part_id, (None, None))
        if timer is not None:
            timer.cancel()
        return item

    def _end(self, item: QueuedPart) -> None:
        del self._timers[item.part.id]
        self._over(item)

    def stop(self) -> None:
        """Tell nothing more."""
        for part_id in list(self._timers):
            self.end(part_id)
