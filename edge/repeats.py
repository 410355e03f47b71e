"""Repeats: an MO that the SMSC sends again because our answer may not have reached it.

An MO has no identity on the wire, and two equal texts may well be two texts ("yes", "yes"). So equal
octets alone never make a repeat. Only when a link was lost, or the server died, may the last answers
have been lost; an equal PDU that comes soon after is then taken for the SMSC's second try, once for
each earlier copy.
"""

import hashlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

REMEMBERED = 1_000  # more than any window of unanswered deliver_sm
ANSWER_AT_RISK_MS = 10_000  # an answer older than this at the time of the loss had arrived
RESEND_WITHIN_MS = 300_000  # how long after the bind is back the SMSC's second try is expected


def fingerprint(source: str, destination: str, esm_class: int, data_coding: int, octets: bytes) -> bytes:
    """What two copies of one MO have in common: 16 octets."""
    head = f"{source}\0{destination}\0{esm_class}\0{data_coding}\0".encode()
    return hashlib.blake2b(head + octets, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Seen:
    """An MO that was stored."""

    message_id: int
    fingerprint: bytes
    at_ms: int
    link: str = ""  # the name of the bind that it came on


class Repeats:
    """I watch one upstream. Until a link is lost I only remember."""

    def __init__(self) -> None:
        self._recent: deque[Seen] = deque(maxlen=REMEMBERED)
        self._doubtful: dict[bytes, list[Seen]] = {}
        self._until_ms: int | None = None  # no link was lost yet, or it is not back

    def remember(self, seen: Seen) -> None:
        """A committed MO, about to be answered."""
        self._recent.append(seen)

    def link_lost(self, link: str, now_ms: int) -> None:
        """The last answers on this bind may not have arrived."""
        lost = [seen for seen in self._recent if seen.link == link]
        self._at_risk([seen for seen in lost if now_ms - seen.at_ms <= ANSWER_AT_RISK_MS])
        self._recent = deque((seen for seen in self._recent if seen.link != link), maxlen=REMEMBERED)

    def restarted(self, last: Iterable[Seen]) -> None:
        """The server ended somehow; ``last`` is what the store had received just before."""
        self._at_risk(last)

    def bind_up(self, now_ms: int) -> None:
        """From now on the SMSC can try again."""
        self._until_ms = now_ms + RESEND_WITHIN_MS

    def _at_risk(self, copies: Iterable[Seen]) -> None:
        for seen in copies:
            self._doubtful.setdefault(seen.fingerprint, []).append(seen)

    def original(self, fingerprint: bytes, now_ms: int) -> int | None:
        """The message that an MO with this fingerprint repeats, or None. Each copy answers once."""
        copies = self._doubtful.get(fingerprint)
        if not copies:
            return None
        if self._until_ms is not None and now_ms > self._until_ms:
            self._doubtful.clear()
            return None
        original = copies.pop(0)
        if not copies:
            del self._doubtful[fingerprint]
        return original.message_id
