"""Test doubles for programs that stand next to the server: an HTTP sink, and an SMSC that follows a script.

Both listen on 127.0.0.1 with the reactor that they are given, and never wait without an end: what does not
come in time is a TimeoutError that says what was missing.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import NOT_DONE_YET

from edge.simulator.fake import FakeLink, FakeSMSC, accept_all
from edge.simulator.waiting import Arrivals
from edge.simulator.web import Node, Request, site

__all__ = ["FakeLink", "FakeSMSC", "SinkAnswer", "SinkRequest", "StubSink", "accept_all"]

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SinkAnswer:
    """What the sink says. ``hold``: not before `StubSink.release`; ``cut``: it drops the connection."""

    body: bytes = b"ok"
    status: int = 200
    hold: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class SinkRequest:
    """A request as it came: ``target`` is path and query in the octets of the request line."""

    method: str
    target: bytes
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The decoded variables (UTF-8); of a repeated one the last."""
        raw = self.target.partition(b"?")[2].decode("ascii")
        return dict(parse_qsl(raw, keep_blank_values=True, errors="strict"))

    def header(self, name: str) -> str | None:
        """The first header of this name, in any case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class StubSink:
    """A web server on loopback that records every request and answers from a script.

    ``script`` is used once from left to right; after its end every request is answered ``then``.
    """

    def __init__(
        self, reactor: Any, script: Sequence[SinkAnswer] = (), then: SinkAnswer = SinkAnswer()
    ) -> None:
        self.then = then
        self.script = deque(script)
        self.port = 0
        self._reactor = reactor
        self._clock: IReactorTime = reactor
        self._listening: Any = None
        self._arrivals: Arrivals[SinkRequest] = Arrivals(reactor)
        self._held: list[tuple[Request, SinkAnswer]] = []

    @property
    def requests(self) -> list[SinkRequest]:
        """Everything that came, oldest first."""
        return self._arrivals.seen

    @property
    def held(self) -> int:
        """Requests that wait for `release`."""
        return len(self._held)

    def start(self) -> str:
        """Listen; the URL of the root, without a slash at its end. A second start takes the same port."""
        factory = site(_SinkResource(self))
        self._listening = self._reactor.listenTCP(self.port, factory, interface=LOOPBACK)
        self.port = self._listening.getHost().port
        return f"http://{LOOPBACK}:{self.port}"

    async def stop(self) -> None:
        """Drop what is held and stop listening."""
        held, self._held = self._held, []
        for request, _ in held:
            request.loseConnection()
        listening, self._listening = self._listening, None
        if listening is not None:
            await listening.stopListening()

    def release(self) -> int:
        """Answer everything that is held; how many that were."""
        held, self._held = self._held, []
        for request, answer in held:
            _finish(request, answer)
        return len(held)

    def await_requests(self, count: int, seconds: float = PATIENCE_SECONDS) -> Deferred[list[SinkRequest]]:
        """The requests so far, as soon as there are ``count``."""
        return self._arrivals.until(lambda seen: len(seen) >= count, f"{count} HTTP requests", seconds)

    def await_match(
        self, wanted: Callable[[SinkRequest], bool], seconds: float = PATIENCE_SECONDS
    ) -> Deferred[SinkRequest]:
        """The first request, already here or to come, that ``wanted`` is true of."""
        waiting = self._arrivals.until(lambda seen: any(map(wanted, seen)), "a fitting HTTP request", seconds)
        return waiting.addCallback(lambda seen: next(filter(wanted, seen)))

    def _serve(self, request: Request) -> int:
        answer = self.script.popleft() if self.script else self.then
        received = _received(request, self._clock.seconds())
        if answer.hold:
            self._hold(request, answer)
        else:
            _finish(request, answer)
        self._arrivals.add(received)
        return int(NOT_DONE_YET)

    def _hold(self, request: Request, answer: SinkAnswer) -> None:
        entry = (request, answer)
        self._held.append(entry)

        def gone(_: object) -> None:
            if entry in self._held:
                self._held.remove(entry)

        request.notifyFinish().addErrback(gone)


class _SinkResource(Node):
    isLeaf = True

    def __init__(self, sink: StubSink) -> None:
        super().__init__()
        self._sink = sink

    def render(self, request: Request) -> int:
        """Every method is taken."""
        return self._sink._serve(request)


def _received(request: Request, at: float) -> SinkRequest:
    return SinkRequest(
        method=request.method.decode("ascii"),
        target=request.uri,
        headers=tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in request.requestHeaders.getAllRawHeaders()
            for value in values
        ),
        body=b"" if request.content is None else request.content.read(),
        at=at,
    )


def _finish(request: Request, answer: SinkAnswer) -> None:
    if answer.cut:
        request.loseConnection()
        return
    request.setResponseCode(answer.status)
    request.setHeader("content-type", "text/plain; charset=utf-8")
    request.write(answer.body)
    request.finish()
