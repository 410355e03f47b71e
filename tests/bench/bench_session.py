"""How many submit_sm a second pass through one session: our `SMPPProtocol` on a loopback connection.

The peer is a small SMSC without a store (`tests.bench.peer`) in a process of its own, on a core of its own
where there are two. Each message is built, sent and answered, and its answer read. Beside it, in the same
run, smpp34's client (Rust under asyncio) does the same with the same peer, on whatever cores it likes.

    python -m tests.bench.bench_session [--n N]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import react

from protocols.smpp.events import Bound, Closed, Event, ResponseReceived
from protocols.smpp.pdu import BindTransceiver
from protocols.smpp.session import Role, Session, SessionSettings
from protocols.smpp.transport import SMPPProtocol
from tests.bench.bench_smpp import submit_sm
from tests.bench.load import pinned
from tests.bench.peer import Peer, say
from tests.server import ROOT, free_port

WINDOWS = (1, 10, 50, 200)
PATIENCE_SECONDS = 60.0
SMPP34 = """
import asyncio, json, sys, time
import smpp34

async def main(port, n, window):
    client = smpp34.Client("127.0.0.1", port, "bench", "bench", bind_type="TRX", window_size=window)
    smsc = await client.connect()
    left = n
    async def worker():
        nonlocal left
        while left > 0:
            left -= 1
            await smsc.submit_sm("447700900123", b"x" * 100, source_addr="12025550100", source_addr_ton=1,
                                 source_addr_npi=1, dest_addr_ton=1, dest_addr_npi=1, registered_delivery=1)
    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[worker() for _ in range(window)])
    print(json.dumps([n / (time.perf_counter() - start), (time.process_time() - cpu) / n * 1e6]))
    await client.stop()

asyncio.run(main(*map(int, sys.argv[1:])))
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """One line of the table; ``cpu`` in µs of the measured process for each submit_sm."""

    who: str
    window: int
    per_second: float
    cpu: float

    def line(self) -> str:
        """For people."""
        rate = f"{self.per_second:>12,.0f} submit_sm/s"
        return f"{self.who:<10}window {self.window:>4}{rate}{self.cpu:>9.1f} µs CPU each"


class Sender:
    """I bind, and keep the window full until ``n`` submit_sm have been answered; ``done`` fires then."""

    def __init__(self, n: int) -> None:
        self.done: Deferred[tuple[float, float]] = Deferred()
        self._left = n
        self._unanswered = n
        self._began = (0.0, 0.0)
        self._protocol: Any = None

    def connection_made(self, protocol: SMPPProtocol) -> None:
        """See `protocols.smpp.transport.Handler`."""
        self._protocol = protocol
        protocol.request(BindTransceiver(system_id="bench", password="bench"))

    def event(self, event: Event) -> None:
        """See `protocols.smpp.transport.Handler`."""
        match event:
            case ResponseReceived():
                self._unanswered -= 1
                if self._left:
                    self._send(1)
                elif not self._unanswered:
                    self._ended()
            case Bound():
                self._began = time.perf_counter(), time.process_time()
                self._send(min(self._left, self._protocol.session.window.free))
            case Closed() if not self.done.called:
                self.done.errback(RuntimeError(f"the link ended: {event.reason}"))
            case _:
                pass

    def _send(self, count: int) -> None:
        self._left -= count
        for _ in range(count):
            self._protocol.request(submit_sm())

    def _ended(self) -> None:
        wall, cpu = self._began
        self.done.callback((time.perf_counter() - wall, time.process_time() - cpu))


@contextmanager
def peer_process() -> Iterator[int]:
    """The SMSC in a process of its own; its port."""
    port = free_port()
    command = [*pinned(1), sys.executable, "-m", "tests.bench.bench_session", "--serve", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield port
        finally:
            process.terminate()


@contextmanager
def on_one_core() -> Iterator[None]:
    """On the core that the peer does not have."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(everywhere)[:1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, everywhere)


async def ours(reactor: Any, port: int, n: int, window: int) -> Rate:
    """Our session."""
    sender = Sender(n)

    def build() -> SMPPProtocol:
        session = Session(Role.ESME, SessionSettings(window=window), reactor.seconds())
        return SMPPProtocol(session, sender, reactor)

    protocol: Any = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(build))
    sender.done.addTimeout(PATIENCE_SECONDS, reactor)
    wall, cpu = await sender.done
    await protocol.unbind()
    return Rate("trunkline", window, n / wall, cpu / n * 1e6)


def smpp34(port: int, n: int, window: int) -> Rate | None:
    """smpp34's client; None, and a word, where it is not installed."""
    python = ROOT / "tests" / "interop" / "venv-peers" / "bin" / "python"
    if not python.exists():
        print("smpp34 left out: run tests/install.sh", file=sys.stderr)
        return None
    command = [str(python), "-c", SMPP34, str(port), str(n), str(window)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    if not finished.stdout:  # it may abort at its end, which does not matter here
        print(f"smpp34 left out: {finished.stderr.strip()[-200:]}", file=sys.stderr)
        return None
    per_second, cpu = json.loads(finished.stdout)
    return Rate("smpp34", window, per_second, cpu)


async def measure(reactor: Any, n: int) -> list[Rate]:
    """All rates; a window of 1 is timed on a tenth of the messages."""
    rates = []
    with peer_process() as port:
        for window in WINDOWS:
            count = n if window > 1 else max(1, n // 10)
            with on_one_core():
                rates.append(await ours(reactor, port, count, window))
            beside = smpp34(port, count, window)
            if beside is not None:
                rates.append(beside)
    return rates


async def _main(reactor: Any, n: int) -> None:
    for rate in await measure(reactor, n):
        print(rate.line())


def serve(port: int) -> None:
    """Be the SMSC, until stopped."""
    with Peer(600.0) as peer:
        peer.listen(port, peer.smpp)
        say(event="listening")
        peer.run(lambda: False)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How many submit_sm a second pass through one session.")
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    react(lambda reactor: Deferred.fromCoroutine(_main(reactor, options.n)))


if __name__ == "__main__":
    main()
