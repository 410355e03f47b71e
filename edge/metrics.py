"""What a bind counts: plain integers and arrays, added to on the message path and read by a snapshot."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from protocols.smpp.commands import CommandId
from protocols.smpp.errors import CommandStatus, status_name
from protocols.smpp.settings import OTHER, Counters, count_error

RESPONSE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper bounds of the response times' classes; one more class is for what took longer."""

Pdus = Mapping[tuple[str, str], int]
"""How many PDUs, by the names of command and status; statuses that SMPP does not name are "other"."""

KNOWN_STATUSES = frozenset(CommandStatus)


@dataclass(frozen=True, slots=True)
class BindSnapshot:
    """One bind as it stands. ``response_seconds`` has a count for each class of `RESPONSE_SECONDS` and one
    for what took longer; ``response_seconds_sum`` is their total. ``refused`` are PDUs that were wrong."""

    name: str
    kind: str
    state: str
    paused: bool
    window: int
    window_in_use: int
    reconnects: int
    throttles: int
    pdus_in: Pdus
    pdus_out: Pdus
    expired: int
    late: int
    lost: int
    refused: int
    unknown_responses: int
    response_seconds: tuple[int, ...]
    response_seconds_sum: float


class BindMetrics:
    """I outlive the sessions of one bind: the counters of each are added when it ends."""

    __slots__ = ("histogram", "reconnects", "seconds", "sessions", "throttles")

    def __init__(self) -> None:
        self.reconnects = 0
        self.throttles = 0
        self.histogram = [0] * (len(RESPONSE_SECONDS) + 1)
        self.seconds = 0.0
        self.sessions = Counters()

    def answered(self, elapsed: float) -> None:
        """A response to one of our requests, ``elapsed`` seconds after it."""
        self.histogram[bisect_left(RESPONSE_SECONDS, elapsed)] += 1
        self.seconds += elapsed

    def ended(self, counters: Counters) -> None:
        """A session is over."""
        self.sessions = added(self.sessions, counters)

    def totals(self, current: Counters | None) -> Counters:
        """The counters of all sessions, with those of the ``current`` one."""
        return self.sessions if current is None else added(self.sessions, current)


def added(one: Counters, other: Counters) -> Counters:
    """Both together."""
    total = Counters()
    for counters in (one, other):
        for name in ("received", "sent"):
            into = getattr(total, name)
            for key, count in getattr(counters, name).items():
                into[key] += count
        for name in ("errors_received", "errors_sent"):
            errors = getattr(total, name)
            for (command_id, status), count in getattr(counters, name).items():
                count_error(errors, command_id, status, count)
        for name in ("refused", "unknown_responses", "expired", "late", "lost"):
            setattr(total, name, getattr(total, name) + getattr(counters, name))
    return total


def by_status(commands: Mapping[int, int], errors: Mapping[tuple[int, int], int]) -> Pdus:
    """PDUs by command and status, from their number by command and the number of errors among them."""
    found: Counter[tuple[str, str]] = Counter()
    for command_id, count in commands.items():
        found[_command(command_id), status_name(0)] += count
    for (command_id, status), count in errors.items():
        found[_command(command_id), status_name(0)] -= count
        found[_command(command_id), _status(status)] += count
    return MappingProxyType({key: count for key, count in sorted(found.items()) if count > 0})


def _status(status: int) -> str:
    """A carrier may make up 2^32 of them, and each would be a series of its own: the log names those."""
    return status_name(status) if status in KNOWN_STATUSES else "other"


def _command(command_id: int) -> str:
    return "unknown" if command_id == OTHER else CommandId(command_id).name.lower()
