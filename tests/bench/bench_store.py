"""How many messages a second the store makes durable, and what one costs.

A closed loop on the real reactor: so many messages are outstanding at any time, and each is one unit of the
writer (one row of 19 columns, a key and two indexes). Beside it, in the same run, the naive way: a
transaction for every row. Only ratios travel between machines.

With ``--claims``: how fast due deliveries are claimed from a store that holds nothing else, and from one that
holds a million messages and has a hundred thousand deliveries due, in the same run.

    python -m tests.bench.bench_store [--messages N] [--claims] [--postgresql URL] [--folder DIRECTORY]
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from storage import messages, migrate
from storage.engines import Engine, open_engine
from storage.ids import IdSource
from storage.records import MessageRecord
from storage.store import Store
from storage.tables import message
from tests import postgresql
from tests.bench import claims

OUTSTANDING = (1, 10, 50, 200)
SECONDS_ENOUGH = 3.0
NAIVE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. ``outstanding`` is None for the naive way."""

    engine: str
    outstanding: int | None
    per_second: float
    cpu_microseconds: float
    commits: int
    messages: int

    def line(self) -> str:
        """For people."""
        way = "commit per row" if self.outstanding is None else f"{self.outstanding} outstanding"
        return (
            f"{self.engine:<11}{way:<18}{self.per_second:>9,.0f} messages/s"
            f"{self.cpu_microseconds:>8.1f} µs CPU a message"
            f"{self.messages / self.commits:>8.1f} messages a commit"
        )


def wall_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return int(time.time() * 1000)


def sample(ids: IdSource) -> MessageRecord:
    """An MO message of 40 characters, as the inbound pipeline stores it."""
    return MessageRecord(
        ids.next(),
        1,
        2,
        "mo",
        "smpp",
        "+12025550100",
        "+12025550199",
        "forty characters of an ordinary message.",
        "carrier",
        wall_ms(),
        1,
        "GSM7",
        0,
        None,
        0,
        0,
        b"forty characters of an ordinary message.",
        b"0123456789abcdef",
    )


def sync_milliseconds(folder: str, times: int = 100) -> float:
    """The median of syncing 4 KiB to this disk: what every figure here stands on."""
    path = Path(folder) / "sync.probe"
    taken = []
    with open(path, "wb", buffering=0) as probe:
        for _ in range(times):
            probe.write(bytes(4096))
            started = time.perf_counter()
            os.fdatasync(probe.fileno())
            taken.append(time.perf_counter() - started)
    path.unlink()
    return sorted(taken)[times // 2] * 1000


async def measure(reactor: Any, url: str, outstanding: int, count: int) -> Figure:
    """The figure for ``count`` messages (or what fits in a few seconds), ``outstanding`` at a time."""
    engine = open_engine(url)
    store = Store(engine, reactor, IdSource(0, wall_ms))
    await store.open()
    await _loop(store, outstanding, min(count, 20 * outstanding))
    batches, cpu, started = store.writer.batches, time.process_time(), time.perf_counter()
    done = await _loop(store, outstanding, count)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    batches = store.writer.batches - batches
    await store.close()
    return Figure(engine.name, outstanding, done / elapsed, cpu / done * 1e6, batches, done)


def _loop(store: Store, outstanding: int, count: int) -> "Deferred[int]":
    finished: Deferred[int] = Deferred()
    stop_at = time.perf_counter() + SECONDS_ENOUGH
    begun = done = 0

    def begin() -> None:
        nonlocal begun
        begun += 1
        store.writer.write(messages.insert(sample(store.ids))).addCallbacks(committed, finished.errback)

    def committed(_: None) -> None:
        nonlocal done
        done += 1
        if begun < count and (done & 15 or time.perf_counter() < stop_at):
            begin()
        elif done == begun:
            finished.callback(done)

    for _ in range(min(outstanding, count)):
        begin()
    return finished


def naive(engine: Engine, rows: int) -> Figure:
    """One row, one transaction, through SQLAlchemy Core on one connection."""
    ids = IdSource(1, wall_ms)
    clause = insert(message)
    with engine.writing.connect() as connection:
        cpu, started = time.process_time(), time.perf_counter()
        for _ in range(rows):
            with connection.begin():
                connection.execute(clause, sample(ids)._asdict())
        elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Figure(engine.name, None, rows / elapsed, cpu / rows * 1e6, rows, rows)


async def compare(
    reactor: Any, urls: Sequence[str], count: int, report: Callable[[Figure], object] = lambda _: None
) -> list[Figure]:
    """All figures for these migrated stores; ``report`` is called with each as it comes."""
    found = []
    for url in urls:
        engine = open_engine(url)
        figures: list[Awaitable[Figure]] = [
            measure(reactor, url, outstanding, count) for outstanding in OUTSTANDING
        ]
        figures.append(deferToThread(naive, engine, NAIVE_ROWS))
        for coming in figures:
            found.append(await coming)
            report(found[-1])
        engine.close()
    return found


async def _main(reactor: Any, arguments: argparse.Namespace, folder: str) -> None:
    urls = [f"sqlite:///{Path(folder) / 'bench.db'}"]
    if arguments.postgresql:
        urls.append(arguments.postgresql)
    for url in urls:
        engine = open_engine(url)
        migrate.upgrade(engine)
        engine.close()
    print(f"{os.cpu_count()} cores, {platform.machine()}, CPython {platform.python_version()}, in {folder}")
    print(f"fdatasync of 4 KiB: {sync_milliseconds(folder):.2f} ms", flush=True)
    if arguments.claims:
        for url in urls:
            print(await deferToThread(claims.compare, url), flush=True)
        return
    await compare(reactor, urls, arguments.messages, lambda figure: print(figure.line(), flush=True))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table; PostgreSQL is a cluster of its own unless ``--postgresql`` names a database."""
    parser = argparse.ArgumentParser(description="durable messages a second")
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--claims", action="store_true", help="the rate of claims instead")
    parser.add_argument("--postgresql", help="URL of an empty or migrated database")
    parser.add_argument("--folder", help="where the SQLite file goes")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.postgresql:
            react(lambda reactor: Deferred.fromCoroutine(_main(reactor, arguments, folder)))
        try:
            with postgresql.database() as url:
                arguments.postgresql = url
                react(lambda reactor: Deferred.fromCoroutine(_main(reactor, arguments, folder)))
        except postgresql.NoPostgreSQL as error:
            print(f"NOT MEASURED on PostgreSQL: {error}", file=sys.stderr)
            react(lambda reactor: Deferred.fromCoroutine(_main(reactor, arguments, folder)))
        finally:
            postgresql.end_run()


if __name__ == "__main__":
    main()
