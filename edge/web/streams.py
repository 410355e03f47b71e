"""A stream of server-sent events to one reader of the feed: over the API, or to a page of the portal.

A slow reader costs no memory: while his connection takes nothing, nothing is read for him.
"""

from collections.abc import Callable
from typing import Any

import structlog
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from edge.directory import Directory
from edge.web.request import EdgeRequest
from edge.web.services import FeedReader
from storage.events import Batch

log = structlog.get_logger(__name__)

ALIVE_SECONDS = 15.0
STALLED_SECONDS = 120.0
RETRY_MS = 2_000

Load = Callable[[Batch], Deferred[bytes] | bytes]
"""What is written for a batch of events."""


@implementer(IPushProducer)
class Stream:
    """I carry the feed to one reader. ``reader_name`` is for the log.

    ``still_good`` is asked whether he may go on, and may answer later: before anything is written, every 15
    seconds, and when somebody knows that it may have changed (`ask`).
    """

    def __init__(
        self,
        request: EdgeRequest,
        reader: FeedReader,
        clock: Any,
        load: Load,
        still_good: Callable[[], Any],
        reader_name: str,
    ) -> None:
        self._request = request
        self._reader = reader
        self._load = load
        self._still_good = still_good
        self._name = reader_name
        self._clock = clock
        self._paused_at: float | None = None
        self._busy = False
        self._ended = False
        self._alive = LoopingCall(self._keep_alive)
        self._alive.clock = clock

    def begin(self, head: bytes) -> None:
        """Say where the reader is, then what comes. ``head`` are the header lines of the answer."""
        request = self._request
        request.notifyFinish().addBoth(lambda _: self._end())
        request.channel.begin_stream()
        request.stream(head)
        request.registerProducer(self, True)
        request.write(b"retry: %d\nid: %s\n\n" % (RETRY_MS, str(self._reader.cursor).encode()))
        self._alive.start(ALIVE_SECONDS, now=False).addErrback(self._broken)
        self._go_on()

    # -- the connection ---------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """It takes no more for now."""
        self._paused_at = self._clock.seconds()

    def resumeProducing(self) -> None:
        """It does again."""
        self._paused_at = None
        self._go_on()

    def stopProducing(self) -> None:
        """It is gone."""
        self._end()

    # -- may he go on? ----------------------------------------------------------------------------

    def ask(self) -> None:
        """Something has changed: not in a quarter of a minute, now."""
        if not self._ended:
            # What cannot be asked is asked again before the next batch.
            maybeDeferred(self._still_good).addCallbacks(self._judged, lambda _: None)

    def _keep_alive(self) -> Deferred[None] | None:
        """Proxies cut what says nothing; and who takes nothing for so long is cut off: he can come back."""
        if self._paused_at is not None and self._clock.seconds() - self._paused_at > STALLED_SECONDS:
            log.info("event_stream_stalled", key=self._name)
            self._request.abort()
            return None
        return maybeDeferred(self._still_good).addCallback(self._judged).addCallback(self._breathe)

    def _judged(self, good: bool) -> None:
        if not good:
            self._finish()

    def _breathe(self, _: None) -> None:
        if not self._ended and self._paused_at is None:
            self._request.write(b":\n\n")

    # -- the feed ---------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._busy or self._ended or self._paused_at is not None:
            return
        self._busy = True
        loading: Deferred[bytes] = self._reader.next().addCallback(self._load)
        loading.addCallback(self._if_he_may).addCallbacks(self._write, self._not_read)

    def _if_he_may(self, octets: bytes) -> Deferred[bytes | None]:
        asking: Deferred[bool] = maybeDeferred(self._still_good)
        return asking.addCallback(lambda good: octets if good else None)

    def _write(self, octets: bytes | None) -> None:
        self._busy = False
        if octets is None:
            self._finish()
        elif not self._ended:
            self._request.write(octets)
            # Not at once: a batch that is there already would be read on the stack of this one.
            self._clock.callLater(0, self._go_on)

    def _not_read(self, failure: Failure) -> None:
        """The reader's place has not moved unless it was written: he comes back with his last id."""
        self._busy = False
        if self._ended:
            return
        log.warning("event_stream_not_read", error=failure.getErrorMessage())
        self._finish()

    def _broken(self, failure: Failure) -> None:
        log.error("event_stream_broken", error=failure.getTraceback())
        self._finish()

    def _finish(self) -> None:
        if self._ended:
            return
        self._end()
        if self._paused_at is not None:
            self._request.abort()  # what is written waits for him, and an end would wait behind it
        else:
            self._request.unregisterProducer()
            self._request.finish()

    def _end(self) -> None:
        self._ended = True
        self._reader.close()
        if self._alive.running:
            self._alive.stop()


def watched(directory: Directory, stream: Stream, request: EdgeRequest) -> None:
    """A stream that will begin asks whether its reader may go on whenever the catalog has changed."""
    directory.watchers.add(stream.ask)
    request.notifyFinish().addBoth(lambda _: directory.watchers.discard(stream.ask))
