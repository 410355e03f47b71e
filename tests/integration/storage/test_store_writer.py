"""Group commit on the real reactor, on both engines."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from sqlalchemy import Connection, func, select, text
from structlog.testing import capture_logs
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorFromThreads

from storage import messages, writer
from storage.engines import Engine, open_engine
from storage.errors import NotDurable, SchemaMismatch, StoreClosed, StoreUnavailable
from storage.highest import highest_id
from storage.ids import EPOCH_MS, IdSource
from storage.store import Store
from storage.tables import message
from storage.writer import Writer
from tests import samples

reactor = cast(IReactorFromThreads, global_reactor)


class Gate:
    """A unit that keeps the writer busy until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()

    def __call__(self, _: Connection) -> str:
        self.entered.set()
        assert self._open.wait(20)
        return "through"

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


def stored(engine: Engine) -> set[int]:
    with engine.snapshot() as connection:
        return set(connection.scalars(select(message.c.id)))


@pytest_twisted.ensureDeferred
async def test_what_comes_while_a_batch_is_at_work_is_one_commit(store: Store, gate: Gate) -> None:
    busy = store.writer.run("gate", gate)
    gate.entered.wait(10)
    waiting = [store.writer.write(messages.insert(samples.mo())) for _ in range(50)]
    assert store.writer.pending == 51
    gate.open()
    assert await busy == "through"
    await gatherResults(waiting)
    assert store.writer.batches == 2
    assert (store.writer.units, store.writer.rows, store.writer.failures) == (51, 3 * 50, 0)
    assert store.writer.pending == 0
    assert store.writer.commit_seconds > 0


@pytest_twisted.ensureDeferred
async def test_a_batch_has_a_limit_in_units_and_in_rows(
    store: Store, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_UNITS", 10)
    monkeypatch.setattr(writer, "MAX_ROWS", 30)
    busy = store.writer.run("gate", gate)
    gate.entered.wait(10)
    small = [store.writer.write(messages.insert(samples.mo())) for _ in range(25)]
    long = [samples.mt() for _ in range(2)]
    large = [
        store.writer.write(messages.insert(one, [samples.part_of(one) for _ in range(40)])) for one in long
    ]
    everything: list[Deferred[Any]] = [busy, *small, *large]
    gate.open()
    await gatherResults(everything)
    # the gate; ten; ten; five and the first large one; the second large one
    assert store.writer.batches == 5


@pytest_twisted.ensureDeferred
async def test_a_deferred_fires_when_others_see_the_row(store: Store, store_url: str) -> None:
    other = open_engine(store_url)
    record = samples.mo()
    seen = []
    written = store.writer.write(messages.insert(record))
    written.addCallback(lambda _: seen.append(stored(other)))
    await written
    assert seen == [{record.id}]
    other.close()


@pytest_twisted.ensureDeferred
async def test_nothing_fires_and_nothing_shows_before_the_commit(store: Store, gate: Gate) -> None:
    early = store.writer.write(messages.insert(samples.mo()))
    busy = store.writer.run("gate", gate)
    late = store.writer.write(messages.insert(samples.mo()))
    gate.entered.wait(10)
    before = await store.read(lambda connection: connection.scalar(select(func.count()).select_from(message)))
    assert before == (1 if early.called else 0)
    assert not busy.called
    assert not late.called
    gate.open()
    everything: list[Deferred[Any]] = [early, busy, late]
    await gatherResults(everything)
    assert len(stored(store.engine)) == 2


@pytest_twisted.ensureDeferred
async def test_a_failed_unit_fails_alone(store: Store) -> None:
    there = samples.mo()
    await store.writer.write(messages.insert(there))
    good, bad = store.writer.write(messages.insert(samples.mo())), store.writer.write(messages.insert(there))
    with pytest.raises(Exception, match=r"(?i)unique"):
        await bad
    await good
    assert store.writer.failures == 1
    assert len(stored(store.engine)) == 2


@pytest_twisted.ensureDeferred
async def test_results_and_errors_of_functions_come_back(store: Store) -> None:
    assert await store.writer.run("sum", lambda connection: connection.scalar(text("SELECT 1 + 1"))) == 2
    with pytest.raises(ZeroDivisionError):
        await store.writer.run("wrong", lambda _: 1 // 0)
    doubled = [store.writer.collect("double", double, item) for item in (1, 2, 3)]
    assert await gatherResults(doubled) == [2, 4, 6]


def double(_: Connection, items: list[int]) -> list[int]:
    return [item * 2 for item in items]


@pytest_twisted.ensureDeferred
async def test_cancelling_gives_up_waiting_not_the_unit(store: Store, gate: Gate) -> None:
    busy = store.writer.run("gate", gate)
    record = samples.mo()
    given_up = store.writer.write(messages.insert(record))
    given_up.addErrback(lambda _: None)
    given_up.cancel()
    gate.open()
    await busy
    await store.writer.run("later", lambda _: None)
    assert stored(store.engine) == {record.id}


@pytest_twisted.ensureDeferred
async def test_stopping_commits_what_waits_and_takes_no_more(engine: Engine, gate: Gate) -> None:
    stopping = Writer(engine, reactor)
    stopping.start()
    busy = stopping.run("gate", gate)
    gate.entered.wait(10)
    record = samples.mo()
    waiting = stopping.write(messages.insert(record))
    stopped = stopping.stop()
    late = stopping.write(messages.insert(samples.mo()))
    with pytest.raises(StoreClosed):
        await late
    assert not stopped.called
    gate.open()
    await stopped
    assert busy.called
    assert waiting.called
    assert stored(engine) == {record.id}
    await stopping.stop()


@pytest_twisted.ensureDeferred
async def test_a_writer_that_never_started_stops(engine: Engine) -> None:
    idle = Writer(engine, reactor)
    waiting = idle.write(messages.insert(samples.mo()))
    await idle.stop()
    with pytest.raises(StoreClosed):
        await waiting
    assert idle.pending == 0


@pytest_twisted.ensureDeferred
async def test_while_the_store_is_awaited_at_the_start_nothing_is_handed_in(engine: Engine) -> None:
    idle = Writer(engine, reactor)
    idle.store_is_away()
    refused = messages.insert(samples.mo())
    with pytest.raises(StoreUnavailable):
        await idle.write(refused)
    idle.start()
    kept = samples.mo()
    await idle.write(messages.insert(kept))
    await idle.stop()
    assert stored(engine) == {kept.id}, "what was refused is not done later"


@pytest_twisted.ensureDeferred
async def test_an_outage_is_told_once_and_ends(store_url: str) -> None:
    engine, other = open_engine(store_url, lock_wait=0.1), open_engine(store_url)
    store = Store(engine, reactor, IdSource(0, lambda: samples.NOW))
    await store.open()
    with capture_logs() as logs:
        with other.transaction() as holding:
            if engine.name == "postgresql":
                holding.execute(text("LOCK TABLE message IN ACCESS EXCLUSIVE MODE"))
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await store.writer.write(messages.insert(samples.mo()))
        await store.writer.write(messages.insert(samples.mo()))
    assert [entry["event"] for entry in logs] == ["store_unavailable", "store_available_again"]
    assert store.writer.failures == 3
    assert len(stored(other)) == 1
    await store.close()
    other.close()


@pytest_twisted.ensureDeferred
async def test_many_at_once_are_all_there(store: Store) -> None:
    records = [samples.mo() for _ in range(2_500)]
    await gatherResults([store.writer.write(messages.insert(record)) for record in records])
    assert stored(store.engine) == {record.id for record in records}
    assert store.writer.batches < 100


@pytest_twisted.ensureDeferred
async def test_a_read_must_not_return_a_live_result(store: Store) -> None:
    with pytest.raises(TypeError, match="live result"):
        await store.read(lambda connection: connection.execute(select(message)))


@pytest_twisted.ensureDeferred
async def test_reads_pass_arguments_results_and_errors(store: Store) -> None:
    assert await store.read(messages.search, 1, limit=3) == []
    with pytest.raises(ZeroDivisionError):
        await store.read(lambda _: 1 // 0)


@pytest_twisted.ensureDeferred
async def test_ids_go_on_above_what_is_stored(engine: Engine) -> None:
    with engine.transaction() as connection:
        connection.execute(message.insert().values(samples.mo(id=2**52)._asdict()))
        assert highest_id(connection) == 2**52
    store = Store(engine, reactor, IdSource(0, lambda: EPOCH_MS))
    await store.open()
    assert store.ids.next() > 2**52
    await store.close()


@pytest_twisted.ensureDeferred
async def test_a_store_without_schema_is_not_opened(empty_store_url: str) -> None:
    store = Store(open_engine(empty_store_url), reactor, IdSource(0, lambda: samples.NOW))
    with pytest.raises(SchemaMismatch, match="trunkline db upgrade"):
        await store.open()
    await store.close()
    with pytest.raises(StoreClosed):
        await store.read(messages.search, 1)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_a_store_that_does_not_sync_is_not_opened(store_url: str) -> None:
    store = Store(open_engine(f"{store_url}?synchronous=normal"), reactor, IdSource(0, lambda: samples.NOW))
    with pytest.raises(NotDurable):
        await store.open()
    allowed = open_engine(f"{store_url}?synchronous=normal", allow_non_durable=True)
    store = Store(allowed, reactor, IdSource(0, lambda: samples.NOW))
    await store.open()
    await store.close()


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/no/such/folder/store.db", "postgresql://nobody@127.0.0.1:1/nothing"):
        store = Store(open_engine(url), reactor, IdSource(0, lambda: samples.NOW))
        with pytest.raises(StoreUnavailable):
            await store.open()


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_reads_survive_the_loss_of_their_connections(store: Store, store_url: str) -> None:
    await gatherResults([store.read(messages.search, 1) for _ in range(4)])
    other = open_engine(store_url)
    with other.transaction() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert await gatherResults([store.read(messages.search, 1) for _ in range(8)]) == [[]] * 8
    other.close()


@pytest_twisted.ensureDeferred
async def test_behind_a_batch_that_is_stuck_units_are_refused_at_once(engine: Engine, gate: Gate) -> None:
    stuck = Writer(engine, reactor, stall_seconds=0.05)
    busy = stuck.run("gate", gate)
    before = stuck.write(messages.insert(samples.mo()))
    stuck.start()
    while is_available(stuck):
        await turn()
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="nothing was handed in"):
                await stuck.write(messages.insert(samples.mo()))
        assert not before.called, "what was handed in has an outcome to wait for"
        gate.open()
        await busy
        await before
    assert [entry["event"] for entry in logs] == ["store_unavailable", "store_available_again"]
    assert len(stored(engine)) == 1
    await stuck.stop()


def is_available(asked: Writer) -> bool:
    return asked.available


def turn() -> Deferred[None]:
    """One turn of the reactor."""
    done: Deferred[None] = Deferred()
    reactor.callFromThread(done.callback, None)
    return done


@pytest_twisted.ensureDeferred
async def test_a_store_that_comes_and_goes_is_told_of_seldom(store: Store) -> None:
    def fail(_: Connection) -> None:
        raise StoreUnavailable("on purpose")

    with capture_logs() as logs:
        for _ in range(20):
            with pytest.raises(StoreUnavailable):
                await store.writer.run("gone", fail)
            await store.probe()
    assert [entry["event"] for entry in logs] == ["store_unavailable", "store_available_again"]


@pytest_twisted.ensureDeferred
async def test_a_read_that_finds_no_store_makes_the_writer_find_out(store: Store) -> None:
    def gone(_: Connection) -> None:
        raise StoreUnavailable("on purpose")

    asked = store.writer.units
    with pytest.raises(StoreUnavailable):
        await store.read(gone)
    await store.writer.run("later", lambda _: None)
    assert store.writer.units == asked + 2
    assert store.writer.available


@pytest_twisted.ensureDeferred
async def test_only_a_commit_of_no_less_than_what_failed_shows_that_the_store_is_back(store: Store) -> None:
    """On a disk that is all but full the small ones go through, one after another."""

    def fail(_: Connection) -> None:
        raise StoreUnavailable("on purpose")

    async def lose(rows: int) -> None:
        gated = Gate()
        busy = store.writer.run("gate", gated)
        gated.entered.wait(10)
        lost = [store.writer.write(messages.insert(samples.mo())) for _ in range(rows)]
        failing = store.writer.run("gone", fail)
        gated.open()
        await busy
        for each in (*lost, failing):
            with pytest.raises(StoreUnavailable):
                await each

    await lose(2)
    await store.writer.run("small", lambda connection: connection.scalar(text("SELECT 1")))
    await store.writer.write(messages.insert(samples.mo()))
    assert not store.writer.available
    await store.probe()
    assert is_available(store.writer)
    await lose(1)
    assert not is_available(store.writer)
    await store.writer.write(messages.insert(samples.mo()))
    assert is_available(store.writer)
