"""The store for tests keeps the promises of the real one."""

import inspect
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from storage import messages
from storage.errors import StoreClosed, StoreUnavailable
from storage.store import Store
from storage.testing import InlineStore, InlineWriter
from storage.writer import Writer
from tests import samples
from tests.deferreds import failure, pending, success


def double(_: Connection, items: list[int]) -> list[int]:
    return [item * 2 for item in items]


def test_what_is_written_is_there_at_once(inline_store: InlineStore) -> None:
    record = samples.mo()
    success(inline_store.writer.write(messages.insert(record)))
    view = success(inline_store.read(messages.get, 1, record.id))
    assert view is not None
    assert view.message == record
    assert success(inline_store.writer.run("one", lambda _: 1)) == 1
    assert success(inline_store.writer.collect("double", double, 4)) == 8


def test_held_units_are_one_batch(inline_store: InlineStore) -> None:
    inline_store.writer.held = True
    waiting = [inline_store.writer.write(messages.insert(samples.mo())) for _ in range(3)]
    pending(waiting[0])
    assert inline_store.writer.pending == 3
    inline_store.writer.release()
    for one in waiting:
        success(one)
    assert inline_store.writer.batches == 1


def test_a_store_that_is_told_to_fail_fails(inline_store: InlineStore) -> None:
    inline_store.writer.failing = True
    failure(inline_store.writer.write(messages.insert(samples.mo())), StoreUnavailable)
    failure(inline_store.read(messages.search, 1), StoreUnavailable)
    inline_store.writer.failing = False
    assert success(inline_store.read(messages.search, 1)) == []


def test_errors_come_back(inline_store: InlineStore) -> None:
    failure(inline_store.writer.run("wrong", lambda _: 1 // 0), ZeroDivisionError)
    failure(inline_store.read(lambda _: 1 // 0), ZeroDivisionError)


def test_a_closed_store_takes_nothing(inline_store: InlineStore) -> None:
    success(inline_store.close())
    failure(inline_store.writer.run("late", lambda _: 1), StoreClosed)


@pytest.mark.parametrize(("double", "real"), [(InlineStore, Store), (InlineWriter, Writer)])
def test_the_double_has_the_methods_of_the_real_one(double: type, real: type) -> None:
    for name, method in inspect.getmembers(double, inspect.isfunction):
        if not name.startswith("_") and name != "release":
            assert names(method) == names(getattr(real, name)), name


def names(function: Callable[..., object]) -> list[tuple[str, object, object]]:
    parameters = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]


def test_deferreds_are_looked_at_without_a_reactor(inline_store: InlineStore) -> None:
    inline_store.writer.held = True
    waiting = inline_store.writer.run("wait", lambda _: 1)
    for look in (success, failure):
        with pytest.raises(AssertionError, match="has not fired"):
            look(waiting)
    inline_store.writer.release()
    with pytest.raises(AssertionError, match="it has fired"):
        pending(waiting)
    with pytest.raises(AssertionError, match="it succeeded"):
        failure(waiting, ValueError)
