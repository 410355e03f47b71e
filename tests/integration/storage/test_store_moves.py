"""Messages that go to another upstream, parts that expire, doubts that somebody settles; on both engines."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from edge.carrier_errors import error_of
from storage import messages, moves, operators, parts
from storage.engines import Engine
from storage.records import MessageRecord, PartFlag, PartRecord, PartState
from storage.statements import execute_all
from storage.tables import message, part
from tests.samples import NOW, UPSTREAM, ids, mt, part_of


def stored(engine: Engine, count: int = 2, **fields: Any) -> tuple[MessageRecord, list[PartRecord]]:
    """A message whose parts are queued."""
    record = mt(parts_total=count)
    its = [part_of(record, number=number, total=count, **fields) for number in range(1, count + 1)]
    write(engine, messages.insert(record, its))
    return record, its


def write(engine: Engine, writes: Any) -> None:
    with engine.transaction() as connection:
        execute_all(connection, writes)


def read(engine: Engine, fn: Callable[..., Any], *arguments: Any) -> Any:
    with engine.snapshot() as connection:
        return fn(connection, *arguments)


def done(engine: Engine, fn: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    with engine.transaction() as connection:
        return fn(connection, *arguments, **named)


def parts_of(engine: Engine, record: MessageRecord) -> list[PartRecord]:
    with engine.snapshot() as connection:
        query = select(part).where(part.c.message_id == record.id).order_by(part.c.number)
        return [messages.part_record(row) for row in connection.execute(query)]


def test_a_message_that_waits_whole_moves_with_new_parts(engine: Engine) -> None:
    record, its = stored(engine)
    (waiting,) = read(engine, moves.page, UPSTREAM, 0, 10)[0]
    assert (waiting.message, list(waiting.parts)) == (record, its)
    new = [part_of(record, upstream="other", refused_by=UPSTREAM)]
    assert done(engine, moves.move, waiting, "other", "UCS2", new)
    assert parts_of(engine, record) == new
    with engine.snapshot() as connection:
        row = connection.execute(select(message).where(message.c.id == record.id)).one()
    assert MessageRecord._make(row) == record._replace(upstream="other", encoding="UCS2", parts_total=1)
    assert not done(engine, moves.move, waiting, "third", "UCS2", [])
    assert parts_of(engine, record) == new


def test_what_has_gone_on_since_does_not_move(engine: Engine) -> None:
    record, its = stored(engine)
    waiting = read(engine, moves.waiting_one, UPSTREAM, record.id)
    write(engine, parts.mark_sending(its[0].id, 1, NOW))
    assert not done(engine, moves.move, waiting, "other", "GSM7", [part_of(record)])
    assert [item.id for item in parts_of(engine, record)] == [item.id for item in its]


@pytest.mark.parametrize(
    "change",
    [
        {"state": PartState.SENT},
        {"state": PartState.SENDING},
        {"state": PartState.IN_DOUBT},
        {"flags": int(PartFlag.POSSIBLE_DUPLICATE)},
        {"upstream": "other"},
    ],
)
def test_a_message_of_which_something_may_have_left_stays(engine: Engine, change: dict[str, Any]) -> None:
    record = mt(parts_total=2)
    its = [part_of(record, number=1, total=2, **change), part_of(record, number=2, total=2)]
    write(engine, messages.insert(record, its))
    assert read(engine, moves.page, UPSTREAM, 0, 10) == ([], None)
    assert read(engine, moves.waiting_one, UPSTREAM, record.id) is None


def test_a_message_that_was_only_refused_for_now_moves(engine: Engine) -> None:
    record, _ = stored(engine, 1, attempts=3, command_status=0x58)
    assert read(engine, moves.waiting_one, UPSTREAM, record.id).message == record


def test_what_an_operator_holds_moves_only_for_an_operator(engine: Engine) -> None:
    record, (first, _) = stored(engine)
    done(engine, operators.hold, operators.Held(record.id, UPSTREAM, ()), NOW)
    assert read(engine, moves.page, UPSTREAM, 0, 10) == ([], None)
    assert read(engine, moves.waiting_one, UPSTREAM, record.id) is None
    with engine.snapshot() as connection:
        waiting = moves.waiting_one(connection, UPSTREAM, record.id, kept=True)
    assert waiting is not None
    assert waiting.parts[0].id == first.id
    new = [part_of(record, upstream="other", state=PartState.HELD, flags=int(PartFlag.KEPT))]
    assert done(engine, moves.move, waiting, "other", "GSM7", new)
    assert parts_of(engine, record) == new


def test_the_queue_is_read_page_by_page(engine: Engine) -> None:
    records = [stored(engine)[0] for _ in range(5)]
    found: list[MessageRecord] = []
    after: int | None = 0
    for pages in range(1, 4):
        page, after = read(engine, moves.page, UPSTREAM, after, 2)
        found += [waiting.message for waiting in page]
        assert (after is None) == (pages == 3)
    assert found == records


def test_parts_whose_time_is_over_are_found_and_written_off_while_they_wait(engine: Engine) -> None:
    _, (over,) = stored(engine, 1, expires_at=NOW)
    _, (later,) = stored(engine, 1, expires_at=NOW + 1)
    _, (never,) = stored(engine, 1)
    record, (left,) = stored(engine, 1, expires_at=NOW, state=PartState.SENDING)
    assert read(engine, parts.overdue, UPSTREAM, NOW, 10) == [over.id]
    assert [item.part for item in read(engine, parts.queued, UPSTREAM, NOW, 10)] == [later, never]
    write(engine, [*parts.expire(over.id, NOW + 5), *parts.expire(left.id, NOW + 5)])
    assert read(engine, parts.overdue, UPSTREAM, NOW, 10) == []
    assert parts_of(engine, record) == [left]
    with engine.snapshot() as connection:
        row = connection.execute(select(part).where(part.c.id == over.id)).one()
    assert messages.part_record(row) == over._replace(state=PartState.EXPIRED, final_at=NOW + 5)


def test_the_rest_of_a_message_fails_with_the_part_that_was_refused(engine: Engine) -> None:
    record, its = stored(engine, 3)
    other, _ = stored(engine)
    write(engine, parts.record_sent(its[0].id, "1", NOW))
    write(
        engine,
        [*parts.record_failed(its[1].id, 0x0B, NOW + 1), *parts.fail_rest(record.id, 0x0B, NOW + 1)],
    )
    assert [(item.state, item.command_status) for item in parts_of(engine, record)] == [
        ("sent", 0),
        ("failed", 0x0B),
        ("failed", 0x0B),
    ]
    assert {item.state for item in parts_of(engine, other)} == {"queued"}


@pytest.mark.parametrize("state", [PartState.SENDING, PartState.IN_DOUBT])
@pytest.mark.parametrize("flags", [PartFlag(0), PartFlag.HOLD])
def test_a_part_that_was_on_its_way_when_its_message_failed_is_not_sent_again(
    engine: Engine, state: PartState, flags: PartFlag
) -> None:
    record, (first, second, _) = stored(engine, 3)
    with engine.transaction() as connection:
        values = {"state": state.value, "flags": int(flags)}
        connection.execute(update(part).where(part.c.id == first.id).values(**values))
    write(engine, [*parts.record_failed(second.id, 0x0B, NOW), *parts.fail_rest(record.id, 0x0B, NOW)])
    before, _, rest = parts_of(engine, record)
    assert (before.state, before.final_at, rest.state) == (state, None, "failed")
    write(engine, parts.settle_doubt(before, NOW + 1))
    after = parts_of(engine, record)[0]
    assert (after.state, after.final_at) == ("failed", NOW + 1)
    assert read(engine, parts.queued, UPSTREAM, NOW + 9, 10) == []


def test_a_part_that_was_on_its_way_when_its_message_failed_may_still_be_taken(engine: Engine) -> None:
    record, (first, second) = stored(engine, 2)
    write(engine, parts.mark_sending(first.id, 1, NOW))
    write(engine, [*parts.record_failed(second.id, 0x0B, NOW), *parts.fail_rest(record.id, 0x0B, NOW)])
    write(engine, parts.record_sent(first.id, "4d", NOW + 1))
    assert [item.state for item in parts_of(engine, record)] == ["sent", "failed"]


def test_what_an_operator_gives_up_takes_the_rest_of_its_message_along(engine: Engine) -> None:
    record, (first, *_) = stored(engine, 3)
    write(engine, parts.mark_sending(first.id, 1, NOW))
    write(engine, parts.mark_in_doubt(first.id))
    done(engine, parts.decide, [first.id], NOW + 9, resend=False)
    assert [(item.state, item.final_at) for item in parts_of(engine, record)] == [("failed", NOW + 9)] * 3


@pytest.mark.parametrize("by_queue", [True, False])
def test_what_is_on_its_way_comes_back_as_the_operator_wants_its_message(
    engine: Engine, by_queue: bool
) -> None:
    """The queue knows what is on its way before the table does."""
    for change, state in ((operators.hold, "held"), (operators.cancel, "failed")):
        record, (first, second) = stored(engine, 2)
        on_their_way = [first.id] if by_queue else []
        if not by_queue:
            write(engine, parts.mark_sending(first.id, 1, NOW))
        held = operators.Held(record.id, UPSTREAM, on_their_way)
        assert done(engine, change, held, NOW + 1) == [second.id]
        write(engine, parts.mark_sending(first.id, 1, NOW))
        write(engine, parts.requeue(first.id, NOW, 0, 0x58, NOW + 2))
        assert [item.state for item in parts_of(engine, record)] == [state, state]
    record, (first, second) = stored(engine, 2)
    write(engine, parts.mark_sending(first.id, 1, NOW))
    held = operators.Held(record.id, UPSTREAM, ())
    done(engine, operators.hold, held, NOW + 1)
    assert done(engine, operators.retry, held, NOW + 3) == [second.id]
    write(engine, parts.requeue(first.id, NOW, 0, 0x58, NOW + 4))
    assert [(item.state, item.flags) for item in parts_of(engine, record)] == [("queued", 0)] * 2


@pytest.mark.parametrize(
    ("state", "told", "taken"),
    [
        (PartState.HELD, None, True),
        (PartState.QUEUED, None, True),
        (PartState.IN_DOUBT, None, True),
        (PartState.SENDING, None, True),
        (PartState.FAILED, None, True),
        (PartState.EXPIRED, None, True),
        (PartState.FAILED, "UNDELIVERABLE", False),
        (PartState.SENT, None, False),
        (PartState.DELIVERED, "DELIVERED", False),
    ],
)
def test_a_late_response_counts_unless_a_receipt_or_a_response_told_more(
    engine: Engine, state: PartState, told: str | None, taken: bool
) -> None:
    record, (its,) = stored(engine, 1, state=state, attempts=2, receipt_state=told)
    assert done(engine, parts.record_late, its.id, "4d", NOW + 1) is taken
    (after,) = parts_of(engine, record)
    assert (after.state, after.smsc_message_id) == (("sent", "4d") if taken else (state, None))


def test_a_refusal_of_a_second_attempt_does_not_undo_the_first(engine: Engine) -> None:
    record, (its,) = stored(engine, 1, state=PartState.SENDING, attempts=2)
    assert done(engine, parts.record_late, its.id, "4d", NOW + 1)
    write(engine, parts.record_failed(its.id, 0x0B, NOW + 2))
    (after,) = parts_of(engine, record)
    assert (after.state, after.smsc_message_id, after.command_status) == ("sent", "4d", 0)


@pytest.mark.parametrize("resend", [True, False])
def test_an_operator_settles_a_doubt(engine: Engine, resend: bool) -> None:
    flags = int(PartFlag.HOLD)
    held_of, (held,) = stored(engine, 1, state=PartState.HELD, flags=flags)
    doubtful_of, (doubtful,) = stored(engine, 1, state=PartState.IN_DOUBT)
    sent_of, (sent,) = stored(engine, 1, state=PartState.SENT)
    assert [item.part.id for item in read(engine, parts.doubtful, UPSTREAM, 10)] == [held.id, doubtful.id]
    decided = done(engine, parts.decide, [sent.id, held.id, doubtful.id, ids.next()], NOW + 9, resend=resend)
    assert [(one.id, one.message_id) for one in decided] == [
        (held.id, held_of.id),
        (doubtful.id, doubtful_of.id),
    ]
    assert parts_of(engine, sent_of) == [sent]
    for record, before in ((held_of, held), (doubtful_of, doubtful)):
        (after,) = parts_of(engine, record)
        again = before._replace(state=PartState.QUEUED, flags=before.flags | PartFlag.POSSIBLE_DUPLICATE)
        ended = before._replace(state=PartState.FAILED, final_at=NOW + 9)
        assert after == (again if resend else ended)
    assert read(engine, parts.doubtful, UPSTREAM, 10) == []


def test_who_opted_out_gets_neither_the_part_that_is_about_to_leave_nor_what_waits_behind_it(
    engine: Engine,
) -> None:
    record, its = stored(engine, 4)
    other, _ = stored(engine, 1)
    write(engine, [*parts.record_sent(its[0].id, "1", NOW), *parts.mark_sending(its[1].id, 1, NOW)])
    write(engine, parts.mark_sending(its[3].id, 1, NOW))
    write(engine, parts.opt_out(its[1], NOW + 1))
    assert [(item.state, item.flags) for item in parts_of(engine, record)] == [
        ("sent", 0),
        ("failed", PartFlag.OPTED_OUT),
        ("failed", PartFlag.OPTED_OUT),
        ("sending", 0),
    ]
    assert [error_of(item) for item in parts_of(engine, record)] == [None, "opted_out", "opted_out", None]
    (waiting,) = read(engine, parts.queued, UPSTREAM, NOW, 10)
    assert (waiting.account_id, waiting.did, waiting.peer) == (other.account_id, other.did, other.peer)
