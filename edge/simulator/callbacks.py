"""A page that a DID's URL callback may point at, so that a try-out needs no web server of one's own."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

KEPT_CALLBACKS = 100
QUERY_OCTETS = 16_384
VARIABLES = 50


class CallbackAnswer(StrEnum):
    """What the page says: only `ok` ends a callback, the others show how it is tried again."""

    OK = "ok"
    NO = "no"
    ERROR = "error"


# (HTTP status, body)
ANSWERS: dict[CallbackAnswer, tuple[int, bytes]] = {
    CallbackAnswer.OK: (200, b"ok"),
    CallbackAnswer.NO: (200, b"not now"),
    CallbackAnswer.ERROR: (500, b"the callback page was told to fail"),
}


@dataclass(frozen=True, slots=True)
class ReceivedCallback:
    """One call of the page: its query as decoded pairs, in order."""

    number: int
    at_ms: int
    query: tuple[tuple[str, str], ...]
    answered: CallbackAnswer


class CallbackLog:
    """I keep the last calls, newest first in `all`, and decide what the page says next."""

    def __init__(self, wall_ms: Callable[[], int], changed: Callable[[], None]) -> None:
        self._wall_ms = wall_ms
        self._changed = changed
        self._answer = CallbackAnswer.OK
        self._calls: deque[ReceivedCallback] = deque(maxlen=KEPT_CALLBACKS)
        self._count = 0

    @property
    def answer(self) -> CallbackAnswer:
        """What the next call is told."""
        return self._answer

    @answer.setter
    def answer(self, answer: CallbackAnswer) -> None:
        self._answer = answer
        self._changed()

    def all(self) -> list[ReceivedCallback]:
        """The last calls, newest first."""
        return list(reversed(self._calls))

    def record(self, query: bytes) -> tuple[int, bytes]:
        """Keep one call with its raw query string; the HTTP status and body to answer."""
        self._count += 1
        text = query[:QUERY_OCTETS].decode("ascii", "replace")
        pairs = tuple(parse_qsl(text, keep_blank_values=True, errors="replace")[:VARIABLES])
        self._calls.append(ReceivedCallback(self._count, self._wall_ms(), pairs, self._answer))
        self._changed()
        return ANSWERS[self._answer]
