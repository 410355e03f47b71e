"""/v1/events: what changes, as server-sent events that go on where a reader left off.

A reader that comes back with the `Last-Event-ID` that it saw misses nothing, across restarts too, as long as
the feed is kept. A slow one costs no memory: while its connection takes nothing, nothing is read for it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson
from twisted.internet.defer import Deferred

from edge.web.api import views
from edge.web.api.access import Access
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import Choice, Many, Member, Record, Text
from edge.web.api.underway import UnderWay
from edge.web.headers import api_head
from edge.web.services import FeedReader
from edge.web.streams import Stream, watched
from storage import told
from storage.events import Batch, Cursor, Event, Kind
from storage.records import DeliveryRecord
from storage.told import OF_DELIVERIES, Subjects

HEAD = api_head(b"text/event-stream; charset=utf-8")
LAST_EVENT_ID = b"last-event-id"
STREAMS_OF_A_KEY = 20
LISTENED_BY = Record(
    (
        Member("after", Text(1, 60), "The id of the last event seen, where no header can be sent."),
        Member("types", Many(Choice(tuple(Kind)), 1, len(Kind)), "Only these, separated by commas."),
    )
)


class Streams:
    """I count the streams, and begin them."""

    def __init__(self, access: Access, most: int) -> None:
        self._access = access
        self._most = most
        self._under_way = UnderWay()

    def listen(self, call: Call) -> Deferred[Reply | None] | None:
        """Takes the request over; raises Problem when there are too many, or for a cursor that is none."""
        cursor = _cursor(call)
        if call.request.method == b"HEAD":
            call.request.respond(200, HEAD, b"")
            return None
        feed = call.services.events
        assert feed is not None, "or this route is not there"
        if self._under_way.of(call.key.id) >= STREAMS_OF_A_KEY or self._under_way.total >= self._most:
            detail = f"A key may have {STREAMS_OF_A_KEY} streams at once, and the server {self._most}."
            raise Problem(429, "too_many_streams", detail, headers=((b"Retry-After", b"5"),))
        self._under_way.begin(call)
        return feed.subscribe(call.account_id, cursor).addCallback(self._begin, call)

    def _begin(self, reader: FeedReader, call: Call) -> None:
        if call.request.gone:
            reader.close()
        else:
            following = stream(call, reader, self._access)
            watched(call.services.directory, following, call.request)
            following.begin(HEAD + self._access.lines(call.key))

    def routes(self) -> list[Route]:
        """The one."""
        return [
            Route(
                method="GET",
                path="/v1/events",
                name="events",
                tag="Events",
                scope="events:read",
                summary="Follow what changes, as server-sent events",
                about="Each event has an id; come back with the last one in the header Last-Event-ID, and "
                "nothing is missed. Without it the stream begins now. The event `gap` says that what came "
                "since is not all kept any more: look at what there is, and go on from there.",
                do=self.listen,
                takes=LISTENED_BY,
                refuses={422: ("cursor_invalid",), 429: ("too_many_streams",)},
                stream=True,
                needs=lambda services: services.events is not None,
            )
        ]


def stream(call: Call, reader: FeedReader, access: Access) -> Stream:
    """To the reader who calls, of the types that he wants, for as long as his key is good."""
    types: Sequence[str] | None = call.given["types"]

    def load(batch: Batch) -> Deferred[bytes] | bytes:
        wanted = [event for event in batch.events if types is None or event.kind in types]
        if not wanted:
            return written(batch, (), Subjects({}, {}, set()))
        reading = call.read(told.subjects, wanted)
        return reading.addCallback(lambda found: written(batch, wanted, found))

    good = partial(access.still_good, call.key)
    return Stream(call.request, reader, call.services.reactor, load, good, call.key.prefix)


def written(batch: Batch, wanted: Sequence[Event], found: Subjects) -> bytes:
    """A batch as it goes over the wire; what nobody wants moves the reader's place all the same."""
    epoch = batch.cursor.epoch
    blocks = [
        _block(event.kind, Cursor(epoch, event.xact, event.id), document(event, found)) for event in wanted
    ]
    if batch.gap:
        detail = "Events since your last one are not kept any more; look at what there is now."
        blocks.append(_block("gap", batch.cursor, {"type": "gap", "detail": detail}))
    elif not wanted or batch.cursor[1:] > (wanted[-1].xact, wanted[-1].id):
        blocks.append(b"id: %b\n\n" % str(batch.cursor).encode())
    return b"".join(blocks)


def document(event: Event, found: Subjects) -> dict[str, object]:
    """What a reader is told: the subject is as it is now, null when it is gone."""
    said: dict[str, object] = {"type": event.kind, "at": views.iso(event.at), "subject": event.subject_id}
    if event.kind.startswith(OF_DELIVERIES):
        record = found.deliveries.get(event.subject_id)
        return {**said, "delivery": None if record is None else _delivery(record)}
    view = found.messages.get(event.subject_id)
    if event.kind.startswith("message."):
        unread = event.subject_id in found.unread
        return {**said, "message": None if view is None else views.message(view, unread)}
    place = None if view is None else {"did": view.message.did, "peer": view.message.peer}
    return {**said, "conversation": place}


def _block(kind: str, cursor: Cursor, body: dict[str, object]) -> bytes:
    # JSON has no line ends of its own, so one data line holds it.
    return b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), str(cursor).encode(), orjson.dumps(body))


def _delivery(record: DeliveryRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "message": record.message_id,
        "handler": record.handler,
        "event": record.event,
        "state": record.state,
        "attempts": record.attempts,
        "outcome": record.last_outcome,
    }


def _cursor(call: Call) -> Cursor | None:
    headers: Any = call.request.requestHeaders.getRawHeaders(LAST_EVENT_ID)
    value = headers[-1].decode("latin-1").strip() if headers else call.given["after"]
    if not value:
        return None
    cursor = Cursor.parse(value)
    if cursor is None:
        field = "Last-Event-ID" if headers else "after"
        raise Problem(422, "cursor_invalid", f"{value[:40]!r} is no id of an event.", field)
    return cursor
