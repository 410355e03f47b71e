"""Startup, disk and readiness without a server; what the supervisor is told is in test_process."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred, fail
from twisted.internet.defer import maybeDeferred as maybe
from twisted.internet.task import Clock

from edge import supervisor
from edge.disk import MIB, Disk
from edge.health import Health
from edge.startup import Startup
from protocols.smpp.session import SessionState
from storage.errors import StoreUnavailable


def test_the_steps_of_a_start() -> None:
    clock = Clock()
    startup = Startup(clock.seconds)
    startup.begin("store")
    clock.advance(1.5)
    startup.begin("upstream a")
    assert startup.state() == (False, {"doing": "upstream a", "steps": [{"step": "store", "seconds": 1.5}]})
    clock.advance(0.25)
    startup.finish()
    finished, document = startup.state()
    assert finished
    assert document["doing"] is None
    assert document["steps"] == [{"step": "store", "seconds": 1.5}, {"step": "upstream a", "seconds": 0.25}]


def test_a_disk_that_gets_tight_is_told_once(tmp_path: Path) -> None:
    free = [500, 99, 50, 101]
    asked: list[Path] = []

    def measure(folder: Path) -> int:
        asked.append(folder)
        return free.pop(0) * MIB

    disk = Disk(tmp_path / "store.db", 100, maybe, measure)
    seen = []
    with capture_logs() as lines:
        for _ in range(4):
            disk.look()
            seen.append(disk.enough)
    assert seen == [True, False, False, True]
    assert asked == [tmp_path] * 4
    assert [line["event"] for line in lines] == ["disk_low", "disk_enough_again"]
    assert lines[0]["free_mib"] == 99


def test_a_disk_that_is_not_ours_or_not_measured(tmp_path: Path) -> None:
    disk = Disk(None, 100, maybe)
    disk.look()
    assert (disk.free, disk.enough) == (None, True)
    disk = Disk(tmp_path / "gone" / "store.db", 100, maybe)
    with capture_logs() as lines:
        disk.look()
        disk.look()
    assert disk.enough
    assert [line["event"] for line in lines] == ["disk_not_measured"]


class Bench:
    """A health with one upstream whose bind and store can be changed."""

    def __init__(self, free: int = 500) -> None:
        self.clock = Clock()
        self.bind: Any = SimpleNamespace(
            name="a/transceiver", bound=True, paused=False, state=SessionState.BOUND_TRX
        )
        self.writer = SimpleNamespace(available=True)
        self.probes = 0
        self.slow: list[Deferred[Any]] | None = None
        self.engine = SimpleNamespace(in_place=lambda: True)
        store: Any = SimpleNamespace(
            writer=self.writer, probe=self.probe, engine=self.engine, in_thread=self.in_thread
        )
        self.disk = Disk(Path("/x/store.db"), 100, maybe, lambda folder: free * MIB)
        self.upstreams: Mapping[str, Any] = {"a": SimpleNamespace(binds=[self.bind])}
        self.health = Health(store, lambda: self.upstreams, self.disk, self.clock)

    def probe(self) -> Any:
        self.probes += 1
        return fail(StoreUnavailable("away"))

    def in_thread(self, work: Any) -> Any:
        if self.slow is None:
            return maybe(work)
        self.slow.append(Deferred())
        return self.slow[-1]

    def reasons(self) -> Any:
        return self.health.readiness()[1]["reasons"]


def test_readiness_says_why_not() -> None:
    bench = Bench()
    assert bench.reasons() == ["the server is starting"]
    bench.health.startup.finish()
    bench.health.ready = True
    ready, document = bench.health.readiness()
    assert (ready, document["reasons"], document["binds"]) == (True, [], {"a/transceiver": "bound_trx"})
    bench.bind.bound = False
    bench.writer.available = False
    assert bench.reasons() == ["the store takes nothing", "no bind of a is up"]
    bench.bind.bound = bench.writer.available = True
    bench.upstreams = {}
    assert bench.reasons() == ["there is no upstream"]
    bench.health.ready = False
    assert bench.health.draining
    assert "the server is shutting down" in bench.reasons()


def test_a_full_disk_is_a_reason_and_a_store_that_takes_nothing_is_asked_again() -> None:
    bench = Bench(free=50)
    bench.health.start()
    assert "less than 100 MiB are free for the store" in bench.reasons()
    bench.clock.advance(1)
    assert bench.probes == 0
    bench.writer.available = False
    bench.clock.advance(1)
    assert bench.probes == 1
    bench.writer.available = True
    bench.clock.advance(1)
    assert bench.probes == 1
    bench.engine.in_place = lambda: False
    bench.clock.advance(1)
    assert bench.probes == 2, "its file was moved, and nobody is writing"
    bench.health.stop()
    bench.clock.advance(5)
    assert bench.probes == 2


def test_a_disk_that_does_not_answer_is_asked_once() -> None:
    """And not by the reactor, which goes on."""
    bench = Bench()
    bench.slow = []
    bench.health.start()
    bench.clock.pump([1.0] * 20)
    assert (len(bench.slow), bench.probes) == (1, 0)
    bench.slow[0].callback(False)
    assert bench.probes == 1
    bench.clock.advance(1)
    assert len(bench.slow) == 2
    bench.health.stop()


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("30000000", "", 30.0), ("30000000", "1", 0.0), ("", "", 0.0), ("soon", "", 0.0)],
)
def test_the_supervisor_of_an_environment(usec: str, pid: str, seconds: float) -> None:
    environment = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid, "HOME": "/"}
    found = supervisor.from_environment(environment)
    assert found.watchdog_seconds == seconds
    assert environment == {"HOME": "/"}, "no child speaks for us"


@pytest.mark.parametrize(
    ("pid", "count", "names", "sockets"),
    [
        ("ours", "2", "http:other", {"http": 3, "other": 4}),
        ("ours", "many", "http", {}),
        ("1", "1", "http", {}),
        ("", "", "", {}),
    ],
)
def test_the_sockets_of_an_environment(pid: str, count: str, names: str, sockets: dict[str, int]) -> None:
    pid = str(os.getpid()) if pid == "ours" else pid  # workers of a test run must name their tests alike
    environment = {"LISTEN_PID": pid, "LISTEN_FDS": count, "LISTEN_FDNAMES": names}
    assert supervisor.from_environment(environment).sockets == sockets
    assert environment == {}


def test_a_supervisor_that_hears_nothing_costs_one_line(tmp_path: Path) -> None:
    told = supervisor.Supervisor(str(tmp_path / "nobody"))
    with capture_logs() as lines:
        told.ready("here")
        told.stopping("bye")
    assert [line["event"] for line in lines] == ["supervisor_not_told"]
