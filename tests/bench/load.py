"""The whole server under load, as its users run it: a process pinned to one core, its peers on another.

For each store: durable MO/s (deliver_sm → commit → deliver_sm_resp, no callback), full MO/s (until the
callback's outcome is stored), MT/s (POST → commit → 202 → submit_sm → resp), and CPU µs a message.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.passwords import hash_password
from storage import accesses
from storage.engines import open_engine
from storage.records import ApiAccess
from tests import postgresql
from tests.provision import KEY, provision
from tests.server import ROOT, Server, free_port

DID = "+12025550100"
PASSWORD = "a-long-api-password"
ALL_ON: dict[str, dict[str, object]] = {"lookalikes": {"kannel": True, "jasmin": True, "acrobits": True}}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """One row of the result."""

    store: str
    name: str
    n: int
    per_s: int
    answered_per_s: int
    cpu_us: int
    p50_ms: float
    p99_ms: float


def let_in(url: str, account_id: int) -> None:
    """Programs of this account may log in, with a password of the usual cost."""
    engine = open_engine(url)
    access = ApiAccess(account_id, "bench", hash_password(PASSWORD), allowed="127.0.0.0/8")
    with engine.transaction() as connection:
        accesses.put_access(connection, access)
    engine.close()


def pinned(core: int) -> tuple[str, ...]:
    """A command prefix; nothing where there is only one core."""
    cores = sorted(os.sched_getaffinity(0))
    return ("taskset", "-c", str(cores[core % len(cores)])) if len(cores) > 1 else ()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run(
    store: str,
    url: str,
    folder: Path,
    name: str,
    n: int,
    window: int = 200,
    connections: int = 32,
    requests: str = "native",
) -> Load:
    """One scenario ("durable MO", "full MO" or "MT") on a fresh store; MT by the ``requests`` of an API."""
    smsc, sink = free_port(), free_port()
    callback = None
    if name == "full MO":
        template = (
            f"http://127.0.0.1:{sink}/?id={{ID}}&at={{TIMESTAMP}}&from={{FROM}}&to={{TO}}&text={{MESSAGE}}"
        )
        callback = {"url": template, "retry": True}
    account_id = provision(url, [DID], callback)
    key, tables = KEY, {}
    if requests != "native":
        key, tables = PASSWORD, ALL_ON
        let_in(url, account_id)
    server = Server(folder, url, smsc, pinned(0), tables=tables, window=window)
    mode = ["mt"] if name == "MT" else ["mo", *(["--sink", str(sink)] if callback else [])]
    command = [
        *pinned(1),
        sys.executable,
        "-m",
        "tests.bench.peer",
        *mode,
        "--smsc",
        str(smsc),
        "--n",
        str(n),
    ]
    command += ["--window", str(window), "--api", str(server.http_port), "--key", key, "--did", DID]
    command += ["--connections", str(connections), "--requests", requests]
    peer = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdout.readline()  # it listens
        server.start()
        peer.stdout.readline()  # it is bound
        peer.stdin.write("go\n")
        peer.stdin.flush()
        peer.stdout.readline()  # it is warm
        before = cpu_seconds(server.pid)
        done = json.loads(peer.stdout.readline())
        after = cpu_seconds(server.pid)
    finally:
        server.stop()
        peer.kill()
        peer.wait()
    if not done["finished"] or done["refused"]:
        raise RuntimeError(f"{name} on {store}: {done}; log: {server.log}")
    cpu_us = round((after - before) / n * 1e6)
    shown = name if requests == "native" else requests
    return Load(
        store, shown, n, done["per_s"], done["answered_per_s"], cpu_us, done["p50_ms"], done["p99_ms"]
    )


@contextlib.contextmanager
def fresh(store: str, folder: Path) -> Iterator[str]:
    """The URL of an empty store."""
    if store == "SQLite":
        yield f"sqlite:///{folder / 'bench.db'}"
        return
    with postgresql.database() as url:
        yield url


SCENARIOS = (("durable MO", 60_000), ("full MO", 10_000), ("MT", 10_000))


def figures(stores: tuple[str, ...] = ("SQLite", "PostgreSQL"), scale: float = 1.0) -> list[Load]:
    """Every scenario on every store."""
    found = []
    for store in stores:
        for name, n in SCENARIOS:
            with (
                tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder,
                fresh(store, Path(folder)) as url,
            ):
                found.append(run(store, url, Path(folder), name, max(1000, round(n * scale))))
    return found


def report(found: list[Load]) -> str:
    """A Markdown table."""
    lines = [
        "| store | load | n | messages/s | answered/s | CPU µs/message | answer p50/p99 ms |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    lines += [
        f"| {row.store} | {row.name} | {row.n} | {row.per_s} | {row.answered_per_s} | {row.cpu_us} "
        f"| {row.p50_ms} / {row.p99_ms} |"
        for row in found
    ]
    return "\n".join(lines)


def main() -> None:
    """python -m tests.bench.load [SQLite] [PostgreSQL]"""
    stores = tuple(sys.argv[1:]) or ("SQLite", "PostgreSQL")
    postgresql.begin_run()
    try:
        print(report(figures(stores)))
    finally:
        postgresql.end_run()


if __name__ == "__main__":
    main()
