"""Programs against the server as its users run it: sent by the look-alikes, carried, reported back."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest

from tests.bench.load import ALL_ON, PASSWORD, let_in
from tests.provision import provision
from tests.server import Server, free_port, until
from tests.sink import Sink

pytestmark = pytest.mark.integration

DID, PEER = "12025550100", "12025550150"
LOGIN = {"username": "bench", "password": PASSWORD, "from": DID, "to": PEER}
TEXT = "Grüße & 50 % 👍"


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path) -> Iterator[Server]:
    """With all look-alikes and a simulated carrier, which reports at once."""
    let_in(sqlite_url, provision(sqlite_url, [f"+{DID}"]))
    smpp = free_port()
    tables = {
        **ALL_ON,
        "simulator": {
            "system_id": "trunk",
            "password": "secret",
            "smpp_listen": f"127.0.0.1:{smpp}",
            "receipt_delay_seconds": 0.1,
        },
    }
    with Server(tmp_path, sqlite_url, smpp, tables=tables) as opened:
        opened.start()
        yield opened
        assert opened.stop() == 0


@pytest.fixture
def sink() -> Iterator[Sink]:
    opened = Sink()
    yield opened
    opened.close()


def test_kannels_reports(server: Server, sink: Sink) -> None:
    fields = {**LOGIN, "text": TEXT, "dlr-mask": "31", "dlr-url": f"{sink.url}/?type=%d&to=%p&text=%a&id=%I"}
    assert server.call("GET", f"/cgi-bin/sendsms?{urlencode(fields)}") == (202, "0: Accepted for delivery")
    until(lambda: len(sink.targets) == 2, "both reports")
    found = sorted(sink.queries(), key=lambda query: query["type"])
    assert [query["type"] for query in found] == ["1", "8"]
    assert {(query["to"], query["text"]) for query in found} == {(f"+{PEER}", TEXT)}
    assert len({query["id"] for query in found}) == 1


def test_jasmins_reports(server: Server, sink: Sink) -> None:
    sink.answer = b"ACK/Jasmin"
    fields = {**LOGIN, "content": TEXT, "dlr-level": "3", "dlr-url": f"{sink.url}/"}
    status, said = server.call("GET", f"/send?{urlencode(fields)}")
    assert status == 200
    until(lambda: len(sink.bodies) == 2, "both reports")
    found = [parse_qs(body.decode()) for body in sink.bodies]
    assert {query["message_status"][0] for query in found} == {"ESME_ROK", "DELIVRD"}
    assert {f'Success "{query["id"][0]}"' for query in found} == {said}
    assert {query["text"][0] for query in found} == {TEXT}


def test_an_app_of_acrobits(server: Server) -> None:
    fields = {**LOGIN, "body": TEXT}
    status, said = server.call("GET", f"/acrobits/send?{urlencode(fields)}")
    assert status == 200
    query = urlencode({name: LOGIN[name] for name in ("username", "password")})

    def fetched() -> list[dict[str, str]]:
        _, found = server.call("GET", f"/acrobits/fetch?{query}")
        rows: list[dict[str, str]] = found["sent_smss"]
        return rows

    (row,) = until(fetched, "the message is old enough")
    assert (row["sms_id"], row["sms_text"], row["recipient"]) == (said["message_id"], TEXT, f"+{PEER}")
