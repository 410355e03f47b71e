"""How a session is set up, and what it counts."""

from collections import defaultdict
from dataclasses import dataclass, field

from protocols.smpp.framing import MAX_PDU


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a session behaves; times in seconds, None for never.

    `window`: requests outstanding at once. `response_timeout`: for each request, and for the answers to
    enquire_link and unbind. `enquire_link`: silence of the peer after which it is asked,
    `enquire_misses`: unanswered times after which it is dead. `bind_timeout`: from the bind (SMSC: from
    the connection) to its answer. `inactivity`: time without a message after which the session unbinds.
    `remember_expired`: expired requests whose late answer is still recognised.
    """

    window: int = 50
    response_timeout: float = 30.0
    enquire_link: float | None = 30.0
    enquire_misses: int = 2
    bind_timeout: float = 10.0
    inactivity: float | None = None
    max_pdu: int = MAX_PDU
    remember_expired: int = 10_000


MAX_ERRORS = 256
OTHER = 0xFFFFFFFF
"""What unknown commands are counted as, and statuses once a peer has used MAX_ERRORS different ones."""

Errors = defaultdict[tuple[int, int], int]


def count_error(counts: Errors, command_id: int, status: int, times: int = 1) -> None:
    """Count a command_status: the peer chooses it, so there is room for only so many."""
    if len(counts) >= MAX_ERRORS and (command_id, status) not in counts:
        status = OTHER
    counts[command_id, status] += times


def _counts() -> defaultdict[int, int]:
    return defaultdict(int)


def _errors() -> Errors:
    return defaultdict(int)


@dataclass(slots=True)
class Counters:
    """What passed through one session.

    `received` and `sent` count all PDUs by command_id (`OTHER`: commands that nobody knows),
    `errors_received` and `errors_sent` those of them whose command_status is not ESME_ROK, by both.
    `refused` counts the PDUs of the peer that were wrong.
    """

    received: defaultdict[int, int] = field(default_factory=_counts)
    sent: defaultdict[int, int] = field(default_factory=_counts)
    errors_received: Errors = field(default_factory=_errors)
    errors_sent: Errors = field(default_factory=_errors)
    refused: int = 0
    unknown_responses: int = 0
    expired: int = 0
    late: int = 0
    lost: int = 0
