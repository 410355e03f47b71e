"""One transaction for many units, on both engines: who fails, and what is left when the store does."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from storage import messages, parts
from storage.batch import Transactor, Unit
from storage.engines import Engine, open_engine
from storage.errors import NotDurable, StoreUnavailable
from storage.records import MessageFlag
from storage.statements import Writes
from storage.tables import message
from tests import samples
from tests.integration.storage.proxy import CuttingProxy

LOCK_WAIT = 0.2


@pytest.fixture
def quick(store_url: str) -> Iterator[Engine]:
    """An engine that gives up early on locks."""
    engine = open_engine(store_url, lock_wait=LOCK_WAIT)
    yield engine
    engine.close()


@pytest.fixture
def transactor(quick: Engine) -> Iterator[Transactor]:
    opened = Transactor(quick)
    yield opened
    opened.close()


def writing(writes: Writes) -> Unit:
    return Unit("write", Deferred(), writes)


def calling(fn: Callable[[Connection], object]) -> Unit:
    return Unit("run", Deferred(), fn=fn)


def collecting(fn: Callable[[Connection, list[Any]], Any], item: object) -> Unit:
    return Unit("collect", Deferred(), fn=fn, item=item, collected=True)


def error_of(unit: Unit) -> BaseException:
    assert isinstance(unit.outcome, Failure), unit.outcome
    assert unit.outcome.value is not None
    return unit.outcome.value


def stored(engine: Engine) -> set[int]:
    """The messages that another connection sees."""
    with engine.snapshot() as connection:
        return set(connection.scalars(select(message.c.id)))


def raising(connection: Connection) -> None:
    connection.execute(insert(message).values(samples.mo(id=7)._asdict()))
    raise LookupError("on purpose")


def test_plain_writes_of_all_units_are_committed(quick: Engine, transactor: Transactor) -> None:
    records = [samples.mo() for _ in range(103)]
    units = [writing(messages.insert(record, [samples.part_of(record)])) for record in records]
    transactor.commit(units)
    assert [unit.outcome for unit in units] == [None] * 103
    assert stored(quick) == {record.id for record in records}


def test_a_record_comes_back_as_it_went(quick: Engine, transactor: Transactor) -> None:
    record = samples.mo(
        text="é€^{}[]~|\\ 👩🏽‍👩🏽‍👧 + & # % =\n\t\r\\N مرحبا",
        account_id=None,
        raw=bytes(range(256)),
        fingerprint=b"\\x00\\",
        flags=MessageFlag.INCOMPLETE | MessageFlag.UNDECODABLE,
        duplicate_of=2**53 - 1,
    )
    for copy in (record, record._replace(id=record.id + 1)):
        transactor.commit([writing(messages.insert(copy))])
    many = [record._replace(id=record.id + number) for number in range(2, 60)]
    transactor.commit([writing(messages.insert(copy)) for copy in many])
    with quick.snapshot() as connection:
        rows = [tuple(row) for row in connection.execute(select(message).order_by(message.c.id))]
    assert rows == [tuple(record._replace(id=record.id + number)) for number in range(60)]


def test_a_repeated_key_fails_its_unit_and_no_other(quick: Engine, transactor: Transactor) -> None:
    there, before, after = samples.mo(), samples.mo(), samples.mo()
    transactor.commit([writing(messages.insert(there))])
    half = samples.mo()
    units = [
        writing(messages.insert(before)),
        writing([*messages.insert(half), *messages.insert(there)]),
        writing(messages.insert(after)),
    ]
    transactor.commit(units)
    assert [units[0].outcome, units[2].outcome] == [None, None]
    assert "unique" in str(error_of(units[1])).lower()
    assert not isinstance(error_of(units[1]), StoreUnavailable)
    assert stored(quick) == {there.id, before.id, after.id}


def test_a_function_that_raises_undoes_its_own_writes_only(quick: Engine, transactor: Transactor) -> None:
    plain, other = samples.mo(), samples.mo()
    units = [
        writing(messages.insert(plain)),
        calling(raising),
        calling(lambda connection: bool(connection.execute(insert(message).values(other._asdict())))),
    ]
    transactor.commit(units)
    assert isinstance(error_of(units[1]), LookupError)
    assert [units[0].outcome, units[2].outcome] == [None, True]
    assert stored(quick) == {plain.id, other.id}


def test_a_statement_that_fails_in_a_function_fails_it_alone(quick: Engine, transactor: Transactor) -> None:
    plain = samples.mo()
    twice = [insert(message).values(samples.mo(id=9)._asdict())] * 2
    units = [
        calling(lambda connection: [connection.execute(clause) for clause in twice]),
        calling(lambda connection: connection.execute(text("SELECT nothing FROM nowhere"))),
        writing(messages.insert(plain)),
    ]
    transactor.commit(units)
    assert isinstance(error_of(units[0]), IntegrityError)
    assert not isinstance(error_of(units[1]), StoreUnavailable)
    assert stored(quick) == {plain.id}


def test_functions_see_the_writes_of_their_batch(transactor: Transactor) -> None:
    count = calling(lambda connection: connection.scalar(select(func.count()).select_from(message)))
    transactor.commit([count, writing(messages.insert(samples.mo()))])
    assert count.outcome == 1


def test_a_unit_may_change_what_it_inserts(quick: Engine, transactor: Transactor) -> None:
    first, second = samples.mt(), samples.mt()
    there, new = samples.part_of(first), samples.part_of(second)
    transactor.commit([writing(messages.insert(first, [there]))])
    units = [
        writing(parts.mark_sending(there.id, 1, samples.NOW)),
        writing([*messages.insert(second, [new]), *parts.mark_sending(new.id, 1, samples.NOW)]),
    ]
    transactor.commit(units)
    assert [unit.outcome for unit in units] == [None, None]
    with quick.snapshot() as connection:
        assert [item.part.id for item in parts.unanswered(connection, samples.UPSTREAM)] == [there.id, new.id]


def test_collected_items_are_one_call(transactor: Transactor) -> None:
    calls = []

    def double(_: Connection, items: list[int]) -> list[int]:
        calls.append(items)
        return [item * 2 for item in items]

    units = [collecting(double, 1), calling(lambda _: "between"), collecting(double, 2)]
    transactor.commit(units)
    assert [unit.outcome for unit in units] == [2, "between", 4]
    assert calls == [[1, 2]]


def test_a_bad_item_fails_alone(transactor: Transactor) -> None:
    def invert(_: Connection, items: list[int]) -> list[float]:
        return [1 / item for item in items]

    units = [collecting(invert, item) for item in (2, 0, 4)]
    transactor.commit(units)
    assert [units[0].outcome, units[2].outcome] == [0.5, 0.25]
    assert isinstance(error_of(units[1]), ZeroDivisionError)


def test_a_call_with_too_few_results_fails(transactor: Transactor) -> None:
    units = [collecting(lambda _, items: [], item) for item in (1,)]
    transactor.commit(units)
    assert isinstance(error_of(units[0]), ValueError)


def test_a_locked_store_refuses_and_recovers(quick: Engine, transactor: Transactor, store_url: str) -> None:
    locked, later = samples.mo(), samples.mo()
    other = open_engine(store_url)
    with other.transaction() as holding:
        if quick.name == "postgresql":
            holding.execute(text("LOCK TABLE message IN ACCESS EXCLUSIVE MODE"))
        units = [writing(messages.insert(locked)), calling(raising)]
        transactor.commit(units)
    assert [type(error_of(unit)) for unit in units] == [StoreUnavailable] * 2
    other.close()
    again = writing(messages.insert(later))
    transactor.commit([again])
    assert again.outcome is None
    assert stored(quick) == {later.id}


def test_a_locked_store_refuses_commands_too(quick: Engine, store_url: str) -> None:
    other = open_engine(store_url)
    with other.transaction() as holding:
        if quick.name == "postgresql":
            holding.execute(text("LOCK TABLE message IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StoreUnavailable), quick.transaction() as connection:
            connection.execute(insert(message).values(samples.mo()._asdict()))
    other.close()


def kill_writers(engine: Engine) -> int:
    """End every other connection to this database."""
    with engine.transaction() as connection:
        return len(
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ).all()
        )


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize("moment", ["between", "within"])
def test_a_lost_connection_fails_its_batch_and_is_made_anew(
    quick: Engine, transactor: Transactor, store_url: str, moment: str
) -> None:
    other = open_engine(store_url)
    lost, later = samples.mo(), samples.mo()
    transactor.commit([calling(lambda _: None)])
    if moment == "between":
        assert kill_writers(other) == 1
        units = [writing(messages.insert(lost))]
    else:
        units = [writing(messages.insert(lost)), calling(lambda _: kill_writers(other)), calling(touch)]
    transactor.commit(units)
    assert {type(error_of(unit)) for unit in units} == {StoreUnavailable}
    again = writing(messages.insert(later))
    transactor.commit([again])
    assert again.outcome is None
    assert stored(quick) == {later.id}
    other.close()


def touch(connection: Connection) -> object:
    return connection.scalar(text("SELECT 1"))


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_answer_is_lost_is_settled_by_the_server(
    quick: Engine, store_url: str, committed: bool
) -> None:
    record = samples.mo()
    with CuttingProxy(store_url, pass_on=committed) as proxy:
        engine = open_engine(proxy.url)
        transactor = Transactor(engine)
        transactor.commit([calling(touch)])
        proxy.cut_at(b"COMMIT")
        unit = writing(messages.insert(record))
        transactor.commit([unit])
        assert proxy.cuts == 1
        transactor.close()
        engine.close()
    if committed:
        assert unit.outcome is None
        assert stored(quick) == {record.id}
    else:
        assert type(error_of(unit)) is StoreUnavailable
        assert stored(quick) == set()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize("setting", ["normal", "off"])
def test_sqlite_that_does_not_sync_is_refused(store_url: str, setting: str) -> None:
    loose = open_engine(f"{store_url}?synchronous={setting}")
    with pytest.raises(NotDurable, match=f"synchronous is {setting.upper()}"):
        loose.check_durable()
    open_engine(f"{store_url}?synchronous={setting}", allow_non_durable=True).check_durable()


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_postgresql_that_does_not_sync_is_refused(store_url: str) -> None:
    loose = open_engine(f"{store_url}?options=-c%20synchronous_commit%3Doff")
    with pytest.raises(NotDurable, match="synchronous_commit is off"):
        loose.check_durable()
    loose.close()


def test_a_store_as_it_comes_is_durable(quick: Engine) -> None:
    quick.check_durable()


def test_a_reader_cannot_write(quick: Engine) -> None:
    with pytest.raises(Exception, match=r"readonly|read-only"), quick.snapshot() as connection:
        connection.execute(insert(message).values(samples.mo()._asdict()))
    assert stored(quick) == set()


def test_a_reader_sees_one_committed_state(quick: Engine, transactor: Transactor) -> None:
    first, second = samples.mo(), samples.mo()
    transactor.commit([writing(messages.insert(first))])
    looking = threading.Event()
    go_on = threading.Event()

    def slow(connection: Connection) -> None:
        connection.execute(insert(message).values(second._asdict()))
        looking.set()
        assert go_on.wait(10)

    writer = threading.Thread(target=lambda: transactor.commit([calling(slow)]))
    writer.start()
    assert looking.wait(10)
    assert stored(quick) == {first.id}
    with quick.snapshot() as connection:
        before = set(connection.scalars(select(message.c.id)))
        go_on.set()
        writer.join(10)
        assert set(connection.scalars(select(message.c.id))) == before == {first.id}
    assert stored(quick) == {first.id, second.id}


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_a_url_that_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///"):
        open_engine(url)


def test_an_unknown_synchronous_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="full, normal or off"):
        open_engine(f"sqlite:///{tmp_path}/x.db?synchronous=maybe")


def test_a_password_is_not_in_the_repr() -> None:
    assert "hunter2" not in repr(open_engine("postgresql://user:hunter2@host/db"))


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is not a database, but it is long enough to be looked at as one" * 100)
    engine = open_engine(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match="not a database"):
        engine.check_durable()


def test_a_full_disk_refuses_and_recovers(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    transactor = Transactor(engine)

    def limit(pages: str) -> Callable[[Connection], object]:
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar()

    transactor.commit([calling(limit("1"))])
    unit = writing(messages.insert(samples.mo(raw=b"x" * 100_000)))
    transactor.commit([unit])
    assert isinstance(error_of(unit), StoreUnavailable)
    assert isinstance(error_of(unit).__cause__, sqlite3.OperationalError)
    unit = writing(messages.insert(samples.mo(raw=b"x" * 100_000)))
    transactor.commit([unit])
    assert unit.outcome is None, "the connection is a new one, without the limit"
    transactor.close()
    engine.close()


def test_a_store_that_is_not_there_is_not_asked_by_every_unit() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/nothing")
    transactor = Transactor(engine)
    units = [calling(touch), calling(touch)]
    for unit in units:
        transactor.commit([unit])
    assert [type(error_of(unit)) for unit in units] == [StoreUnavailable] * 2
    assert "a moment ago" in str(error_of(units[1]))
    engine.close()
