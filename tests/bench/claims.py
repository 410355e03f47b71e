"""How fast due deliveries are claimed: from a small store and from a large one, in one run.

Each claim is as the outbox makes it: a look for the lanes in which something is due, then one transaction
that takes so many from each. What is due lies in stretches, as the outages of targets leave it. See
`tests.bench.bench_store`, which runs this with ``--claims``.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import text
from twisted.internet.defer import Deferred

from edge.claims import CLAIM_DELIVERIES, LANE_DELIVERIES, LOOK_LANES
from storage import messages, queue
from storage.batch import Transactor, Unit
from storage.engines import Engine, open_engine
from storage.ids import IdSource
from storage.records import DeliveryRecord, DeliveryState, MessageRecord

MESSAGES = 1_000_000
DUE = 100_000
SMALL_DUE = 20_000
CLAIMED = 15_000  # of each store
STRETCH = 10_000
LANES = 50
DID = "+12025550199"


@dataclass(frozen=True, slots=True)
class Claims:
    """What one store did."""

    engine: str
    holds: str
    per_second: float
    cpu_microseconds: float

    def line(self) -> str:
        """For people."""
        return (
            f"{self.engine:<11}{self.holds:<42}{self.per_second:>9,.0f} claims/s"
            f"{self.cpu_microseconds:>8.1f} µs CPU a claim"
        )


def compare(url: str) -> str:
    """Both figures for a migrated, empty store, and their ratio."""
    engine = open_engine(url)
    ids = IdSource(1, lambda: time.time_ns() // 1_000_000)
    started = time.perf_counter()
    fill(engine, ids, SMALL_DUE, SMALL_DUE)
    small = measure(engine, ids, f"{SMALL_DUE:,} due, nothing else")
    fill(engine, ids, MESSAGES, DUE)
    filled = time.perf_counter() - started
    large = measure(engine, ids, f"{MESSAGES:,} messages, {DUE:,} due")
    engine.close()
    ratio = large.per_second / small.per_second
    return f"{small.line()}\n{large.line()}\n{engine.name:<11}ratio {ratio:.2f} (filled in {filled:.0f} s)"


def fill(engine: Engine, ids: IdSource, count: int, due: int) -> None:
    """So many messages, each with a delivery; those that are not due are delivered. Both stores are measured
    right after a checkpoint."""
    transactor = Transactor(engine)
    batch: list[Unit] = []
    for unit in _units(ids, count, due):
        batch.append(unit)
        if len(batch) == 1_000:
            transactor.commit(batch)
            assert batch[-1].outcome is None
            batch.clear()
    transactor.close()
    settle(engine)


def settle(engine: Engine) -> None:
    """What the engine does by itself some time after so much was written."""
    if engine.name == "postgresql":
        with engine.transaction() as connection:
            connection.execute(text("ANALYZE"))
        with engine.writing.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CHECKPOINT"))


def _units(ids: IdSource, count: int, due: int) -> Iterator[Unit]:
    now_ms = time.time_ns() // 1_000_000
    words = "forty characters of an ordinary message."
    every = count // due
    for number in range(count):
        about = MessageRecord(
            ids.next(), 1, 2, "mo", "smpp", DID, "+12025550142", words, "carrier", now_ms, 1
        )
        pending = number // STRETCH % every == 0
        record = DeliveryRecord(
            ids.next(),
            about.id,
            1,
            2,
            "callback",
            "http://127.0.0.1:9/?m={MESSAGE}",
            DeliveryState.PENDING if pending else DeliveryState.DELIVERED,
            0,
            now_ms,
            now_ms,
            now_ms,
            lane=1 + number % LANES,
            lease_until=now_ms,
        )
        yield Unit("fill", Deferred(), messages.insert(about, deliveries=[record]))


def measure(engine: Engine, ids: IdSource, holds: str) -> Claims:
    """Claim what is due, as the outbox does, and say how fast that was."""
    transactor = Transactor(engine)
    owner, done = ids.next(), 0
    cpu, started = time.process_time(), time.perf_counter()
    while done < CLAIMED:
        now_ms = time.time_ns() // 1_000_000
        with engine.snapshot() as connection:
            lanes = queue.due_lanes(connection, now_ms, 0, LOOK_LANES)
        each = min(LANE_DELIVERIES, max(1, CLAIM_DELIVERIES // max(1, len(lanes))))
        shares = [(lane.lane, each) for lane in lanes]
        work = partial(queue.claim, shares=shares, owner=owner, until_ms=now_ms + 600_000, now_ms=now_ms)
        unit = Unit("claim", Deferred(), fn=work)
        transactor.commit([unit])
        assert unit.outcome, "there is enough to claim"
        done += len(unit.outcome)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    transactor.close()
    return Claims(engine.name, holds, done / elapsed, cpu / done * 1e6)
