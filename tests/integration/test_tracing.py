"""Spans of a running server at a collector that takes OTLP over HTTP: a trace for each message."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from edge.console.ctl import Client
from tests.provision import KEY, provision
from tests.server import Server, free_port, until

pytestmark = pytest.mark.integration

DID, PHONE = "+12025550100", "+12025550150"
TEXT = "a secret of mine"


class Collector:
    """Takes what is posted to /v1/traces on a port of its own."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.headers: list[str | None] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
                request = ExportTraceServiceRequest.FromString(body)
                collector.headers.append(self.headers["Authorization"])
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans += scope.spans
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def names(self, trace: str) -> list[str]:
        return [span.name for span in self.spans if span.trace_id.hex() == trace]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def rig(folder: Path, url: str, endpoint: str) -> Server:
    provision(url, [DID])
    smpp = free_port()
    tables: dict[str, dict[str, object]] = {
        "console": {"socket": str(folder / "console.sock")},
        "tracing": {"endpoint": endpoint, "authorization": "Bearer open"},
        "simulator": {
            "system_id": "trunk",
            "password": "secret",
            "smpp_listen": f"127.0.0.1:{smpp}",
            "receipt_delay_seconds": 0.1,
        },
    }
    return Server(folder, url, smpp, tables=tables)


def ask(folder: Path, line: str) -> Any:
    client = Client(folder / "console.sock")
    answer = client.ask({"line": line})
    client.close()
    assert answer["ok"], answer["text"]
    return answer["document"]


def send(server: Server) -> int:
    status, answer = server.call("POST", "/v1/messages", {"from": DID, "to": PHONE, "text": TEXT}, KEY)
    assert status == 202
    return int(answer["id"])


def test_both_ways_of_a_message(sqlite_url: str, tmp_path: Path, collector: Collector) -> None:
    with rig(tmp_path, sqlite_url, collector.url) as server:
        server.start()
        sent = send(server)
        said = {"phone": PHONE, "did": DID, "text": TEXT}
        assert server.call("POST", "/simulator/messages", said, KEY)[0] in (200, 202)

        def received() -> Any:
            return server.call("GET", "/v1/messages?direction=mo", key=KEY)[1]["messages"]

        came = until(received, "the phone's text is here")[0]["id"]
        traces = [ask(tmp_path, f"queue show {message}")["trace"] for message in (sent, came)]
        wanted = {"message_accepted", "message_sent", "message_reported"}
        until(lambda: wanted <= set(collector.names(traces[0])), "the MT's spans")
        until(lambda: "message_received" in collector.names(traces[1]), "the MO's span")
        status, _ = server.call("POST", "/v1/messages", {"from": DID, "to": PHONE, "text": "last"}, KEY)
        assert status == 202
        assert server.stop() == 0
    assert sorted(collector.names(traces[0])) == sorted(wanted)
    assert [span.name for span in collector.spans].count("message_accepted") == 2, "sent before the end"
    assert set(collector.headers) == {"Bearer open"}
    whole = b"".join(span.SerializeToString() for span in collector.spans)
    for never in (TEXT, DID, PHONE, DID[1:], PHONE[1:]):
        assert never.encode() not in whole


def test_without_a_collector_messages_go_on_and_the_end_is_in_time(sqlite_url: str, tmp_path: Path) -> None:
    with rig(tmp_path, sqlite_url, f"http://127.0.0.1:{free_port()}/v1/traces") as server:
        server.start()
        sent = send(server)
        until(lambda: ask(tmp_path, f"queue show {sent}")["status"] == "delivered", "it is delivered")
        until(lambda: "spans_not_taken" in server.log.read_text(), "it is told")
        send(server)
        assert server.stop() == 0
    text = server.log.read_text()
    assert text.count("spans_not_taken") == 1
    assert '"event":"logging"' not in text


def test_it_is_switched_by_a_reload(sqlite_url: str, tmp_path: Path, collector: Collector) -> None:
    with rig(tmp_path, sqlite_url, collector.url) as server:
        server.start()
        with_it = server.config.read_text()
        without = with_it.replace("[tracing]\n", "[callback]\nretry_minutes = 5\n")
        lines = [line for line in without.splitlines() if not line.startswith(("endpoint", "authorization"))]
        server.config.write_text("\n".join(lines))
        assert "tracing" in ask(tmp_path, "reload")["applied"]
        first = send(server)
        assert "trace" not in ask(tmp_path, f"queue show {first}")
        server.config.write_text(with_it)
        assert "tracing" in ask(tmp_path, "reload")["applied"]
        second = send(server)
        trace = ask(tmp_path, f"queue show {second}")["trace"]
        until(lambda: "message_sent" in collector.names(trace), "it makes spans again")
        assert server.stop() == 0
    assert [span.name for span in collector.spans].count("message_accepted") == 1
