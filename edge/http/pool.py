"""Connections kept open, and how many there may be to one origin.

A request that finds neither an idle connection nor room for another one waits for its turn: a connection
beyond the limit would cost more than the wait.

Some servers close after each answer without having said so, and a request that meets such an end is lost: it
is not sent a second time (docs/decisions/0021). So the first connections to an origin rest for a moment
after their answer, until one of them has shown that it is kept; an origin that closes then, or under a
request, gets a connection for each request for some minutes; and no connection is used again on which the
end, or anything, has come already.
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

REST_SECONDS = 0.05  # a server that means to close has done so by then
CLOSES_SECONDS = 300.0  # for so long it is remembered of an origin that it closes
CLOSERS_REMEMBERED = 4_096
IDLE_SECONDS = 4.0  # many servers close after five: the side that closes first should be this one


class Connects(Protocol):
    """See `edge.http.connecting.Connector`."""

    def connect(self, origin: Origin, gone: Callable[[Connection], None]) -> Deferred[Connection]: ...


@dataclass(slots=True)
class Lane:
    """What goes to one origin. ``lent`` counts the connections in use, ``connecting`` those being made.

    ``resting``: after an answer, while it is not known whether the server keeps them (``keeps``).
    """

    origin: Origin
    idle: list[Connection] = field(default_factory=list)
    resting: list[Connection] = field(default_factory=list)
    keeps: bool = False
    lent: int = 0
    connecting: int = 0
    waiting: deque[Deferred[Connection]] = field(default_factory=deque)

    @property
    def open(self) -> int:
        """All of them. It is never counted up or down, so none can be forgotten."""
        return len(self.idle) + len(self.resting) + self.lent + self.connecting


class Pool:
    """I lend connections: `acquire`, and `release` for each that was got."""

    def __init__(self, connector: Connects, clock: IReactorTime, limit: int) -> None:
        self._connector = connector
        self._clock = clock
        self.limit = limit
        self._lanes: dict[Origin, Lane] = {}
        self._closers: dict[Origin, float] = {}  # until when it is remembered
        self._sweep_due = False
        self._generation = 0

    @property
    def connections(self) -> int:
        """Open ones and those being made, to all origins."""
        return sum(lane.open for lane in self._lanes.values())

    def acquire(self, origin: Origin) -> Deferred[Connection]:
        """A connection to use for one request. Errback NoAnswer; then there is nothing to release.

        Cancelling gives the turn up; a connection that is being made for it is for whoever comes next.
        """
        lane = self._lanes.get(origin)
        if lane is None:
            lane = self._lanes[origin] = Lane(origin)
        while lane.idle:
            connection = lane.idle.pop()
            if connection.reusable and connection.is_quiet():
                lane.lent += 1
                return succeed(connection)
            connection.close()
        waiter: Deferred[Connection] = Deferred(lane.waiting.remove)
        lane.waiting.append(waiter)
        self._supply(lane)
        return waiter

    def release(self, origin: Origin, connection: Connection) -> None:
        """The request is over, well or not."""
        lane = self._lanes[origin]
        lane.lent -= 1
        if connection.unanswered and connection.served:
            self._closes(lane)
        self._free(lane, connection)

    def close(self) -> None:
        """Close what is idle."""
        for lane in list(self._lanes.values()):
            for connection in [*lane.idle, *lane.resting]:
                connection.close()

    def renew(self) -> None:
        """Connections are made otherwise from now on: the others end, those in use with their answer."""
        self._generation += 1
        self.close()

    def _supply(self, lane: Lane) -> None:
        """Make a connection for each that waits, as far as there is room."""
        while lane.connecting < len(lane.waiting) and lane.open < self.limit:
            lane.connecting += 1
            self._connector.connect(lane.origin, lambda gone: self._gone(lane, gone)).addCallbacks(
                self._connected,
                self._not_connected,
                callbackArgs=(lane, self._generation),
                errbackArgs=(lane,),
            )

    def _connected(self, connection: Connection, lane: Lane, generation: int) -> None:
        lane.connecting -= 1
        connection.generation = generation
        self._free(lane, connection)

    def _not_connected(self, failure: Failure, lane: Lane) -> None:
        """The one that has waited longest is told; the others get a try of their own."""
        lane.connecting -= 1
        if lane.waiting:
            lane.waiting.popleft().errback(failure)
        self._settle(lane)

    def _free(self, lane: Lane, connection: Connection) -> None:
        """A connection is nobody's: for whoever waits, if it can be used at all."""
        if connection.generation != self._generation:
            connection.close()
        if connection.reusable and connection.served:
            if self._clock.seconds() < self._closers.get(lane.origin, 0.0) or not connection.is_quiet():
                connection.close()
            elif not lane.keeps:
                lane.resting.append(connection)
                self._clock.callLater(REST_SECONDS, self._rested, lane, connection)
                return
        if connection.reusable:
            if lane.waiting:
                lane.lent += 1
                lane.waiting.popleft().callback(connection)
                return
            connection.idle_since = self._clock.seconds()
            lane.idle.append(connection)
            self._sweep_later()
        self._settle(lane)

    def _gone(self, lane: Lane, connection: Connection) -> None:
        """Only one that is not in use is missed here; any other is released by whoever uses it."""
        if connection in lane.resting:
            lane.resting.remove(connection)
            self._closes(lane)
            self._settle(lane)
        elif connection in lane.idle:
            lane.idle.remove(connection)
            self._settle(lane)

    def _rested(self, lane: Lane, connection: Connection) -> None:
        if connection in lane.resting:
            lane.resting.remove(connection)
            lane.keeps = connection.reusable
            self._free(lane, connection)

    def _closes(self, lane: Lane) -> None:
        """The server does not keep connections open, whatever it says."""
        lane.keeps = False
        if len(self._closers) >= CLOSERS_REMEMBERED:
            self._closers.clear()
        self._closers[lane.origin] = self._clock.seconds() + CLOSES_SECONDS

    def _settle(self, lane: Lane) -> None:
        """There may be room for whoever waits, or nothing left to know."""
        self._supply(lane)
        if not lane.open and not lane.waiting and self._lanes.get(lane.origin) is lane:
            del self._lanes[lane.origin]

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
