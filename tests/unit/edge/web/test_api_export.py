"""GET /v1/export: an account's messages as a file, at the pace of who takes it."""

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from edge.web.api.export import EXPORTS_OF_A_KEY
from edge.web.streams import STALLED_SECONDS
from storage import export, messages, numbers
from storage.errors import StoreUnavailable
from tests.unit.edge.conftest import record
from tests.unit.edge.web.harness import DID, OTHER_TOKEN, PEER, TOKEN, Link, Scene, request


def lines(scene: Scene, query: str = "", token: str = TOKEN) -> list[Any]:
    reply = scene.call("GET", f"/v1/export{query}", token=token)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in reply.text.splitlines()]


def many(scene: Scene, count: int, text: str = "hello") -> list[int]:
    """So many messages in one transaction."""
    account, store = scene.account, scene.store
    with store.engine.snapshot() as conn:
        (did,) = numbers.list_dids(conn, account.id)
    made = [record(store, did, scene.time.wall_ms(), "mo", text=text) for _ in range(count)]
    scene.write([write for one in made for write in messages.insert(one)])
    return [one.id for one in made]


def asking(scene: Scene, query: str = "") -> Link:
    """A client that has asked; it takes what comes unless it is told not to."""
    link = scene.link()
    link.send(request("GET", f"/v1/export{query}", b"", {"Authorization": f"Bearer {TOKEN}"}))
    return link


def test_lines_of_json_oldest_first_and_nobody_elses(scene: Scene) -> None:
    first = scene.message(text="line\nbreak é")
    second = scene.message("mt", text="out")
    scene.message(owner=scene.other, text="theirs")
    found = lines(scene)
    assert [row["id"] for row in found] == [first.id, second.id]
    assert list(found[0]) == list(export.COLUMNS)
    assert (found[0]["text"], found[1]["status"]) == ("line\nbreak é", "queued")
    assert [row["text"] for row in lines(scene, token=OTHER_TOKEN)] == ["theirs"]


def test_csv_has_the_same_columns_and_a_head_even_without_rows(scene: Scene) -> None:
    assert scene.call("GET", "/v1/export?format=csv").text == ",".join(export.COLUMNS) + "\r\n"
    scene.message(text='=cmd("x")')
    reply = scene.call("GET", "/v1/export?format=csv")
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="messages.csv"'
    (row,) = csv.DictReader(reply.text.splitlines())
    assert (row["did"], row["peer"], row["text"]) == (DID, PEER, '\'=cmd("x")')
    assert lines(scene, "?direction=mt") == []


def test_one_conversation_and_a_time(scene: Scene) -> None:
    mine = scene.message()
    scene.message(peer="+447911123999")
    where = f"?did={DID.replace('+', '%2B')}&peer={PEER.replace('+', '%2B')}"
    assert [row["id"] for row in lines(scene, where)] == [mine.id]
    assert lines(scene, f"{where}&until=2001-01-01T00:00:00Z") == []


def test_what_is_asked_wrongly(scene: Scene) -> None:
    for query, code in (("format=xml", "format_invalid"), ("direction=up", "direction_invalid")):
        reply = scene.call("GET", f"/v1/export?{query}")
        assert (reply.status, reply.json["code"]) == (422, code)
    assert scene.call("GET", "/v1/export", token="").status == 401
    assert scene.call("HEAD", "/v1/export?format=csv").headers["content-type"].startswith("text/csv")


def test_piece_by_piece_and_what_comes_meanwhile_is_not_in_it(scene: Scene) -> None:
    stored = many(scene, 2 * export.BATCH + 1)
    link = asking(scene)
    many(scene, 1)
    while not link.transport.value().endswith(b"\r\n0\r\n\r\n"):
        scene.time.advance(0.01)
    (reply,) = link.replies()
    assert [json.loads(line)["id"] for line in reply.text.splitlines()] == stored


@pytest.mark.parametrize("path", ["/v1/export", "/messages/export.csv"])
def test_what_is_deleted_meanwhile_is_in_it(scene: Scene, path: str) -> None:
    gone, *_, last = many(scene, 2 * export.BATCH + 1)
    assert scene.call("DELETE", f"/v1/messages/{gone}").status == 204
    link = scene.link()
    cookie = "; ".join(f"{name}={value}" for name, value in scene.member().cookies.items())
    link.send(request("GET", path, b"", {"Authorization": f"Bearer {TOKEN}", "Cookie": cookie}))
    assert str(last) not in link.transport.value().decode()
    everything = {"matching": {"all": True}, "confirm": True}
    assert scene.call("POST", "/v1/messages/delete", everything).json["messages"] == 2 * export.BATCH
    while not link.transport.value().endswith(b"\r\n0\r\n\r\n"):
        scene.time.advance(0.01)
    (reply,) = link.replies()
    lines = reply.text.splitlines()
    assert (len(lines) - path.endswith("csv"), str(gone) in reply.text) == (2 * export.BATCH, False)
    assert str(last) in lines[-1]
    assert not scene.call("GET", "/v1/messages").json["messages"]


def test_a_client_that_takes_nothing_is_read_nothing_for_and_cut_off(scene: Scene) -> None:
    many(scene, 2 * export.BATCH)
    link = asking(scene)
    link.protocol.pauseProducing()
    before = link.transport.value()
    scene.time.advance(STALLED_SECONDS - 1)
    assert (link.transport.value(), link.transport.disconnected) == (before, False)
    link.protocol.resumeProducing()
    scene.time.advance(1)
    assert len(link.transport.value()) > len(before)
    assert link.transport.value().endswith(b"\r\n0\r\n\r\n"), "who takes it again has all of it"


@pytest.mark.parametrize("path", ["/v1/export", "/messages/export.csv"])
def test_in_the_end_it_is_given_up(scene: Scene, path: str) -> None:
    many(scene, 2 * export.BATCH)
    link = scene.link()
    cookie = "; ".join(f"{name}={value}" for name, value in scene.member().cookies.items())
    link.send(request("GET", path, b"", {"Authorization": f"Bearer {TOKEN}", "Cookie": cookie}))
    assert not link.transport.disconnecting
    link.protocol.pauseProducing()
    scene.time.advance(STALLED_SECONDS + 1)
    assert link.transport.disconnected
    assert not link.transport.value().endswith(b"\r\n0\r\n\r\n")


def test_a_key_has_a_few_at_once(scene: Scene) -> None:
    many(scene, 2 * export.BATCH)
    links = [asking(scene) for _ in range(EXPORTS_OF_A_KEY)]
    for link in links:
        link.protocol.pauseProducing()
    refused = scene.call("GET", "/v1/export")
    assert (refused.status, refused.json["code"]) == (429, "too_many_exports")
    assert len(lines(scene, token=OTHER_TOKEN)) == 0
    links[0].leave()
    assert asking(scene).transport.value().startswith(b"HTTP/1.1 200")


def test_a_store_that_goes_away_leaves_a_file_without_an_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(scene, 2 * export.BATCH)
    link = asking(scene)
    reading: list[Deferred[Any]] = []

    def later(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        reading.append(Deferred())
        return reading[-1]

    monkeypatch.setattr(scene.store, "read", later)
    scene.time.advance(0.01)
    reading[0].errback(StoreUnavailable("gone"))
    assert link.closing()
    assert not link.transport.value().endswith(b"\r\n0\r\n\r\n")
