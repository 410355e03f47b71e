"""/live: the places of what changed, for the pages of one account."""

import json

from storage import accounts, events, users
from storage.events import Cursor, Event
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.feed import Feed
from tests.unit.edge.web.harness import DID, PEER, Scene


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


def test_nothing_is_said_once_the_log_in_has_ended(inline_store: InlineStore, time: Time) -> None:
    scene, feed = scene_of(inline_store, time)
    listening = Listening(scene)
    listening.said()
    assert listening.member.fill("/new", "/logout").status == 303
    message = scene.message()
    feed.reader.give(Event(6, 0, scene.account.id, events.Kind.MESSAGE_RECEIVED, message.id, 1))
    assert str(message.id) not in listening.said()
    assert listening.link.closing()


def test_the_stream_of_a_user_who_is_removed_ends_at_once(inline_store: InlineStore, time: Time) -> None:
    scene, feed = scene_of(inline_store, time)
    with scene.store.engine.transaction() as conn:
        accounts.add_user(conn, scene.store.ids.next, scene.account.id, "boss", "-", time.wall_ms())
        demo = accounts.find_user(conn, "demo")
        assert demo is not None
    listening, stalled = Listening(scene), Listening(scene)
    stalled.link.protocol.pauseProducing()
    with scene.store.engine.transaction() as conn:
        users.remove(conn, scene.account.id, demo.id)
    success(scene.services.directory.refresh())
    assert listening.link.closing()
    assert stalled.link.transport.disconnected, "nothing that waits for it is written any more"
    assert feed.reader.closed


def test_who_leaves_is_forgotten(inline_store: InlineStore, time: Time) -> None:
    scene, feed = scene_of(inline_store, time)
    Listening(scene).link.leave()
    assert feed.reader.closed


def test_only_for_people_and_only_with_a_feed(inline_store: InlineStore, time: Time) -> None:
    scene = Scene(inline_store, time)
    assert scene.member().get("/live").status == 404
    assert scene.browser().get("/live").status == 204
