"""A delivery that waits in memory can be ended meanwhile, here or by another process: it is never begun."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred, fail

from edge.actions import Actions
from edge.handlers import Delivered
from edge.second_look import AGAIN_SECONDS
from storage import deliveries, queue
from storage.deliveries import DueDelivery
from storage.errors import StoreUnavailable
from storage.records import Did
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import pending, success
from tests.unit.edge.conftest import Time
from tests.unit.edge.test_deliveries import Rig

LOOK_PERIOD = 1.0
OK = Delivered("ok", 200)


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    rig = Rig(inline_store, time, did)
    rig.outbox.start()
    return rig


def waiting(rig: Rig) -> list[DueDelivery]:
    """Thirty to one target; those that wait behind the first ones."""
    due = rig.receive(30)
    assert rig.outbox.waiting == len(due) - rig.handler.under_way > 10
    return due[rig.handler.under_way :]


def by_another_process(rig: Rig, change: Callable[..., Any], *about: Any) -> None:
    """Straight in the table: nobody tells the outbox."""
    with rig.store.engine.transaction() as conn:
        assert change(conn, *about, rig.time.wall_ms())


def end_everything(rig: Rig) -> None:
    """Every attempt ends well, and all that begins until nothing is due."""
    for _ in range(70):  # longer than a lease
        rig.end_all(OK)
        rig.time.advance(1.0)
    assert not rig.outbox.running
    assert not rig.outbox.waiting


def tries(rig: Rig, due: DueDelivery) -> list[int]:
    """The numbers of its attempts that the handler was asked for."""
    return [job.attempt for job in rig.handler.jobs if job.delivery.id == due.delivery.id]


def test_what_was_skipped_by_another_process_is_not_sent(rig: Rig) -> None:
    *others, last = waiting(rig)
    rig.time.advance(2 * LOOK_PERIOD)
    by_another_process(rig, deliveries.skip, last.delivery.id, None, "stop")
    with capture_logs() as lines:
        end_everything(rig)
    assert tries(rig, last) == []
    assert [attempt.outcome for attempt in rig.view(last).attempts] == ["skipped"]
    assert all(tries(rig, due) == [1] for due in others)
    assert rig.outbox.counters.refused == 0
    assert not [line for line in lines if line["event"] == "late_outcome_refused"]


def test_what_was_skipped_and_replayed_is_sent_once(rig: Rig) -> None:
    *_, last = waiting(rig)
    rig.time.advance(2 * LOOK_PERIOD)
    by_another_process(rig, deliveries.skip, last.delivery.id, None, "stop")
    by_another_process(rig, deliveries.replay, [last.delivery.id], None)
    rig.time.advance(LOOK_PERIOD)  # the outbox finds it in the table, beside the copy that waits
    end_everything(rig)
    assert tries(rig, last) == [2]
    assert [attempt.outcome for attempt in rig.view(last).attempts] == ["skipped", "ok"]
    assert rig.outbox.counters.refused == 0


def test_here_it_is_not_sent_however_soon(rig: Rig) -> None:
    actions = Actions(cast(Store, rig.store), rig.outbox, rig.time.wall_ms)
    *_, first, second = waiting(rig)
    assert success(actions.skip(first.delivery.id, "stop"))
    assert success(actions.skip(second.delivery.id, "stop"))
    assert success(actions.replay([second.delivery.id])) == 1
    end_everything(rig)
    assert tries(rig, first) == []
    assert tries(rig, second) == [2]


def test_what_is_skipped_while_it_is_under_way_and_replayed_goes_again_at_once(rig: Rig) -> None:
    (due,) = rig.receive()
    by_another_process(rig, deliveries.skip, due.delivery.id, None, "stop")
    by_another_process(rig, deliveries.replay, [due.delivery.id], None)
    rig.time.advance(2 * LOOK_PERIOD)
    assert tries(rig, due) == [1]
    rig.handler.end(OK)
    rig.time.advance(LOOK_PERIOD)
    assert tries(rig, due) == [1, 2]
    rig.handler.end(OK)
    assert rig.view(due).delivery.state == "delivered"


class Counted:
    """The store's reads: how many were for a second look, and what they answer."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[int] = []
        self.answer: Callable[[Deferred[Any]], Deferred[Any]] = lambda real: real
        real = rig.store.read

        def read(work: Any, *about: Any) -> Any:
            if work is not queue.held:
                return real(work, *about)
            self.asked.append(len(about[0]))
            return self.answer(real(work, *about))

        monkeypatch.setattr(rig.store, "read", read)


def test_what_has_not_waited_costs_no_read_and_what_has_little(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Counted(rig, monkeypatch)
    for _ in range(20):
        rig.receive()
        rig.end_all(OK)
        rig.time.advance(LOOK_PERIOD)
    assert reads.asked == []
    waiting(rig)
    rig.time.advance(2 * LOOK_PERIOD)
    rig.end_all(OK)
    assert len(reads.asked) == 1


def test_while_the_store_cannot_be_asked_nothing_begins(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Counted(rig, monkeypatch)
    reads.answer = lambda _: fail(StoreUnavailable("away"))
    rest = waiting(rig)
    rig.time.advance(2 * LOOK_PERIOD)
    with capture_logs() as lines:
        rig.end_all(OK)
        rig.time.pump([AGAIN_SECONDS] * 5)
    assert not any(tries(rig, due) for due in rest)
    assert [line["event"] for line in lines] == ["outbox_not_read"]
    reads.answer = lambda real: real
    end_everything(rig)
    assert all(tries(rig, due) == [1] for due in rest)


def test_a_server_that_ends_gives_back_what_it_is_not_sure_of(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Counted(rig, monkeypatch)
    never: Deferred[Any] = Deferred()
    reads.answer = lambda _: never
    rest = waiting(rig)
    rig.time.advance(2 * LOOK_PERIOD)
    rig.end_all(OK)
    drained = rig.outbox.drain()
    success(drained)
    never.callback({})
    assert not any(tries(rig, due) for due in rest)
    assert _owned(rig, rest) == set()


def test_one_that_is_ended_while_the_store_is_asked_is_asked_about_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Counted(rig, monkeypatch)
    held: list[tuple[Deferred[Any], Deferred[Any]]] = []

    def hold(real: Deferred[Any]) -> Deferred[Any]:
        held.append((Deferred(), real))
        return held[-1][0]

    reads.answer = hold
    first, *_ = waiting(rig)
    rig.time.advance(2 * LOOK_PERIOD)
    rig.end_all(OK)
    actions = Actions(cast(Store, rig.store), rig.outbox, rig.time.wall_ms)
    assert success(actions.skip(first.delivery.id, "stop"))
    reads.answer = lambda real: real
    late, real = held[0]
    pending(late)
    late.callback(success(real))
    end_everything(rig)
    assert tries(rig, first) == []


def test_a_store_that_is_slow_to_read_delays_and_stops_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Counted(rig, monkeypatch)
    held: list[tuple[Deferred[Any], Deferred[Any]]] = []

    def hold(real: Deferred[Any]) -> Deferred[Any]:
        held.append((Deferred(), real))
        return held[-1][0]

    reads.answer = hold
    first, *_ = waiting(rig)
    rig.time.advance(2 * LOOK_PERIOD)
    rig.end_all(OK)
    late, real = held[0]
    rig.time.advance(3 * LOOK_PERIOD)
    late.callback(success(real))
    assert tries(rig, first) == [1]


def _owned(rig: Rig, due: Sequence[DueDelivery]) -> set[int | None]:
    return {rig.view(item).delivery.owner for item in due} - {None}


def test_what_others_change_is_remembered_only_while_the_store_is_asked(rig: Rig) -> None:
    claims = rig.outbox._claims
    claims.doubt(range(1_000))
    assert not claims._doubted
    rig.store.writer.failing = True
    claims.check({1: 0}, rig.time.wall_ms).addErrback(lambda failure: failure.trap(StoreUnavailable))
    claims.doubt(range(1_000))
    assert not claims._doubted
