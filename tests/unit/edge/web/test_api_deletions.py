"""POST /v1/messages/delete, DELETE /v1/conversations, POST /v1/deletions/ID/undo."""

from typing import Any

import pytest

from storage import deletion
from storage.deletion import UNDO_MS
from storage.ids import time_of
from tests.unit.edge.web.harness import DID, OTHER_TOKEN, PEER, Scene

BOB = "+447911123499"


def left(scene: Scene) -> list[int]:
    return [item["id"] for item in scene.call("GET", "/v1/messages").json["messages"]]


def test_those_that_are_named_go_and_come_back(scene: Scene) -> None:
    first, second, third = (scene.message().id for _ in range(3))
    reply = scene.call("POST", "/v1/messages/delete", {"ids": [first, third, 12345]})
    assert (reply.status, reply.json["messages"]) == (200, 2)
    assert reply.json["undo_until"].endswith("Z")
    assert left(scene) == [second]
    undo = f"/v1/deletions/{reply.json['id']}/undo"
    assert scene.call("POST", undo, token=OTHER_TOKEN).json["code"] == "deletion_unknown"
    assert left(scene) == [second]
    assert scene.call("POST", undo).json == {"id": reply.json["id"], "messages": 2}
    assert left(scene) == [third, second, first]
    assert scene.call("POST", undo).status == 404


def test_nothing_comes_back_after_half_a_minute(scene: Scene) -> None:
    message = scene.message()
    made = scene.call("POST", "/v1/messages/delete", {"ids": [message.id]}).json["id"]
    scene.time.advance((time_of(made) + UNDO_MS - scene.time.wall_ms()) / 1000 + 1)
    assert scene.call("POST", f"/v1/deletions/{made}/undo").status == 404
    assert left(scene) == []


def test_all_that_match_go_when_that_is_confirmed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "STEP", 2)
    for _ in range(5):
        scene.message(peer=BOB)
    stays = scene.message().id
    body: dict[str, Any] = {"matching": {"peer": BOB}}
    assert scene.call("POST", "/v1/messages/delete", body).json["code"] == "confirm_missing"
    assert len(left(scene)) == 6
    assert scene.call("POST", "/v1/messages/delete", {**body, "confirm": True}).json["messages"] == 5
    assert left(scene) == [stays]
    assert scene.call("POST", "/v1/messages/delete", {}).status == 422
    assert scene.call("POST", "/v1/messages/delete", {**body, "ids": [stays]}).status == 422
    assert scene.call("POST", "/v1/messages/delete", {"ids": []}).status == 422


@pytest.mark.parametrize("matching", [{}, {"peer": None}, {"all": False}, {"all": True, "peer": BOB}])
def test_a_member_that_is_missing_does_not_mean_everything(scene: Scene, matching: dict[str, Any]) -> None:
    stays = scene.message().id
    reply = scene.call("POST", "/v1/messages/delete", {"matching": matching, "confirm": True})
    assert (reply.status, reply.json["code"]) == (422, "matching_empty")
    assert left(scene) == [stays]
    asked = {"matching": {"all": True}, "confirm": True}
    assert scene.call("POST", "/v1/messages/delete", asked).json["messages"] == 1


def test_a_conversation_without_messages_is_there_for_all_or_for_none(scene: Scene) -> None:
    scene.message(peer=BOB)
    path = f"/v1/conversations/{DID}/{BOB}"
    for count in (1, 0):
        assert scene.call("GET", path).status == 200
        gone = scene.call("DELETE", path)
        assert (gone.status, gone.json["messages"]) == (200, count)
    with scene.store.engine.transaction() as conn:
        assert deletion.purge(conn, time_of(gone.json["id"]) + UNDO_MS + 60_000) == 1
    assert [scene.call(method, path).status for method in ("GET", "DELETE")] == [404, 404]


def test_a_conversation_goes_and_comes_back(scene: Scene) -> None:
    scene.message(peer=BOB)
    stays = scene.message().id
    path = f"/v1/conversations/{DID}/{BOB}"
    assert scene.call("DELETE", path, token=OTHER_TOKEN).json["code"] == "conversation_unknown"
    reply = scene.call("DELETE", path)
    assert reply.json["messages"] == 1
    assert left(scene) == [stays]
    assert [found["peer"] for found in scene.call("GET", "/v1/conversations").json["conversations"]] == [PEER]
    assert scene.call("POST", f"/v1/deletions/{reply.json['id']}/undo").status == 200
    assert len(left(scene)) == 2
