"""What was acknowledged for an upstream that nobody carries: moved, expired, changed by operators."""

from collections.abc import Coroutine
from typing import Any, cast

import pytest
import structlog
from twisted.internet.defer import Deferred, fail, succeed

from edge.errors import Refused
from edge.gone import SHARED_SECONDS, Gone
from edge.holder import Holder, Taken
from edge.interventions import Interventions
from storage import messages, receipts
from storage.receipts import Report
from storage.records import Did, PartFlag, PartState, ReceiptRecord
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import failure, success
from tests.unit.edge.conftest import Time
from tests.unit.edge.test_inbound import Box
from tests.unit.edge.test_mover import Pair

URL = "http://status.example/"


class Claims:
    """The holder of a server: other servers have what is ``taken``."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.ours: list[str] = []

    def take(self, name: str) -> Deferred[None]:
        if name in self.taken:
            return fail(Taken(name))
        self.ours.append(name)
        return succeed(None)

    def release(self, name: str) -> Deferred[None]:
        self.ours.remove(name)
        return succeed(None)


class Nothing:
    """Delivers no MO messages."""

    def start(self) -> Deferred[None]:
        return succeed(None)

    flush_overdue = start


class Left(Pair):
    """A server whose configuration has `other` alone; the store has messages for `up`."""

    def __init__(self, store: InlineStore, time: Time, did: Did) -> None:
        super().__init__(store, time, did)
        del self.upstreams["up"]
        self.claims, self.box = Claims(), Box()
        self.gone = Gone(
            cast(Store, store),
            lambda: self.upstreams,
            cast(Holder, self.claims),
            self.mover,
            cast(Any, self.box),
            lambda config: cast(Any, Nothing()),
            time,
            time.wall_ms,
        )
        self.operators = Interventions(
            cast(Store, store),
            cast(Any, self.box),
            self.mover,
            self.gone,
            lambda: self.upstreams,
            time.wall_ms,
        )

    def states(self) -> list[PartState]:
        views = success(self.store.read(messages.search, self.did.account_id, since_id=0))
        return [part.state for view in views for part in view.parts]


@pytest.fixture
def left(inline_store: InlineStore, time: Time, did: Did, monkeypatch: pytest.MonkeyPatch) -> Left:
    monkeypatch.setattr("edge.gone.log", structlog.get_logger())  # a server of another test has had the other
    return Left(inline_store, time, did)


def wait(work: Coroutine[Any, Any, Any]) -> Any:
    return success(Deferred.fromCoroutine(work))


def test_it_is_said_once_and_what_waits_goes_to_the_others(left: Left) -> None:
    left.message(2)
    with structlog.testing.capture_logs() as logs:
        success(left.gone.look())
        success(left.gone.look())
    said = [(each["upstream"], each["parts"]) for each in logs if each["event"] == "upstream_gone"]
    assert said == [("up", 2)]
    assert left.where() == ["other"]
    assert left.claims.ours == [], "another server may have it again"


def test_what_it_may_have_had_goes_too_and_is_flagged(left: Left) -> None:
    left.message(state=PartState.SENDING)
    success(left.gone.look())
    assert left.where() == ["other"]
    (view,) = success(left.store.read(messages.search, left.did.account_id))
    assert view.parts[0].flags & PartFlag.POSSIBLE_DUPLICATE


def test_a_part_that_is_to_be_held_in_doubt_is_held(left: Left) -> None:
    left.held = True
    left.message(state=PartState.SENDING)
    success(left.gone.look())
    assert (left.where(), left.states()) == (["up"], [PartState.HELD])


def test_without_an_upstream_that_is_up_it_expires_and_the_sender_is_told(left: Left) -> None:
    left.other.up = False
    left.message(expires_at=left.time.wall_ms() + 1000)
    views = success(left.store.read(messages.search, left.did.account_id))
    with left.store.engine.transaction() as conn:
        conn.exec_driver_sql(f"UPDATE message SET status_callback = '{URL}' WHERE id = {views[0].message.id}")
    success(left.gone.look())
    assert left.states() == [PartState.QUEUED]
    left.time.advance(1.0)
    success(left.gone.look())
    assert left.states() == [PartState.EXPIRED]
    assert [due.delivery.event for due in left.box.offered] == ["failed"]


def test_its_receipts_without_a_part_are_forgotten_in_time(left: Left) -> None:
    receipt = ReceiptRecord(left.store.ids.next(), "up", "7", "DELIVERED", None, b"", left.time.wall_ms())
    with left.store.engine.transaction() as conn:
        receipts.store_and_match_all(conn, [Report(receipt, ["7"])], receipt.received_at)
    kept = left.other.config.unmatched_receipt_hours * 3600.0
    for wait_seconds, waiting in ((kept, 1), (1.0, 0)):
        left.time.advance(wait_seconds)
        success(left.gone.look())
        assert len(success(left.store.read(receipts.unmatched, "up", 10))) == waiting


def test_another_servers_upstream_is_not_gone(left: Left) -> None:
    left.claims.taken.add("upstream up")
    (item,) = left.message()
    with structlog.testing.capture_logs() as logs:
        success(left.gone.look())
    assert (left.where(), logs) == (["up"], [])
    refused = failure(left.operators.cancel(item.part.message_id), Refused)
    assert refused.code == "upstream_elsewhere"


def test_on_a_shared_store_a_server_may_be_away_for_a_moment(left: Left) -> None:
    left.gone._shared = True
    left.message()
    success(left.gone.look())
    left.time.advance(SHARED_SECONDS - 1)
    success(left.gone.look())
    assert left.where() == ["up"]
    left.claims.taken.add("upstream up")
    success(left.gone.look())  # it is back
    left.claims.taken.clear()
    left.time.advance(SHARED_SECONDS - 1)
    success(left.gone.look())
    assert left.where() == ["up"]
    left.time.advance(SHARED_SECONDS)
    success(left.gone.look())
    assert left.where() == ["other"]


def test_what_this_server_has_carried_itself_is_gone_at_once(left: Left) -> None:
    left.gone._shared = True
    left.message()

    async def reload() -> None:
        async with left.gone.changing([left.upstream.config]):
            pass

    wait(reload())
    success(left.gone.look())
    assert left.where() == ["other"]


def test_operators_can_hold_retry_cancel_and_move_it(left: Left) -> None:
    left.other.up = False
    first, second = left.message()[0].part, left.message()[0].part
    assert success(left.operators.hold(first.message_id)) == [first.id]
    assert success(left.operators.retry(first.message_id)) == [first.id]
    assert success(left.operators.cancel(first.message_id)) == [first.id]
    assert wait(left.operators.move(second.message_id, "other")).parts == [second.id]
    assert left.where() == ["up", "other"]
    assert left.claims.ours == []


def test_a_store_that_fails_is_asked_again(left: Left) -> None:
    left.message()
    left.store.writer.failing = True
    success(left.gone.look())
    left.store.writer.failing = False
    success(left.gone.look())
    assert left.where() == ["other"]
