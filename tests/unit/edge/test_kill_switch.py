"""The kill-switch: of the store, in force at once where it is turned on, whatever the store does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred

from edge.kill_switch import LOOK_SECONDS, NAME, WRITE_SECONDS, KillSwitch
from storage import migrate, paused
from storage.engines import open_engine
from storage.errors import StoreUnavailable
from storage.ids import IdSource
from storage.testing import InlineStore
from tests import samples
from tests.deferreds import failure, success
from tests.unit.edge.conftest import Time


class Carrier:
    """As much of an upstream as is held."""

    def __init__(self) -> None:
        self.held = False
        self.told: list[bool] = []

    def hold(self, on: bool) -> None:
        self.held = on
        self.told.append(on)


class Servers:
    """Some on one store."""

    def __init__(self, folder: Path, count: int) -> None:
        self.time = Time()
        self.url = f"sqlite:///{folder / 's.db'}"
        migrate.upgrade(open_engine(self.url))
        self.stores = [self._open() for _ in range(count)]
        self.carriers = [Carrier() for _ in range(count)]
        self.switches = [
            KillSwitch(store, lambda carrier=carrier: {"a": carrier}, self.time, self.time.wall_ms)  # type: ignore[misc,arg-type]
            for store, carrier in zip(self.stores, self.carriers, strict=True)
        ]
        for switch in self.switches:
            switch.start()

    def _open(self) -> InlineStore:
        return InlineStore(open_engine(self.url), IdSource(0, lambda: samples.NOW))

    def held(self) -> list[bool]:
        return [carrier.held for carrier in self.carriers]

    def stored(self) -> bool:
        with self.stores[0].engine.snapshot() as connection:
            return NAME in paused.paused(connection)

    def close(self) -> None:
        for switch, store in zip(self.switches, self.stores, strict=True):
            switch.stop()
            store.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path, 2)
    yield made
    made.close()


def turn(switch: KillSwitch, on: bool) -> Any:
    return Deferred.fromCoroutine(switch.set(on))


def test_every_server_on_the_store_follows(servers: Servers) -> None:
    here, there = servers.switches
    with capture_logs() as lines:
        success(turn(here, True))
        assert servers.held() == [True, False]
        servers.time.advance(LOOK_SECONDS)
        assert servers.held() == [True, True]
        success(turn(there, False))
        assert servers.held() == [True, False]
        servers.time.advance(LOOK_SECONDS)
        assert servers.held() == [False, False]
    said = [(line["on"], line["here"]) for line in lines if line["event"] == "kill_switch"]
    assert said == [(True, True), (True, False), (False, True), (False, False)]


def test_an_upstream_that_a_reload_brings_meanwhile_is_held_too(servers: Servers) -> None:
    success(turn(servers.switches[0], True))
    servers.carriers[0].held = False  # a new one of the same name
    servers.time.advance(LOOK_SECONDS)
    assert servers.held() == [True, True]


def test_with_the_store_away_it_is_on_here_and_stored_later(servers: Servers) -> None:
    here = servers.switches[0]
    servers.stores[0].writer.failing = True
    success(turn(here, True))
    assert (here.on, here.stored, servers.held(), servers.stored()) == (True, False, [True, False], False)
    servers.time.advance(LOOK_SECONDS)
    assert servers.held() == [True, False], "what the store does not know yet is not taken back"
    failure(turn(here, False), StoreUnavailable)
    assert here.on
    servers.stores[0].writer.failing = False
    servers.time.advance(LOOK_SECONDS)
    assert (here.stored, servers.stored()) == (True, True)
    servers.time.advance(LOOK_SECONDS)
    assert servers.held() == [True, True]
    success(turn(here, False))
    assert not servers.stored()


def test_a_store_that_stands_still_does_not_hold_up_the_answer(servers: Servers) -> None:
    here = servers.switches[0]
    servers.stores[0].writer.held = True
    asked = turn(here, True)
    assert servers.carriers[0].held
    servers.time.advance(WRITE_SECONDS)
    assert asked.called
    assert not here.stored
    servers.stores[0].writer.release()
    servers.time.advance(LOOK_SECONDS)
    assert (here.stored, servers.stored()) == (True, True)


def test_what_was_asked_for_last_holds(servers: Servers) -> None:
    """Off waits for its commit when somebody turns it on again: nothing goes out in between."""
    here, carrier = servers.switches[0], servers.carriers[0]
    success(turn(here, True))
    servers.stores[0].writer.held = True
    off, on = turn(here, False), turn(here, True)
    servers.stores[0].writer.release()
    success(off)
    success(on)
    assert carrier.told == [True]
    assert (here.on, here.stored, servers.stored()) == (True, True, True)
