"""/messages/export.csv: the messages that the list shows, as a file, written while it is read."""

import structlog
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from edge.web.headers import GUARDS, NO_STORE, lines
from edge.web.pages.answers import Answer, Takeover
from edge.web.pages.filters import Wanted, number_of
from edge.web.pages.page import MemberPage
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from storage import export
from storage.export import Piece
from storage.history import Filter

log = structlog.get_logger(__name__)

HEAD = lines(
    (
        *GUARDS,
        NO_STORE,
        (b"Content-Type", b"text/csv; charset=utf-8"),
        (b"Content-Disposition", b'attachment; filename="messages.csv"'),
    )
)


class Export(MemberPage):
    """Oldest first; what comes meanwhile is not in it."""

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Narrowed as the list is, but not by words."""
        services = self.portal.services
        wanted = Wanted.read(request, services.config.numbers.region)
        number = await services.store.read(number_of, visitor.account_id, wanted.peer)
        newest = await services.store.read(export.newest_id, visitor.account_id)
        meant = wanted.filter(visitor.locale, number, newest)
        return Takeover(begin=Writing(services, visitor.account_id, meant).begin)


@implementer(IPushProducer)
class Writing:
    """I write piece after piece, as fast as the client takes them."""

    def __init__(self, services: WebServices, account_id: int, wanted: Filter) -> None:
        self._store = services.store
        self._account_id = account_id
        self._wanted = wanted
        self._after: int | None = 0
        self._busy = self._paused = False

    def begin(self, request: EdgeRequest) -> None:
        """The head, then the rest."""
        if request.gone or request.method == b"HEAD":
            request.respond(200, HEAD, b"")
            return
        self._request = request
        request.notifyFinish().addErrback(lambda _: None)
        request.stream(HEAD)
        request.registerProducer(self, True)
        request.write(export.head("csv").encode())
        self._go_on()

    def pauseProducing(self) -> None:
        """It takes no more for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It does again."""
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:
        """It is gone."""
        self._after = None

    def _go_on(self) -> None:
        if self._busy or self._paused or self._after is None:
            return
        self._busy = True
        reading = self._store.read(export.batch, self._account_id, "csv", self._wanted, self._after)
        reading.addCallbacks(self._write, self._not_read)

    def _write(self, piece: Piece) -> None:
        self._busy = False
        if self._request.gone or self._after is None:
            return
        self._after = piece.next_id
        self._request.write(piece.text.encode())
        if piece.next_id is None:
            self._request.unregisterProducer()
            self._request.finish()
        else:
            self._go_on()

    def _not_read(self, failure: Failure) -> None:
        """The file is cut off, and the client sees that it is: it has no end."""
        log.warning("export_not_read", error=failure.getErrorMessage())
        if not self._request.gone:
            self._request.loseConnection()
