"""Two servers on one PostgreSQL share what is due; one takes over what the other had when it died."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from edge.console.ctl import Client
from edge.delivery_lanes import lane_of
from storage import messages
from storage.batch import Transactor
from storage.engines import open_engine
from storage.ids import IdSource
from storage.records import DeliveryRecord, DeliveryState, MessageRecord
from storage.tables import attempt, delivery
from tests.integration.storage.test_store_batch import writing
from tests.provision import provision
from tests.server import Server, free_port, until
from tests.sink import Sink

pytestmark = [
    pytest.mark.fault,
    pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True),
]

DID = "+12025550100"
PER_TARGET = 5


def owe(url: str, account_id: int, target: str, count: int) -> None:
    """So many due deliveries that no server has, as an earlier one left them."""
    now_ms = time.time_ns() // 1_000_000
    ids = IdSource(15, lambda: now_ms)
    units = []
    for number in range(count):
        about = MessageRecord(
            ids.next(), account_id, 1, "mo", "smpp", DID, "+447911123456", f"{number}", "carrier", now_ms, 1
        )
        record = DeliveryRecord(
            ids.next(),
            about.id,
            account_id,
            1,
            "callback",
            target,
            DeliveryState.PENDING,
            0,
            now_ms,
            now_ms,
            now_ms,
            lane=lane_of(f"callback {target}", 1, None),
            lease_until=now_ms,
        )
        units.append(writing(messages.insert(about, deliveries=[record])))
    engine = open_engine(url)
    transactor = Transactor(engine)
    transactor.commit(units)
    transactor.close()
    engine.close()
    assert [unit.outcome for unit in units] == [None] * count


def states(url: str) -> tuple[dict[str, int], int]:
    """How many deliveries are in each state, and how many attempts are recorded."""
    engine = open_engine(url)
    with engine.snapshot() as connection:
        rows = connection.execute(select(delivery.c.state, func.count()).group_by(delivery.c.state))
        found = {row[0]: row[1] for row in rows}
        attempts = connection.scalar(select(func.count()).select_from(attempt)) or 0
    engine.close()
    return found, attempts


@contextlib.contextmanager
def server(url: str, folder: Path, node: int, lease_seconds: float) -> Iterator[Server]:
    """One of several, with an upstream of its own; it has no SMSC, and needs none for what is due."""
    folder.mkdir()
    outbox: dict[str, object] = {"per_target": PER_TARGET, "lease_seconds": lease_seconds}
    tables: dict[str, dict[str, object]] = {
        "server": {"node": node},
        "outbox": outbox,
        "console": {"socket": str(folder / "console.sock")},
    }
    with Server(folder, url, free_port(), tables=tables, name=f"carrier-{folder.name}") as made:
        made.start(ready=False)
        yield made


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.release()
    made.close()


def test_two_servers_share_what_is_due_and_each_is_delivered_once(
    store_url: str, tmp_path: Path, sink: Sink
) -> None:
    account = provision(store_url, [DID])
    owe(store_url, account, f"{sink.url}/?text={{MESSAGE}}", 300)
    sink.hold(after=0)
    with server(store_url, tmp_path / "a", 0, 60.0), server(store_url, tmp_path / "b", 1, 60.0):
        until(lambda: len(sink.targets) == 2 * PER_TARGET, "both are at work")
        sink.release()
        until(lambda: states(store_url) == ({"delivered": 300}, 300), "all are delivered")
    times = Counter(query["text"] for query in sink.queries())
    assert len(times) == 300
    assert set(times.values()) == {1}


def test_what_a_killed_server_had_in_hand_another_takes_over_after_its_lease(
    store_url: str, tmp_path: Path, sink: Sink
) -> None:
    account = provision(store_url, [DID])
    owe(store_url, account, f"{sink.url}/?text={{MESSAGE}}", 20)
    sink.hold(after=0)
    with server(store_url, tmp_path / "a", 0, 3.0) as dies:
        until(lambda: len(sink.targets) == PER_TARGET, "it is at work")
        dies.kill()
    sink.release()
    with server(store_url, tmp_path / "b", 1, 3.0):
        until(lambda: states(store_url) == ({"delivered": 20}, 20), "all are delivered")
    times = Counter(query["text"] for query in sink.queries())
    assert len(times) == 20
    assert sorted(times.values())[-PER_TARGET - 1 :] == [1] + [2] * PER_TARGET


def test_the_kill_switch_is_that_of_both(store_url: str, tmp_path: Path) -> None:
    provision(store_url, [DID])
    with (
        server(store_url, tmp_path / "a", 0, 60.0) as here,
        server(store_url, tmp_path / "b", 1, 60.0) as there,
    ):
        until(lambda: all("server_ready" in each.log.read_text() for each in (here, there)), "they run")
        assert asked(here, "kill-switch on")["on"]
        until(lambda: asked(there, "kill-switch")["stopped"] == ["carrier-b"], "the other one follows")
        there.config.write_text(there.config.read_text() + "window = 7\n")
        assert asked(there, "reload")["changed"] == ["carrier-b"]
        assert asked(there, "kill-switch")["stopped"] == ["carrier-b"], "built anew, and held"
        assert asked(here, "kill-switch off")["stopped"] == []
        until(lambda: asked(there, "kill-switch")["stopped"] == [], "on the other one too")


def asked(which: Server, line: str) -> Any:
    """The document of the console's answer."""
    client = Client(which.folder / "console.sock")
    answer = client.ask({"line": line})
    client.close()
    assert answer["ok"], answer["text"]
    return answer["document"]
