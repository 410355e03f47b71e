"""An answer of very many rows: read and written a page at a time, no faster than the client takes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from edge.web.program import JSON
from edge.web.request import EdgeRequest

log = structlog.get_logger(__name__)

STALLED_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Page:
    """``octets`` are rows with commas between; ``count`` is how many they are. More may follow after the
    message ``before``; None is the end."""

    octets: bytes
    count: int
    before: int | None


class _Gone(Exception):
    """The client has left, or takes nothing."""


@implementer(IPushProducer)
class Rows:
    """I write one answer. ``following`` reads the page that comes after one; ``clock`` is the reactor's."""

    def __init__(self, first: Page, following: Callable[[Page], Deferred[Page]], clock: Any) -> None:
        self._first = first
        self._following = following
        self._clock = clock
        self._waiting: Deferred[None] | None = None
        self._ended = False

    def write(self, request: EdgeRequest) -> None:
        """All of it."""
        request.notifyFinish().addBoth(lambda _: self.stopProducing())
        request.stream(JSON)
        request.registerProducer(self, True)
        Deferred.fromCoroutine(self._write(request)).addErrback(self._broken, request)

    async def _write(self, request: EdgeRequest) -> None:
        page, between = self._first, b""
        request.write(b'{"status":"success","sms":[')
        while True:
            if page.octets:
                request.write(between + page.octets)
                between = b","
            if page.before is None:
                break
            await self._room()
            page = await self._following(page)
            if self._ended:
                raise _Gone
        request.write(b"]}")
        request.unregisterProducer()
        request.finish()

    async def _room(self) -> None:
        """Once the client has taken what was written. Raises _Gone."""
        if self._ended:
            raise _Gone
        if self._waiting is not None:
            await self._waiting.addTimeout(STALLED_SECONDS, self._clock)
            if self._ended:
                raise _Gone

    def _broken(self, failure: Failure, request: EdgeRequest) -> None:
        """What was begun cannot be mended: that it is not whole the client sees from the missing end."""
        if not failure.check(_Gone):
            log.warning("rows_not_written", error=failure.getErrorMessage())
        if not self._ended:
            self._ended = True
            request.unregisterProducer()
            request.loseConnection()

    # -- the connection ---------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """It takes no more for now."""
        if self._waiting is None:
            self._waiting = Deferred()

    def resumeProducing(self) -> None:
        """It does again."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)

    def stopProducing(self) -> None:
        """It is gone, or has it all."""
        self._ended = True
        self.resumeProducing()
