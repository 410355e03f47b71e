"""What a server does alone on its store: be a node, carry upstreams. A second one that wants to is refused.

Two servers that send the same parts would send each twice, so who carries an upstream claims it first
(`storage.claims`). A supervisor that starts a refused server again and again makes a standby of it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from storage.claims import claims_of
from storage.store import Store

log = structlog.get_logger(__name__)

T = TypeVar("T")

RENEW_SECONDS = 2.0


class Taken(Exception):
    """Another server on this store holds what this one wants."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Another server on this store holds the {name}. Stop it, or give this one another node "
            "and other upstreams (SQLite is for one server)."
        )


class Holder:
    """I hold this server's claims from `take` until `close`; ``lost`` is called when another took one."""

    def __init__(self, store: Store, clock: IReactorTime, lost: Callable[[str], None]) -> None:
        self._claims = claims_of(store.engine)
        self._store = store
        self._lost = lost
        self._asked: set[str] = set()
        self._turn = DeferredLock()
        self._renewing = LoopingCall(self._renew)
        self._renewing.clock = clock

    def take(self, name: str) -> Deferred[None]:
        """Claim it. Errback Taken."""
        self._asked.add(name)

        def taken(ours: bool) -> None:
            if not ours:
                raise Taken(name)
            if not self._renewing.running:
                self._renewing.start(RENEW_SECONDS, now=False)

        return self._in_turn(lambda: self._claims.take(name)).addCallback(taken)

    def release(self, name: str) -> Deferred[None]:
        """Let others have it; what was never asked for they have."""
        if name not in self._asked:
            return succeed(None)
        self._asked.remove(name)
        return self._in_turn(lambda: self._claims.release(name))

    def close(self) -> Deferred[None]:
        """Let go of everything. When the store never let us in there is nothing, and nobody to tell."""
        if self._renewing.running:
            self._renewing.stop()
        if not self._store.writer.started:
            return succeed(None)
        return self._in_turn(self._claims.close)

    def _in_turn(self, work: Callable[[], T]) -> Deferred[T]:
        turn: Deferred[T] = self._turn.run(self._store.in_thread, work)
        return turn

    def _renew(self) -> Deferred[Any]:
        return self._in_turn(self._claims.renew).addCallbacks(self._renewed, self._not_renewed)

    def _renewed(self, lost: set[str]) -> None:
        for name in sorted(lost):
            log.error("claim_lost", claim=name)
            self._lost(name)

    def _not_renewed(self, failure: Failure) -> None:
        log.warning("claims_not_renewed", error=failure.getErrorMessage())
