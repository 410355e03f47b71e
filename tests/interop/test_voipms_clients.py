"""Public clients of VoIP.ms's API, unmodified, against the server as its users run it."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.passwords import hash_password
from storage import accesses, messages
from storage.engines import open_engine
from storage.ids import IdSource
from storage.records import ApiAccess, MessageRecord
from storage.statements import execute_all
from tests.interop.needs import need
from tests.interop.voipms_clients import LIBRARIES, TEXT
from tests.provision import provision
from tests.server import ROOT, Server, free_port

pytestmark = pytest.mark.interop

DID, PEER = "2025550100", "2025550150"
USERNAME, PASSWORD = "me@example.com", "api-password"
PYTHON = ROOT / "tests" / "interop" / "venv-clients" / "bin" / "python"
HEARD = "Hello + goodbye 👋"


def furnish(url: str) -> None:
    """An account whose programs may call from here, with a number and a message to it."""
    account_id = provision(url, [f"+1{DID}"])
    engine = open_engine(url)
    now_ms = time.time_ns() // 1_000_000
    ids = IdSource(15, lambda: now_ms)
    received = MessageRecord(
        ids.next(), account_id, 1, "mo", "smpp", f"+1{DID}", f"+1{PEER}", HEARD, "carrier", now_ms, 1
    )
    access = ApiAccess(account_id, USERNAME, hash_password(PASSWORD), allowed="127.0.0.1", created_at=now_ms)
    with engine.transaction() as connection:
        accesses.put_access(connection, access)
        execute_all(connection, messages.insert(received))
    engine.close()


@pytest.fixture
def server(store_url: str, tmp_path: Path) -> Iterator[Server]:
    """With a simulated carrier and SIP."""
    if not PYTHON.exists():
        need("NOT TESTED: the clients of tests/interop/clients.txt; run: bash tests/install.sh")
    furnish(store_url)
    smpp, sip = free_port(), free_port()
    tables: dict[str, dict[str, object]] = {
        "simulator": {"system_id": "trunk", "password": "secret", "smpp_listen": f"127.0.0.1:{smpp}"},
        "sip": {"domain": "sip.example.net", "udp": [f"127.0.0.1:{sip}"], "tcp": []},
    }
    with Server(tmp_path, store_url, smpp, tables=tables) as opened:
        opened.start()
        yield opened
        assert opened.stop() == 0


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_that_knows_nothing_of_us(server: Server, library: str) -> None:
    base = f"http://127.0.0.1:{server.http_port}"
    script = ROOT / "tests" / "interop" / "voipms_clients.py"
    ran = subprocess.run(
        [PYTHON, script, library, base, USERNAME, PASSWORD, DID, PEER],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    good = {
        "ip",
        "balance",
        "dids",
        "sent",
        "received",
        "listed",
        "mms",
        "deleted",
        "created",
        "accounts",
        "removed",
    }
    if library == "voipms":
        good |= {"set", "registration"}
        assert "There are no SMS messages" in found["left"]["error"]
        assert "valid DID" in found["unknown"]["error"]
    else:
        good |= {"posted", "updated"}
        assert found["left"]["status"] == "no_sms"
        assert found["unknown"]["status"] == "invalid_did"
    assert {name: found[name]["status"] for name in good} == dict.fromkeys(good, "success")
    assert found["ip"]["ip"] == "127.0.0.1"
    assert [row["did"] for row in found["dids"]["dids"]] == [DID]
    (heard,) = found["received"]["sms"]
    assert (heard["message"], heard["contact"], heard["type"]) == (HEARD, PEER, "1")
    (sent,) = found["listed"]["sms"]
    assert (sent["id"], sent["message"], sent["did"]) == (found["sent"]["sms"], TEXT, DID)
    assert [row["id"] for row in found["accounts"]["accounts"]] == [found["created"]["id"]]
