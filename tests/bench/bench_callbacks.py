"""What a callback costs: the real handler with every check, beside treq over the stock Agent in the same run.

    python -m tests.bench.bench_callbacks [--n 20000] [--parallel 50]

Each line is one way to make the same GET (template filled, id, time, numbers and 100 characters of text) to a
sink in a process of its own on the other core, ``parallel`` at a time over connections that are kept. CPU µs
are user and system time of this process.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from treq.client import HTTPClient as TreqClient
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react
from twisted.web.client import Agent, HTTPConnectionPool, readBody

from edge.handlers import Delivered, Job
from edge.handlers.base import CallbackTimes
from edge.handlers.callback import CallbackHandler
from edge.http.addresses import policy
from edge.http.agent import treq_over
from edge.http.client import HTTPClient, HTTPSettings
from edge.http.resolving import NameResolver
from storage.records import DeliveryRecord, DeliveryState, MessageRecord
from tests.server import ROOT, free_port

TEMPLATE = "/in?to={TO}&from={FROM}&message={MESSAGE}&id={ID}&date={TIMESTAMP}"
TEXT = (
    "The quick brown fox jumps over the lazy dog & asks: 100 % of what? Très bien – naïve façade, 5 € each."
)
NOW_MS = 1_769_860_800_000
Attempt = Callable[[int], Deferred[Any]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One way to do it."""

    name: str
    per_s: float
    cpu_us: float


class Sink(Protocol):
    """Every GET is answered `ok`."""

    def __init__(self) -> None:
        self._pending = b""

    def dataReceived(self, data: bytes) -> None:
        """Requests, whole or in pieces."""
        data = self._pending + data
        requests = data.count(b"\r\n\r\n")
        self._pending = data[data.rfind(b"\r\n\r\n") + 4 :] if requests else data
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * requests)  # type: ignore[union-attr]


def job(number: int, target: str) -> Job:
    """A message of its own."""
    message = MessageRecord(
        number, 1, 2, "mo", "smpp", "+12025550100", "+12025550150", TEXT, "up", NOW_MS + number, 1
    )
    delivery = DeliveryRecord(
        number, number, 1, 2, "callback", target, DeliveryState.PENDING, 0, NOW_MS, NOW_MS, NOW_MS
    )
    return Job(delivery, message, 1, {"url": target, "retry": True})


def ways(reactor: Any, base: str, parallel: int) -> list[tuple[str, Attempt]]:
    """The attempts to be measured, the real one first."""
    target = base + TEMPLATE
    settings = HTTPSettings(addresses=policy(["127.0.0.1"]), connections_per_host=parallel)
    http = HTTPClient(reactor, settings, NameResolver(reactor))
    handler = CallbackHandler(http, CallbackTimes(), Random(1), lambda: NOW_MS)
    ours, stock = treq_over(http), TreqClient(Agent(reactor, pool=stock_pool(reactor, parallel)))
    url = base + "/in?to=2025550100&from=2025550150&id=7&date=2026-01-31%2012%3A00%3A00&message=" + "x" * 130

    def real(number: int) -> Deferred[Any]:
        return handler.deliver(job(number, target)).addCallback(delivered)

    return [
        ("the callback handler", real),
        ("its client alone", lambda _: http.get(url)),
        ("treq over our agent", lambda _: ours.get(url).addCallback(readBody)),
        (
            "treq over the stock Agent",
            lambda _: stock.get(url, timeout=30, unbuffered=True).addCallback(readBody),
        ),
    ]


def stock_pool(reactor: Any, parallel: int) -> HTTPConnectionPool:
    """Tuned: the default of two would open a connection for nearly every request."""
    pool = HTTPConnectionPool(reactor, persistent=True)
    pool.maxPersistentPerHost = parallel
    pool.retryAutomatically = False
    return pool


def delivered(outcome: object) -> None:
    """Anything else would be no measurement."""
    if not isinstance(outcome, Delivered):
        raise RuntimeError(str(outcome))


async def run(name: str, attempt: Attempt, n: int, parallel: int) -> Figure:
    """``n`` attempts, ``parallel`` at a time, after a few to open the connections."""
    await _all(attempt, 4 * parallel, parallel)
    began, cpu = time.perf_counter(), time.process_time()
    await _all(attempt, n, parallel)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Figure(name, n / seconds, cpu / n * 1e6)


def _all(attempt: Attempt, n: int, parallel: int) -> Deferred[None]:
    finished: Deferred[None] = Deferred()
    state = {"started": 0, "done": 0}

    def start() -> None:
        state["started"] += 1
        attempt(state["started"]).addCallbacks(done, failed)

    def done(_: object) -> None:
        state["done"] += 1
        if state["started"] < n:
            start()
        elif state["done"] == n:
            finished.callback(None)

    def failed(failure: Any) -> None:
        if not finished.called:
            finished.errback(failure)

    for _ in range(min(parallel, n)):
        start()
    return finished


def sink_process(core: int) -> tuple[subprocess.Popen[bytes], str]:
    """A sink that listens on a port of its own, and its URL."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bench_callbacks", "--sink", str(port), "--core", str(core)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # it listens
    return process, f"http://127.0.0.1:{port}"


async def measure(reactor: Any, n: int, parallel: int) -> list[Figure]:
    """Every way, one after the other, to a sink on the last core."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    sink, base = sink_process(cores[-1])
    try:
        return [await run(name, attempt, n, parallel) for name, attempt in ways(reactor, base, parallel)]
    finally:
        sink.kill()
        sink.wait()


def serve(port: int, core: int) -> None:
    """The sink, until it is killed."""
    from twisted.internet import reactor as global_reactor

    reactor: Any = global_reactor
    os.sched_setaffinity(0, {core})
    reactor.listenTCP(port, Factory.forProtocol(Sink), interface="127.0.0.1")
    print("listening", flush=True)
    reactor.run()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What a callback costs.")
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--parallel", type=int, default=50)
    parser.add_argument("--sink", type=int)
    parser.add_argument("--core", type=int, default=0)
    options = parser.parse_args()
    if options.sink:
        serve(options.sink, options.core)
        return

    async def measured(reactor: Any) -> None:
        figures = await measure(reactor, options.n, options.parallel)
        print("| | callbacks/s | CPU µs each | × stock |\n|---|--:|--:|--:|")
        for figure in figures:
            ratio = figure.per_s / figures[-1].per_s
            print(f"| {figure.name} | {figure.per_s:,.0f} | {figure.cpu_us:.0f} | {ratio:.1f} |")

    react(lambda reactor: Deferred.fromCoroutine(measured(reactor)))


if __name__ == "__main__":
    main()
