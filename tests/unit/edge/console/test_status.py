"""`status` while the store is away: what an operator asks first must not need it."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from edge.console.commands import life
from storage import migrate
from storage.engines import open_engine
from storage.ids import IdSource
from storage.testing import InlineStore
from tests import samples


@pytest.fixture
def store(tmp_path: Path) -> Iterator[InlineStore]:
    engine = open_engine(f"sqlite:///{tmp_path / 's.db'}")
    migrate.upgrade(engine)
    made = InlineStore(engine, IdSource(0, lambda: samples.NOW))
    yield made
    made.close()


def server(store: Any, clock: Clock, known: bool, draining: bool = False) -> Any:
    reasons = {"reasons": ["the store takes nothing", "no bind of a is up"]}
    bind = SimpleNamespace(name="a/1", bound=True)
    return SimpleNamespace(
        ready=lambda: (False, {"store": known, "draining": draining, **reasons}),
        store=store,
        reactor=clock,
        wall_ms=lambda: samples.NOW,
        started_ms=samples.NOW - 9_000,
        outbound=SimpleNamespace(draining=True),
        outbox=SimpleNamespace(running=3),
        binds=lambda: {"a/1": bind},
        lag=SimpleNamespace(last=0.0),
    )


def asked(server: Any) -> dict[str, Any]:
    found: list[Any] = []
    Deferred.fromCoroutine(life.status(server, {})).addBoth(found.append)
    server.reactor.advance(life.STORE_SECONDS)
    document: dict[str, Any] = found[0].document
    return document


def test_status_while_the_store_is_there(store: InlineStore) -> None:
    said = asked(server(store, Clock(), known=True))
    assert (said["store"], said["parts"], said["deliveries"]) == ("ok", {}, {})


def test_a_server_that_starts_does_not_drain(store: InlineStore) -> None:
    """Until it is ready it takes nothing from outside (`outbound.draining`), which is no end."""
    assert asked(server(store, Clock(), known=True, draining=False))["draining"] is False


def test_status_shows_what_a_commit_takes_and_not_their_sum(store: InlineStore) -> None:
    assert asked(server(store, Clock(), known=True))["store_commit_mean_seconds"] is None
    store.writer.batches = 4
    store.writer.transactor.commit_seconds = 5.0
    assert asked(server(store, Clock(), known=True))["store_commit_mean_seconds"] == 1.25


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "silent"])
@pytest.mark.parametrize("noticed", [False, True])
def test_status_while_the_store_is_away(
    store: InlineStore, silent: bool, noticed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.writer.failing = True
    if silent:
        monkeypatch.setattr(store, "read", lambda fn: Deferred())
    said = asked(server(store, Clock(), known=not noticed, draining=True))
    assert said["store"] == "takes nothing"
    assert (said["ready"], said["draining"], said["binds_bound"], said["up_seconds"]) == (False, True, 1, 9)
    assert said["not_ready"] == "the store takes nothing; no bind of a is up"
    assert (said["parts"], said["deliveries"], said["deliveries_running"]) == (None, None, 3)
