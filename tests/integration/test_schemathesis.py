"""schemathesis over the OpenAPI document, links followed, on both engines: no 5xx, no breach of a schema.

A process of its own asks the server as it runs. The document is narrowed where random values would never be
right: a DID is one of the account's, a number is a number. Whether what fits the document is taken
(`positive_data_acceptance`) is not judged: it cannot say what a handler's setting must be.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from storage import accounts
from storage.engines import open_engine
from storage.ids import IdSource
from tests.provision import KEY, provision
from tests.server import Server, free_port, until

pytestmark = pytest.mark.integration

DIDS = ["+12025550100", "+12025550101"]
PEERS = ["+12025550150", "+447911123456", "12345"]
CAREFUL_KEY = "tk_careful_0123456789abcdef0123456789abcdef"
EXAMPLES = os.environ.get("TRUNKLINE_EXAMPLES", "5")
"""Random requests of each operation; more of them are for a machine that has the time."""
PATIENCE_SECONDS = 3_600


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with values that mean something to this server."""
    schemas = document["components"]["schemas"]
    schemas["Draft"]["properties"]["from"]["enum"] = DIDS
    schemas["Draft"]["properties"]["to"]["enum"] = PEERS
    schemas["NewContact"]["properties"]["number"]["enum"] = PEERS
    schemas["NewOptOut"]["properties"]["peer"]["enum"] = PEERS
    schemas["NewSipAccount"]["properties"]["dids"]["items"]["enum"] = DIDS
    return document


def run(server: Server, document: Path, key: str, *more: str) -> str:
    """What schemathesis says; fails with it."""
    command = [
        str(Path(sys.executable).parent / "st"),
        "run",
        str(document),
        "--url",
        f"http://127.0.0.1:{server.http_port}",
        "--header",
        f"Authorization: Bearer {key}",
        "--checks",
        "all",
        "--exclude-checks",
        "positive_data_acceptance",
        "--exclude-path",
        "/v1/events",
        "--max-examples",
        EXAMPLES,
        "--request-timeout",
        "30",
        "--continue-on-failure",
        "--generation-database",
        "none",
        "--seed",
        "1",
        "--no-color",
        *more,
    ]
    done = subprocess.run(
        command, cwd=document.parent, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def add_careful_key(url: str) -> None:
    """A key that may do everything but to keys, so that it does not revoke itself."""
    scopes = "messages:send messages:read messages:write deliveries:read deliveries:write contacts:read "
    scopes += "contacts:write dids:read dids:write sip:read sip:write keys:read"
    now_ms = time.time_ns() // 1_000_000
    engine = open_engine(url)
    with engine.transaction() as conn:
        owner = accounts.find_account(conn, "test")
        assert owner is not None
        digest = hashlib.sha256(CAREFUL_KEY.encode()).hexdigest()
        ids = IdSource(14, lambda: now_ms)
        accounts.add_key(conn, ids.next, owner.id, "careful", "careful", digest, now_ms, scopes=scopes)
    engine.close()


def test_no_answer_breaks_the_document(store_url: str, tmp_path: Path) -> None:
    provision(store_url, DIDS)
    add_careful_key(store_url)
    domain = {"domain": "sip.example.net", "udp": [f"127.0.0.1:{free_port()}"], "tcp": []}
    with Server(tmp_path, store_url, free_port(), tables={"sip": domain}) as server:
        server.start(ready=False)
        until(lambda: "server_ready" in server.log.read_text(), "the server takes requests")
        document = tmp_path / "openapi.json"
        document.write_text(json.dumps(narrowed(server.call("GET", "/v1/openapi.json")[1])))
        said = run(server, document, CAREFUL_KEY)
        assert "Stateful" in said
        for operation in ("listKeys", "addKey"):  # the other two would end the key that asks
            run(server, document, KEY, "--include-operation-id", operation, "--phases", "coverage,fuzzing")
        assert "http_handler_broken" not in server.log.read_text()
        assert server.call("GET", "/livez")[0] == 200
        assert server.stop() == 0
