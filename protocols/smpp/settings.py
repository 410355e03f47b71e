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


MAX_STATUSES = 256
OTHER_STATUSES = 0xFFFFFFFF
"""Where statuses are counted once a peer has used MAX_STATUSES different ones."""


def count_status(counts: defaultdict[int, int], status: int) -> None:
    """Count one command_status: the peer chooses it, so there is room for only so many."""
    if len(counts) >= MAX_STATUSES and status not in counts:
        status = OTHER_STATUSES
    counts[status] += 1


def _counts() -> defaultdict[int, int]:
    return defaultdict(int)


@dataclass(slots=True)
class Counters:
    """What passed through one session.

    `received` and `sent` count PDUs by command_id, the statuses by command_status where it is not ESME_ROK;
    `refused` counts the PDUs of the peer that were wrong.
    """

    received: defaultdict[int, int] = field(default_factory=_counts)
    sent: defaultdict[int, int] = field(default_factory=_counts)
    statuses_received: defaultdict[int, int] = field(default_factory=_counts)
    statuses_sent: defaultdict[int, int] = field(default_factory=_counts)
    refused: int = 0
    unknown_responses: int = 0
    expired: int = 0
    late: int = 0
    lost: int = 0
