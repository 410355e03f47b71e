"""The outbox: every committed delivery is worked, its outcome stored before anything else happens to it."""

from typing import Any, ClassVar, cast

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge.deliveries import Outbox
from edge.handlers import Delivered, Failed, Handler, Job, Outcome, Retry, origin
from edge.targets import FIRST_PLACES, Limits
from storage import deliveries, events, messages, paused
from storage.deliveries import DueDelivery
from storage.ids import IdSource
from storage.records import DeliveryRecord, DeliveryState, DeliveryView, Did
from storage.store import Store
from storage.tables import delivery
from storage.testing import InlineStore
from tests.deferreds import pending, success
from tests.unit.edge.conftest import PEER, Numbers, Time, record

LIMITS = Limits(concurrency=40, per_target=10, memory=200)


class Scripted:
    """A handler whose attempts end when the test says so."""

    name = "callback"
    ordered: ClassVar[bool] = False

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self._ends: list[Deferred[Outcome]] = []

    def target_key(self, target: str) -> str:
        return origin(target)

    def deliver(self, job: Job) -> Deferred[Outcome]:
        self.jobs.append(job)
        self._ends.append(Deferred())
        return self._ends[-1]

    @property
    def asked(self) -> list[str]:
        """The targets of all attempts so far."""
        return [job.delivery.target for job in self.jobs]

    @property
    def under_way(self) -> int:
        """Attempts that have not ended."""
        return len(self._ends)

    def end(self, outcome: Outcome | Failure) -> None:
        """The oldest attempt ends."""
        self._ends.pop(0).callback(outcome)


class Rig:
    """An outbox on a store, with one scripted handler."""

    def __init__(
        self,
        store: InlineStore,
        time: Time,
        did: Did,
        limits: Limits = LIMITS,
        handler: Scripted | None = None,
    ) -> None:
        self.store, self.time, self.did = store, time, did
        self.handler = handler or Scripted()
        handlers: dict[str, Handler] = {"callback": self.handler}
        did_of = Numbers(store).did
        self.outbox = Outbox(handlers, did_of, cast(Store, store), time, time.wall_ms, limits)

    def message(
        self,
        handler: str = "callback",
        target: str = "http://x/",
        did_id: int | None = None,
        commit: bool = True,
        **about_it: Any,
    ) -> DueDelivery:
        """A message with one delivery: committed without a lease, as the last run left it, or only made."""
        now = self.time.wall_ms()
        about = record(self.store, self.did, now, "mo", **about_it)
        delivery = DeliveryRecord(
            id=self.store.ids.next(),
            message_id=about.id,
            account_id=self.did.account_id,
            did_id=did_id or self.did.id,
            handler=handler,
            target=target,
            state=DeliveryState.PENDING,
            attempts=0,
            due_at=now,
            created_at=now,
            updated_at=now,
        )
        due = self.outbox.stamp(DueDelivery(delivery, about))
        if commit:
            success(self.store.writer.write(messages.insert(about, (), [due.delivery])))
        return due

    def receive(self, count: int = 1, **of_it: Any) -> list[DueDelivery]:
        """As a pipeline does: expect, commit, offer."""
        due = self.outbox.expect([self.message(commit=False, **of_it) for _ in range(count)])
        for item in due:
            success(self.store.writer.write(messages.insert(item.message, (), [item.delivery])))
        self.outbox.offer(due)
        return due

    def end_all(self, outcome: Outcome) -> int:
        """End every attempt under way, and those that begin because of it; how many."""
        ended = 0
        while self.handler.under_way:
            self.handler.end(outcome)
            ended += 1
        return ended

    def view(self, due: DueDelivery) -> DeliveryView:
        """What the store has of it."""
        found = success(self.store.read(messages.get, self.did.account_id, due.message.id))
        assert found is not None
        return found.deliveries[0]


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    return Rig(inline_store, time, did)


def test_a_delivery_is_worked_at_once_and_its_attempt_is_stored(rig: Rig) -> None:
    (due,) = rig.receive()
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
    (due,) = rig.receive()
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


def test_its_end_is_in_the_feed_and_a_retry_is_not(rig: Rig) -> None:
    delivered, failed = rig.receive(2)
    rig.handler.end(Delivered("ok"))
    rig.handler.end(Failed("gone"))
    rig.receive()
    rig.handler.end(Retry("not_ok", 60.0))
    start = success(rig.store.read(events.start))
    told = success(rig.store.read(events.read_after, start)).events
    assert [(event.kind, event.subject_id) for event in told if event.kind.startswith("delivery.")] == [
        ("delivery.delivered", delivered.delivery.id),
        ("delivery.failed", failed.delivery.id),
    ]


def test_what_the_last_run_left_is_worked_from_the_table_once(rig: Rig) -> None:
    left = [rig.message() for _ in range(3)]
    rig.outbox.start()
    rig.time.pump([1.0] * 3)
    assert [job.delivery.id for job in rig.handler.jobs] == [due.delivery.id for due in left]


def test_memory_and_concurrency_are_bounded_and_the_rest_comes_from_the_table(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, Limits(concurrency=9, per_target=2, memory=6))
    rig.outbox.start()
    due = rig.receive(9)
    assert [item.delivery.owner is not None for item in due] == [True] * 3 + [False] * 6
    assert rig.outbox.running == 2
    for _ in range(9):
        assert rig.outbox.waiting <= 3
        rig.handler.end(Delivered("ok"))
        time.advance(1.0)
    assert sorted(job.delivery.id for job in rig.handler.jobs) == [item.delivery.id for item in due]


def test_no_attempt_is_over_before_its_outcome_is_committed(rig: Rig) -> None:
    (due,) = rig.receive()
    rig.store.writer.failing = True
    rig.handler.end(Delivered("ok"))
    assert rig.outbox.running == 1
    rig.store.writer.failing = False
    rig.time.advance(1.0)
    assert rig.outbox.running == 0
    assert rig.view(due).delivery.state == "delivered"


def test_a_handler_that_raises_costs_nobody_the_message(rig: Rig) -> None:
    (due,) = rig.receive()
    rig.handler.end(Failure(ZeroDivisionError()))
    view = rig.view(due)
    assert (view.delivery.state, view.delivery.last_outcome) == ("pending", "internal_error")
    assert view.delivery.due_at > rig.time.wall_ms()


def test_a_delivery_of_an_unknown_handler_fails_with_a_reason(rig: Rig) -> None:
    (due,) = rig.receive(handler="pigeon")
    assert rig.view(due).delivery.last_outcome == "handler_unknown"


def test_drain_begins_nothing_new_gives_back_what_waits_and_waits_for_what_runs(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, Limits(concurrency=6, per_target=1, memory=100))
    first, second = rig.receive(2)
    drained = rig.outbox.drain()
    (third,) = rig.receive()
    pending(drained)
    assert len(rig.handler.jobs) == 1
    assert (rig.view(second).delivery.owner, rig.view(third).delivery.owner) == (None, None)
    rig.handler.end(Delivered("ok"))
    success(drained)
    assert len(rig.handler.jobs) == 1
    assert [rig.view(due).delivery.state for due in (first, second, third)] == [
        "delivered",
        "pending",
        "pending",
    ]


def test_what_is_committed_after_the_drain_began_goes_back_to_the_table(rig: Rig) -> None:
    """It was expected before."""
    due = rig.outbox.expect([rig.message(commit=False), rig.message(commit=False)])
    (first,) = rig.receive()
    drained = rig.outbox.drain()
    for item in due:
        assert item.delivery.owner is not None
        success(rig.store.writer.write(messages.insert(item.message, (), [item.delivery])))
    rig.outbox.offer(due)
    rig.handler.end(Delivered("ok"))
    success(drained)
    assert [rig.view(item).delivery.owner for item in due] == [None, None]
    assert [job.delivery.id for job in rig.handler.jobs] == [first.delivery.id]


def test_what_is_being_claimed_when_the_drain_begins_goes_back_to_the_table(rig: Rig) -> None:
    rig.outbox.start()
    due = rig.message()
    rig.store.writer.held = True
    rig.time.advance(1.0)
    assert rig.store.writer.pending == 1
    drained = rig.outbox.drain()
    pending(drained)
    rig.store.writer.release()
    success(drained)
    assert rig.view(due).delivery.owner is None
    assert rig.handler.jobs == []


def test_a_drain_ends_when_what_is_given_back_is_in_the_store(rig: Rig) -> None:
    """Though nothing runs: a target that is back gets what waited at a limited rate."""
    failing(rig)
    for _ in range(150):
        rig.message()
    rig.time.pump([1.0] * 61)
    rig.end_all(Delivered("ok"))
    rig.time.advance(1.0)
    rig.end_all(Delivered("ok"))
    assert rig.outbox.running == 0
    assert rig.outbox.waiting > 0
    rig.store.writer.held = True
    drained = rig.outbox.drain()
    pending(drained)
    rig.store.writer.release()
    success(drained)
    with rig.store.engine.snapshot() as conn:
        owned = select(delivery.c.id).where(delivery.c.owner.is_not(None))
        assert conn.execute(owned).all() == []


def test_a_drain_does_not_wait_for_a_store_that_is_away_to_give_back_what_waits(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, Limits(concurrency=6, per_target=1, memory=100))
    rig.receive(3)
    rig.handler.end(Delivered("ok"))
    rig.handler.end(Delivered("ok"))
    assert (rig.outbox.running, rig.outbox.waiting) == (1, 0)
    (late,) = rig.receive()
    rig.store.writer.failing = True
    drained = rig.outbox.drain()
    assert rig.outbox.waiting == 0
    pending(drained)
    rig.store.writer.failing = False
    rig.handler.end(Delivered("ok"))
    success(drained)
    assert rig.view(late).delivery.owner is not None
    again = Rig(inline_store, time, did)
    again.outbox.start()
    assert [job.delivery.id for job in again.handler.jobs] == [late.delivery.id]


# -- fairness -----------------------------------------------------------------------------------------------


def test_a_target_that_hangs_holds_its_own_places_only(rig: Rig) -> None:
    rig.receive(50, target="http://hangs/")
    assert rig.handler.asked == ["http://hangs/"] * 10
    rig.receive(3, target="http://well/")
    assert rig.handler.asked[10:] == ["http://well/"] * 3


def test_a_target_gets_more_places_as_it_answers_and_few_again_once_it_is_silent(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, Limits(concurrency=400, per_target=40, memory=500))
    rig.receive(200)
    assert rig.outbox.running == FIRST_PLACES
    rig.handler.end(Delivered("ok"))
    assert rig.outbox.running == FIRST_PLACES + 1
    rig.handler.end(Retry("not_ok", 1800.0, 200))
    assert rig.outbox.running == FIRST_PLACES + 2
    for _ in range(60):
        rig.handler.end(Delivered("ok"))
    assert rig.outbox.running == 40
    rig.handler.end(Retry("timeout", 1800.0))
    assert rig.outbox.running == 39
    for _ in range(40):
        rig.handler.end(Failed("refused by ourselves"))
    assert rig.outbox.running == FIRST_PLACES
    rig.handler.end(Delivered("ok"))
    assert rig.outbox.running == FIRST_PLACES + 1


def test_many_targets_that_hang_leave_a_place_for_one_that_does_not(rig: Rig) -> None:
    for number in range(8):
        rig.receive(10, target=f"http://hangs-{number}/")
    assert rig.outbox.running < 40
    rig.receive(target="http://well/")
    assert rig.handler.asked[-1] == "http://well/"


def test_a_flood_from_one_did_does_not_delay_another_to_the_same_target(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, Limits(concurrency=6, per_target=1, memory=60))
    rig.outbox.start()
    rig.receive(100, did_id=1)
    (other,) = rig.receive(did_id=2)
    assert other.delivery.owner is not None, "the flood has not filled memory"
    rig.handler.end(Delivered("ok"))
    rig.handler.end(Delivered("ok"))
    assert [job.delivery.did_id for job in rig.handler.jobs][:3].count(2) == 1


def test_a_flood_in_the_table_does_not_hide_what_is_behind_it(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, Limits(concurrency=9, per_target=2, memory=20))
    for _ in range(100):
        rig.message(target="http://hangs/")
    rig.message(target="http://well/")
    rig.outbox.start()
    time.advance(1.0)
    assert sorted(rig.handler.asked) == ["http://hangs/"] * 2 + ["http://well/"]


# -- targets that fail --------------------------------------------------------------------------------------


def failing(rig: Rig) -> list[DueDelivery]:
    """Forty deliveries to a target that has just been found failing."""
    rig.outbox.start()
    due = rig.receive(40)
    for _ in range(5):
        rig.handler.end(Retry("http_error", 1800.0, 503))
    rig.end_all(Retry("http_error", 1800.0, 503))
    return due


def test_a_failing_target_gets_one_attempt_a_period_and_the_others_are_not_counted(rig: Rig) -> None:
    due = failing(rig)
    begun = len(rig.handler.jobs)
    assert begun < 20
    untried = [item for item in due if not rig.view(item).delivery.attempts]
    assert len(untried) == 40 - begun
    assert {rig.view(item).delivery.owner for item in untried} == {None}
    rig.time.pump([1.0] * 59)
    assert len(rig.handler.jobs) == begun
    rig.time.pump([1.0] * 2)
    assert len(rig.handler.jobs) == begun + 1
    rig.handler.end(Retry("http_error", 1800.0, 503))
    rig.time.pump([1.0] * 61)
    assert len(rig.handler.jobs) == begun + 2
    fresh = rig.receive(5)
    assert len(rig.handler.jobs) == begun + 2
    assert {item.delivery.owner for item in fresh} == {None}


def test_a_failing_target_costs_no_look_at_the_table_for_each_message(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(rig)
    looks = []
    read = rig.store.read

    def counted(*args: Any, **kwargs: Any) -> Deferred[Any]:
        looks.append(args)
        return read(*args, **kwargs)

    monkeypatch.setattr(rig.store, "read", counted)
    rig.receive(50)
    assert looks == []
    rig.time.advance(1.0)
    assert len(looks) == 1


def test_a_target_that_is_back_gets_what_waited_at_a_limited_rate_that_grows(rig: Rig) -> None:
    failing(rig)
    for _ in range(150):
        rig.message()
    rig.time.pump([1.0] * 61)
    before = len(rig.handler.jobs)
    rate = []
    for _ in range(6):
        rig.end_all(Delivered("ok"))
        rate.append(len(rig.handler.jobs) - before)
        before = len(rig.handler.jobs)
        rig.time.advance(1.0)
    assert max(rate) <= 45, rate
    rig.time.pump([1.0] * 70)
    rig.end_all(Delivered("ok"))
    for _ in range(20):
        rig.time.advance(1.0)
        rig.end_all(Delivered("ok"))
    rig.receive(15)
    assert rig.outbox.running == 10, "nothing holds it back any more"


def test_a_failing_target_does_not_delay_another(rig: Rig) -> None:
    failing(rig)
    before = len(rig.handler.jobs)
    rig.receive(4, target="http://well/")
    assert rig.handler.asked[before:] == ["http://well/"] * 4


def others(rig: Rig) -> int:
    """A DID with a page of its own on the same host."""
    return rig.did.id + 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_status_is_the_word_of_one_page_and_delays_no_other_page_of_its_host(rig: Rig, status: int) -> None:
    rig.outbox.start()
    rig.receive(40, target="http://x/bad")
    rig.end_all(Retry("http_error", 1800.0, status))
    begun = len(rig.handler.jobs)
    assert begun < 20, "the page is asked less"
    rig.receive(30, target="http://x/good", did_id=others(rig))
    assert rig.end_all(Delivered("ok")) == 30
    rig.time.pump([1.0] * 61)
    assert len(rig.handler.jobs) == begun + 30 + 1, "one attempt a period"
    rig.handler.end(Retry("http_error", 1800.0, status))
    rig.receive(30, target="http://x/good", did_id=others(rig))
    assert rig.end_all(Delivered("ok")) == 30


def test_a_page_that_breaks_does_not_end_the_recovery_of_its_host(rig: Rig) -> None:
    rig.outbox.start()
    rig.receive(40, target="http://x/good", did_id=others(rig))
    rig.end_all(Retry("connection_refused", 1800.0))
    rig.time.pump([1.0] * 61)
    rig.end_all(Delivered("ok"))
    rig.receive(1, target="http://x/bad")
    assert rig.end_all(Retry("http_error", 1800.0, 500)) >= 1
    rig.time.pump([1.0] * 10)
    assert rig.end_all(Delivered("ok")) > 5, "it goes on"


def test_that_no_answer_comes_is_the_word_of_the_whole_host(rig: Rig) -> None:
    rig.outbox.start()
    rig.receive(40, target="http://x/one")
    rig.end_all(Retry("connection_refused", 1800.0))
    begun = len(rig.handler.jobs)
    rig.receive(5, target="http://x/two", did_id=others(rig))
    assert len(rig.handler.jobs) == begun


def test_an_answer_that_refuses_one_message_says_nothing_about_the_target(rig: Rig) -> None:
    rig.outbox.start()
    rig.receive(40)
    assert rig.end_all(Retry("not_ok", 1800.0, 200, "no")) == 40


# -- what operators do --------------------------------------------------------------------------------------


def test_a_paused_target_gets_nothing_until_it_is_resumed(rig: Rig) -> None:
    rig.outbox.start()
    key = rig.outbox.target_key("callback", "http://x/hook")
    assert key == "callback http://x"
    success(rig.store.writer.run("pause", lambda conn: paused.pause(conn, key, "they asked", 1)))
    rig.time.advance(1.0)
    rig.receive(3)
    rig.time.pump([1.0] * 100)
    assert rig.handler.jobs == []
    success(rig.store.writer.run("resume", lambda conn: paused.resume(conn, key)))
    rig.outbox.look()
    assert len(rig.handler.jobs) == 3


def test_pausing_gives_back_what_waits_in_memory(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, Limits(concurrency=6, per_target=1, memory=60))
    rig.outbox.start()
    due = rig.receive(5)
    success(rig.store.writer.run("pause", lambda conn: paused.pause(conn, "callback http://x", "why", 1)))
    time.advance(1.0)
    assert rig.outbox.waiting == 0
    assert [rig.view(item).delivery.owner for item in due[1:]] == [None] * 4


def test_a_retry_is_made_at_once_when_somebody_asks_for_it(rig: Rig) -> None:
    rig.outbox.start()
    (due,) = rig.receive()
    rig.handler.end(Retry("not_ok", 1800.0, 200))
    now = rig.time.wall_ms()
    identity = due.delivery.id
    assert success(rig.store.writer.run("now", lambda conn: deliveries.retry_now(conn, identity, None, now)))
    rig.outbox.look()
    assert [job.attempt for job in rig.handler.jobs] == [1, 2]


def test_a_skipped_delivery_is_over_and_its_running_attempt_is_refused(rig: Rig) -> None:
    (due,) = rig.receive()
    identity, now = due.delivery.id, rig.time.wall_ms()
    assert success(
        rig.store.writer.run("skip", lambda conn: deliveries.skip(conn, identity, None, "wrong page", now))
    )
    rig.handler.end(Delivered("ok"))
    view = rig.view(due)
    assert (view.delivery.state, view.delivery.last_outcome) == ("failed", "skipped")
    assert [(one.outcome, one.excerpt) for one in view.attempts] == [("skipped", "wrong page")]
    assert (rig.outbox.counters.refused, rig.outbox.running) == (1, 0)


# -- leases -------------------------------------------------------------------------------------------------


def other_server(rig: Rig) -> Rig:
    """On the same store, with a node of its own."""
    store = InlineStore(rig.store.engine, IdSource(1, rig.time.wall_ms))
    return Rig(store, rig.time, rig.did)


def test_what_one_server_has_in_hand_another_does_not_take(rig: Rig) -> None:
    other = other_server(rig)
    other.outbox.start()
    rig.outbox.start()
    (due,) = rig.receive()
    rig.time.pump([1.0] * 280)
    assert len(rig.handler.jobs) == 1
    assert other.handler.jobs == []
    rig.handler.end(Delivered("ok"))
    assert rig.view(due).delivery.state == "delivered"


def test_what_a_dead_server_had_is_taken_over_after_its_lease_and_its_late_outcome_is_refused(
    rig: Rig,
) -> None:
    other = other_server(rig)
    other.outbox.start()
    (due,) = rig.receive()  # not started: it renews nothing, as one that hangs
    rig.time.pump([1.0] * 59)
    assert other.handler.jobs == []
    rig.time.pump([1.0] * 2)
    assert [job.delivery.id for job in other.handler.jobs] == [due.delivery.id]
    with capture_logs() as logs:
        rig.handler.end(Delivered("late"))
    assert [entry["event"] for entry in logs] == ["late_outcome_refused"]
    assert rig.view(due).attempts == ()
    other.handler.end(Delivered("ok"))
    view = rig.view(due)
    assert (view.delivery.last_outcome, view.delivery.attempts, len(view.attempts)) == ("ok", 1, 1)


def test_a_server_that_comes_back_does_not_wait_for_its_own_lease(rig: Rig) -> None:
    (due,) = rig.receive()
    again = Rig(rig.store, rig.time, rig.did)
    again.outbox.start()
    rig.time.advance(1.0)
    assert [job.delivery.id for job in again.handler.jobs] == [due.delivery.id]


def test_a_lease_that_was_lost_while_it_waited_costs_no_attempt(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, Limits(concurrency=6, per_target=1, memory=60))
    rig.outbox.start()
    _, second = rig.receive(2)
    with inline_store.engine.transaction() as conn:
        clause = delivery.update().where(delivery.c.id == second.delivery.id)
        conn.execute(clause.values(owner=7, lease_until=time.wall_ms() + 10**6))
    time.pump([1.0] * 41)
    assert rig.outbox.lost == 1
    rig.handler.end(Delivered("ok"))
    assert len(rig.handler.jobs) == 1
    assert (rig.outbox.running, rig.outbox.waiting) == (0, 0)


# -- order --------------------------------------------------------------------------------------------------


class Postman(Scripted):
    """Takes his time, and knows what his numbers mean."""

    attempt_seconds = 1_800.0

    def unwell(self, outcome: Outcome) -> bool:
        return outcome.status_code == 421


def test_a_handler_says_itself_how_long_it_takes_and_when_a_target_is_unwell(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, handler=Postman())
    rig.outbox.start()
    (slow,) = rig.receive(1)
    time.pump([60.0] * 29)
    assert rig.view(slow).attempts == ()
    time.pump([60.0] * 3)
    assert [item.outcome for item in rig.view(slow).attempts] == ["internal_error"]
    for code in (550, 421):
        rig.receive(40, target=f"http://{code}/")
        rig.end_all(Failed("refused", code))
        begun = rig.handler.asked.count(f"http://{code}/")
        assert (begun == 40) if code == 550 else (begun < 40), code


class Ordered(Scripted):
    """Keeps the order of a conversation."""

    ordered: ClassVar[bool] = True


def test_order_is_kept_where_the_handler_says_so(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, handler=Ordered())
    rig.outbox.start()
    first, second, third = rig.receive(3)
    assert [job.delivery.id for job in rig.handler.jobs] == [first.delivery.id]
    rig.handler.end(Retry("not_ok", 1800.0, 200))
    time.pump([1.0] * 1799)
    assert len(rig.handler.jobs) == 1
    time.pump([1.0] * 2)
    for due in (first, second, third):
        assert rig.handler.jobs[-1].delivery.id == due.delivery.id
        rig.handler.end(Delivered("ok"))
    assert len(rig.handler.jobs) == 4


def test_one_conversation_does_not_wait_for_another(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, handler=Ordered())
    rig.outbox.start()
    rig.receive(2)
    rig.receive(2, peer="+12025550177")
    assert [job.message.peer for job in rig.handler.jobs] == [PEER, "+12025550177"]


def test_a_look_that_took_a_minute_does_not_stop_the_next_for_twenty(rig: Rig) -> None:
    rig.outbox.start()
    rig.time.pump([1.0] * 3)
    read, waiting = rig.store.read, []

    def stands_still(fn: Any, *args: Any, **more: Any) -> Deferred[Any]:
        asked: Deferred[Any] = Deferred()
        waiting.append((asked, fn, args, more))
        return asked

    rig.store.read = stands_still  # type: ignore[method-assign]
    rig.time.pump([1.0] * 60)
    rig.store.read = read  # type: ignore[method-assign]
    for asked, fn, args, more in waiting:
        read(fn, *args, **more).chainDeferred(asked)
    rig.message(target="http://other/")
    rig.time.pump([1.0] * 10)
    assert rig.handler.asked == ["http://other/"]
