"""An export of messages to one client: written while it is read, in the portal and over the API.

Piece by piece, each read when the client has taken the one before: a slow client costs neither memory nor a
connection to the store.
"""

from dataclasses import replace

import structlog
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from edge.web.headers import Header
from edge.web.request import EdgeRequest
from edge.web.streams import STALLED_SECONDS
from storage import export
from storage.export import Format, Piece
from storage.history import Filter
from storage.store import Store

log = structlog.get_logger(__name__)

TYPES: dict[Format, bytes] = {"csv": b"text/csv; charset=utf-8", "jsonl": b"application/x-ndjson"}


def as_file(form: Format) -> Header:
    """What makes the answer a file with a name."""
    return b"Content-Disposition", b'attachment; filename="messages.%s"' % form.encode()


@implementer(IPushProducer)
class Export:
    """I write what the filter means, oldest first; ``account_id`` is whose. Give the filter an end
    (``up_to_id``). What is deleted from now on is in it, until it is purged. A client that takes nothing for
    two minutes is cut off.
    """

    def __init__(
        self, store: Store, clock: IReactorTime, account_id: int, form: Format, wanted: Filter
    ) -> None:
        self._store = store
        self._clock = clock
        self._account_id = account_id
        self._form: Format = form
        self._wanted = replace(wanted, deleted_after=store.ids.next())
        self._after: int | None = 0  # None: there is no more to read
        self._busy = False
        self._stalled: IDelayedCall | None = None

    def begin(self, request: EdgeRequest, head: bytes) -> None:
        """The header lines of the answer, then the rest. It takes the request over."""
        if request.gone or request.method == b"HEAD":
            request.respond(200, head, b"")
            return
        self._request = request
        request.notifyFinish().addBoth(lambda _: self._end())
        request.stream(head)
        request.registerProducer(self, True)
        begun = export.head(self._form).encode()
        if begun:
            request.write(begun)
        self._go_on()

    def pauseProducing(self) -> None:
        """It takes no more for now."""
        if self._stalled is None and self._after is not None:
            self._stalled = self._clock.callLater(STALLED_SECONDS, self._give_up)

    def resumeProducing(self) -> None:
        """It does again."""
        self._patient()
        self._go_on()

    def stopProducing(self) -> None:
        """It is gone."""
        self._end()

    def _end(self) -> None:
        self._after = None
        self._patient()

    def _patient(self) -> None:
        stalled, self._stalled = self._stalled, None
        if stalled is not None and stalled.active():
            stalled.cancel()

    def _give_up(self) -> None:
        log.info("export_stalled", account=self._account_id)
        self._end()
        self._request.abort()

    def _go_on(self) -> None:
        if self._busy or self._stalled is not None or self._after is None:
            return
        self._busy = True
        reading = self._store.read(export.batch, self._account_id, self._form, self._wanted, self._after)
        reading.addCallbacks(self._write, self._not_read)

    def _write(self, piece: Piece) -> None:
        self._busy = False
        if self._request.gone or self._after is None:
            return
        self._after = piece.next_id
        if piece.text:
            self._request.write(piece.text.encode())
        if piece.next_id is None:
            self._request.unregisterProducer()
            self._request.finish()
        else:
            self._clock.callLater(0, self._go_on)  # not on the stack of this piece

    def _not_read(self, failure: Failure) -> None:
        """The file is cut off, and the client sees that it is: it has no end."""
        log.warning("export_not_read", error=failure.getErrorMessage())
        self._end()
        if not self._request.gone:
            self._request.loseConnection()
