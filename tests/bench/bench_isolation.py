"""Does a bad endpoint delay the others? 1,000 MO to a good one, alone and with 1,000 to a bad one as well.

    python -m tests.bench.bench_isolation [--n 1000] [--window 10] [--runs 5]

The whole server, on SQLite. Latency is from the deliver_sm to the arrival of its callback; a bad endpoint
accepts and says nothing (hanging), answers 500 (failing), or is not there (refusing). The ratio is the good
one's p99 beside that of the run without the bad one in the same round. A p99 of 1,000 is the tenth from the
end, and one stall of disk or scheduler holds up a window of ten: so every figure is the median of the rounds,
and the lowest and highest ratio stand beside it.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import unquote_to_bytes

from storage import numbers
from storage.engines import open_engine
from storage.ids import IdSource
from tests.bench.load import pinned
from tests.bench.peer import OK_ANSWER, Link, MoPump, Peer, deliver_sm
from tests.provision import provision
from tests.server import Server, free_port

GOOD, BAD = "+12025550100", "+12025550101"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
SECONDS = 100.0
NAMES = ("alone", "refusing", "failing", "hanging")


@dataclass(frozen=True, slots=True)
class Figure:
    """The good endpoint's latencies, in ms."""

    name: str
    arrived: int
    p50_ms: float
    p99_ms: float


class Scene(Peer):
    """An SMSC, a good endpoint that notes when each text arrived, and bad ones."""

    def __init__(self) -> None:
        super().__init__(SECONDS)
        self.arrived: dict[int, float] = {}

    def __enter__(self) -> "Scene":
        return self

    def good(self, link: Link, data: bytes) -> None:
        """`ok` for each request, whose text begins with its number."""
        data = link.pending + data
        *requests, link.pending = data.split(b"\r\n\r\n")
        for request in requests:
            number = int(unquote_to_bytes(request.split(b"text=", 1)[1][:8]))
            self.arrived.setdefault(number, time.monotonic())
        link.send(OK_ANSWER * len(requests))

    @staticmethod
    def hanging(link: Link, data: bytes) -> None:
        """No answer."""

    @staticmethod
    def failing(link: Link, data: bytes) -> None:
        """500 for each request."""
        link.send(FAILED * data.count(b"\r\n\r\n"))


class Mixed(MoPump):
    """To the good DID; with ``both``, every second one to the bad DID."""

    def __init__(self, peer: Peer, window: int, both: bool) -> None:
        super().__init__(peer, window, GOOD[1:].encode())
        self.sent_at: dict[int, float] = {}
        self._both = both

    def _next(self, now: float) -> bytes:
        pdu = super()._next(now)
        _, number = self._unanswered[self._sequence]
        if self._both and number % 2:
            return deliver_sm(self._sequence, number, BAD[1:].encode())
        self.sent_at.setdefault(number, now)
        return pdu


def run(name: str, n: int, window: int, folder: Path) -> Figure:
    """One run on a fresh store; ``name`` is alone, hanging, failing or refusing."""
    url = f"sqlite:///{folder / 'bench.db'}"
    good, bad, smsc = free_port(), free_port(), free_port()
    provision(url, [GOOD, BAD], {"url": f"http://127.0.0.1:{good}/?text={{MESSAGE}}", "retry": True})
    _point(url, f"http://127.0.0.1:{bad}/?text={{MESSAGE}}")
    with Scene() as scene, Server(folder, url, smsc, pinned(0)) as server:
        scene.listen(smsc, scene.smpp)
        scene.listen(good, scene.good)
        if name in ("hanging", "failing"):
            scene.listen(bad, getattr(scene, name))
        server.start(ready=False)
        assert scene.run(lambda: scene.smsc is not None), server.log.read_text()
        pump = Mixed(scene, window, both=name != "alone")
        pump.pump(n if name == "alone" else 2 * n)
        scene.run(lambda: len(scene.arrived) == n)
    waits = sorted(
        (at - pump.sent_at[number]) * 1000 for number, at in scene.arrived.items() if number in pump.sent_at
    )
    if not waits:
        return Figure(name, 0, float("inf"), float("inf"))
    return Figure(name, len(waits), waits[len(waits) // 2], waits[int(len(waits) * 0.99)])


def _point(url: str, bad: str) -> None:
    """The bad DID's callback."""
    engine = open_engine(url)
    with engine.transaction() as conn:
        ids = IdSource(14, lambda: time.time_ns() // 1_000_000)
        numbers.set_did(conn, ids.next, BAD, handler="callback", settings={"url": bad})
    engine.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Whether a bad endpoint delays the others.")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    rounds = [{name: measured(name, options) for name in NAMES} for _ in range(options.runs)]
    print("| beside the good endpoint | arrived | p50 ms | p99 ms | × alone | lowest to highest |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in NAMES:
        figures = [one[name] for one in rounds]
        ratios = [one[name].p99_ms / one["alone"].p99_ms for one in rounds]
        print(
            f"| {name} | {min(figure.arrived for figure in figures)}"
            f" | {median(figure.p50_ms for figure in figures):.1f}"
            f" | {median(figure.p99_ms for figure in figures):.1f}"
            f" | {median(ratios):.1f} | {min(ratios):.1f} to {max(ratios):.1f} |",
            flush=True,
        )


def measured(name: str, options: argparse.Namespace) -> Figure:
    """One run in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder:
        return run(name, options.n, options.window, Path(folder))


if __name__ == "__main__":
    main()
