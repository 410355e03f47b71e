"""/v1/dids: settings, and a handler that is tried with a message that no store has."""

from typing import Any

import pytest
from sqlalchemy import func, select
from twisted.internet.defer import Deferred, fail, succeed

from edge.handlers import Delivered, Job, Outcome, Retry
from edge.handlers.webhook import WebhookHandler
from storage import audit
from storage.tables import delivery, message
from storage.testing import InlineStore
from tests.unit.edge.conftest import DID, Time
from tests.unit.edge.web.harness import OTHER_DID, OTHER_TOKEN, Scene

URL = "https://example.net/in"
TEST = f"/v1/dids/{DID}/handlers/webhook/test"


class Webhook(WebhookHandler):
    """Answers what it is told, and remembers what it was given."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.answer: Outcome | Exception = Delivered("accepted", 204, "thanks")

    def deliver(self, job: Job) -> Deferred[Outcome]:
        self.jobs.append(job)
        return fail(self.answer) if isinstance(self.answer, Exception) else succeed(self.answer)


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture
def scene(inline_store: InlineStore, time: Time, webhook: Webhook) -> Scene:
    """With a webhook that can be tried."""
    return Scene(inline_store, time, handlers={"webhook": webhook})


def set_up(scene: Scene, **settings: Any) -> Any:
    change = {"handlers": {"webhook": {"settings": {"url": URL, **settings}}}}
    reply = scene.call("PATCH", f"/v1/dids/{DID}", change)
    assert reply.status == 200, reply.text
    return reply.json


def test_settings_are_judged_kept_and_noted(scene: Scene) -> None:
    changed = set_up(scene, format="standard")
    assert changed["handlers"]["webhook"] == {
        "enabled": True,
        "paused": False,
        "settings": {"url": URL, "format": "standard", "numbers": None, "secret": True},
    }
    secret = changed["secrets"]["webhook"]
    assert secret.startswith("whsec_")
    shown = scene.call("GET", f"/v1/dids/{DID}")
    assert secret not in shown.text
    assert shown.json["handlers"]["webhook"]["settings"]["url"] == URL
    (hook,) = scene.call("GET", "/v1/webhooks").json["webhooks"]
    assert (hook["did"], hook["handler"], hook["state"], hook["keys"]) == (DID, "webhook", "ok", 1)
    fresh = scene.call("POST", f"/v1/dids/{DID}/handlers/webhook/secret", {}).json["secret"]
    assert fresh != secret
    assert scene.call("GET", "/v1/webhooks").json["webhooks"][0]["keys"] == 2
    assert scene.call("DELETE", f"/v1/dids/{DID}/handlers/webhook/secret").status == 204
    assert scene.call("GET", "/v1/webhooks").json["webhooks"][0]["keys"] == 1
    gone = {"handlers": {"webhook": {"settings": {"url": None}}}}
    assert scene.call("PATCH", f"/v1/dids/{DID}", gone).json["handlers"]["webhook"]["enabled"] is False
    with scene.store.engine.snapshot() as conn:
        entries = audit.listed(conn, scene.account.id)
    assert {entry.actor for entry in entries} == {"key:key"}
    assert [entry.action for entry in entries][::-1][:2] == ["did.change", "did.secret.new"]
    assert secret not in str(entries)


def test_a_setting_that_cannot_be_changes_nothing(scene: Scene) -> None:
    change = {"sms": False, "handlers": {"webhook": {"settings": {"url": "http://127.0.0.1/x"}}}}
    reply = scene.call("PATCH", f"/v1/dids/{DID}", change)
    assert (reply.status, reply.json["code"]) == (422, "setting_invalid")
    assert reply.json["field"] == "handlers.webhook.settings.url"
    assert scene.call("GET", f"/v1/dids/{DID}").json["sms"] is True


def test_a_handler_is_tried_and_nothing_is_stored(scene: Scene, webhook: Webhook) -> None:
    set_up(scene)
    reply = scene.call("POST", TEST, {"from": "+447911123456", "text": "ping"})
    assert (reply.status, reply.json) == (
        200,
        {
            "delivered": True,
            "outcome": "accepted",
            "status_code": 204,
            "excerpt": "thanks",
            "target": URL,
            "duration_ms": 0,
        },
    )
    (job,) = webhook.jobs
    assert (job.message.text, job.message.peer, job.message.did) == ("ping", "+447911123456", DID)
    assert (job.attempt, job.delivery.target) == (1, URL)
    with scene.store.engine.snapshot() as conn:
        assert conn.scalar(select(func.count()).select_from(message)) == 0
        assert conn.scalar(select(func.count()).select_from(delivery)) == 0


def test_its_sender_may_be_spelled_as_at_home(scene: Scene, webhook: Webhook) -> None:
    set_up(scene)
    assert scene.call("POST", TEST, {"from": "(202) 555-0150"}).status == 200
    assert webhook.jobs[0].message.peer == "+12025550150"


def test_a_handler_that_fails_its_test(scene: Scene, webhook: Webhook) -> None:
    set_up(scene)
    webhook.answer = Retry("http_error", 5.0, 500, "oops")
    reply = scene.call("POST", TEST, {})
    assert (reply.json["delivered"], reply.json["outcome"], reply.json["status_code"]) == (
        False,
        "http_error",
        500,
    )
    webhook.answer = RuntimeError("secret detail")
    reply = scene.call("POST", TEST, {})
    assert (reply.status, reply.json["outcome"]) == (200, "internal_error")
    assert "secret" not in reply.text


def test_what_cannot_be_tried(scene: Scene) -> None:
    assert scene.call("POST", TEST, {}).json["code"] == "handler_not_testable"
    set_up(scene)
    assert (
        scene.call("POST", f"/v1/dids/{DID}/handlers/forward/test", {}).json["code"] == "handler_not_testable"
    )
    assert scene.call("POST", f"/v1/dids/{DID}/handlers/pager/test", {}).json["code"] == "handler_unknown"
    assert scene.call("POST", TEST, {}, token=OTHER_TOKEN).status == 404
    assert scene.call("POST", f"/v1/dids/{OTHER_DID}/handlers/webhook/test", {}).status == 404
