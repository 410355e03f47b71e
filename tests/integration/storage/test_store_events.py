"""The feed: nothing is skipped, whatever the order of commits; gaps are told; purging waits for followers."""

import pytest
from sqlalchemy import Connection

from storage import events, messages
from storage.engines import Engine, open_engine
from storage.events import Cursor, Kind
from storage.records import MessageRecord
from storage.statements import execute_all
from tests.samples import NOW, mo, mt
from tests.storing import done, indexed, read, stored, told, written


def insert(connection: Connection, record: MessageRecord) -> None:
    execute_all(connection, messages.insert(record))


def test_every_message_is_told_of_in_its_own_transaction(engine: Engine) -> None:
    received, queued, unowned = mo(), mt(account_id=2), mo(account_id=None, did_id=None)
    start = read(engine, events.start)
    stored(engine, received, queued, unowned)
    written(engine, events.record(2, Kind.MESSAGE_DELETED, queued.id, NOW))
    found = told(engine, start, None, 4)
    assert [(event.account_id, event.kind, event.subject_id) for event in found] == [
        (1, "message.received", received.id),
        (2, "message.queued", queued.id),
        (None, "message.received", unowned.id),
        (2, "message.deleted", queued.id),
    ]
    assert [event.subject_id for event in told(engine, start, 2, 2)] == [queued.id, queued.id]


def test_a_cursor_is_written_and_read() -> None:
    cursor = Cursor(1, 22, 333)
    assert Cursor.parse(str(cursor)) == cursor
    for written_wrongly in ("", "1-2", "1-2-x", "1--2", "1-2-3-4", "1-2-" + "9" * 30, "1-2-٣"):
        assert Cursor.parse(written_wrongly) is None


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_a_reader_never_skips_what_commits_late(engine: Engine) -> None:
    """Two writers; the one that wrote first commits last, and the reader polls at every step between."""
    other = open_engine(engine.url.render_as_string(hide_password=False))
    cursor = read(engine, events.start)
    seen: list[int] = []
    expected: list[int] = []

    def poll() -> None:
        nonlocal cursor
        batch = read(engine, events.read_after, cursor)
        seen.extend(event.subject_id for event in batch.events)
        cursor = batch.cursor

    for _ in range(10):
        early, late = mo(), mo(peer="+12025550142")
        with engine.writing.connect() as first, other.writing.connect() as second:
            slow = first.begin()
            insert(first, early)
            with second.begin():
                insert(second, late)
            poll()
            assert late.id not in seen  # it is committed, but something before it may come
            slow.commit()
        expected += [early.id, late.id]
        poll()
    while len(seen) < len(expected):
        poll()
    assert sorted(seen) == sorted(expected)
    other.close()


def test_what_is_rolled_back_is_not_told_and_stops_nobody(engine: Engine) -> None:
    start = read(engine, events.start)
    with engine.writing.connect() as connection:
        undone = connection.begin()
        insert(connection, mo())
        undone.rollback()
    stored(engine, kept := mo())
    assert [event.subject_id for event in told(engine, start, None, 1)] == [kept.id]


def test_purging_stops_at_what_is_young_and_at_what_a_follower_has_not_read(engine: Engine) -> None:
    start = read(engine, events.start)
    stored(engine, *(mo() for _ in range(3)))
    told(engine, start, None, 3)
    assert done(engine, events.purge, NOW + 1, 10) == 0
    indexed(engine)
    assert done(engine, events.purge, NOW, 10) == 0
    purged = 0
    while purged < 2:
        purged += done(engine, events.purge, NOW + 1, 2 - purged)
    batch = read(engine, events.read_after, start)
    assert batch.gap
    after = read(engine, events.start)
    assert len(told(engine, after, None, 1)) == 1


def test_a_cursor_that_nobody_was_given_has_a_gap(engine: Engine) -> None:
    stored(engine, mo(), mo())
    cursor = told_cursor(engine)
    for account_id in (1, None):
        batch = read(engine, events.read_after, cursor, account_id)
        assert (batch.gap, batch.events) == (False, ())
        beyond = cursor._replace(xact=cursor.xact + 10**9, id=cursor.id + 10**9)
        batch = read(engine, events.read_after, beyond, account_id)
        assert batch.gap
        assert batch.cursor == cursor


def test_a_store_put_back_begins_an_epoch_and_old_cursors_have_a_gap(engine: Engine) -> None:
    stored(engine, mo(), mo())
    cursor = told_cursor(engine)
    done(engine, events.begin_epoch)
    batch = read(engine, events.read_after, cursor)
    assert batch.gap
    assert batch.cursor.epoch == cursor.epoch + 1
    stored(engine, later := mo())
    assert [event.subject_id for event in told(engine, batch.cursor, None, 1)] == [later.id]
    assert indexed(engine) == 3  # the search has not missed what was there


def told_cursor(engine: Engine) -> Cursor:
    told(engine, read(engine, events.start), None, 2)
    return read(engine, events.head)


def test_an_id_is_not_given_again_after_a_purge(engine: Engine) -> None:
    stored(engine, mo())
    (first,) = told(engine, read(engine, events.start), None, 1)
    indexed(engine)
    while not done(engine, events.purge, NOW + 1, 10):
        pass
    stored(engine, mo())
    (second,) = told(engine, read(engine, events.start), None, 1)
    assert second.id > first.id
    done(engine, events.write, [(1, Kind.CONVERSATION_READ, 5, NOW)])
