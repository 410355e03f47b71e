"""Drained and reloaded under load, again and again: nothing lost, nothing twice, no link that did not change.

The rounds are few by default; as many as one likes by TRUNKLINE_DRAINS and TRUNKLINE_RELOADS.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from storage.engines import open_engine
from storage.tables import message, part
from tests.bench.peer import Peer
from tests.fault.traffic import DID, ApiClient, PacedPump
from tests.provision import provision
from tests.server import Server, free_port
from tests.sink import Sink

pytestmark = pytest.mark.fault

DRAINS = int(os.environ.get("TRUNKLINE_DRAINS", "3"))
RELOADS = int(os.environ.get("TRUNKLINE_RELOADS", "9"))
SECONDS_A_ROUND = 120  # on a machine that has much else to do
WINDOW = 20


class Carrier:
    """An SMSC with traffic of its own; all of them work in one selector."""

    def __init__(self, peer: Peer, port: int, submitted: Callable[[int], None]) -> None:
        self.peer = peer
        self.binds = 0
        peer.listen(port, peer.smpp)
        self.pump = PacedPump(peer, WINDOW)
        peer.on_bind = self._bound
        peer.on_submit = lambda body: submitted(int(body[(at := body.find(b"M") + 1) : at + 8]))

    def _bound(self) -> None:
        self.binds += 1
        self.pump._resend()

    @property
    def bound(self) -> bool:
        return self.peer.smsc is not None and not self.peer.smsc.closed


class Load:
    """A server with two carriers that share what the API sends: ``steady`` is never changed. A page is called
    back with what they bring."""

    def __init__(self, folder: Path, url: str, rounds: int) -> None:
        self._page = Sink()
        provision(url, [DID], {"url": f"{self._page.url}/?m={{MESSAGE}}", "retry": True})
        self.submitted: Counter[int] = Counter()
        self._first = Peer(60 + rounds * SECONDS_A_ROUND)
        second = Peer(60 + rounds * SECONDS_A_ROUND)
        second.selector.close()
        second.selector = self._first.selector
        ports = free_port(), free_port()
        self.steady, self.changed = (
            Carrier(peer, port, self._submitted)
            for peer, port in zip((self._first, second), ports, strict=True)
        )
        self.server = Server(folder, url, ports[0], tables={"server": {"drain_seconds": 15}})
        self._config = self.server.config.read_text() + (
            f'[[upstream]]\nname = "second"\nport = {ports[1]}\nsystem_id = "trunk"\npassword = "secret"\n'
            "reconnect_min_seconds = 0.2\nreconnect_max_seconds = 1.0\nwindow = 50\n"
            '[[route]]\nname = "both"\nupstreams = ["carrier", "second"]\n'
        )
        self.server.config.write_text(self._config)
        self._api: ApiClient | None = None

    def _submitted(self, number: int) -> None:
        self.submitted[number] += 1

    def write(self, window: int) -> None:
        """The file, with another window for the second carrier."""
        self.server.config.write_text(self._config.replace("window = 50", f"window = {window}"))

    def run(self, what: str, condition: Callable[[], bool]) -> None:
        """Let traffic go on until the condition holds."""

        def ticked() -> bool:
            self.steady.pump.tick()
            self.changed.pump.tick()
            return condition()

        assert self._first.run(ticked), f"{what}; {self.server.log.read_text()[-3000:]}"

    def start(self) -> None:
        """The server, until both carriers are bound."""
        self.server.start(ready=False)
        self.run("bound and ready", lambda: self.bound and self.server.is_ready())

    def begin(self) -> None:
        """Let the API's clients send."""
        self._api = ApiClient(self.server)

    @property
    def api(self) -> ApiClient:
        assert self._api is not None
        return self._api

    @property
    def bound(self) -> bool:
        return self.steady.bound and self.changed.bound

    def progress(self, each: int = 10) -> None:
        """Until so many more went each way."""
        wanted = [(carrier, carrier.pump.answered + each) for carrier in (self.steady, self.changed)]
        accepted = len(self.api.accepted) + each
        self.run(
            "progress",
            lambda: (
                len(self.api.accepted) >= accepted
                and all(carrier.pump.answered >= count for carrier, count in wanted)
            ),
        )

    def events(self, name: str) -> int:
        return self.server.log.read_text().count(f'"event":"{name}"')

    def brought(self) -> Counter[int]:
        """The numbers of the messages that were acknowledged to the carriers, which number theirs alike."""
        return Counter(self.steady.pump.acknowledged) + Counter(self.changed.pump.acknowledged)

    def called(self) -> Counter[int]:
        """The messages that the page was called with, how often."""
        return Counter(int(asked["m"][:8]) for asked in self._page.queries())

    def has_more(self, name: str, before: int) -> bool:
        return self.events(name) > before

    def settle(self) -> None:
        """Begin nothing more; all that was acknowledged arrives."""
        self.api.stop()
        pumps = self.steady.pump, self.changed.pump
        for pump in pumps:
            pump.stop()

        def settled() -> bool:
            for pump in pumps:
                pump.finish()
            return (
                not any(pump.open for pump in pumps)
                and set(self.api.accepted) <= set(self.submitted)
                and self.brought() <= self.called()
            )

        assert self._first.run(settled), set(self.api.accepted) - set(self.submitted)
        os.kill(self.server.pid, signal.SIGTERM)
        assert self._first.run(lambda: self.server.ended is not None)
        assert self.server.ended == 0

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened: what is left open would be told in another test."""
        self.server.__exit__()
        if self._api is not None:
            self._api.stop()
        self._first.__exit__()
        self._page.close()


def check(load: Load, url: str) -> None:
    """What is in the store is what was acknowledged, each once, and nothing is in doubt."""
    engine = open_engine(url)
    with engine.snapshot() as conn:
        rows = conn.execute(
            select(message.c.direction, message.c.upstream, message.c.text, message.c.duplicate_of)
        ).all()
        flagged = conn.execute(select(part.c.id).where(part.c.flags != 0)).all()
    engine.close()
    for name, carrier in (("carrier", load.steady), ("second", load.changed)):
        mo = Counter(int(row.text[:8]) for row in rows if (row.direction, row.upstream) == ("mo", name))
        assert set(mo) == carrier.pump.acknowledged
        assert max(mo.values()) == 1
    mt = Counter(int(row.text[1:9]) for row in rows if row.direction == "mt")
    assert set(mt) == set(load.api.accepted), f"no answer came for {load.api.lost}"
    assert max(mt.values()) == 1
    assert load.submitted == mt
    assert load.called() == load.brought()
    assert [row for row in rows if row.duplicate_of is not None] == []
    assert flagged == []
    assert load.api.others == []
    log = load.server.log.read_text()
    for event in ("drain_incomplete", "stop_failed", "reload_failed", "parts_in_doubt", "response_overdue"):
        assert f'"event":"{event}"' not in log, event


def test_drains_under_load(sqlite_url: str, tmp_path: Path) -> None:
    with Load(tmp_path, sqlite_url, DRAINS) as load:
        load.start()
        load.begin()
        for _ in range(DRAINS):
            load.progress()
            os.kill(load.server.pid, signal.SIGTERM)
            load.run("it ends", lambda: load.server.ended is not None)
            assert load.server.ended == 0
            load.start()
        load.progress()
        load.settle()
        assert load.events("server_stopped") == DRAINS + 1
        check(load, sqlite_url)


def test_reloads_under_load(sqlite_url: str, tmp_path: Path) -> None:
    """Every third file is wrong, every third as it was."""
    with Load(tmp_path, sqlite_url, RELOADS) as load:
        load.start()
        load.begin()
        for number in range(RELOADS):
            kind = ("changed", "the same", "wrong")[number % 3]
            name = "config_not_reloaded" if kind == "wrong" else "config_reloaded"
            before = load.events(name)
            binds = load.changed.binds
            load.write({"changed": 60 + number % 2, "the same": 60 + (number - 1) % 2, "wrong": -1}[kind])
            load.server.hang_up()
            load.run(f"reload {number}", partial(load.has_more, name, before))
            load.run("bound again", lambda: load.bound)
            load.progress()
            assert load.changed.binds - binds == (kind == "changed"), kind
        load.settle()
        assert load.steady.binds == 1
        check(load, sqlite_url)
