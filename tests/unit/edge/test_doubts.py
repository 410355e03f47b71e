"""What an operator decides about parts in doubt reaches the store, the upstream and the sender."""

from typing import Any, cast

import pytest

from edge.doubts import Doubts
from storage import messages
from storage.records import Did, PartFlag
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import Time
from tests.unit.edge.test_inbound import Box
from tests.unit.edge.test_upstreams import Rig


class Desk(Rig):
    """An upstream that holds what is in doubt, and the operator."""

    def __init__(self, store: InlineStore, time: Time, did: Did) -> None:
        super().__init__(store, time, did, in_doubt="hold")
        self.box = Box()
        upstreams = {"up": self.upstream}
        self.doubts = Doubts(cast(Store, store), cast(Any, self.box), lambda: upstreams, time.wall_ms)

    def keep(self, count: int = 1) -> list[int]:
        """The parts of a message whose first is held."""
        ids = self.submit(count)
        self.lose_link()
        self.link_back()
        return ids

    def listed(self) -> list[int]:
        return [item.part.id for item in success(self.doubts.doubtful("up"))]


@pytest.fixture
def desk(inline_store: InlineStore, time: Time, did: Did) -> Desk:
    return Desk(inline_store, time, did)


def test_what_is_held_is_listed_and_sent_again_when_told_so(desk: Desk) -> None:
    (part_id,) = desk.keep()
    assert desk.listed() == [part_id]
    assert success(desk.doubts.resend([part_id, 12345])) == [part_id]
    assert desk.sent == [part_id]
    assert desk.part(part_id).flags & PartFlag.POSSIBLE_DUPLICATE
    assert desk.listed() == []
    assert success(desk.doubts.resend([part_id])) == []


def test_what_waits_for_a_late_answer_can_be_decided_too_and_its_grace_is_over(desk: Desk) -> None:
    (part_id,) = desk.submit()
    desk.expire()
    assert desk.listed() == [part_id]
    assert success(desk.doubts.resend([part_id])) == [part_id]
    assert desk.sent == [part_id]
    desk.time.advance(60.0)
    assert desk.part(part_id).state == "sending"


def test_what_is_given_up_has_failed_and_the_sender_is_told(desk: Desk) -> None:
    (part_id,) = desk.keep()
    with desk.store.engine.transaction() as conn:
        conn.exec_driver_sql("UPDATE message SET status_callback = 'http://x/'")
    assert success(desk.doubts.give_up([part_id])) == [part_id]
    assert desk.part(part_id).state == "failed"
    assert [item.delivery.event for item in desk.box.offered] == ["failed"]
    assert desk.listed() == desk.sent == []
    view = success(desk.store.read(messages.search, desk.did.account_id))[0]
    assert messages.status_of(view.message, view.parts) == "failed"


@pytest.mark.parametrize(("resend", "states"), [(True, ["sending", "queued"]), (False, ["failed"] * 2)])
def test_the_parts_behind_one_that_waits_for_a_late_answer_follow_the_decision(
    desk: Desk, resend: bool, states: list[str]
) -> None:
    ids = desk.submit(2)
    desk.expire()
    assert desk.sent == []
    decide = desk.doubts.resend if resend else desk.doubts.give_up
    success(decide(ids[:1]))
    assert desk.sent == (ids[:1] if resend else [])
    assert [desk.part(part_id).state for part_id in ids] == states
