"""The delivery table as a queue: claims by lane, leases, order, and what operators do, on both engines."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, select, text

from storage import deliveries, messages, migrate, paused, queue
from storage.batch import Transactor, Unit
from storage.engines import Engine, open_engine
from storage.errors import Stale
from storage.ids import IdSource
from storage.queue import DueLane
from storage.records import AttemptRecord, DeliveryRecord, DeliveryState
from storage.tables import delivery
from tests.integration.storage.test_store_batch import error_of, writing
from tests.samples import NOW, delivery_of, mo

ME, OTHER = (IdSource(node, lambda: NOW).next() for node in (3, 4))
UNTIL = NOW + 60_000


def add(engine: Engine, *lanes: int, **fields: Any) -> list[int]:
    """One message with a free, due delivery in each of these lanes; the deliveries' ids."""
    records = []
    transactor = Transactor(engine)
    for lane in lanes:
        message = mo()
        records.append(delivery_of(message, **{"lane": lane, "lease_until": NOW, **fields}))
        transactor.commit([writing(messages.insert(message, deliveries=[records[-1]]))])
    transactor.close()
    return [record.id for record in records]


def do(engine: Engine, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """In a transaction of its own."""
    with engine.transaction() as connection:
        return fn(connection, *args, **kwargs)


def claim(engine: Engine, *shares: tuple[int, int], owner: int = ME, now: int = NOW) -> list[int]:
    found = do(engine, queue.claim, shares, owner, now + 60_000, now)
    return [due.delivery.id for due in found]


def row(engine: Engine, identity: int) -> DeliveryRecord:
    with engine.snapshot() as connection:
        query = select(delivery).where(delivery.c.id == identity)
        return messages.delivery_record(connection.execute(query).one())


def lanes(engine: Engine, now: int = NOW, after: int = -(2**63), limit: int = 10) -> list[int]:
    with engine.snapshot() as connection:
        return [found.lane for found in queue.due_lanes(connection, now, after, limit)]


def outcome(engine: Engine, identity: int, number: int, owner: int | None) -> object:
    """None when the outcome of an attempt was stored, else the error."""
    record = AttemptRecord(identity, number, NOW, 5, "ok", 200, "ok")
    unit = writing(deliveries.record_attempt(record, DeliveryState.DELIVERED, NOW, NOW, owner))
    transactor = Transactor(engine)
    transactor.commit([unit])
    transactor.close()
    return None if unit.outcome is None else error_of(unit)


def test_lanes_are_those_with_something_due_that_nobody_has(engine: Engine) -> None:
    add(engine, 5, 5, 9)
    add(engine, 2, lease_until=NOW + 1, due_at=NOW + 1)
    add(engine, 3, lease_until=UNTIL, owner=OTHER)
    add(engine, 4, state=DeliveryState.DELIVERED)
    add(engine, 2**62, target="http://other/", handler="webhook")
    assert lanes(engine) == [5, 9, 2**62]
    assert lanes(engine, limit=2) == [5, 9]
    assert lanes(engine, after=9) == [2**62]
    assert lanes(engine, now=UNTIL) == [2, 3, 5, 9, 2**62]
    with engine.snapshot() as connection:
        assert queue.due_lanes(connection, NOW, 9, 1) == [DueLane(2**62, "webhook", "http://other/")]


def test_a_claim_takes_so_many_from_each_lane_with_their_messages(engine: Engine) -> None:
    first, second, third = add(engine, 1, 1, 1)
    (other,) = add(engine, 2)
    late = add(engine, 1, lease_until=NOW - 5, due_at=NOW - 5)
    found = do(engine, queue.claim, [(1, 2), (2, 9)], ME, UNTIL, NOW)
    assert {due.delivery.id for due in found} == {*late, first, other}
    assert {(due.delivery.owner, due.delivery.lease_until) for due in found} == {(ME, UNTIL)}
    assert {due.message.id for due in found} == {due.delivery.message_id for due in found}
    assert claim(engine, (1, 9), (2, 9), owner=OTHER) == [second, third]
    assert claim(engine, (1, 9), (2, 9), owner=OTHER) == []


def test_what_is_not_due_is_not_claimed_whatever_its_lease_says(engine: Engine) -> None:
    add(engine, 1, lease_until=0, due_at=NOW + 1)
    assert claim(engine, (1, 9)) == []


def test_a_lease_that_ran_out_is_anybodys(engine: Engine) -> None:
    (identity,) = add(engine, 1)
    assert claim(engine, (1, 9)) == [identity]
    assert claim(engine, (1, 9), owner=OTHER, now=UNTIL - 1) == []
    assert claim(engine, (1, 9), owner=OTHER, now=UNTIL) == [identity]


def test_renewing_keeps_what_is_still_ones_own(engine: Engine) -> None:
    mine, stolen, over = add(engine, 1, 2, 3)
    claim(engine, (1, 1), (2, 1), (3, 1))
    claim(engine, (2, 1), owner=OTHER, now=UNTIL)
    assert outcome(engine, over, 1, ME) is None
    assert do(engine, queue.renew, [mine, stolen, over], ME, UNTIL + 5) == {mine}
    assert (row(engine, mine).lease_until, row(engine, stolen).owner) == (UNTIL + 5, OTHER)


def test_released_it_is_due_as_before_and_untried(engine: Engine) -> None:
    (identity,) = add(engine, 1)
    claim(engine, (1, 1))
    do(engine, queue.release, [identity], OTHER)
    assert row(engine, identity).owner == ME
    do(engine, queue.release, [identity], ME)
    record = row(engine, identity)
    assert (record.owner, record.lease_until, record.attempts) == (None, NOW, 0)


def test_a_server_frees_what_its_earlier_lives_had_and_no_other(engine: Engine) -> None:
    earlier, new = ME, IdSource(3, lambda: NOW + 1_000).next()
    mine, theirs = add(engine, 1, 2)
    claim(engine, (1, 1), owner=earlier)
    claim(engine, (2, 1), owner=OTHER)
    assert do(engine, queue.take_over, new) == 1
    assert do(engine, queue.take_over, new) == 0
    assert (row(engine, mine).owner, row(engine, theirs).owner) == (None, OTHER)
    assert lanes(engine) == [1]


def test_an_outcome_counts_only_under_its_own_lease_and_attempt(engine: Engine) -> None:
    (identity,) = add(engine, 1)
    claim(engine, (1, 1))
    assert isinstance(outcome(engine, identity, 1, OTHER), Stale)
    assert isinstance(outcome(engine, identity, 2, ME), Stale)
    assert outcome(engine, identity, 1, ME) is None
    assert isinstance(outcome(engine, identity, 1, ME), Stale)
    record = row(engine, identity)
    assert (record.state, record.attempts, record.owner) == (DeliveryState.DELIVERED, 1, None)


def test_a_refused_outcome_takes_no_neighbour_down(engine: Engine) -> None:
    mine, stolen = add(engine, 1, 2)
    claim(engine, (1, 1))
    claim(engine, (2, 1), owner=OTHER)
    units: list[Unit] = []
    for identity in (stolen, mine):
        record = AttemptRecord(identity, 1, NOW, 5, "ok")
        units.append(writing(deliveries.record_attempt(record, DeliveryState.DELIVERED, NOW, NOW, ME)))
    fresh = mo()
    units.append(writing(messages.insert(fresh)))
    transactor = Transactor(engine)
    transactor.commit(units)
    transactor.close()
    assert isinstance(error_of(units[0]), Stale)
    assert [unit.outcome for unit in units[1:]] == [None, None]
    assert row(engine, mine).state == DeliveryState.DELIVERED
    assert row(engine, stolen).attempts == 0


def test_in_an_ordered_lane_only_the_earliest_is_claimed(engine: Engine) -> None:
    first, second = add(engine, -7, -7)
    assert lanes(engine) == [-7]
    assert claim(engine, (-7, 9)) == [first]
    assert lanes(engine) == []
    assert claim(engine, (-7, 9), owner=OTHER) == []
    later = NOW + 1_000
    record = AttemptRecord(first, 1, NOW, 5, "not_ok")
    transactor = Transactor(engine)
    transactor.commit([writing(deliveries.record_attempt(record, DeliveryState.PENDING, later, NOW, ME))])
    assert lanes(engine) == []
    assert claim(engine, (-7, 9), now=later - 1) == []
    assert lanes(engine, now=later) == [-7]
    assert claim(engine, (-7, 9), now=later) == [first]
    assert outcome(engine, first, 2, ME) is None
    assert claim(engine, (-7, 9), now=later) == [second]
    transactor.close()


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_claims_at_the_same_time_share_what_is_there(engine: Engine, store_url: str) -> None:
    ids = add(engine, *([1, 2, 3] * 20))
    taken: list[list[int]] = [[], [], [], []]

    def work(number: int) -> None:
        mine = open_engine(store_url)
        while some := claim(mine, (1, 3), (2, 3), (3, 3), owner=ME + number):
            taken[number] += some
        mine.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(identity for some in taken for identity in some) == ids


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_a_claim_passes_over_what_another_is_just_claiming(engine: Engine, store_url: str) -> None:
    first, second = add(engine, 1, 1)
    add(engine, -1, -1)
    other = open_engine(store_url)
    with other.transaction() as connection:
        queue.claim(connection, [(1, 1), (-1, 1)], OTHER, UNTIL, NOW)
        assert claim(engine, (1, 9), (-1, 9)) == [second], "and nothing of the ordered lane"
    assert row(engine, first).owner == OTHER
    other.close()


def test_claims_go_by_their_index(engine: Engine) -> None:
    add(engine, *range(1, 30))
    heads = "SELECT min(id) FROM delivery WHERE state='pending' AND lane=-4"
    walk = "SELECT lane FROM delivery WHERE state='pending' AND lane>4 ORDER BY lane LIMIT 1"
    explain = "EXPLAIN QUERY PLAN" if engine.name == "sqlite" else "EXPLAIN"
    with engine.transaction() as connection:
        for query in (heads, walk):
            plan = " ".join(str(one) for one in connection.execute(text(f"{explain} {query}")))
            assert "ix_delivery_lane" in plan, query


# -- what operators do --------------------------------------------------------------------------------------


def test_retry_now_makes_due_what_waits_and_leaves_what_is_in_hand(engine: Engine) -> None:
    waiting, held, over = add(engine, 1, 2, 3, due_at=NOW + 9_000, lease_until=NOW + 9_000)
    claim(engine, (2, 1), (3, 1), now=NOW + 9_000)
    outcome(engine, over, 1, ME)
    for identity, expected in ((waiting, True), (held, True), (over, False)):
        assert do(engine, deliveries.retry_now, identity, None, NOW) is expected
    assert lanes(engine) == [1]
    assert row(engine, held).owner == ME


def test_a_skipped_delivery_says_why_and_is_no_longer_due(engine: Engine) -> None:
    (identity,) = add(engine, 1)
    assert do(engine, deliveries.skip, identity, None, "gone away", NOW)
    assert not do(engine, deliveries.skip, identity, None, "again", NOW)
    record = row(engine, identity)
    assert (record.state, record.last_outcome, record.attempts) == (DeliveryState.FAILED, "skipped", 1)
    assert lanes(engine) == []


def test_what_failed_is_owed_again_one_or_many(engine: Engine) -> None:
    ids = add(engine, 1, 1, 2, 2)
    for identity in ids[:3]:
        do(engine, deliveries.skip, identity, None, "x", NOW)
    assert do(engine, deliveries.replay, [ids[0]], None, NOW + 1)
    assert not do(engine, deliveries.replay, [ids[3]], None, NOW + 1), "it is pending already"
    assert do(engine, deliveries.replay_failed, None, NOW + 1, handler="other") == []
    assert do(engine, deliveries.replay_failed, None, NOW + 1, last_id=ids[1], limit=5) == [ids[1]]
    assert do(engine, deliveries.replay_failed, None, NOW + 1) == [ids[2]]
    assert sorted(claim(engine, (1, 9), (2, 9), now=NOW + 1)) == ids
    assert row(engine, ids[0]).attempts == 1


def test_nobody_touches_the_deliveries_of_another_account(engine: Engine) -> None:
    (identity,) = add(engine, 1, due_at=NOW + 9_000, lease_until=NOW + 9_000)
    assert not do(engine, deliveries.retry_now, identity, 2, NOW)
    assert not do(engine, deliveries.skip, identity, 2, "mine", NOW)
    assert do(engine, deliveries.skip, identity, 1, "mine", NOW)
    assert not do(engine, deliveries.replay, [identity], 2, NOW)
    assert do(engine, deliveries.replay_failed, 2, NOW) == []
    assert do(engine, deliveries.replay_failed, 1, NOW) == [identity]


def test_paused_targets_are_remembered(engine: Engine) -> None:
    def all_of(connection: Connection) -> dict[str, str]:
        return paused.paused(connection)

    do(engine, paused.pause, "callback http://x", "broken", NOW)
    do(engine, paused.pause, "callback http://x", "still broken", NOW)
    assert do(engine, all_of) == {"callback http://x": "still broken"}
    assert do(engine, paused.resume, "callback http://x")
    assert not do(engine, paused.resume, "callback http://x")
    assert do(engine, all_of) == {}


def test_what_was_pending_before_lanes_is_still_due(empty_store_url: str) -> None:
    engine = open_engine(empty_store_url)
    columns = "id, message_id, account_id, did_id, handler, target, state, attempts, due_at, created_at"
    with engine.transaction() as connection:
        command.upgrade(migrate.configuration(connection), "0001")
        for identity, state in ((1, "pending"), (2, "delivered")):
            row_of = f"{identity}, 9, 1, 5, 'callback', 'http://x/', '{state}', 1, {NOW}, {NOW}"
            connection.execute(text(f"INSERT INTO delivery ({columns}, updated_at) VALUES ({row_of}, 0)"))
    migrate.upgrade(engine)
    record = row(engine, 1)
    assert (record.lane, record.owner, record.lease_until, record.attempts) == (5, None, NOW, 1)
    assert lanes(engine) == [5]
    engine.close()
