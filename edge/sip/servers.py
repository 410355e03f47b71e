"""The servers of one trunk as they are known now: looked up, kept a while, the failed ones last (RFC 3263
§4.3)."""

from collections.abc import Callable

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from edge.http.errors import NoAnswer
from edge.sip.locating import Located, Names, locate
from protocols.sip.locating import Hop

log = structlog.get_logger(__name__)

FAILED_SECONDS = 60.0
"""So long a server that failed is tried after all others."""

AGAIN_SECONDS = 10.0
"""So long nobody is asked again after no name server answered: not every text waits for that."""


class Servers:
    """I know where a trunk's host is. ``draw`` is for load-sharing: see `protocols.sip.locating.by_srv`."""

    def __init__(
        self,
        name: str,
        names: Names,
        where: tuple[str, int, str],
        draw: Callable[[], float],
        clock: IReactorTime,
    ) -> None:
        self._name = name
        self._names = names
        self._where = where
        self._draw = draw
        self._clock = clock
        self._located = Located((), 0.0)
        self._until = 0.0
        self._waiting: list[Deferred[None]] = []
        self._failed: dict[Hop, float] = {}
        self._lost = False

    def holds(self, host: str) -> bool:
        """Whether an address is one of theirs, as far as it is known."""
        return any(hop.host == host for hop in self._located.hops)

    def count(self) -> tuple[int, int]:
        """How many are known, and how many of them failed a moment ago."""
        now = self._clock.seconds()
        return len(self._located.hops), sum(until > now for until in self._failed.values())

    async def hops(self) -> list[Hop]:
        """Where to try, in order. What was known stays when nobody answers; empty when nothing ever was."""
        if self._clock.seconds() >= self._until:
            await self._looked()
        now = self._clock.seconds()
        return sorted(self._located.hops, key=lambda hop: self._failed.get(hop, 0.0) > now)

    def failed(self, hop: Hop) -> None:
        """It did not answer, or said that it cannot."""
        self._failed[hop] = self._clock.seconds() + FAILED_SECONDS

    def answered(self, hop: Hop) -> None:
        """It is well."""
        self._failed.pop(hop, None)

    def _looked(self) -> Deferred[None]:
        """Fires after a look, which is one for all who wait for it."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            Deferred.fromCoroutine(self._look()).addBoth(self._tell)
        return waiting

    def _tell(self, result: Failure | None) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(result)

    async def _look(self) -> None:
        try:
            found = await locate(self._names, *self._where, self._draw)
        except NoAnswer as error:
            if not self._lost:
                log.warning("sip_trunk_not_found", trunk=self._name, error=str(error))
            self._lost = True
            self._until = self._clock.seconds() + AGAIN_SECONDS
            return
        self._lost = False
        self._located, self._until = found, self._clock.seconds() + found.seconds
        self._failed = {hop: until for hop, until in self._failed.items() if hop in found.hops}
