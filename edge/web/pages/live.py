"""/live: what changes in the account, as server-sent events to its pages, which then ask for what is new.

An event has the place of what changed (DID, peer, message), no texts: the pages' own parts show those.
"""

from collections.abc import Sequence
from functools import partial

import orjson
from twisted.internet.defer import Deferred

from edge.web.headers import GUARDS, NO_STORE, lines
from edge.web.pages.answers import Answer, PageProblem, Takeover, not_found, retry_after
from edge.web.pages.page import MemberPage
from edge.web.pages.portal import Portal
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from edge.web.services import FeedReader
from edge.web.streams import Stream, watched
from storage import told
from storage.events import Batch, Cursor, Event
from storage.told import OF_DELIVERIES, Subjects

HEAD = lines((*GUARDS, NO_STORE, (b"Content-Type", b"text/event-stream; charset=utf-8")))
MOST_OF_A_USER = 30
MOST = 2_000
_NOTHING = Subjects({}, {}, set())


class Live(MemberPage):
    """The stream. Without a feed there is none, and the pages ask now and then."""

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        self.open: dict[int, int] = {}

    async def get(self, request: EdgeRequest) -> Answer:
        """204 for whose log-in has ended: a browser asks no more (HTML, 9.2), nor complains of a page."""
        answer = await super().get(request)
        return Answer(status=204) if answer.status == 303 else answer

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """It takes the request over."""
        feed = self.portal.services.events
        if feed is None:
            raise not_found()
        if request.gone:  # while it was asked who it is: nobody would tell us again
            return Answer()
        user = visitor.user.id
        if self.open.get(user, 0) >= MOST_OF_A_USER or sum(self.open.values()) >= MOST:
            raise PageProblem(429, "Too many pages are open.", (retry_after(5),))
        self.open[user] = self.open.get(user, 0) + 1
        request.notifyFinish().addBoth(lambda _: self._closed(user))
        cursor = Cursor.parse(request.getHeader("last-event-id") or "")
        reader: FeedReader = await feed.subscribe(visitor.account_id, cursor)
        return Takeover(begin=partial(_stream, self.portal, visitor, reader))

    def _closed(self, user: int) -> None:
        self.open[user] -= 1
        if not self.open[user]:
            del self.open[user]


def _stream(portal: Portal, visitor: Visitor, reader: FeedReader, request: EdgeRequest) -> None:
    if request.gone or request.method == b"HEAD":
        reader.close()
        request.respond(200, HEAD, b"")
        return
    services = portal.services

    def load(batch: Batch) -> Deferred[bytes] | bytes:
        if not batch.events:
            return written(batch, _NOTHING)
        reading: Deferred[Subjects] = services.store.read(told.subjects, visitor.account_id, batch.events)
        return reading.addCallback(lambda found: written(batch, found))

    good = partial(portal.sessions.still_good, visitor)
    stream = Stream(request, reader, services.reactor, load, good, visitor.actor)
    watched(services.directory, stream, request)
    stream.begin(HEAD)


def written(batch: Batch, found: Subjects) -> bytes:
    """A batch as one event: the places that changed. With a gap, or many, the pages look at everything."""
    changes = [] if batch.gap else _places(batch.events, found)
    body = orjson.dumps({"gap": batch.gap, "changes": changes})
    return b"event: change\nid: %b\ndata: %b\n\n" % (str(batch.cursor).encode(), body)


def _places(events: Sequence[Event], found: Subjects) -> list[dict[str, object]]:
    places: list[dict[str, object]] = []
    for event in events:
        of_delivery = event.kind.startswith(OF_DELIVERIES)
        record = found.deliveries.get(event.subject_id) if of_delivery else None
        view = found.messages.get(event.subject_id) if not of_delivery else None
        place = {"kind": event.kind, "message": record.message_id if record else event.subject_id}
        if view is not None:
            place |= {"did": view.message.did, "peer": view.message.peer}
        if place not in places:
            places.append(place)
    return places
