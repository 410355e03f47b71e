"""Fixtures that every test may use. Nothing here costs a test that does not ask for it.

``store_url`` and everything that stands on it runs once on SQLite and once on PostgreSQL.
"""

import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import pytest_twisted
from hypothesis import settings

from tests import memory, postgresql

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorFromThreads

    from storage.engines import Engine
    from storage.store import Store
    from storage.testing import InlineStore

TEMPLATE = "trunkline_template"


def pytest_configure(config: pytest.Config) -> None:
    """The process that outlives the workers names the places of the run's PostgreSQL and of its files."""
    # Hundreds of processes are started: without what Python has compiled each would compile all of it anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    settings.register_profile("trunkline", settings.get_profile("default"), deadline=None)
    if "CI" not in os.environ:
        settings.load_profile("trunkline")
    if not hasattr(config, "workerinput"):
        postgresql.begin_run(in_memory=True)
        in_memory = memory.folder()
        if in_memory is not None:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", in_memory)


def pytest_unconfigure(config: pytest.Config) -> None:
    """… and takes it down."""
    if not hasattr(config, "workerinput"):
        postgresql.end_run()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly that half of the store's tests did not run."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any("PostgreSQL" in str(report.longrepr) for report in skipped):
        terminalreporter.write_sep("!", "NOT TESTED on PostgreSQL: see the skip reasons", red=True, bold=True)
    for reason in sorted(
        {str(report.longrepr[2]) for report in skipped if "NOT TESTED" in str(report.longrepr)}
    ):
        terminalreporter.write_sep("!", reason.removeprefix("Skipped: "), red=True, bold=True)


def _postgresql_or_skip() -> None:
    try:
        postgresql.url_of("postgres")
    except postgresql.NoPostgreSQL as error:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(str(error))
        pytest.skip(f"PostgreSQL: {error}")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Which engine this run of the test is on."""
    name: str = request.param
    if name == "postgresql":
        _postgresql_or_skip()
    return name


@pytest.fixture
def empty_store_url(engine_name: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a schema."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with postgresql.database() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the schema, to be copied."""
    from storage import migrate
    from storage.engines import open_engine

    path = tmp_path_factory.mktemp("template") / "store.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate.upgrade(engine)
    engine.close()  # the last connection to go takes the WAL into the file
    return path


@pytest.fixture(scope="session")
def postgresql_template() -> str:
    """The name of a database with the schema, to be copied; made once a run."""
    from storage import migrate
    from storage.engines import open_engine

    name = f"{TEMPLATE}_{migrate.head()}_{postgresql.run_name()}"
    with postgresql.exclusively():
        if not postgresql.database_exists(name):
            engine = open_engine(postgresql.create_database(f"{name}_new"))
            migrate.upgrade(engine)
            engine.close()
            postgresql.rename_database(f"{name}_new", name)
    return name


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a migrated SQLite store, for tests that need a store and not both engines."""
    path = tmp_path / "store.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def store_url(engine_name: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a migrated store; the test runs once on each engine."""
    if engine_name == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    with postgresql.database(request.getfixturevalue("postgresql_template")) as url:
        yield url


@pytest.fixture
def engine(store_url: str) -> "Iterator[Engine]":
    """The engine of a migrated store, without reactor or threads."""
    from storage.engines import open_engine

    opened = open_engine(store_url)
    yield opened
    opened.close()


@pytest_twisted.async_yield_fixture
async def store(engine: "Engine") -> "AsyncIterator[Store]":
    """A `storage.store.Store`, open, on the real reactor."""
    from twisted.internet import reactor

    from storage.ids import IdSource
    from storage.store import Store

    opened = Store(engine, cast("IReactorFromThreads", reactor), IdSource(0, _wall_ms))
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def inline_store(sqlite_url: str) -> "Iterator[InlineStore]":
    """A store on SQLite whose Deferreds have fired when it returns them: for tests without a reactor."""
    from storage.engines import open_engine
    from storage.ids import IdSource
    from storage.testing import InlineStore

    opened = InlineStore(open_engine(sqlite_url), IdSource(0, _wall_ms))
    yield opened
    opened.close()


def _wall_ms() -> int:
    return int(time.time() * 1000)
