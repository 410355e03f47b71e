"""One of several ways, begun one after the other: the next when the one before fails or is silent for long.

What RFC 8305 §5 does with the addresses of a name: one that is silent costs a moment, not the whole time.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


class Race(Generic[T]):
    """I begin each of the ``ways``, ``seconds`` after the one before, or when all begun ones have failed.

    The first that succeeds wins: the others are cancelled, and ``unwanted`` is given what comes of one all
    the same. A failure that is ``final`` ends it; when all fail it is the last one's.
    """

    def __init__(
        self,
        ways: Sequence[Callable[[], Deferred[T]]],
        seconds: float,
        clock: IReactorTime,
        unwanted: Callable[[T], object],
        final: Callable[[Failure], bool],
    ) -> None:
        self._ways = list(ways)
        self._seconds = seconds
        self._clock = clock
        self._unwanted = unwanted
        self._final = final
        self._running: list[Deferred[T]] = []
        self._timer: IDelayedCall | None = None
        self._result: Deferred[T] | None = None

    def run(self) -> Deferred[T]:
        """The winner's result. To cancel it cancels all."""
        result = self._result = Deferred(lambda _: self._end())
        self._next()
        return result

    def _next(self) -> None:
        self._stop_timer()
        way = self._ways.pop(0)
        if self._ways:
            self._timer = self._clock.callLater(self._seconds, self._next)
        running = way()
        self._running.append(running)
        running.addCallbacks(self._won, self._lost, callbackArgs=(running,), errbackArgs=(running,))

    def _won(self, found: T, running: Deferred[T]) -> None:
        self._running.remove(running)
        result = self._result
        if result is None:
            self._unwanted(found)
            return
        self._end()
        result.callback(found)

    def _lost(self, failure: Failure, running: Deferred[T]) -> None:
        self._running.remove(running)
        result = self._result
        if result is None:
            return
        if self._final(failure) or not (self._ways or self._running):
            self._end()
            result.errback(failure)
        elif not self._running:
            self._next()

    def _end(self) -> None:
        self._result = None
        self._stop_timer()
        for running in list(self._running):
            running.cancel()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
