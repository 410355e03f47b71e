"""What becomes of a message is told once, in the transaction that changes its parts, whoever changes them."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection, select

from storage import messages, operators, parts, progress, receipts
from storage.engines import Engine, open_engine
from storage.operators import Held
from storage.progress import Change
from storage.receipts import Report
from storage.records import PartRecord, PartState
from storage.tables import event
from tests.samples import NOW, UPSTREAM, mt, part_of, receipt_for
from tests.storing import done, read, written

QUEUED = ["message.queued"]


def stored(
    engine: Engine, count: int = 1, state: PartState = PartState.SENDING, **more: Any
) -> list[PartRecord]:
    """The parts of a stored message, the first in this state."""
    record = mt(parts_total=count, **more)
    rows = [part_of(record, number=number, total=count) for number in range(1, count + 1)]
    rows[0] = rows[0]._replace(state=state)
    written(engine, messages.insert(record, rows))
    return rows


def kinds(engine: Engine, message_id: int) -> list[str]:
    """What was told of a message, in order."""
    query = select(event.c.kind).where(event.c.subject_id == message_id).order_by(event.c.xact, event.c.id)
    with engine.snapshot() as connection:
        return list(connection.scalars(query))


def sent(engine: Engine, *rows: PartRecord, now: int = NOW) -> None:
    """The upstream took these, all in one batch."""
    done(engine, _take, rows, now)


def _take(connection: Connection, rows: Sequence[PartRecord], now: int = NOW) -> None:
    changes = [
        Change(parts.record_sent(row.id, f"id{row.id}", now), progress.of_many([row]), now) for row in rows
    ]
    progress.apply(connection, changes)


def reported(engine: Engine, *rows: PartRecord, state: str = "delivered", now: int = NOW) -> None:
    """Receipts for these parts, all in one batch."""
    done(engine, receipts.store_and_match_all, [_report(row, state) for row in rows], now)


def _report(row: PartRecord, state: str, whole: bool = False) -> Report:
    final = None if state == "sent" else state
    record = receipt_for(f"id{row.id}", part_state=final, state=state.upper())
    return Report(record, [record.smsc_message_id], whole=whole)


def test_a_message_of_one_part_is_told_of_from_queue_to_phone(engine: Engine) -> None:
    (row,) = stored(engine, account_id=7)
    sent(engine, row, now=NOW + 5)
    reported(engine, row, now=NOW + 9)
    query = select(event.c.account_id, event.c.kind, event.c.at).where(event.c.subject_id == row.message_id)
    with engine.snapshot() as connection:
        found = [tuple(line) for line in connection.execute(query.order_by(event.c.id))]
    assert found == [
        (7, "message.queued", NOW),
        (7, "message.sent", NOW + 5),
        (7, "message.delivered", NOW + 9),
    ]


def test_what_changes_nothing_is_not_told(engine: Engine) -> None:
    (row,) = stored(engine)
    sent(engine, row)
    sent(engine, row)
    reported(engine, row, state="sent")
    reported(engine, row)
    reported(engine, row)
    sent(engine, row)
    written(engine, parts.record_failed(row.id, 8, NOW), parts.expire(row.id, NOW))
    assert done(engine, parts.record_late, row.id, "9", NOW) is False
    assert kinds(engine, row.message_id) == [*QUEUED, "message.sent", "message.delivered"]


def test_of_many_parts_it_is_the_last_that_makes_the_message(engine: Engine) -> None:
    first, second = stored(engine, 2)
    sent(engine, first)
    assert kinds(engine, first.message_id) == QUEUED
    sent(engine, second)
    reported(engine, first)
    assert kinds(engine, first.message_id) == [*QUEUED, "message.sent"]
    reported(engine, second)
    assert kinds(engine, first.message_id) == [*QUEUED, "message.sent", "message.delivered"]


def test_many_parts_in_one_batch_are_told_once(engine: Engine) -> None:
    rows = stored(engine, 3)
    (alone,) = stored(engine)
    sent(engine, *rows, alone)
    reported(engine, *rows, alone)
    for row in (rows[0], alone):
        assert kinds(engine, row.message_id) == [*QUEUED, "message.sent", "message.delivered"]


def test_a_message_that_had_failed_and_came_all_the_same(engine: Engine) -> None:
    (row,) = stored(engine)
    sent(engine, row)
    reported(engine, row, state="failed")
    reported(engine, row)
    assert kinds(engine, row.message_id)[2:] == ["message.failed", "message.delivered"]


def test_what_is_undone_was_not_told(engine: Engine) -> None:
    (row,) = stored(engine)
    with engine.writing.connect() as connection:
        undone = connection.begin()
        _take(connection, [row])
        undone.rollback()
    assert kinds(engine, row.message_id) == QUEUED
    sent(engine, row)
    assert kinds(engine, row.message_id) == [*QUEUED, "message.sent"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda conn, row: operators.cancel(conn, _held(row), NOW), ["message.failed"]),
        (lambda conn, row: operators.hold(conn, _held(row), NOW), []),  # in no doubt
        (lambda conn, row: operators.retry(conn, _held(row), NOW), []),
        (lambda conn, row: _apply(conn, row, parts.expire(row.id, NOW)), ["message.failed"]),
        (lambda conn, row: _apply(conn, row, parts.record_failed(row.id, 11, NOW)), ["message.failed"]),
        (lambda conn, row: _apply(conn, row, parts.requeue(row.id, NOW, 0, 88, NOW)), []),
        (lambda conn, row: parts.record_late(conn, row.id, "late", NOW), ["message.sent"]),
    ],
)
def test_whatever_changes_a_part_that_waits(
    engine: Engine, change: Callable[[Connection, PartRecord], Any], told: list[str]
) -> None:
    (row,) = stored(engine, state=PartState.QUEUED)
    done(engine, change, row)
    assert kinds(engine, row.message_id) == [*QUEUED, *told]


def test_a_doubt_and_its_end(engine: Engine) -> None:
    (row,) = stored(engine)
    done(engine, _apply, row, parts.mark_in_doubt(row.id))
    done(engine, parts.decide, [row.id], NOW, resend=False)
    assert kinds(engine, row.message_id) == [*QUEUED, "message.in_doubt", "message.failed"]


def _held(row: PartRecord) -> Held:
    return Held(row.message_id, UPSTREAM, ())


def _apply(connection: Connection, row: PartRecord, writes: Any) -> None:
    progress.apply(connection, [Change(writes, [row.id], NOW)])


def _random_change(draw: random.Random, row: PartRecord) -> Callable[[Connection], Any]:
    """One of all the ways in which a part may be changed."""
    writes = [
        parts.mark_sending(row.id, 1, NOW),
        parts.record_failed(row.id, 11, NOW),
        parts.requeue(row.id, NOW, 0, None, NOW),
        parts.hold(row.id, NOW),
        parts.mark_in_doubt(row.id),
        parts.expire(row.id, NOW),
    ]
    with_rest = [*parts.record_failed(row.id, 11, NOW), *parts.fail_rest(row.message_id, 11, NOW)]
    functions: list[Callable[[Connection], Any]] = [
        lambda conn: _take(conn, [row]),
        lambda conn: parts.record_late(conn, row.id, f"id{row.id}", NOW),
        lambda conn: parts.decide(conn, [row.id], NOW, resend=draw.random() < 0.5),
        lambda conn: operators.hold(conn, _held(row), NOW),
        lambda conn: operators.retry(conn, _held(row), NOW),
        lambda conn: operators.cancel(conn, _held(row), NOW),
        lambda conn: receipts.inherit(conn, row.id, NOW),
        lambda conn: receipts.refute(conn, row.id, lambda told: ([told], ()), NOW),
    ]
    states = ("delivered", "failed", "sent")
    reports = [_report(row, state, whole) for state in states for whole in (False, True)]
    functions += [partial(_receive, report) for report in reports]
    functions += [partial(_apply, row=row, writes=some) for some in (*writes, with_rest)]
    return draw.choice(functions)


def _receive(report: Report, connection: Connection) -> None:
    receipts.store_and_match_all(connection, [report], NOW)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_whatever_happens_what_is_told_is_what_changed(engine: Engine, count: int) -> None:
    """Any change after any other: an event for each step of the derived status that is told, and no more."""
    draw = random.Random(count)
    for _ in range(15):
        rows = stored(engine, count)
        identity, expected, status = rows[0].message_id, list(QUEUED), "queued"
        for _ in range(12):
            done(engine, _random_change(draw, draw.choice(rows)))
            view = read(engine, messages.find, identity)
            assert view is not None
            before, status = status, messages.status_of(view.message, view.parts)
            if status != before and status in progress.TOLD:
                expected.append(f"message.{status}")
        assert kinds(engine, identity) == expected


@contextmanager
def _another(engine: Engine) -> Iterator[Engine]:
    other = open_engine(engine.url.render_as_string(hide_password=False))
    yield other
    other.close()


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_two_servers_that_end_a_message_together_tell_it_once(engine: Engine) -> None:
    """Each has the receipt of one part; the later has to see what the earlier made of the other one."""
    first, second = stored(engine, 2)
    sent(engine, first, second)
    with _another(engine) as other, engine.writing.connect() as connection:
        mine = connection.begin()
        receipts.store_and_match_all(connection, [_report(first, "delivered")], NOW)
        theirs = Thread(target=reported, args=(other, second))
        theirs.start()
        _wait_until_blocked(engine)
        mine.commit()
        theirs.join()
    assert kinds(engine, first.message_id) == [*QUEUED, "message.sent", "message.delivered"]


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_an_answer_that_waits_for_a_receipt_on_another_server_is_no_news(engine: Engine) -> None:
    (row,) = stored(engine)
    written(engine, parts.mark_in_doubt(row.id))
    with _another(engine) as other, engine.writing.connect() as connection:
        mine = connection.begin()
        _take(connection, [row])
        theirs = Thread(target=sent, args=(other, row))
        theirs.start()
        _wait_until_blocked(engine)
        mine.commit()
        theirs.join()
    assert kinds(engine, row.message_id) == [*QUEUED, "message.sent"]


def _wait_until_blocked(engine: Engine) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while True:
        with engine.snapshot() as connection:
            if connection.exec_driver_sql(waiting).scalar():
                return
