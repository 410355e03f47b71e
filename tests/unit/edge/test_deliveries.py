"""The outbox: every committed delivery is worked, its outcome stored before anything else happens to it."""

from typing import cast

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge.deliveries import Outbox
from edge.handlers import Delivered, Failed, Job, Outcome, Retry
from storage import deliveries, messages
from storage.deliveries import DueDelivery
from storage.records import DeliveryRecord, DeliveryState, DeliveryView, Did
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import pending, success
from tests.unit.edge.conftest import Numbers, Time, record


class Scripted:
    """A handler whose attempts end when the test says so."""

    name = "callback"

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self._ends: list[Deferred[Outcome]] = []

    def deliver(self, job: Job) -> Deferred[Outcome]:
        self.jobs.append(job)
        self._ends.append(Deferred())
        return self._ends[-1]

    def end(self, outcome: Outcome | Failure) -> None:
        """The oldest attempt ends."""
        self._ends.pop(0).callback(outcome)


class Rig:
    """An outbox on a store, with one scripted handler."""

    def __init__(
        self, store: InlineStore, time: Time, did: Did, concurrency: int = 10, limit: int = 100
    ) -> None:
        self.store, self.time, self.did = store, time, did
        self.handler = Scripted()
        handlers = {"callback": self.handler}
        did_of = Numbers(store).did
        self.outbox = Outbox(handlers, did_of, cast(Store, store), time, time.wall_ms, concurrency, limit)

    def message(self, handler: str = "callback") -> DueDelivery:
        """Commit one message with one delivery."""
        now = self.time.wall_ms()
        about = record(self.store, self.did, now, "mo")
        delivery = DeliveryRecord(
            id=self.store.ids.next(),
            message_id=about.id,
            account_id=self.did.account_id,
            did_id=self.did.id,
            handler=handler,
            target="http://x/",
            state=DeliveryState.PENDING,
            attempts=0,
            due_at=now,
            created_at=now,
            updated_at=now,
        )
        success(self.store.writer.write(messages.insert(about, (), [delivery])))
        return DueDelivery(delivery, about)

    def offer(self, *due: DueDelivery) -> None:
        """As a pipeline does after its commit."""
        self.outbox.expect([item.delivery.id for item in due])
        self.outbox.offer(due)

    def view(self, due: DueDelivery) -> DeliveryView:
        """What the store has of it."""
        found = success(self.store.read(messages.get, self.did.account_id, due.message.id))
        assert found is not None
        return found.deliveries[0]


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    return Rig(inline_store, time, did)


def test_a_delivery_is_worked_at_once_and_its_attempt_is_stored(rig: Rig) -> None:
    due = rig.message()
    rig.offer(due)
    assert rig.handler.jobs[0].settings["retry"] is True
    rig.time.advance(0.25)
    rig.handler.end(Delivered("ok", 200, "ok"))
    view = rig.view(due)
    assert (view.delivery.state, view.delivery.attempts, view.delivery.last_outcome) == ("delivered", 1, "ok")
    assert [(a.number, a.duration_ms, a.outcome, a.status_code, a.excerpt) for a in view.attempts] == [
        (1, 250, "ok", 200, "ok")
    ]


def test_a_retry_comes_when_it_is_due_and_not_before_under_the_same_id(rig: Rig) -> None:
    rig.outbox.start()
    due = rig.message()
    rig.offer(due)
    rig.handler.end(Retry("not_ok", 1800.0, 200, "later"))
    rig.time.pump([1.0] * 1799)
    assert len(rig.handler.jobs) == 1
    rig.time.pump([1.0, 1.0])
    assert [job.attempt for job in rig.handler.jobs] == [1, 2]
    assert rig.handler.jobs[1].delivery.id == due.delivery.id
    rig.handler.end(Failed("gave_up"))
    rig.time.pump([60.0] * 600)
    assert len(rig.handler.jobs) == 2
    assert rig.view(due).delivery.state == "failed"


def test_what_the_last_run_left_is_worked_from_the_table_once(rig: Rig) -> None:
    left = [rig.message() for _ in range(3)]
    rig.outbox.start()
    rig.time.pump([1.0] * 3)
    assert [job.delivery.id for job in rig.handler.jobs] == [due.delivery.id for due in left]


def test_memory_and_concurrency_are_bounded_and_the_rest_comes_from_the_table(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, concurrency=2, limit=3)
    rig.outbox.start()
    due = [rig.message() for _ in range(9)]
    rig.offer(*due)
    assert rig.outbox.running == 2
    assert rig.outbox.waiting <= 3
    for _ in range(9):
        rig.handler.end(Delivered("ok"))
        time.advance(1.0)
    assert sorted(job.delivery.id for job in rig.handler.jobs) == [item.delivery.id for item in due]


def test_no_attempt_is_over_before_its_outcome_is_committed(rig: Rig) -> None:
    due = rig.message()
    rig.offer(due)
    rig.store.writer.failing = True
    rig.handler.end(Delivered("ok"))
    assert rig.outbox.running == 1
    rig.store.writer.failing = False
    rig.time.advance(1.0)
    assert rig.outbox.running == 0
    assert rig.view(due).delivery.state == "delivered"


def test_a_handler_that_raises_costs_nobody_the_message(rig: Rig) -> None:
    due = rig.message()
    rig.offer(due)
    rig.handler.end(Failure(ZeroDivisionError()))
    view = rig.view(due)
    assert (view.delivery.state, view.delivery.last_outcome) == ("pending", "internal_error")
    assert view.delivery.due_at > rig.time.wall_ms()


def test_a_delivery_of_an_unknown_handler_fails_with_a_reason(rig: Rig) -> None:
    due = rig.message("pigeon")
    rig.offer(due)
    assert rig.view(due).delivery.last_outcome == "handler_unknown"


def test_drain_begins_nothing_new_and_waits_for_what_runs(rig: Rig) -> None:
    first = rig.message()
    rig.offer(first)
    drained = rig.outbox.drain()
    second = rig.message()
    rig.offer(second)
    pending(drained)
    assert len(rig.handler.jobs) == 1
    rig.handler.end(Delivered("ok"))
    success(drained)
    assert rig.view(second).delivery.state == "pending"
    assert (
        success(rig.store.read(deliveries.due, rig.time.wall_ms(), 10))[0].delivery.id == second.delivery.id
    )
