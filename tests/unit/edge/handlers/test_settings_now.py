"""What is still owed goes by the settings of now: a URL that was corrected, a handler that is off."""

from dataclasses import replace
from typing import Any, cast

import pytest

from edge.handlers.callback import CallbackHandler
from edge.handlers.forward import REPLY, ForwardHandler
from edge.handlers.webhook import WebhookHandler
from edge.http.answer import Answer
from storage import deliveries, numbers
from storage.records import Did, HandlerSetting
from storage.testing import InlineStore
from tests.unit.edge.conftest import DID, PEER, Time
from tests.unit.edge.handlers.test_callback_schedule import HALF_HOUR, OK, TEMPLATE, Rig, Sink

WRONG = Answer(404, b"no", cut=False)
CORRECTED = "https://right.example/?id={ID}&try={ATTEMPT}"
PHONE, OTHER_PHONE = "+12025550177", "+12025550178"


class Noting(Sink):
    """Remembers the URLs too."""

    def __init__(self, clock: Time, *script: Any) -> None:
        super().__init__(clock, *script)
        self.hosts: list[str] = []

    def get(self, url: str) -> Any:
        self.hosts.append(url.split("/")[2])
        return super().get(url)


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A message for a page that answers 404 once."""
    monkeypatch.setattr("tests.unit.edge.handlers.test_callback_schedule.Sink", Noting)
    return Rig(inline_store, time, did, WRONG, OK)


def hosts(rig: Rig) -> list[str]:
    return cast(Noting, rig.sink).hosts


def change(rig: Rig, *, enabled: bool = True, **settings: object) -> None:
    """As an owner does, in whatever process."""
    with rig.store.engine.transaction() as conn:
        numbers.set_did(conn, rig.store.ids.next, DID, handler="callback", enabled=enabled, settings=settings)


def replay(rig: Rig) -> None:
    with rig.store.engine.transaction() as conn:
        assert deliveries.replay(conn, [rig.view().delivery.id], None, rig.time.wall_ms()) == 1


def test_a_retry_goes_to_the_url_that_is_set_then(rig: Rig) -> None:
    rig.run(60)
    change(rig, url=CORRECTED, retry=True)
    rig.run(2 * HALF_HOUR)
    assert hosts(rig) == ["example.net", "right.example"]
    delivery = rig.view().delivery
    assert (delivery.state, delivery.target) == ("delivered", CORRECTED)


def test_a_replay_does(rig: Rig) -> None:
    rig.sink._script[:] = [WRONG, OK]
    change(rig, url=TEMPLATE, retry=False)
    rig.run(1.2 * HALF_HOUR)
    assert rig.view().delivery.state == "failed"
    change(rig, url=CORRECTED, retry=False)
    replay(rig)
    rig.run(60)
    assert hosts(rig) == ["example.net", "example.net", "right.example"]
    assert rig.view().delivery.state == "delivered"
    assert rig.outbox.running == 0


def test_one_that_was_corrected_back_is_shown_where_it_went(rig: Rig) -> None:
    rig.sink._script[:] = [WRONG, WRONG, OK]
    rig.run(60)
    change(rig, url=CORRECTED, retry=True)
    rig.run(1.2 * HALF_HOUR)
    change(rig, url=TEMPLATE, retry=True)
    rig.run(1.2 * HALF_HOUR)
    assert hosts(rig) == ["example.net", "right.example", "example.net"]
    assert rig.view().delivery.target == TEMPLATE


def test_what_is_switched_off_is_asked_no_more_and_can_be_replayed_when_it_is_on(rig: Rig) -> None:
    rig.run(60)
    change(rig, enabled=False, url=TEMPLATE, retry=True)
    rig.run(4 * HALF_HOUR)
    assert hosts(rig) == ["example.net"]
    view = rig.view()
    assert (view.delivery.state, view.delivery.last_outcome) == ("failed", "switched_off")
    replay(rig)
    rig.run(60)
    assert (rig.view().delivery.state, len(hosts(rig))) == ("failed", 1)
    change(rig, url=TEMPLATE, retry=True)
    replay(rig)
    rig.run(60)
    assert (rig.view().delivery.state, len(hosts(rig))) == ("delivered", 2)


def test_the_next_owner_of_the_number_has_no_say(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.run(60)
    handlers = {"callback": HandlerSetting("callback", True, {"url": CORRECTED, "retry": True})}
    stranger = replace(rig.did, account_id=rig.did.account_id + 1, handlers=handlers)
    monkeypatch.setattr(rig.outbox, "_did", lambda number: stranger)
    rig.run(2 * HALF_HOUR)
    assert set(hosts(rig)) == {"example.net"}


def test_where_each_handler_has_it_go() -> None:
    for kind in (CallbackHandler, WebhookHandler):
        assert kind.moved({"url": CORRECTED}, PEER, TEMPLATE) == CORRECTED
        assert kind.moved({}, PEER, TEMPLATE) == TEMPLATE
    moved = ForwardHandler.moved
    assert moved({"to": OTHER_PHONE}, PEER, PHONE) == OTHER_PHONE
    assert moved({"to": OTHER_PHONE}, PHONE, REPLY) == REPLY
    assert moved({"to": PEER}, PEER, PHONE) == PHONE
