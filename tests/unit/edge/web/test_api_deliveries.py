"""/v1/deliveries: the matrix, the dead letters, and what may be done about them."""

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from storage import deliveries
from storage.records import AttemptRecord, DeliveryState, MessageRecord
from storage.testing import InlineStore
from tests.samples import delivery_of
from tests.unit.edge.conftest import START_MS, Time
from tests.unit.edge.web.harness import OTHER_TOKEN, Scene


class Actions:
    """What the outbox would be asked to do."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.possible = True

    def retry_now(self, delivery_id: int) -> Deferred[bool]:
        self.done.append(("retry", delivery_id))
        return succeed(self.possible)

    def skip(self, delivery_id: int, why: str) -> Deferred[bool]:
        self.done.append(("skip", delivery_id, why))
        return succeed(self.possible)

    def replay(self, delivery_ids: Sequence[int]) -> Deferred[int]:
        self.done.append(("replay", list(delivery_ids)))
        return succeed(len(delivery_ids) if self.possible else 0)


class Desk(Scene):
    """A scene whose outbox is a double."""

    def __init__(self, store: InlineStore, time: Time) -> None:
        self.actions = Actions()
        super().__init__(store, time, deliveries=self.actions)

    def delivery(self, state: DeliveryState, message: MessageRecord | None = None, **more: Any) -> int:
        """A delivery with one attempt, in this state."""
        about = message or self.message()
        record = delivery_of(
            about, id=self.store.ids.next(), account_id=about.account_id, did_id=about.did_id, **more
        )
        attempt = AttemptRecord(record.id, 1, START_MS, 12, "not_ok", 200, "no")
        self.write(deliveries.insert(record))
        self.write(deliveries.record_attempt(attempt, state, START_MS + 1000, START_MS))
        return record.id


@pytest.fixture
def desk(inline_store: InlineStore, time: Time) -> Desk:
    return Desk(inline_store, time)


def test_the_matrix_of_a_message(desk: Desk) -> None:
    about = desk.message()
    waits = desk.delivery(DeliveryState.PENDING, about)
    dead = desk.delivery(DeliveryState.FAILED, about, handler="webhook")
    reply = desk.call("GET", f"/v1/deliveries?message={about.id}")
    assert (reply.status, reply.json["message"]) == (200, about.id)
    portal, pending, failed = reply.json["deliveries"]
    assert (portal["handler"], portal["state"], portal["delivery"]) == ("portal", "delivered", None)
    assert (pending["delivery"], pending["state"], pending["attempts"]) == (waits, "pending", 1)
    assert pending["next_try_at"] is not None
    assert (failed["delivery"], failed["handler"], failed["next_try_at"]) == (dead, "webhook", None)
    assert failed["last_attempt"]["excerpt"] == "no"
    sent = desk.message("mt")
    assert desk.call("GET", f"/v1/deliveries?message={sent.id}").json["deliveries"] == []
    assert desk.call("GET", f"/v1/deliveries?message={about.id}", token=OTHER_TOKEN).status == 404


def test_the_dead_letters(desk: Desk) -> None:
    first = desk.delivery(DeliveryState.FAILED)
    desk.delivery(DeliveryState.PENDING)
    desk.delivery(DeliveryState.DELIVERED)
    second = desk.delivery(DeliveryState.FAILED, handler="webhook")

    def listed(query: str = "", token: str = "") -> list[int]:
        reply = desk.call("GET", f"/v1/deliveries{query}", **({"token": token} if token else {}))
        assert reply.status == 200, reply.text
        return [row["delivery"] for row in reply.json["dead_letters"]]

    assert listed() == [first, second]
    assert listed("/?handler=webhook") == [second]
    assert listed(f"?to_id={first}") == [first]
    assert listed(f"?from_id={second}") == [second]
    assert listed("?limit=1") == [first]
    assert listed(token=OTHER_TOKEN) == []


def test_what_may_be_done_about_one(desk: Desk) -> None:
    waits, dead = desk.delivery(DeliveryState.PENDING), desk.delivery(DeliveryState.FAILED)
    assert desk.call("POST", f"/v1/deliveries/{waits}/retry").status == 202
    assert desk.call("POST", f"/v1/deliveries/{waits}/skip", {"why": "moved"}).status == 202
    assert desk.call("POST", f"/v1/deliveries/{waits}/skip").status == 202
    reply = desk.call("POST", f"/v1/deliveries/{dead}/replay")
    assert (reply.status, reply.json) == (202, {"delivery": dead})
    assert desk.actions.done == [
        ("retry", waits),
        ("skip", waits, "moved"),
        ("skip", waits, "skipped"),
        ("replay", [dead]),
    ]


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("retry", "failed"),
        ("retry", "delivered"),
        ("skip", "failed"),
        ("replay", "pending"),
        ("replay", "delivered"),
    ],
)
def test_not_in_every_state(desk: Desk, action: str, state: str) -> None:
    reply = desk.call("POST", f"/v1/deliveries/{desk.delivery(DeliveryState(state))}/{action}")
    assert (reply.status, reply.json["code"]) == (409, "state_wrong")
    assert desk.actions.done == []


def test_one_that_changed_meanwhile(desk: Desk) -> None:
    desk.actions.possible = False
    waits, dead = desk.delivery(DeliveryState.PENDING), desk.delivery(DeliveryState.FAILED)
    for path in (f"{waits}/retry", f"{waits}/skip", f"{dead}/replay"):
        reply = desk.call("POST", f"/v1/deliveries/{path}")
        assert (reply.status, reply.json["code"]) == (409, "state_changed")


def test_more_dead_letters_are_said_only_when_there_are(desk: Desk) -> None:
    for _ in range(3):
        desk.delivery(DeliveryState.FAILED)
    for limit, rows, more in ((2, 2, True), (3, 3, False)):
        found = desk.call("GET", f"/v1/deliveries?limit={limit}").json
        assert (len(found["dead_letters"]), found["more"]) == (rows, more)


def test_nobody_touches_the_deliveries_of_another(desk: Desk) -> None:
    waits, dead = desk.delivery(DeliveryState.PENDING), desk.delivery(DeliveryState.FAILED)
    for path in (f"{waits}/retry", f"{waits}/skip", f"{dead}/replay"):
        reply = desk.call("POST", f"/v1/deliveries/{path}", token=OTHER_TOKEN)
        assert (reply.status, reply.json["code"]) == (404, "delivery_unknown")
    assert desk.call("POST", "/v1/deliveries/replay", token=OTHER_TOKEN).json == {
        "replayed": 0,
        "more": False,
    }
    assert desk.actions.done == [("replay", [])]


def test_replay_of_a_range_of_a_handler_and_of_all(desk: Desk) -> None:
    dead = [desk.delivery(DeliveryState.FAILED, handler=name) for name in ("callback", "webhook", "callback")]
    desk.delivery(DeliveryState.PENDING)
    for body, wanted in (
        ({}, dead),
        ({"handler": "callback"}, [dead[0], dead[2]]),
        ({"from_id": dead[1]}, dead[1:]),
        ({"from_id": dead[0], "to_id": dead[1]}, dead[:2]),
    ):
        reply = desk.call("POST", "/v1/deliveries/replay", body)
        assert (reply.status, reply.json) == (202, {"replayed": len(wanted), "more": False})
        assert desk.actions.done[-1] == ("replay", wanted)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/deliveries/x/retry", None, 404),
        ("POST", "/v1/deliveries/7/retry", None, 404),
        ("POST", "/v1/deliveries/7/eat", None, 404),
        ("POST", "/v1/deliveries/7", None, 405),
        ("GET", "/v1/deliveries/7/retry", None, 405),
        ("GET", "/v1/deliveries/replay", None, 405),
        ("POST", "/v1/deliveries", None, 405),
        ("POST", "/v1/deliveries/7/skip", {"why": ""}, 422),
        ("POST", "/v1/deliveries/7/skip", {"why": "a\nb"}, 422),
        ("POST", "/v1/deliveries/7/retry", {"why": "x"}, 422),
        ("POST", "/v1/deliveries/replay", {"from_id": "x"}, 422),
        ("GET", "/v1/deliveries?message=x", None, 422),
    ],
)
def test_what_is_refused(desk: Desk, method: str, path: str, body: Any, status: int) -> None:
    assert desk.call(method, path, body).status == status
    assert desk.actions.done == []


def test_without_an_outbox_there_is_nothing(scene: Scene) -> None:
    assert scene.call("GET", "/v1/deliveries").status == 404
