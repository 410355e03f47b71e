"""The audit of the console while the store is away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from edge.console import auditing
from edge.console.auditing import AGAIN_SECONDS, Auditing
from storage import audit, migrate
from storage.engines import open_engine
from storage.errors import CommitOutcomeUnknown
from storage.ids import IdSource
from storage.testing import InlineStore
from tests import samples


class Server:
    """A store that can go away, and what operators do."""

    def __init__(self, store: InlineStore) -> None:
        self.store = store
        self.clock = Clock()
        self.auditing = Auditing(store, self.clock, self.now)  # type: ignore[arg-type]

    def now(self) -> int:
        return samples.NOW + int(self.clock.seconds() * 1000)

    def do(self, command: str) -> None:
        self.auditing.note("operator:alice", "console", {"command": command}, "ssh 127.0.0.1:40022")

    @property
    def entries(self) -> list[tuple[object, int]]:
        """Commands and their times in seconds from the beginning, the oldest first."""
        with self.store.engine.snapshot() as connection:
            found = audit.everything(connection)
        return [(entry.detail["command"], (entry.at - samples.NOW) // 1000) for entry in reversed(found)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    engine = open_engine(f"sqlite:///{tmp_path / 's.db'}")
    migrate.upgrade(engine)
    store = InlineStore(engine, IdSource(0, lambda: samples.NOW))
    yield Server(store)
    store.close()


def test_what_is_done_while_the_store_is_away_is_in_the_audit_when_it_is_back(server: Server) -> None:
    server.do("status")
    server.store.writer.failing = True
    server.do("kill-switch on")
    for _ in range(3):
        server.clock.advance(AGAIN_SECONDS)
    server.do("binds")
    assert server.entries == [("status", 0)]
    server.store.writer.failing = False
    server.do("version")
    assert len(server.entries) == 1, "in the order in which it was done"
    server.clock.advance(AGAIN_SECONDS)
    assert server.entries == [("status", 0), ("kill-switch on", 0), ("binds", 6), ("version", 6)]
    assert not server.clock.getDelayedCalls()
    server.do("drain")
    assert server.entries[-1] == ("drain", 8)


def test_so_many_and_the_newest(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "MOST_WAITING", 3)
    server.store.writer.failing = True
    for number in range(5):
        server.do(f"log level {number}")
    server.store.writer.failing = False
    server.clock.advance(AGAIN_SECONDS)
    assert [command for command, _ in server.entries] == ["log level 2", "log level 3", "log level 4"]


def test_what_an_unclear_commit_has_stored_is_there_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = server.store.writer.run

    def lost(description: str, fn: Any) -> Deferred[Any]:
        run(description, fn)
        return fail(CommitOutcomeUnknown("The store was lost during COMMIT."))

    monkeypatch.setattr(server.store.writer, "run", lost)
    server.do("kill-switch on")
    monkeypatch.setattr(server.store.writer, "run", run)
    server.clock.advance(AGAIN_SECONDS)
    assert server.entries == [("kill-switch on", 0)]
    assert not server.clock.getDelayedCalls()
