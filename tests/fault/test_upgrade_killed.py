"""Upgrades from every revision that a store can have, with rows in it, killed in the middle.

A killed upgrade has changed nothing; the next one goes through; then every row is there and the schema is
that of a new store.
"""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import check, migrate
from storage.engines import Engine, open_engine
from tests import released
from tests.server import ROOT

pytestmark = pytest.mark.fault

CONVERSATIONS = {"conversation newest", "conversation there"}
PLACES = 4
WRITES = (1, 3, 10, 30, 60)


class Upgrades:
    """A process that upgrades stores, and has each upgrade killed where it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def attempt(self, engine: Engine, place: object) -> str:
        """Upgrade until there; what became of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(engine.url.render_as_string(hide_password=False), place, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def upgrades() -> Iterator[Upgrades]:
    """One for all stores."""
    command = [sys.executable, "-m", "tests.fault.upgrading"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Upgrades(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def deaths(upgrades: Upgrades, engine: Engine) -> Iterator[str]:
    """Upgrades killed at COMMIT, at the first statement and at some between; then one that is not."""
    last = upgrades.attempt(engine, "COMMIT")
    found = re.fullmatch(r"killed at (\d+): COMMIT", last)
    assert found is not None, last
    yield last
    statements = int(found[1])
    for number in range(0, statements, max(1, statements // PLACES)):
        said = upgrades.attempt(engine, number)
        assert said.startswith(f"killed at {number}: "), said
        yield said
    assert upgrades.attempt(engine, "never") == "done"


@pytest.fixture
def engine(empty_store_url: str) -> Iterator[Engine]:
    """Of a store without a schema."""
    opened = open_engine(empty_store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The schema of a new SQLite store."""
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('fresh') / 'store.db'}")
    migrate.upgrade(engine)
    found = released.schema(engine)
    engine.close()
    return found


def schema_of_a_new_store(request: pytest.FixtureRequest, engine: Engine) -> dict[str, object]:
    """For this engine."""
    if engine.name == "sqlite":
        found: dict[str, object] = request.getfixturevalue("fresh")
        return found
    url = engine.url.set(database=request.getfixturevalue("postgresql_template"))
    template = open_engine(url.render_as_string(hide_password=False))
    found = released.schema(template)
    template.close()
    return found


def is_upgraded(engine: Engine, before: released.Rows) -> None:
    """Every row is there, what was made of them is right."""
    assert migrate.current(engine) == migrate.head()
    assert released.same_rows(engine, before) == before
    if "conversation" not in {name for name, _ in before}:
        with engine.snapshot() as connection:
            assert CONVERSATIONS.isdisjoint(problem.name for problem in check.check(connection))


@pytest.mark.parametrize("revision", released.revisions()[:-1])
def test_an_upgrade_killed_in_the_middle(
    engine: Engine, revision: str, upgrades: Upgrades, request: pytest.FixtureRequest
) -> None:
    released.make(engine, revision)
    before = released.content(engine)
    for said in deaths(upgrades, engine):
        assert migrate.current(engine) == revision, said
        assert released.content(engine) == before, said
    is_upgraded(engine, before)
    assert released.schema(engine) == schema_of_a_new_store(request, engine)


def test_a_new_store_killed_in_the_middle(
    engine: Engine, upgrades: Upgrades, request: pytest.FixtureRequest
) -> None:
    for said in deaths(upgrades, engine):
        assert migrate.current(engine) is None, said
    assert migrate.current(engine) == migrate.head()
    assert released.schema(engine) == schema_of_a_new_store(request, engine)


@pytest.mark.usefixtures("strace")
def test_an_upgrade_of_a_file_killed_while_it_is_written(tmp_path: Path, fresh: dict[str, object]) -> None:
    """The process dies at one of its writes to the disk, most of them in the commit."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    engine = open_engine(url)
    released.make(engine, released.revisions()[0])
    before = released.content(engine)
    command = [
        sys.executable,
        "-c",
        f"from storage import migrate as m; "
        f"from storage.engines import open_engine as o; m.upgrade(o({url!r}))",
    ]
    for number in WRITES:
        inject = f"inject=pwrite64:signal=SIGKILL:when={number}"
        strace = ["strace", "-f", "-o", str(tmp_path / "calls"), "-e", "trace=pwrite64", "-e", inject]
        ended = subprocess.run([*strace, *command], cwd=ROOT, check=False)
        assert ended.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), number
        assert released.content(engine) == before, number
    migrate.upgrade(engine)
    is_upgraded(engine, before)
    assert released.schema(engine) == fresh
    engine.close()
