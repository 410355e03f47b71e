"""Sending by the API, beside a bare twisted.web resource in the same run: messages/s, CPU a message.

    python -m tests.bench.bench_api [SQLite] [PostgreSQL]

The server is a process of its own, pinned to one core; the carrier and the HTTP clients are one process on
another. "through" counts until the carrier has the last submit_sm; "accepted" until the last 202, which is
after the commit. The bare resource parses the same body, looks at the same header and stores nothing.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import postgresql
from tests.bench.load import cpu_seconds, fresh, pinned
from tests.provision import KEY, provision
from tests.server import ROOT, Server, free_port

DID = "+12025550100"
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """``n`` requests of ``size`` messages; ``carrier``: is it there?"""

    name: str
    mode: str
    n: int
    warm: int
    connections: int
    size: int = 1
    carrier: bool = True
    more: tuple[str, ...] = ()


SCENARIOS = (
    Scenario("POST /v1/messages", "mt", 15_000, 1_000, 32),
    Scenario("… with an Idempotency-Key", "mt", 10_000, 1_000, 32, more=("--keyed",)),
    Scenario("POST /v1/messages/batch of 1,000", "batch", 40, 4, 4, BATCH),
    Scenario("… while the carrier is away", "batch", 40, 4, 4, BATCH, carrier=False),
)
BARE = Scenario("bare twisted.web resource, nothing stored", "http", 15_000, 1_000, 32)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row; per second and µs are of messages."""

    store: str
    name: str
    accepted_per_s: int
    through_per_s: int | None
    cpu_us: float
    p50_ms: float
    p99_ms: float


def measured(scenario: Scenario, store: str, port: int, smsc: int, start: Any) -> Figure:
    """One scenario; ``start`` gives the server's process id once the peer listens."""
    command = [*pinned(1), sys.executable, "-m", "tests.bench.peer", scenario.mode]
    command += ["--api", str(port), "--key", KEY, "--did", DID, "--batch", str(scenario.size)]
    command += ["--n", str(scenario.n), "--warm", str(scenario.warm), "--seconds", "300"]
    command += ["--connections", str(scenario.connections), *scenario.more]
    if smsc:
        command += ["--smsc", str(smsc)]
    peer = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdout.readline()  # it listens
        pid = start()
        peer.stdout.readline()  # it is bound
        peer.stdin.write("go\n")
        peer.stdin.flush()
        peer.stdout.readline()  # it is warm
        before = cpu_seconds(pid)
        done = json.loads(peer.stdout.readline())
        after = cpu_seconds(pid)
    finally:
        peer.kill()
        peer.wait()
    if not done["finished"] or done["refused"]:
        raise RuntimeError(f"{scenario.name} on {store}: {done}")
    messages = scenario.n * scenario.size
    return Figure(
        store,
        scenario.name,
        round(messages / done["answered_s"]),
        round(messages / done["seconds"]) if smsc else None,
        (after - before) / messages * 1e6,
        done["p50_ms"],
        done["p99_ms"],
    )


def on_store(store: str, scenario: Scenario) -> Figure:
    """One scenario on a fresh store."""
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as name, fresh(store, Path(name)) as url:
        provision(url, [DID])
        smsc = free_port()
        with Server(Path(name), url, smsc, pinned(0), window=200) as server:

            def start() -> int:
                server.start(ready=scenario.carrier)
                if not scenario.carrier:
                    _until_it_takes(server)
                return server.pid

            return measured(scenario, store, server.http_port, smsc if scenario.carrier else 0, start)


def _until_it_takes(server: Server) -> None:
    from tests.server import until

    until(lambda: "server_ready" in server.log.read_text(), "the server takes messages")


def bare() -> Figure:
    """The resource that does nothing."""
    port = free_port()
    command = [*pinned(0), sys.executable, "-m", "tests.bench.bench_api", "--bare", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        return measured(BARE, "–", port, 0, lambda: process.pid)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def serve_bare(port: int) -> None:
    """Stock Site, stock Resource, until it is killed."""
    from twisted.internet import reactor as global_reactor
    from twisted.web.resource import Resource
    from twisted.web.server import Site

    class Echo(Resource):
        isLeaf = True

        def render_POST(self, request: Any) -> bytes:
            """Parse, look at the key, answer."""
            body = json.loads(request.content.read())
            assert request.getHeader(b"authorization")
            request.setResponseCode(202)
            request.setHeader(b"content-type", b"application/json")
            return json.dumps({"id": 1, "to": body["to"]}).encode()

    reactor: Any = global_reactor
    reactor.listenTCP(port, Site(Echo()), interface="127.0.0.1")
    print("listening", flush=True)
    reactor.run()


def report(figures: list[Figure]) -> str:
    """A Markdown table."""
    lines = [
        "| store | requests | accepted/s | through/s | CPU µs/message | answer p50/p99 ms |",
        "|---|---|--:|--:|--:|---|",
    ]
    for row in figures:
        through = "–" if row.through_per_s is None else f"{row.through_per_s:,}"
        lines.append(
            f"| {row.store} | {row.name} | {row.accepted_per_s:,} | {through} | {row.cpu_us:.0f} "
            f"| {row.p50_ms} / {row.p99_ms} |"
        )
    return "\n".join(lines)


def main() -> None:
    """See the module's docstring."""
    if sys.argv[1:2] == ["--bare"]:
        serve_bare(int(sys.argv[2]))
        return
    stores = tuple(sys.argv[1:]) or ("SQLite", "PostgreSQL")
    postgresql.begin_run()
    try:
        figures = [bare()]
        figures += [on_store(store, scenario) for store in stores for scenario in SCENARIOS]
        print(report(figures))
    finally:
        postgresql.end_run()


if __name__ == "__main__":
    main()
