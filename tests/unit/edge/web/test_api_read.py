"""GET /v1/messages and /v1/messages/ID."""

from typing import Any

import pytest

from edge.web.api.shapes import Number
from storage import deliveries, messages
from storage.records import AttemptRecord, DeliveryState, MessageFlag, PartFlag, PartState
from tests.samples import delivery_of
from tests.unit.edge.web.harness import DID, OTHER_DID, OTHER_TOKEN, PEER, Scene


def listed(scene: Scene, query: str = "", token: str = "") -> list[Any]:
    more = {"token": token} if token else {}
    reply = scene.call("GET", f"/v1/messages{query}", **more)
    assert reply.status == 200, reply.text
    return list(reply.json["messages"])


def ids(found: list[Any]) -> list[int]:
    return [item["id"] for item in found]


def test_newest_first_and_page_by_page(scene: Scene) -> None:
    stored = [scene.message(text=str(number)).id for number in range(5)]
    assert ids(listed(scene)) == stored[::-1]
    first = scene.call("GET", "/v1/messages?limit=2").json
    assert (ids(first["messages"]), first["more"]) == ([stored[4], stored[3]], True)
    assert ids(listed(scene, f"?limit=2&before_id={stored[3]}")) == [stored[2], stored[1]]
    last = scene.call("GET", f"/v1/messages?limit=2&before_id={stored[1]}").json
    assert (ids(last["messages"]), last["more"]) == ([stored[0]], False)


def test_more_is_said_only_when_something_follows(scene: Scene) -> None:
    """Of every list that has pages: one that holds all there is, and one that is short by one."""
    received = [scene.message(peer=f"+4479111234{number}").id for number in range(50, 53)]
    for number in range(3):
        peer = f"+120255501{number + 70}"
        assert scene.call("POST", "/v1/contacts", {"number": peer, "name": f"n{number}"}).status == 201
        assert scene.call("POST", "/v1/opt-outs", {"peer": peer}).status == 201
    for path in ("messages", f"messages?since_id={received[0] - 1}", "conversations", "contacts", "opt-outs"):
        for limit, rows, more in ((2, 2, True), (3, 3, False), (4, 3, False)):
            found = scene.call("GET", f"/v1/{path}{'&' if '?' in path else '?'}limit={limit}").json
            shown = next(value for value in found.values() if isinstance(value, list))
            assert (len(shown), found["more"]) == (rows, more), (path, limit)


def test_a_conversation_says_whether_its_last_message_is_unread(scene: Scene) -> None:
    message = scene.message()

    def unread() -> bool:
        (found,) = scene.call("GET", "/v1/conversations").json["conversations"]
        return bool(found["last_message"]["unread"])

    assert unread()
    assert scene.call("POST", f"/v1/messages/{message.id}/read").status == 200
    assert not unread()


def test_after_a_cursor_oldest_first(scene: Scene) -> None:
    stored = [scene.message().id for _ in range(4)]
    assert ids(listed(scene, f"?since_id={stored[1]}")) == stored[2:]
    assert ids(listed(scene, "?since_id=0&limit=2")) == stored[:2]


@pytest.mark.parametrize("number", ["%2B447911123456", "+447911123456"])
def test_filters(scene: Scene, number: str) -> None:
    came, went = scene.message().id, scene.message("mt").id
    other = scene.message(peer="ACME").id
    assert ids(listed(scene, "?direction=mo")) == [other, came]
    assert ids(listed(scene, "?direction=mt")) == [went]
    assert ids(listed(scene, f"?peer={number}")) == [went, came]
    assert ids(listed(scene, "?peer=ACME&direction=mo")) == [other]
    assert ids(listed(scene, f"?did={DID}")) == [other, went, came]
    assert listed(scene, f"?did={OTHER_DID}") == []


def test_what_came_in_is_unread_until_it_is_marked(scene: Scene) -> None:
    first, second, sent, other = (
        scene.message().id,
        scene.message().id,
        scene.message("mt").id,
        scene.message(peer="ACME").id,
    )

    def unread() -> list[int]:
        return [item["id"] for item in listed(scene) if item["unread"]]

    assert unread() == [other, second, first]
    reply = scene.call("POST", f"/v1/messages/{first}/read")
    assert (reply.status, reply.json["id"], reply.json["unread"]) == (200, first, False)
    assert unread() == [other, second]
    assert scene.call("POST", f"/v1/messages/{second}/read").status == 200
    assert unread() == [other]
    assert scene.call("GET", f"/v1/messages/{second}").json["unread"] is False
    assert scene.call("GET", f"/v1/messages/{other}").json["unread"] is True
    reply = scene.call("POST", f"/v1/messages/{first}/unread/")
    assert (reply.status, reply.json["unread"]) == (200, True)
    assert scene.call("POST", f"/v1/messages/{second}/read").status == 200
    assert scene.call("POST", f"/v1/messages/{first}/unread").json["unread"] is True
    assert unread() == [other, second, first]
    assert scene.call("POST", f"/v1/messages/{second}/read").status == 200
    assert scene.call("POST", f"/v1/messages/{second}/unread").status == 200
    assert unread() == [other, second]
    refused = scene.call("POST", f"/v1/messages/{sent}/read")
    assert (refused.status, refused.json["code"]) == (409, "state_wrong")


@pytest.mark.parametrize("action", ["read", "unread"])
def test_nobody_marks_the_messages_of_another(scene: Scene, action: str) -> None:
    mine = scene.message().id
    for target in (str(mine), "0", "x", str(mine + 1)):
        reply = scene.call("POST", f"/v1/messages/{target}/{action}", token=OTHER_TOKEN)
        assert (reply.status, reply.json["code"]) == (404, "message_unknown")
    assert scene.call("GET", f"/v1/messages/{mine}/{action}").status == 405
    assert scene.call("POST", f"/v1/messages/{mine}/{action}", {"a": 1}).status == 422
    assert scene.call("POST", f"/v1/messages/{mine}/forget").status == 404
    assert scene.call("GET", f"/v1/messages/{mine}").json["unread"] is True


def test_no_account_sees_the_messages_of_another(scene: Scene) -> None:
    mine, theirs = scene.message().id, scene.message(owner=scene.other).id
    assert ids(listed(scene)) == [mine]
    assert ids(listed(scene, token=OTHER_TOKEN)) == [theirs]
    assert ids(listed(scene, f"?did={DID}", token=OTHER_TOKEN)) == []
    reply = scene.call("GET", f"/v1/messages/{theirs}")
    assert (reply.status, reply.json["code"]) == (404, "message_unknown")


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("limit=0", "limit_invalid", "limit"),
        ("limit=1001", "limit_invalid", "limit"),
        ("limit=-1", "limit_invalid", "limit"),
        ("limit=ten", "limit_invalid", "limit"),
        ("limit=99999999999999999999", "limit_invalid", "limit"),
        ("since_id=x", "id_invalid", "since_id"),
        ("since_id=", "id_invalid", "since_id"),
        ("before_id=9999999999999999", "id_invalid", "before_id"),
        ("before_id=%D9%A1", "id_invalid", "before_id"),
        ("direction=both", "direction_invalid", "direction"),
        ("did=%00", "number_invalid", "did"),
        ("peer=a%00", "number_invalid", "peer"),
        ("colour=red", "member_unknown", "colour"),
    ],
)
def test_bad_queries(scene: Scene, query: str, code: str, field: str) -> None:
    reply = scene.call("GET", f"/v1/messages?{query}")
    assert (reply.status, reply.json["code"], reply.json["field"]) == (422, code, field)


@pytest.mark.parametrize("name", ["x", "0", "-1", "9999999999999999", "99999999999999999999", "%00", "1.0"])
def test_ids_that_are_nobodys(scene: Scene, name: str) -> None:
    reply = scene.call("GET", f"/v1/messages/{name}")
    assert (reply.status, reply.json["code"]) == (404, "message_unknown")


def test_a_message_sent_with_its_parts(scene: Scene) -> None:
    message = scene.message("mt", parts_total=2, encoding="UCS2", text="snow ☃", flags=0)
    failed = scene.part(
        message,
        state=PartState.FAILED,
        command_status=0x0B,
        attempts=2,
        flags=int(PartFlag.POSSIBLE_DUPLICATE),
        sent_at=message.created_at,
    )
    scene.write(
        messages.insert(message._replace(id=message.id + 1), [failed._replace(message_id=message.id + 1)])
    )
    found = scene.call("GET", f"/v1/messages/{message.id + 1}").json
    assert (found["status"], found["direction"], found["from"], found["to"]) == ("failed", "mt", DID, PEER)
    assert (found["text"], found["encoding"], found["parts_total"]) == ("snow ☃", "UCS2", 2)
    (part,) = found["parts"]
    assert (part["state"], part["attempts"], part["possible_duplicate"]) == ("failed", 2, True)
    assert (part["command_status"], part["error"]) == (0x0B, "ESME_RINVDSTADR (0x0000000B)")
    assert part["sent_at"] == found["created_at"]


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"state": PartState.SENT, "command_status": 0}, None),
        ({"state": PartState.DELIVERED, "receipt_state": "DELIVERED", "receipt_error": "000"}, None),
        (
            {"state": PartState.FAILED, "receipt_state": "UNDELIVERABLE", "receipt_error": "069"},
            "UNDELIVERABLE 069",
        ),
        ({"state": PartState.EXPIRED, "receipt_state": "EXPIRED"}, "EXPIRED"),
        ({"state": PartState.FAILED, "command_status": 0x4FF}, "command_status (0x000004FF)"),
    ],
)
def test_why_a_part_failed(scene: Scene, more: dict[str, Any], error: str | None) -> None:
    message = scene.message("mo")._replace(id=scene.store.ids.next(), direction="mt")
    scene.write(messages.insert(message, [scene.part(message, **more)]))
    assert scene.call("GET", f"/v1/messages/{message.id}").json["parts"][0]["error"] == error


def test_a_message_received_with_its_deliveries_and_attempts(scene: Scene) -> None:
    message = scene.message(flags=int(MessageFlag.INCOMPLETE))
    delivery = delivery_of(message, due_at=message.created_at + 1000, target="http://sink/?m={MESSAGE}")
    copy = message._replace(id=scene.store.ids.next())
    scene.write(messages.insert(copy, (), [delivery._replace(message_id=copy.id)]))
    attempt = AttemptRecord(delivery.id, 1, message.created_at, 12, "not_ok", 200, "no <b>")
    scene.write(
        deliveries.record_attempt(
            attempt, DeliveryState.PENDING, message.created_at + 5000, message.created_at
        )
    )
    found = scene.call("GET", f"/v1/messages/{copy.id}").json
    assert (found["status"], found["flags"], found["parts"]) == ("received", ["incomplete"], [])
    (shown,) = found["deliveries"]
    assert (shown["handler"], shown["state"], shown["target"]) == (
        "callback",
        "pending",
        "http://sink/?m={MESSAGE}",
    )
    assert shown["next_attempt_at"] > found["created_at"]
    assert [
        (item["number"], item["outcome"], item["status_code"], item["excerpt"]) for item in shown["attempts"]
    ] == [(1, "not_ok", 200, "no <b>")]


def test_head_of_a_list(scene: Scene) -> None:
    reply = scene.call("HEAD", "/v1/messages")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0


def test_a_store_that_cannot_be_read(scene: Scene) -> None:
    scene.store.writer.failing = True
    reply = scene.call("GET", "/v1/messages")
    assert (reply.status, reply.json["code"]) == (503, "unavailable")


@pytest.mark.parametrize("written", ["(202) 555-0150", "2025550150", "%2B12025550150", "+1 202 555 0150"])
def test_numbers_in_filters_may_be_written_as_people_write_them(scene: Scene, written: str) -> None:
    mine = scene.message(peer="+12025550150").id
    scene.message(peer="+12025550151")
    scene.message(peer="BANK")
    query = written.replace("+", "%2B").replace(" ", "%20")
    assert ids(listed(scene, f"?peer={query}")) == [mine]
    assert ids(listed(scene, f"?did=202-555-0100&peer={query}")) == [mine]
    path = f"/v1/conversations/2025550100/{query}"
    assert scene.call("GET", path).status == 200
    assert len(listed(scene, "?peer=BANK")) == 1


def test_a_number_in_any_query_may_be_spelled_as_it_is_at_home(scene: Scene) -> None:
    """Of every route that there is: the same answer for each spelling, and one that found something."""
    peer = "+12025550150"
    scene.message(peer=peer)
    assert scene.call("POST", "/v1/opt-outs", {"peer": peer}).status == 201
    asked = [
        (route.path, member.name)
        for route in scene.site.branches[b"v1"].table.routes  # type: ignore[attr-defined]
        for member in route.takes.members
        if route.method == "GET" and isinstance(member.shape, Number)
    ]
    assert {path.rpartition("/")[2] for path, _ in asked} >= {"messages", "export", "conversations", "usage"}
    for path, name in asked:
        nothing = scene.call("GET", f"{path}?{name}=12025550199").text
        ten = {"did": DID, "peer": peer}[name].removeprefix("+1")
        for spelling in (f"%2B1{ten}", f"+1{ten}", ten, f"({ten[:3]})%20{ten[3:6]}-{ten[6:]}"):
            reply = scene.call("GET", f"{path}?{name}={spelling}")
            assert (reply.status, reply.text != nothing) == (200, True), (path, name, spelling)
