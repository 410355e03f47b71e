"""Waiting for something to arrive, with an end to the patience."""

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


class Arrivals(Generic[T]):
    """I keep what has arrived and wake those who wait for it."""

    def __init__(self, clock: IReactorTime) -> None:
        self.seen: list[T] = []
        self._clock = clock
        self._waiting: list[tuple[Callable[[list[T]], bool], Deferred[list[T]]]] = []

    def add(self, arrival: T) -> None:
        """Something came."""
        self.seen.append(arrival)
        self.check()

    def check(self) -> None:
        """Wake whose condition is true now."""
        for entry in tuple(self._waiting):
            condition, waiting = entry
            if entry in self._waiting and condition(self.seen):
                self._waiting.remove(entry)
                waiting.callback(self.seen)

    def until(self, condition: Callable[[list[T]], bool], what: str, seconds: float) -> Deferred[list[T]]:
        """``seen`` as soon as ``condition(seen)`` is true; TimeoutError naming ``what`` after ``seconds``."""
        waiting: Deferred[list[T]] = Deferred()
        if condition(self.seen):
            waiting.callback(self.seen)
            return waiting
        entry = (condition, waiting)
        self._waiting.append(entry)

        def gave_up(failure: Failure) -> list[T]:
            failure.trap(CancelledError)
            self._waiting.remove(entry)
            raise TimeoutError(f"{what}: not within {seconds:g} s; {len(self.seen)} arrived")

        timer = self._clock.callLater(seconds, waiting.cancel)

        def done(result: list[T]) -> list[T]:
            if timer.active():
                timer.cancel()
            return result

        return waiting.addCallbacks(done, gave_up)
