"""POST /v1/messages/batch, and Idempotency-Key on whatever sends."""

from typing import Any

import pytest
from sqlalchemy import select, update

from edge.errors import Unavailable
from edge.web.api.idempotency import KEPT_MS
from edge.web.api.messages import MAX_BATCH
from storage.tables import idempotency
from tests.unit.edge.web.harness import OTHER_TOKEN, Scene

GOOD = {"from": "+12025550100", "to": "+447911123456", "text": "hi"}
BAD = {**GOOD, "to": "12"}


def batch(scene: Scene, messages: list[Any], key: str = "", **more: Any) -> Any:
    return scene.call(
        "POST", "/v1/messages/batch", {"messages": messages, **more}, **{"Idempotency-Key": key}
    )


def send(scene: Scene, key: str, **more: Any) -> Any:
    return scene.call("POST", "/v1/messages", {**GOOD, **more}, **{"Idempotency-Key": key})


def test_each_of_a_batch_has_its_answer_in_its_place(scene: Scene) -> None:
    scene.outbox.refuses = {"12"}
    reply = batch(scene, [GOOD, BAD, {**GOOD, "text": "third"}])
    assert (reply.status, reply.json["accepted"], reply.json["refused"]) == (202, 2, 1)
    first, second, third = reply.json["messages"]
    assert (first["status"], first["id"], third["id"]) == ("queued", 42, 44)
    assert second == {
        "status": "refused",
        "code": "invalid_number",
        "detail": "It is no number.",
        "field": "to",
    }
    assert [draft.text for draft in scene.outbox.drafts] == ["hi", "hi", "third"]


def test_all_or_nothing(scene: Scene) -> None:
    scene.outbox.refuses = {"12"}
    reply = batch(scene, [GOOD, BAD], all_or_nothing=True)
    assert (reply.status, reply.json["code"]) == (422, "batch_refused")
    assert [item["code"] for item in reply.json["messages"]] == ["batch_refused", "invalid_number"]
    assert batch(scene, [GOOD, GOOD], all_or_nothing=True).json["accepted"] == 2


def test_a_url_that_may_not_be_called_refuses_its_message_alone(scene: Scene) -> None:
    told = {**GOOD, "status_callback": "http://10.0.0.1/"}
    reply = batch(scene, [GOOD, told, GOOD])
    assert (reply.status, reply.json["accepted"], reply.json["refused"]) == (202, 2, 1)
    assert [item.get("code") for item in reply.json["messages"]] == [None, "url_refused", None]
    reply = batch(scene, [GOOD, told], all_or_nothing=True)
    assert (reply.status, reply.json["code"]) == (422, "batch_refused")
    assert [item["code"] for item in reply.json["messages"]] == ["batch_refused", "url_refused"]
    assert batch(scene, [told]).json["code"] == "batch_refused"
    assert len(scene.outbox.drafts) == 2


def test_a_batch_of_which_nothing_can_be_sent(scene: Scene) -> None:
    scene.outbox.refuses = {"12"}
    reply = batch(scene, [BAD])
    assert (reply.status, reply.json["code"]) == (422, "batch_refused")
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("messages", "code", "field"),
    [
        ([], "batch_size_invalid", "messages"),
        ([GOOD] * (MAX_BATCH + 1), "batch_size_invalid", "messages"),
        ([GOOD, {**GOOD, "text": 7}], "member_type", "messages[1].text"),
        ([GOOD, {"from": "+12025550100"}], "member_missing", "messages[1].to"),
        ([{**GOOD, "texxt": "x"}], "member_unknown", "messages[0].texxt"),
        (["x"], "member_type", "messages[0]"),
    ],
)
def test_a_batch_that_cannot_be_read(scene: Scene, messages: list[Any], code: str, field: str) -> None:
    reply = batch(scene, messages)
    assert (reply.status, reply.json["code"], reply.json["field"]) == (422, code, field)
    assert scene.outbox.drafts == []


def test_a_largest_batch(scene: Scene) -> None:
    assert batch(scene, [GOOD] * MAX_BATCH).json["accepted"] == MAX_BATCH


# -- Idempotency-Key ----------------------------------------------------------------------------------------


def test_the_same_key_and_request_get_the_same_answer(scene: Scene) -> None:
    first = send(scene, "k1")
    assert (first.status, "idempotent-replayed" in first.headers) == (202, False)
    again = scene.call(
        "POST", "/v1/messages/", {"text": "hi", **GOOD}, **{"Idempotency-Key": "k1"}
    )  # the order of the members is nobody's business
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (202, first.body, "true")
    assert len(scene.outbox.drafts) == 1
    assert send(scene, "k2").headers.get("idempotent-replayed") is None
    assert len(scene.outbox.drafts) == 2


def test_the_answer_outlives_the_process(scene: Scene) -> None:
    first = send(scene, "k1")
    fresh = Scene.__new__(Scene)
    fresh.__dict__.update(scene.__dict__)
    fresh.restart()
    assert send(fresh, "k1").body == first.body
    assert send(fresh, "k1", text="other").json["code"] == "idempotency_key_reused"
    assert len(scene.outbox.drafts) == 1


def test_another_request_under_the_same_key_is_a_mistake(scene: Scene) -> None:
    send(scene, "k1")
    reply = send(scene, "k1", text="other")
    assert (reply.status, reply.json["code"], reply.json["field"]) == (
        422,
        "idempotency_key_reused",
        "Idempotency-Key",
    )
    assert batch(scene, [GOOD], key="k1").status == 202, "another path is another request"
    other = scene.call("POST", "/v1/messages", GOOD, token=OTHER_TOKEN, **{"Idempotency-Key": "k1"})
    assert (other.status, other.headers.get("idempotent-replayed")) == (202, None)


def test_equal_requests_at_once_are_done_once(scene: Scene) -> None:
    scene.store.writer.held = True
    links = [scene.link() for _ in range(50)]
    from tests.unit.edge.web.harness import TOKEN, request

    octets = request(
        "POST",
        "/v1/messages",
        b'{"from":"+12025550100","to":"+447911123456","text":"hi"}',
        {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "k"},
    )
    for link in links:
        link.send(octets)
    links[7].leave()
    assert all(link.replies() == [] for link in links)
    scene.store.writer.release()
    answers = [reply for link in links for reply in link.replies()]
    assert len(answers) == 49
    assert {(reply.status, reply.body) for reply in answers} == {(202, answers[0].body)}
    assert len(scene.outbox.drafts) == 1


def test_what_was_refused_may_be_mended_under_the_same_key(scene: Scene) -> None:
    scene.outbox.refuses = {"12"}
    assert send(scene, "k", to="12").json["code"] == "invalid_number"
    scene.outbox.error = Unavailable("Later.")
    assert send(scene, "k").status == 503
    scene.outbox.error = None
    assert send(scene, "k").status == 202
    assert batch(scene, [BAD], key="b").status == 422
    assert batch(scene, [GOOD], key="b").status == 202


def test_a_batch_is_kept_whole(scene: Scene) -> None:
    scene.outbox.refuses = {"12"}
    first = batch(scene, [GOOD, BAD], key="b")
    again = batch(scene, [GOOD, BAD], key="b")
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (202, first.body, "true")
    assert len(scene.outbox.drafts) == 2


def test_an_answer_is_kept_for_a_day_and_then_in_nobodys_way(scene: Scene) -> None:
    send(scene, "k")
    scene.time.advance(KEPT_MS / 1000 - 1)
    assert "idempotent-replayed" in send(scene, "k").headers
    scene.time.advance(2)
    assert "idempotent-replayed" not in send(scene, "k").headers
    assert len(scene.outbox.drafts) == 3, "the one that found the old answer in its way was tried again"
    with scene.store.engine.snapshot() as conn:
        assert len(conn.execute(select(idempotency)).all()) == 1


def test_an_answer_that_another_server_kept_meanwhile(scene: Scene) -> None:
    """Nobody here knows of it until the store refuses the second one."""
    first = send(scene, "k")
    with scene.store.engine.transaction() as conn:
        conn.execute(update(idempotency).values(created_at=idempotency.c.created_at))
    fresh = Scene.__new__(Scene)
    fresh.__dict__.update(scene.__dict__)
    fresh.restart(blind=1)
    again = send(fresh, "k")
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (202, first.body, "true")


@pytest.mark.parametrize("key", ["a b", "x" * 256, "\t"])
def test_a_key_that_is_none(scene: Scene, key: str) -> None:
    reply = send(scene, key)
    assert (reply.status, reply.json["code"]) == (422, "idempotency_key_invalid")
    assert scene.outbox.drafts == []
