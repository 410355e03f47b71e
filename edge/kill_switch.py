"""The kill-switch: nothing goes out to carriers while it is on. It is of the store: every server follows.

On is in force here at once, and stays so whatever becomes of the store; off is when it is stored. Every
server looks at the store once in a while, so the others follow within seconds.
"""

from collections.abc import Callable, Mapping

import structlog
from sqlalchemy import Connection
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from edge.outage import not_stored
from edge.upstreams import Upstream
from storage import paused
from storage.errors import StoreUnavailable
from storage.store import Store

log = structlog.get_logger(__name__)

NAME = "kill-switch"
"""What `storage.paused` has while it is on."""

LOOK_SECONDS = 2.0
WRITE_SECONDS = 5.0
"""A store that takes longer is away; the write is repeated, so what becomes of this one is no matter."""


class KillSwitch:
    """I hold every upstream while I am ``on``. ``stored``: as far as is known, what is in force here is what
    the store has."""

    def __init__(
        self,
        store: Store,
        upstreams: Callable[[], Mapping[str, Upstream]],
        clock: IReactorTime,
        wall_ms: Callable[[], int],
    ) -> None:
        self.on = False
        self.stored = True
        self._store = store
        self._upstreams = upstreams
        self._clock = clock
        self._wall_ms = wall_ms
        self._writing = 0
        self._written = 0  # what was asked for last is what holds, whichever write ends last
        self._changes = 0
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def start(self) -> None:
        """Follow the store, from now on."""
        self._loop.start(LOOK_SECONDS, now=False)

    def stop(self) -> None:
        """Follow it no more."""
        if self._loop.running:
            self._loop.stop()

    async def set(self, on: bool) -> None:
        """On: at once, here; ``stored`` says whether others know, and if not it is written when the store is
        back. Off: when it is stored; raises StoreUnavailable, and then it is still on."""
        if on:
            self.stored = False
            self._in_force(True, here=True)
        try:
            await self._write(on)
        except StoreUnavailable:
            if not on:
                raise
            log.error("kill_switch_not_stored")

    async def refresh(self) -> None:
        """What the store has is in force, unless it does not know yet what was changed here. Raises
        StoreUnavailable."""
        changes = self._changes
        on = NAME in await self._store.read(paused.paused)
        if changes == self._changes and self.stored and not self._writing:
            self._in_force(on, here=False)

    async def _write(self, on: bool) -> None:
        self._writing += 1
        self._written = mine = self._written + 1
        now_ms = self._wall_ms()

        def write(conn: Connection) -> None:
            if on:
                paused.pause(conn, NAME, NAME, now_ms)
            else:
                paused.resume(conn, NAME)

        writing = self._store.writer.run("kill switch", write)
        try:
            await writing.addTimeout(WRITE_SECONDS, self._clock)
        except defer.TimeoutError as error:
            raise StoreUnavailable("The store does not answer.") from error
        finally:
            self._writing -= 1
            self._changes += 1
        if mine == self._written:
            self.stored = True
            self._in_force(on, here=True)

    def _look(self) -> Deferred[None]:
        following = Deferred.fromCoroutine(self._follow())
        return following.addErrback(lambda failure: not_stored(log, "kill_switch_not_followed", failure))

    async def _follow(self) -> None:
        if self.stored:
            await self.refresh()
        elif not self._writing:
            await self._write(self.on)

    def _in_force(self, on: bool, *, here: bool) -> None:
        self._changes += 1
        if on != self.on:
            self.on = on
            log.warning("kill_switch", on=on, here=here)
        for upstream in self._upstreams().values():
            if upstream.held != on:
                upstream.hold(on)
