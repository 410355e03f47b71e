"""Reads and writes of messages, parts, inbound parts and deliveries, on both engines."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest
from sqlalchemy import select, text

from storage import deliveries, inbound_parts, messages, parts, queue
from storage.engines import Engine
from storage.records import (
    AttemptRecord,
    DeliveryState,
    InboundPartRecord,
    MessageView,
    PartRecord,
    PartState,
)
from storage.statements import Write, execute, execute_all
from storage.tables import delivery, part
from tests import samples
from tests.samples import DID, NOW, PEER, UPSTREAM, delivery_of, mo, mt, part_of

T = TypeVar("T")


def write(engine: Engine, *writes: Iterable[Write]) -> None:
    with engine.transaction() as connection:
        for some in writes:
            execute_all(connection, some)


def read(engine: Engine, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    with engine.snapshot() as connection:
        return fn(connection, *args, **kwargs)


def state_of(engine: Engine, identity: int) -> PartRecord:
    with engine.snapshot() as connection:
        return messages.part_record(connection.execute(select(part).where(part.c.id == identity)).one())


def test_a_message_comes_back_whole(engine: Engine) -> None:
    message = mt(parts_total=2)
    second, first = part_of(message, number=2, total=2), part_of(message, number=1, total=2, tlvs=b"\x02\x0c")
    duty = delivery_of(message)
    write(engine, messages.insert(message, [second, first], [duty]))
    tries = [AttemptRecord(duty.id, number, NOW, 12, "refused", 503, "no") for number in (1, 2)]
    for one in tries:
        write(engine, deliveries.record_attempt(one, DeliveryState.PENDING, NOW + 60_000, NOW + 1))
    view = read(engine, messages.get, 1, message.id)
    assert view is not None
    assert (view.message, view.parts) == (message, (first, second))
    assert [item.attempts for item in view.deliveries] == [tuple(tries)]
    assert view.deliveries[0].delivery == duty._replace(
        attempts=2, due_at=NOW + 60_000, updated_at=NOW + 1, last_outcome="refused", lease_until=NOW + 60_000
    )


def test_nobody_sees_the_messages_of_another_account(engine: Engine) -> None:
    mine, theirs, unowned = mo(), mo(account_id=2), mo(account_id=None, did_id=None)
    write(engine, *(messages.insert(message) for message in (mine, theirs, unowned)))
    assert read(engine, messages.get, 1, theirs.id) is None
    assert read(engine, messages.get, 1, unowned.id) is None
    assert read(engine, messages.get, 2, mine.id) is None
    assert ids_of(read(engine, messages.search, 1)) == [mine.id]
    assert ids_of(read(engine, messages.search, 2, since_id=0)) == [theirs.id]
    assert read(engine, messages.exists, unowned.id)
    assert not read(engine, messages.exists, 1)


def ids_of(views: list[MessageView]) -> list[int]:
    return [view.message.id for view in views]


def test_search_filters_and_pages(engine: Engine) -> None:
    records = [mo(), mt(), mo(peer="+12025550177"), mo(did="+12025550111"), mt(), mo()]
    one, two, three, four, five, six = (record.id for record in records)
    write(engine, *(messages.insert(record) for record in records))
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [six, five, four, three, two, one]),
        ({"limit": 2}, [six, five]),
        ({"limit": 2, "before_id": five}, [four, three]),
        ({"since_id": two, "limit": 3}, [three, four, five]),
        ({"since_id": two, "before_id": five}, [three, four]),
        ({"direction": "mt"}, [five, two]),
        ({"peer": "+12025550177"}, [three]),
        ({"did": DID, "peer": PEER}, [six, five, two, one]),
        ({"did": DID, "peer": PEER, "direction": "mo", "since_id": one}, [six]),
        ({"limit": 0}, [six]),
        ({"did": "+1"}, []),
    ]
    for filters, expected in cases:
        assert ids_of(read(engine, messages.search, 1, **filters)) == expected, filters


def test_recent_inbound_is_what_repeats_are_looked_for_in(engine: Engine) -> None:
    old, new = mo(created_at=NOW - 5_000, fingerprint=b"old"), mo(fingerprint=b"new")
    newest, others = mo(), [mo(upstream="other"), mt()]
    write(engine, *(messages.insert(message) for message in (old, new, newest, *others)))
    late = [(newest.id, None, NOW), (new.id, b"new", NOW)]
    assert read(engine, messages.recent_inbound, UPSTREAM, NOW - 4_000, 10) == late
    assert read(engine, messages.recent_inbound, UPSTREAM, 0, 10) == [*late, (old.id, b"old", NOW - 5_000)]
    assert read(engine, messages.recent_inbound, UPSTREAM, 0, 1) == late[:1]
    assert read(engine, messages.recent_inbound, UPSTREAM, NOW + 1, 10) == []


def test_parts_wait_in_order_until_they_are_due(engine: Engine) -> None:
    message = mt(parts_total=3)
    queued = [part_of(message, number=number) for number in (1, 2, 3)]
    later, elsewhere = part_of(message, due_at=NOW + 1), part_of(message, upstream="other")
    write(engine, messages.insert(message, [*reversed(queued), later, elsewhere]))
    found = read(engine, parts.queued, UPSTREAM, NOW, 10)
    assert [item.part for item in found] == queued
    assert (found[0].did, found[0].peer) == (DID, PEER)
    assert [item.part for item in read(engine, parts.queued, UPSTREAM, NOW + 1, 10)] == [*queued, later]
    assert [item.part for item in read(engine, parts.queued, UPSTREAM, NOW, 2)] == queued[:2]


def test_a_part_goes_its_way(engine: Engine) -> None:
    message = mt()
    waiting = part_of(message)
    write(engine, messages.insert(message, [waiting]))
    write(engine, parts.mark_sending(waiting.id, 1, NOW + 1))
    sending = waiting._replace(state=PartState.SENDING, attempts=1, sent_at=NOW + 1)
    assert [item.part for item in read(engine, parts.unanswered, UPSTREAM)] == [sending]
    assert read(engine, parts.queued, UPSTREAM, NOW, 10) == []
    write(engine, parts.requeue(waiting.id, NOW + 5, 1, 0x58, NOW))
    again = sending._replace(state=PartState.QUEUED, due_at=NOW + 5, flags=1, command_status=0x58)
    assert state_of(engine, waiting.id) == again
    write(engine, parts.mark_sending(waiting.id, 2, NOW + 6))
    write(engine, parts.record_sent(waiting.id, "4d2", NOW + 7))
    assert state_of(engine, waiting.id) == again._replace(
        state=PartState.SENT,
        attempts=2,
        sent_at=NOW + 6,
        smsc_message_id="4d2",
        command_status=0,
        answered_at=NOW + 7,
    )


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda identity: parts.hold(identity, NOW), PartState.HELD),
        (parts.mark_in_doubt, PartState.IN_DOUBT),
        (lambda identity: parts.record_failed(identity, 0xFFFFFFFF, NOW), PartState.FAILED),
    ],
)
def test_a_part_may_end_otherwise(
    engine: Engine, change: Callable[[int], list[Write]], state: PartState
) -> None:
    message = mt()
    sending = part_of(message, state=PartState.SENDING)
    write(engine, messages.insert(message, [sending]))
    write(engine, change(sending.id))
    after = state_of(engine, sending.id)
    assert after.state is state
    assert after.final_at == (NOW if state.final else None)
    assert after.command_status == (0xFFFFFFFF if state is PartState.FAILED else None)


@pytest.mark.parametrize("final", ["delivered", "failed", "expired"])
def test_nothing_takes_a_part_out_of_a_final_state(engine: Engine, final: str) -> None:
    message = mt()
    done = part_of(message, state=PartState(final), final_at=NOW)
    write(engine, messages.insert(message, [done]))
    for change in (
        parts.mark_sending(done.id, 1, NOW),
        parts.record_sent(done.id, "1", NOW),
        parts.record_failed(done.id, 8, NOW),
        parts.requeue(done.id, NOW, 0, None, NOW),
        parts.hold(done.id, NOW),
        parts.mark_in_doubt(done.id),
        parts.expire(done.id, NOW + 1),
    ):
        write(engine, change)
    assert state_of(engine, done.id) == done


def test_updates_of_a_batch_reach_their_own_rows(engine: Engine) -> None:
    message = mt(parts_total=50)
    all_parts = [part_of(message, number=number) for number in range(50)]
    write(engine, messages.insert(message, all_parts))
    rows = [
        parts.record_sent(item.id, f"id-{item.number}" if item.number else None, NOW)[-1]
        for item in all_parts
    ]
    with engine.transaction() as connection:
        execute(connection, rows[0][0], [row for _, row in rows])
    view = read(engine, messages.get, 1, message.id)
    assert view is not None
    assert [item.smsc_message_id for item in view.parts] == [
        None,
        *(f"id-{number}" for number in range(1, 50)),
    ]


def inbound(number: int, **fields: Any) -> InboundPartRecord:
    record = InboundPartRecord(
        samples.ids.next(),
        UPSTREAM,
        PEER,
        DID,
        "udh8",
        7,
        3,
        number,
        0x40,
        8,
        b"\x05\0\x03\x07\x03\x01\0h",
        NOW,
    )
    return record._replace(**fields)


def test_inbound_parts_are_open_until_they_belong_to_a_message(engine: Engine) -> None:
    first, second, elsewhere = inbound(1), inbound(2), inbound(1, upstream="other")
    write(engine, *(inbound_parts.insert(record) for record in (first, second, elsewhere)))
    assert read(engine, inbound_parts.open_parts, UPSTREAM) == [first, second]
    message, third = mo(), inbound(3)
    writes = [
        *inbound_parts.insert(third),
        *inbound_parts.assign([first.id, second.id, third.id], message.id),
    ]
    write(engine, messages.insert(message), writes)
    assert read(engine, inbound_parts.open_parts, UPSTREAM) == []
    assert read(engine, inbound_parts.open_parts, "other") == [elsewhere]


def test_recent_inbound_parts_are_those_of_whole_messages_too(engine: Engine) -> None:
    old, open_one, whole = inbound(1, received_at=NOW - 5_000), inbound(1), inbound(2, message_id=5)
    elsewhere = inbound(1, upstream="other")
    write(engine, *(inbound_parts.insert(record) for record in (old, open_one, whole, elsewhere)))
    assert read(engine, inbound_parts.recent, UPSTREAM, NOW - 4_000, 10) == [whole, open_one]
    assert read(engine, inbound_parts.recent, UPSTREAM, 0, 1) == [whole]
    assert read(engine, inbound_parts.recent, UPSTREAM, 0, 10) == [whole, open_one, old]


def test_an_attempt_that_ends_a_delivery_takes_it_out_of_the_queue(engine: Engine) -> None:
    message = mo()
    duty = delivery_of(message)
    write(engine, messages.insert(message), deliveries.insert(duty))
    last = AttemptRecord(duty.id, 1, NOW, 5, "ok", 200, "ok\0")
    write(engine, deliveries.record_attempt(last, DeliveryState.DELIVERED, NOW, NOW + 5))
    assert read(engine, queue.due_lanes, NOW + 10**9, -1, 10) == []
    view = read(engine, messages.get, 1, message.id)
    assert view is not None
    assert view.deliveries[0].delivery.state is DeliveryState.DELIVERED
    assert view.deliveries[0].attempts == (last._replace(excerpt="ok␀"),)


def test_an_event_is_delivered_once_to_each_handler(engine: Engine) -> None:
    message = mt(status_callback="http://sink/status")
    write(engine, messages.insert(message, deliveries=[delivery_of(message), delivery_of(message)]))
    told = delivery_of(message, handler="status", event="delivered")
    with engine.transaction() as connection:
        assert deliveries.insert_event(connection, told)
        assert not deliveries.insert_event(connection, told._replace(id=samples.ids.next()))
        assert deliveries.insert_event(connection, told._replace(id=samples.ids.next(), event="failed"))
        assert deliveries.insert_event(connection, told._replace(id=samples.ids.next(), handler="other"))
    with engine.snapshot() as connection:
        assert len(connection.execute(select(delivery)).all()) == 5


def test_only_messages_whose_sender_wants_to_know_await_their_status(engine: Engine) -> None:
    asked, silent = mt(status_callback="http://sink/", parts_total=2), mt()
    both = [part_of(asked, number=1), part_of(asked, number=2)]
    other = part_of(silent)
    write(engine, messages.insert(asked, both), messages.insert(silent, [other]))
    found = read(engine, messages.awaiting_status, [both[1].id, other.id])
    assert found == [(asked, tuple(both))]


QUEUES: list[tuple[str, str]] = [
    (
        "ix_part_queued",
        "SELECT id FROM part WHERE upstream='a' AND state='queued' AND due_at<=5 ORDER BY due_at, id",
    ),
    (
        "ix_part_open",
        "SELECT id FROM part WHERE upstream='a' AND state IN ('sending', 'in_doubt', 'held') "
        "AND state='sending'",
    ),
    ("ix_part_smsc", "SELECT id FROM part WHERE upstream='a' AND smsc_message_id IN ('1', '2')"),
    (
        "ix_delivery_lane",
        "SELECT id FROM delivery WHERE state='pending' AND lane=7 AND lease_until<=5 "
        "ORDER BY lease_until, id",
    ),
    (
        "ix_inbound_part_open",
        "SELECT id FROM inbound_part WHERE upstream='a' AND message_id IS NULL ORDER BY id",
    ),
    ("ix_receipt_unmatched", "SELECT id FROM receipt WHERE upstream='a' AND part_id IS NULL ORDER BY id"),
    ("ix_message_account", "SELECT id FROM message WHERE account_id=1 ORDER BY id DESC LIMIT 50"),
    (
        "ix_message_conversation",
        "SELECT id FROM message WHERE account_id=1 AND did='a' AND peer='b' ORDER BY id DESC LIMIT 50",
    ),
]


@pytest.mark.parametrize(("index", "query"), QUEUES)
def test_the_queues_have_their_indexes(engine: Engine, index: str, query: str) -> None:
    explain = "EXPLAIN QUERY PLAN" if engine.name == "sqlite" else "EXPLAIN"
    with engine.transaction() as connection:
        plan = " ".join(str(row) for row in connection.execute(text(f"{explain} {query}")))
    assert index in plan
    assert "SCAN part" not in plan
