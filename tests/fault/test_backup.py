"""`trunkline db backup` as its users run it, while the server works under load.

What was acknowledged before it began is in it, and the store that is made of it is whole and goes on.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from storage.engines import open_engine
from storage.tables import message
from tests import postgresql
from tests.bench.peer import Peer
from tests.fault.traffic import DID, Traffic
from tests.provision import KEY, provision
from tests.server import Server, free_port, until

pytestmark = pytest.mark.fault

TRUNKLINE = Path(sys.executable).parent / "trunkline"


def trunkline(config: Path, *words: str) -> "subprocess.Popen[str]":
    """The command, running."""
    return subprocess.Popen(
        [TRUNKLINE, *words, "-c", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(command: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Its exit code, what it said, what it said of errors."""
    said, errors = command.communicate(timeout=120)
    return command.returncode, said, errors


@pytest.fixture
def another_url(engine_name: str, tmp_path: Path) -> Iterator[str]:
    """Where there is no store yet."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'again.db'}"
        return
    with postgresql.database() as url:
        yield url


def stored(url: str) -> tuple[set[int], set[int]]:
    """The numbers of the MO and the ids of the MT messages in a store."""
    engine = open_engine(url)
    with engine.snapshot() as connection:
        rows = connection.execute(select(message.c.id, message.c.direction, message.c.text)).all()
    engine.close()
    return {int(row.text[:8]) for row in rows if row.direction == "mo"}, {
        row.id for row in rows if row.direction == "mt"
    }


def backed_up(url: str, folder: Path, file: Path) -> tuple[set[int], set[int]]:
    """A backup is made under load; what had been acknowledged before it began, MO and MT."""
    smsc = free_port()
    with Peer(240.0) as peer, Server(folder, url, smsc) as server:
        traffic = Traffic(peer, server, smsc)
        server.start(ready=False)
        api = traffic.begin()
        traffic.progress(mo=100, mt=50)
        before = set(traffic.pump.acknowledged), set(api.accepted.values())
        answered = traffic.pump.answered, len(api.accepted)
        command = trunkline(server.config, "db", "backup", str(file))
        traffic.until("the backup's end", lambda: command.poll() is not None, 120.0)
        assert ended(command)[::2] == (0, "")
        assert traffic.pump.answered > answered[0], "the server went on"
        assert len(api.accepted) > answered[1]
        assert traffic.pump.refusals == {}
        assert api.refused == 0
        traffic.progress()
        traffic.end()
        server.stop()
    return before


def test_a_backup_under_load_has_what_was_acknowledged_before_it(
    store_url: str, another_url: str, tmp_path: Path
) -> None:
    provision(store_url, [DID])
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "backup"
    first.mkdir()
    second.mkdir()
    received, sent = backed_up(store_url, first, file)
    server = Server(second, another_url, free_port())
    code, said, _ = ended(trunkline(server.config, "db", "restore", str(file), "--json"))
    assert (code, json.loads(said)["file"]) == (0, str(file))
    assert ended(trunkline(server.config, "db", "check"))[:2] == (0, "Every invariant of the store holds.\n")
    there = stored(another_url)
    assert received <= there[0]
    assert sent <= there[1]
    all_received, all_sent = stored(store_url)
    assert there[0] < all_received, "it was made while messages came"
    assert there[1] < all_sent
    goes_on(server, another_url, there[1])


def goes_on(server: Server, url: str, before: set[int]) -> None:
    """A server takes and sends messages with the store that was put back."""
    with server:
        server.start(ready=False)
        body = {"from": DID, "to": "+447900000000", "text": "M00000000 goes on"}

        def accepted() -> bool:
            try:
                return bool(server.call("POST", "/v1/messages", body, KEY)[0] == 202)
            except OSError:
                return False

        until(accepted, f"a message is taken (log: {server.log})")
        server.stop()
    assert len(stored(url)[1] - before) == 1
