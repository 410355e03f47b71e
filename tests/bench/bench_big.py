"""A store that has grown: 1,000,000 messages in ten accounts, 100,000 deliveries due.

How long the server takes to be ready, how long pages of conversations and searches take, and how fast due
deliveries are claimed, beside the same store when it held nothing but 20,000 that were due. Rows are made by
the database itself; the server is a process of its own, as its users run it.

    python -m tests.bench.bench_big [--messages N] [--folder DIRECTORY]
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, text

from storage import conversations, messages, search
from storage.engines import Engine, open_engine
from storage.history import Filter
from storage.ids import EPOCH_MS, IdSource
from storage.tables import did
from tests import postgresql
from tests.bench import claims
from tests.bench.peer import Peer
from tests.provision import provision
from tests.server import Server, free_port

MESSAGES = 1_000_000
DUE = 100_000
ACCOUNTS = 10
PEERS = 2_000  # of each account
TIMES = 30
SINK = "http://127.0.0.1:9/?m={MESSAGE}"  # where nobody listens
AIMS = {"start to ready": 10_000, "conversation": 50, "search": 300}

_SERIES = {
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < :last)",
    "postgresql": "WITH s(n) AS (SELECT generate_series(0, CAST(:last AS BIGINT)))",
}
_OF = "FROM s JOIN owner ON owner.number = s.n % 10"
_ID = f"({{first}} + n) * {1 << 12}"
_AT = f"{{first}} + n + {EPOCH_MS}"
_PEER = f"'+1202' || CAST(5550000 + n / 10 % {PEERS} AS TEXT)"
_WORDS = "hello from w' || CAST(n % 5000 AS TEXT) || ' at the"

_ROWS = (
    "INSERT INTO message (id, account_id, did_id, direction, leg, did, peer, text, upstream, created_at, "
    "parts_total, encoding, flags) {series} "
    f"SELECT {_ID}, account_id, did_id, CASE WHEN n / 10 % 2 = 0 THEN 'mo' ELSE 'mt' END, 'smpp', did, "
    f"{_PEER}, '{_WORDS} café 😀', 'carrier', {_AT}, 1, 'UCS-2', 0 {_OF}",
    "INSERT INTO part (id, message_id, upstream, number, total, esm_class, data_coding, user_data, state, "
    "flags, attempts, due_at, smsc_message_id, sent_at, answered_at, final_at) {series} "
    f"SELECT {_ID} + 1, {_ID}, 'carrier', 1, 1, 0, 8, {{octets}}, 'delivered', 0, 1, {_AT}, "
    f"CAST(n AS TEXT), {_AT}, {_AT}, {_AT} {_OF} WHERE n / 10 % 2 = 1",
    "INSERT INTO delivery (id, message_id, account_id, did_id, handler, target, state, attempts, due_at, "
    "created_at, updated_at, lane, lease_until) {series} "
    f"SELECT {_ID} + 2, {_ID}, account_id, did_id, 'callback', '{{sink}}', "
    f"CASE WHEN n / {claims.STRETCH} % {{every}} = 0 THEN 'pending' ELSE 'delivered' END, 0, {_AT}, {_AT}, "
    f"{_AT}, 1 + n % {claims.LANES}, {_AT} {_OF}",
    f"INSERT INTO event (account_id, kind, subject_id, at) {{series}} "
    f"SELECT account_id, 'message.received', {_ID}, {_AT} {_OF}",
    "INSERT INTO conversation (account_id, did, peer, last_message_id, last_inbound_id) "
    "SELECT account_id, did, peer, max(id), coalesce(max(CASE WHEN direction = 'mo' THEN id END), 0) "
    "FROM message WHERE did <> '{small}' GROUP BY account_id, did, peer",
)
_INDEX = {
    "sqlite": "INSERT INTO message_words (rowid, words) {series} "
    f"SELECT {_ID}, char(57344) || CAST(account_id AS TEXT) || ' {_WORDS} cafe 😀' {_OF}",
    "postgresql": "INSERT INTO message_words (message_id, account_id, words) {series} "
    f"SELECT {_ID}, account_id, strip(to_tsvector('simple', '{_WORDS} cafe')) || "
    f"array_to_tsvector(ARRAY['😀']) {_OF}",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """How long something took, many times; ``cpu_milliseconds`` is one time's mean, of both sides."""

    engine: str
    what: str
    milliseconds: tuple[float, ...]
    cpu_milliseconds: float | None = None

    def line(self) -> str:
        """For people."""
        ordered = sorted(self.milliseconds)
        aim = next((aim for name, aim in AIMS.items() if self.what.startswith(name)), None)
        return (
            f"{self.engine:<11}{self.what:<42}{ordered[len(ordered) // 2]:>9,.1f} ms p50"
            f"{ordered[-1]:>9,.1f} ms max"
            + ("" if self.cpu_milliseconds is None else f"{self.cpu_milliseconds:>8.1f} ms CPU")
            + (f"   aim {aim:,}" if aim else "")
        )


def fill(engine: Engine, owners: Sequence[tuple[int, int, str]], count: int) -> None:
    """So many messages, from before now, with parts, deliveries, events, conversations and words."""
    values: dict[str, object] = {
        "series": _SERIES[engine.name],
        "first": time.time_ns() // 1_000_000 - EPOCH_MS - count - 60_000,
        "octets": "x'68656c6c6f'" if engine.name == "sqlite" else "'hello'::bytea",
        "every": count // DUE or 1,
        "small": claims.DID,
        "sink": SINK,
    }
    with engine.transaction() as connection:
        connection.execute(
            text("CREATE TEMPORARY TABLE owner (number INT, account_id BIGINT, did_id BIGINT, did TEXT)")
        )
        for number, (account_id, did_id, dialled) in enumerate(owners):
            row = {"number": number, "account": account_id, "owned": did_id, "did": dialled}
            connection.execute(text("INSERT INTO owner VALUES (:number, :account, :owned, :did)"), row)
        for statement in (*_ROWS, _INDEX[engine.name]):
            written = statement.format(**values)
            connection.execute(text(written), {"last": count - 1} if ":last" in written else {})
        newest = text("UPDATE follower SET event_id = (SELECT max(id) FROM event), xact = :xact")
        xact = 0 if engine.name == "sqlite" else _transaction(connection)
        connection.execute(newest, {"xact": xact})
    claims.settle(engine)


def _transaction(connection: Connection) -> int:
    """The number of this transaction."""
    return int(connection.scalar(text("SELECT pg_current_xact_id()::text::bigint")) or 0)


def taken(engine: Engine, what: str, fn: Callable[..., list[Any]], *arguments: Any, **more: Any) -> Figure:
    """How long a query takes, on a connection that is there; it must find something."""
    milliseconds = []
    with engine.snapshot() as connection:
        server = _server_of(connection)
        before = time.process_time() + _cpu_seconds(server)
        for _ in range(TIMES):
            started = time.perf_counter()
            assert fn(connection, *arguments, **more), what
            milliseconds.append((time.perf_counter() - started) * 1000)
        cpu = time.process_time() + _cpu_seconds(server) - before
    return Figure(engine.name, what, tuple(milliseconds), cpu / TIMES * 1000)


def _server_of(connection: Connection) -> int | None:
    """PostgreSQL's process for this connection; SQLite is in this one."""
    if connection.dialect.name == "sqlite":
        return None
    return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)


def _cpu_seconds(process: int | None) -> float:
    """What another process has used so far."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def queries(engine: Engine, account_id: int, dialled: str) -> Iterator[Figure]:
    """What people wait for."""
    measure = partial(taken, engine)
    yield measure("conversations, 50 newest", conversations.page, account_id, limit=50)
    yield measure("conversations, unread, of a DID", conversations.page, account_id, did=dialled, unread=True)
    one = {"did": dialled, "peer": "+12025550042"}
    yield measure("conversation page, 50 messages", messages.search, account_id, **one, limit=50)
    yield measure("conversation page, all of an account", messages.search, account_id, limit=50)
    for what, words in (
        ("search, a word in all messages", "hello"),
        ("search, a rare word", "w4210"),
        ("search, two words, one rare", "café w4210"),
        ("search, the beginning of a word", "w42"),
        ("search, an emoji", "😀"),
    ):
        yield measure(what, search.find, account_id, words)
    narrow = Filter(peer="+12025550042")
    yield measure("search, a common word with one peer", search.find, account_id, "hello", narrow)


def start_to_ready(url: str, engine_name: str) -> Figure:
    """From the start of the process until /readyz says so, with a carrier that answers at once."""
    with tempfile.TemporaryDirectory() as folder, Peer(120.0) as peer:
        port = free_port()
        peer.listen(port, peer.smpp)
        with Server(Path(folder), url, port, ("env",)) as server:  # the command itself, imports and all
            started = time.perf_counter()
            server.start(ready=False)
            assert peer.run(server.is_ready), "it is ready in the end"
            milliseconds = (time.perf_counter() - started) * 1000
            server.stop()
    return Figure(engine_name, "start to ready", (milliseconds,))


def measure(url: str, count: int) -> Iterator[str]:
    """Everything, for one empty database."""
    for number in range(ACCOUNTS):
        dids = [f"+120255501{number:02d}"]
        provision(url, dids, {"url": SINK, "retry": True}, account=f"account {number}", key=f"key {number}")
    engine = open_engine(url)
    with engine.snapshot() as connection:
        rows = connection.execute(select(did.c.account_id, did.c.id, did.c.number).order_by(did.c.number))
        owners = [(row.account_id, row.id, row.number) for row in rows]
    ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
    claims.fill(engine, ids, claims.SMALL_DUE, claims.SMALL_DUE)
    small = claims.measure(engine, ids, f"{claims.SMALL_DUE:,} due, nothing else")
    yield small.line()
    started = time.perf_counter()
    fill(engine, owners, count)
    filled = time.perf_counter() - started
    large = claims.measure(engine, ids, f"{count:,} messages, {min(DUE, count):,} due")
    yield large.line()
    yield (
        f"{engine.name:<11}claims, ratio {large.per_second / small.per_second:.2f} "
        f"(of CPU time {large.cpu_microseconds / small.cpu_microseconds:.2f}); filled in {filled:.0f} s"
    )
    for figure in queries(engine, owners[0][0], owners[0][2]):
        yield figure.line()
    engine.close()
    yield start_to_ready(url, engine.name).line()
    yield f"{engine.name:<11}load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the figures of both engines."""
    parser = argparse.ArgumentParser(description="a store that has grown")
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--folder", help="where the SQLite file goes")
    arguments = parser.parse_args(argv)
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the beginning"
    print(load, flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for line in measure(f"sqlite:///{Path(folder) / 'big.db'}", arguments.messages):
            print(line, flush=True)
    try:
        with postgresql.database() as url:
            for line in measure(url, arguments.messages):
                print(line, flush=True)
    except postgresql.NoPostgreSQL as error:
        print(f"NOT MEASURED on PostgreSQL: {error}", file=sys.stderr)
    finally:
        postgresql.end_run()


if __name__ == "__main__":
    main()
