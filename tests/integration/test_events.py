"""The feed for readers in a process: nothing skipped or told twice, whoever commits, however slow one is."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted
from sqlalchemy import Connection, text
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater

from edge import events as feed
from edge.events import Events, Subscription
from storage import events, messages, search
from storage.engines import Engine, open_engine
from storage.events import Cursor
from storage.ids import IdSource
from storage.records import MessageRecord
from storage.statements import execute_all
from storage.store import Store
from tests.samples import NOW, mo
from tests.storing import stored

pytestmark = pytest.mark.integration

reactor: Any = global_reactor
PATIENCE_SECONDS = 120.0  # a transaction of another test in the cluster may hold the horizon back for a while
ONLY_POSTGRESQL = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
KEPT = 10


@pytest.fixture(autouse=True)
def only_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found by looking from time to time: who is not woken waits until the test fails."""
    monkeypatch.setattr(feed, "LOOK_SECONDS", 3_600.0)
    monkeypatch.setattr(feed, "PACE_SECONDS", 0.001)


@pytest_twisted.async_yield_fixture
async def hub(store: Store) -> AsyncIterator[Events]:
    """It follows the store, and remembers little."""
    made = Events(store, reactor, reactor, KEPT)
    made.start()
    yield made
    await made.stop()


async def write(store: Store, *records: MessageRecord) -> None:
    """Each as a unit of its own."""
    await gatherResults([store.writer.write(messages.insert(record)) for record in records])


async def following(subscription: Subscription, count: int, page: list[int] | None = None) -> list[int]:
    """The subjects of the next events, at least so many; ``page`` gets the length of each answer."""
    found: list[int] = []
    while len(found) < count:
        batch = await subscription.next().addTimeout(PATIENCE_SECONDS, reactor)
        assert not batch.gap
        assert batch.events
        assert subscription.cursor == batch.cursor
        found += [event.subject_id for event in batch.events]
        if page is not None:
            page.append(len(batch.events))
    return found


def subjects(*records: MessageRecord) -> list[int]:
    return [record.id for record in records]


@pytest_twisted.ensureDeferred
async def test_a_reader_is_told_of_what_is_committed_from_now_on(store: Store, hub: Events) -> None:
    await write(store, mo())
    mine, all_of_it = await hub.subscribe(1), await hub.subscribe(None)
    waiting = following(mine, 2)
    records = [mo(), mo(account_id=2), mo(), mo(account_id=None, did_id=None)]
    asked = Deferred.fromCoroutine(waiting)
    for record in records:
        await write(store, record)
    assert await asked == subjects(records[0], records[2])
    assert await following(all_of_it, 4) == subjects(*records)
    assert hub.readers == 2
    mine.close()
    assert hub.readers == 1


@pytest_twisted.ensureDeferred
async def test_a_reader_goes_on_from_a_cursor_from_the_table_and_from_memory(
    store: Store, hub: Events
) -> None:
    first = await hub.subscribe(1)
    old = [mo() for _ in range(3 * KEPT)]
    await write(store, *old)
    await following(first, len(old))
    assert hub.remembered == KEPT
    start = await store.read(events.start)
    told = await following(await hub.subscribe(1, start), len(old))
    assert sorted(told) == subjects(*old)
    new = mo()
    await write(store, new)
    at_the_end = first.cursor
    assert await following(first, 1) == [new.id]
    again = await hub.subscribe(1, Cursor.parse(str(at_the_end)))
    assert await following(again, 1) == [new.id]


@pytest_twisted.ensureDeferred
async def test_a_slow_reader_costs_no_memory_and_misses_nothing(
    store: Store, hub: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE", 7)
    slow, quick = await hub.subscribe(1), await hub.subscribe(1)
    records = [mo() for _ in range(100)]
    reading = Deferred.fromCoroutine(following(quick, len(records)))
    for start in range(0, len(records), 20):
        await write(store, *records[start : start + 20])
        assert hub.remembered <= KEPT
    in_order = await reading
    assert sorted(in_order) == subjects(*records)
    pages: list[int] = []
    assert await following(slow, len(records), pages) == in_order
    assert max(pages) == 7


@pytest_twisted.ensureDeferred
async def test_a_reader_for_whom_nothing_happens_does_not_fall_behind(store: Store, hub: Events) -> None:
    idle, busy = await hub.subscribe(2), await hub.subscribe(1)
    waiting = idle.next()
    records = [mo() for _ in range(3 * KEPT)]
    await write(store, *records)
    await following(busy, len(records))
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    assert idle.cursor >= busy.cursor
    late = mo(account_id=2)
    await write(store, late)
    assert await following(idle, 1) == [late.id]


@pytest_twisted.ensureDeferred
async def test_nothing_is_lost_by_a_call_that_is_cancelled(store: Store, hub: Events) -> None:
    reader = await hub.subscribe(1)
    await write(store, first := mo())
    assert await following(reader, 1) == [first.id]
    for _ in range(3):
        waiting = reader.next()
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting
        await write(store, record := mo())
        assert await following(reader, 1) == [record.id]


@pytest_twisted.ensureDeferred
async def test_a_reader_from_before_a_purge_is_told_of_the_gap(store: Store, hub: Events) -> None:
    start = await store.read(events.start)
    reader = await hub.subscribe(1)
    await write(store, *(mo() for _ in range(2 * KEPT)))
    await following(reader, 2 * KEPT)
    await store.writer.run("index", lambda connection: search.index_next(connection, 100))
    while not await store.writer.run("purge", lambda conn: events.purge(conn, NOW + 1, 100)):
        pass
    late = await hub.subscribe(1, start)
    batch = await late.next()
    assert (batch.gap, batch.events) == (True, ())
    await write(store, record := mo())
    assert await following(late, 1) == [record.id]


@pytest_twisted.ensureDeferred
async def test_the_reading_goes_on_after_an_error_and_is_told_once(
    store: Store, hub: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = await hub.subscribe(1)
    waiting = Deferred.fromCoroutine(following(reader, 1))
    broken = [0]
    whole = events.read_after

    def failing(*_: Any, **__: Any) -> None:
        broken[0] += 1
        raise LookupError

    monkeypatch.setattr(events, "read_after", failing)
    await write(store, record := mo())
    while not broken[0]:
        await deferLater(reactor, 0.001)
    monkeypatch.setattr(events, "read_after", whole)
    hub.look()
    await write(store, mo())
    assert (await waiting)[0] == record.id


# -- transactions that commit in any order, and other processes ---------------------------------------------


@pytest.fixture
def other_engine(engine: Engine) -> Iterator[Engine]:
    """Of another process on the same store."""
    opened = open_engine(engine.url.render_as_string(hide_password=False))
    yield opened
    opened.close()


def insert(connection: Connection, record: MessageRecord) -> None:
    execute_all(connection, messages.insert(record))


@ONLY_POSTGRESQL
@pytest_twisted.ensureDeferred
async def test_what_commits_late_is_told_all_the_same_and_in_one_order(
    store: Store, hub: Events, other_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction of somebody else is open for long; who writes meanwhile is told after it."""
    monkeypatch.setattr(feed, "LOOK_SECONDS", 0.01)  # somebody else tells nobody when he commits
    start = await store.read(events.start)
    reader = await hub.subscribe(1)
    early, meanwhile = mo(), [mo(peer=f"+120255501{number}") for number in range(30)]
    with other_engine.writing.connect() as connection:
        long = connection.begin()
        insert(connection, early)
        waiting = reader.next()
        for record in meanwhile:
            await write(store, record)
        for _ in range(5):
            batch = await store.read(events.read_after, start)
            assert batch.events == ()
        assert not waiting.called
        long.commit()
    batch = await waiting.addTimeout(PATIENCE_SECONDS, reactor)
    told = [event.subject_id for event in batch.events]
    told += await following(reader, 1 + len(meanwhile) - len(told))
    assert told == subjects(early, *meanwhile)
    assert await following(await hub.subscribe(1, start), len(told)) == told


@ONLY_POSTGRESQL
@pytest_twisted.ensureDeferred
async def test_a_transaction_that_is_undone_at_last_holds_nothing_back(
    store: Store, hub: Events, other_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LOOK_SECONDS", 0.01)
    reader = await hub.subscribe(1)
    with other_engine.writing.connect() as connection:
        long = connection.begin()
        insert(connection, mo())
        await write(store, record := mo(peer="+12025550111"))
        long.rollback()
    assert await following(reader, 1) == [record.id]


@ONLY_POSTGRESQL
@pytest_twisted.ensureDeferred
async def test_another_process_is_heard(store: Store, hub: Events, other_engine: Engine) -> None:
    reader = await hub.subscribe(1)
    other = Store(other_engine, reactor, IdSource(1, lambda: NOW))
    await other.open()
    telling = Events(other, reactor, reactor)
    telling.start()
    for number in range(3):
        await write(other, record := mo())
        assert await following(reader, 1) == [record.id]
        if number == 1:
            await store.in_thread(lambda: end_the_listening(store.engine))
    await telling.stop()
    await other.close()


def end_the_listening(engine: Engine) -> None:
    """As when a firewall forgets the connection; on return there is a new one."""
    query = text(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    with engine.transaction() as connection:
        gone = set(connection.scalars(query))
        assert gone
        for process in gone:
            connection.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})
    back: set[int] = set()
    while len(back) < len(gone):
        with engine.transaction() as connection:
            back = set(connection.scalars(query)) - gone


@pytest_twisted.ensureDeferred
async def test_many_writers_and_readers_of_each_kind(
    store: Store, hub: Events, other_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes write at once (on SQLite one after the other); all readers are told the same."""
    monkeypatch.setattr(feed, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(feed, "PAGE", 20)
    start = await store.read(events.start)
    readers = [await hub.subscribe(1) for _ in range(3)]
    records = [mo(peer=f"+1202555{number:04d}") for number in range(120)]
    reading = [Deferred.fromCoroutine(following(reader, len(records))) for reader in readers]

    def write_too() -> None:
        for record in records[::3]:
            stored(other_engine, record)

    others = store.in_thread(write_too)
    await write(store, *records[1::3])
    await others
    await write(store, *records[2::3])
    told = await gatherResults(reading)
    assert sorted(told[0]) == sorted(subjects(*records))
    assert told[1:] == [told[0], told[0]]
    assert await following(await hub.subscribe(1, start), len(records)) == told[0]


@pytest.mark.parametrize("ahead", ["epoch", "place"])
@pytest_twisted.ensureDeferred
async def test_a_reader_with_a_cursor_of_another_feed_is_told_once_and_goes_on(
    store: Store, hub: Events, ahead: str
) -> None:
    """The store was put back to before what he has read."""
    before = await hub.subscribe(1)
    await write(store, mo())
    await following(before, 1)  # another transaction in the cluster may hold the head back
    head = await store.read(events.head)
    other = head._replace(epoch=head.epoch + 1, id=1) if ahead == "epoch" else head._replace(id=head.id + 999)
    reader = await hub.subscribe(
        1, other if store.engine.name == "sqlite" else other._replace(xact=head.xact + 999)
    )
    assert (await reader.next()).gap
    new = mo()
    await write(store, new)
    assert await following(reader, 1) == subjects(new)


@ONLY_POSTGRESQL
@pytest_twisted.ensureDeferred
async def test_what_was_behind_the_horizon_when_it_was_heard_of_comes_all_the_same(
    store: Store, hub: Events
) -> None:
    reader = await hub.subscribe(1)
    asked = Deferred.fromCoroutine(following(reader, 1))
    with store.engine.writing.connect() as other:
        other.exec_driver_sql("SELECT pg_current_xact_id()")  # a transaction that writes, of whomever
        await write(store, record := mo())
        await deferLater(reactor, 0.2)  # the notice of it is heard meanwhile
        assert not asked.called
        other.rollback()
    assert await asked == [record.id]
