"""GET /v1/events: for as long as the key is good, and not an event longer."""

from pathlib import Path

import pytest

from edge.web.api.views import iso
from storage import accounts
from storage.events import Event, Kind
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.feed import Feed
from tests.unit.edge.web.harness import TOKEN, Link, Scene, request

ROOT = Path(__file__).parents[4]


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def scene(inline_store: InlineStore, time: Time, feed: Feed) -> Scene:
    return Scene(inline_store, time, events=feed)


def following(scene: Scene, query: str = "", token: str = TOKEN) -> Link:
    """A reader of the stream."""
    link = scene.link()
    link.send(request("GET", f"/v1/events{query}", b"", {"Authorization": f"Bearer {token}"}))
    assert b"text/event-stream" in link.transport.value()
    return link


def ended(link: Link) -> bool:
    """Has it had the last chunk?"""
    octets: bytes = link.transport.value()
    return octets.endswith(b"\r\n0\r\n\r\n")


def revoke(scene: Scene) -> None:
    with scene.store.engine.transaction() as conn:
        accounts.revoke_key(conn, scene.account.id, "key", scene.time.wall_ms())


def received(scene: Scene, text: str) -> Event:
    return Event(6, 0, scene.account.id, Kind.MESSAGE_RECEIVED, scene.message(text=text).id, 1)


def test_the_whole_message_and_then_signs_of_life(scene: Scene, feed: Feed) -> None:
    link = following(scene)
    feed.reader.give(received(scene, "ping"))
    assert b'"text":"ping"' in link.transport.value()
    scene.time.advance(16)
    assert link.transport.value().endswith(b":\n\n\r\n")


def test_nothing_is_written_for_a_key_that_has_ended(scene: Scene, feed: Feed) -> None:
    """Between two signs of life, too."""
    end = iso(scene.time.wall_ms() + 5_000)
    made = scene.call("POST", "/v1/keys", {"name": "short", "scopes": ["*"], "expires_at": end}).json
    link = following(scene, token=made["token"])
    scene.time.advance(6)
    assert not ended(link)
    feed.reader.give(received(scene, "secret"))
    assert b"secret" not in link.transport.value()
    assert ended(link)
    assert feed.reader.closed


def test_the_stream_ends_when_the_key_does(scene: Scene, feed: Feed) -> None:
    link = following(scene)
    revoke(scene)
    success(scene.services.directory.refresh())
    assert ended(link)
    assert feed.reader.closed
    assert not scene.services.directory.watchers


def test_a_reader_that_takes_nothing_is_cut_off_at_once(scene: Scene, feed: Feed) -> None:
    link = following(scene)
    link.protocol.pauseProducing()
    revoke(scene)
    success(scene.services.directory.refresh())
    assert link.transport.disconnected
    assert feed.reader.closed


@pytest.mark.parametrize(
    "query",
    [
        "?types=message.sent,message.received",
        "?types=message.sent&types=message.received",
        "?types=message.sent,message.failed&types=message.received",
    ],
)
def test_some_types_only_said_in_either_way(scene: Scene, feed: Feed, query: str) -> None:
    link = following(scene, query)
    others = Event(5, 0, scene.account.id, Kind.CONVERSATION_READ, scene.message().id, 1)
    feed.reader.give(others, received(scene, "ping"))
    told = link.transport.value()
    assert (told.count(b"event: "), told.count(b"event: message.received")) == (1, 1)


def test_types_that_are_none_and_what_is_no_list(scene: Scene, feed: Feed) -> None:
    for query, status, code in (
        ("types=message.sent&types=foo", 422, "value_invalid"),
        ("types=delivery.pending", 422, "value_invalid"),
        ("types=", 422, "value_invalid"),
        ("after=1-0-1&after=1-0-2", 400, "member_twice"),
    ):
        reply = scene.call("GET", f"/v1/events?{query}")
        assert (reply.status, reply.json["code"]) == (status, code), query


def test_every_type_is_documented() -> None:
    table = (ROOT / "docs" / "api.md").read_text().partition("## Events")[2].partition("## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {word.strip(" `") for row in rows for word in row.split(",")} == set(Kind)


def test_other_changes_end_nothing(scene: Scene, feed: Feed) -> None:
    link = following(scene)
    assert scene.call("POST", "/v1/keys", {"name": "another", "scopes": ["*"]}).status == 201
    assert not ended(link)
    link.leave()
    assert not scene.services.directory.watchers
