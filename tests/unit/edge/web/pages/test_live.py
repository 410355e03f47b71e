"""/live: the places of what changed, for the pages of one account."""

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed

from storage import events
from storage.events import Batch, Cursor, Event
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import DID, PEER, Scene


class Reader:
    """Gives what it is told to give."""

    def __init__(self) -> None:
        self.cursor = Cursor(1, 0, 5)
        self.waiting: Deferred[Batch] | None = None
        self.closed = False

    def next(self) -> Deferred[Batch]:
        self.waiting = Deferred()
        return self.waiting

    def close(self) -> None:
        self.closed = True

    def give(self, *found: Event, gap: bool = False) -> None:
        assert self.waiting is not None
        self.waiting.callback(Batch(found, Cursor(1, 0, 9), gap))


class Feed:
    """One reader for whoever comes, and who that was."""

    def __init__(self) -> None:
        self.reader = Reader()
        self.asked: list[tuple[Any, Any]] = []

    def subscribe(self, account_id: int | None, cursor: Cursor | None = None) -> Deferred[Any]:
        self.asked.append((account_id, cursor))
        return succeed(self.reader)


class Listening:
    """A page's stream."""

    def __init__(self, scene: Scene, **headers: str) -> None:
        self.member = scene.member()
        self.link = scene.link()
        given = {"Cookie": "; ".join(f"{n}={v}" for n, v in self.member.cookies.items()), **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
        self.link.send(f"GET /live HTTP/1.0\r\n{lines}\r\n".encode())

    def said(self) -> str:
        value: bytes = self.link.transport.value()
        self.link.transport.clear()
        return value.decode()


def scene_of(store: InlineStore, time: Time) -> tuple[Scene, Feed]:
    feed = Feed()
    return Scene(store, time, events=feed), feed


def test_the_places_of_what_changed(inline_store: InlineStore, time: Time) -> None:
    scene, feed = scene_of(inline_store, time)
    message = scene.message()
    listening = Listening(scene, Last_Event_ID="1-0-3")
    assert "text/event-stream" in listening.said()
    assert feed.asked == [(scene.account.id, Cursor(1, 0, 3))]
    kind = events.Kind.MESSAGE_RECEIVED
    feed.reader.give(Event(6, 0, scene.account.id, kind, message.id, 1))
    name, place, data = listening.said().splitlines()[:3]
    assert (name, place) == ("event: change", "id: 1-0-9")
    change = {"kind": kind, "message": message.id, "did": DID, "peer": PEER}
    assert json.loads(data.removeprefix("data: ")) == {"gap": False, "changes": [change]}
    assert "hello" not in data


def test_a_gap_says_that_anything_may_have_changed(inline_store: InlineStore, time: Time) -> None:
    scene, feed = scene_of(inline_store, time)
    listening = Listening(scene)
    listening.said()
    feed.reader.give(gap=True)
    assert 'data: {"gap":true,"changes":[]}' in listening.said()


def test_the_stream_ends_with_the_log_in(inline_store: InlineStore, time: Time) -> None:
    scene, feed = scene_of(inline_store, time)
    listening = Listening(scene)
    time.advance(16)
    assert listening.said().endswith(":\n\n")
    assert not listening.link.closing()
    assert listening.member.fill("/new", "/logout").status == 303
    time.advance(16)
    assert feed.reader.closed
    assert listening.link.closing()


def test_who_leaves_is_forgotten(inline_store: InlineStore, time: Time) -> None:
    scene, feed = scene_of(inline_store, time)
    Listening(scene).link.leave()
    assert feed.reader.closed


def test_only_for_people_and_only_with_a_feed(inline_store: InlineStore, time: Time) -> None:
    scene = Scene(inline_store, time)
    assert scene.member().get("/live").status == 404
    assert scene.browser().get("/live").status == 204
