"""Connections kept open, and how many there may be to one origin.

A request that finds neither an idle connection nor room for another one waits for its turn: a connection
beyond the limit would cost more than the wait.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from edge.http.connection import Connection
from edge.http.urls import Origin

IDLE_SECONDS = 4.0  # many servers close after five: the side that closes first should be this one


class Connects(Protocol):
    """See `edge.http.connecting.Connector`."""

    def connect(self, origin: Origin, gone: Callable[[Connection], None]) -> Deferred[Connection]: ...


@dataclass(slots=True)
class Lane:
    """What goes to one origin. ``open`` counts connections, idle or not, and those that are being made."""

    origin: Origin
    idle: list[Connection] = field(default_factory=list)
    open: int = 0
    waiting: deque[Deferred[Connection]] = field(default_factory=deque)


class Pool:
    """I lend connections: `acquire`, and `release` for each that was got."""

    def __init__(self, connector: Connects, clock: IReactorTime, limit: int) -> None:
        self._connector = connector
        self._clock = clock
        self._limit = limit
        self._lanes: dict[Origin, Lane] = {}
        self._sweep_due = False

    @property
    def connections(self) -> int:
        """Open ones and those being made, to all origins."""
        return sum(lane.open for lane in self._lanes.values())

    def acquire(self, origin: Origin) -> Deferred[Connection]:
        """A connection to use for one request. Errback NoAnswer; then there is nothing to release."""
        lane = self._lanes.get(origin)
        if lane is None:
            lane = self._lanes[origin] = Lane(origin)
        while lane.idle:
            connection = lane.idle.pop()
            if connection.reusable:
                return succeed(connection)
        if lane.open < self._limit:
            return self._connect(lane)
        waiter: Deferred[Connection] = Deferred(lane.waiting.remove)
        lane.waiting.append(waiter)
        return waiter

    def release(self, origin: Origin, connection: Connection) -> None:
        """The request is over, well or not."""
        lane = self._lanes[origin]
        if not connection.reusable:
            self._left(lane)
        elif lane.waiting:
            lane.waiting.popleft().callback(connection)
        else:
            connection.idle_since = self._clock.seconds()
            lane.idle.append(connection)
            self._sweep_later()

    def close(self) -> None:
        """Close what is idle."""
        for lane in list(self._lanes.values()):
            for connection in list(lane.idle):
                connection.close()

    def _connect(self, lane: Lane) -> Deferred[Connection]:
        lane.open += 1
        return self._connector.connect(lane.origin, lambda gone: self._gone(lane, gone)).addErrback(
            self._not_connected, lane
        )

    def _not_connected(self, failure: Failure, lane: Lane) -> Failure:
        self._left(lane)
        return failure

    def _gone(self, lane: Lane, connection: Connection) -> None:
        """Only an idle one is missed here; one in use is released by whoever uses it."""
        if connection in lane.idle:
            lane.idle.remove(connection)
            self._left(lane)

    def _left(self, lane: Lane) -> None:
        """One connection fewer: room for whoever waits."""
        lane.open -= 1
        if lane.waiting:
            waiter = lane.waiting.popleft()
            self._connect(lane).addCallbacks(waiter.callback, waiter.errback)
        elif not lane.open:
            self._lanes.pop(lane.origin, None)

    def _sweep_later(self) -> None:
        if not self._sweep_due:
            self._sweep_due = True
            self._clock.callLater(IDLE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweep_due = False
        now = self._clock.seconds()
        for lane in list(self._lanes.values()):
            for connection in [idle for idle in lane.idle if now - idle.idle_since >= IDLE_SECONDS]:
                connection.close()
        if any(lane.idle for lane in self._lanes.values()):
            self._sweep_later()
