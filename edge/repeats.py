"""Repeats: an MO that the SMSC sends again because our answer may not have reached it.

An MO has no identity on the wire, and two equal texts may well be two texts ("yes", "yes"). So equal octets
alone never make a repeat. Only when a link was lost, or the server died, may the last answers have been lost;
an equal PDU that comes soon after is then taken for the SMSC's second try, once for each earlier copy.

A copy that is not in the store is nobody's original: its fate is awaited before anything is called a repeat.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from twisted.internet.defer import Deferred, succeed

from protocols.sms import Concatenation

REMEMBERED = 20_000  # of all upstreams of a group; more than come in while answers are at risk
ANSWER_AT_RISK_MS = 10_000  # an answer older than this at the time of the loss had arrived
RESEND_WITHIN_MS = 300_000  # how long after the bind is back the SMSC's second try is expected
MAX_DOUBTS = REMEMBERED


def fingerprint(
    source: str,
    destination: str,
    esm_class: int,
    data_coding: int,
    octets: bytes,
    concatenation: Concatenation | None = None,
) -> bytes:
    """What two copies of one MO have in common: 16 octets. Parts of one message may have equal texts."""
    place = "" if concatenation is None else "/".join(map(str, concatenation))
    head = f"{source}\0{destination}\0{esm_class}\0{data_coding}\0{place}\0".encode()
    return hashlib.blake2b(head + octets, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Seen:
    """An MO that came in."""

    message_id: int
    fingerprint: bytes
    at_ms: int
    link: str = ""  # the name of the bind that it came on


@dataclass(slots=True)
class _Doubt:
    """A copy whose answer may be lost; the SMSC's second try is expected ``until_ms`` (None: no bind yet)."""

    seen: Seen
    until_ms: int | None = None


class Repeats:
    """I watch the upstreams of one group. Until a link is lost I only remember."""

    def __init__(self) -> None:
        self._recent: OrderedDict[int, Seen] = OrderedDict()
        self._doubts: OrderedDict[int, _Doubt] = OrderedDict()
        self._by_fingerprint: dict[bytes, list[int]] = {}
        self._pending: dict[int, list[Deferred[bool]]] = {}

    def __len__(self) -> int:
        """How many copies are in doubt."""
        return len(self._doubts)

    def expect(self, seen: Seen) -> None:
        """An MO is on its way into the store; `committed` or `failed` tells how that ended."""
        self._pending[seen.message_id] = []
        self._recent[seen.message_id] = seen
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def committed(self, seen: Seen) -> None:
        """It is there, and is about to be answered."""
        self._settle(seen, True)

    def failed(self, seen: Seen) -> None:
        """It is not there: nothing repeats it."""
        self._recent.pop(seen.message_id, None)
        self._forget(seen.message_id)
        self._settle(seen, False)

    def doubtful(self, now_ms: int) -> bool:
        """May a second try still come of anything?"""
        self._purge(now_ms)
        return bool(self._doubts)

    def settled(self, seen: Seen) -> Deferred[bool]:
        """Fires with whether this copy is in the store, as soon as that is known."""
        waiting = self._pending.get(seen.message_id)
        if waiting is None:
            return succeed(True)
        known: Deferred[bool] = Deferred()
        waiting.append(known)
        return known

    def link_ended(self, link: str) -> list[Seen]:
        """The SMSC has every answer that was given on this bind. What came on it."""
        ended = [seen for seen in self._recent.values() if seen.link == link]
        for seen in ended:
            del self._recent[seen.message_id]
        return ended

    def link_lost(self, link: str, now_ms: int) -> None:
        """The last answers on this bind may not have arrived."""
        lost = self.link_ended(link)
        self._purge(now_ms)
        self._doubt(seen for seen in lost if now_ms - seen.at_ms <= ANSWER_AT_RISK_MS)

    def restarted(self, last: Iterable[Seen]) -> None:
        """The server ended somehow; ``last`` is what the store had received just before."""
        self._doubt(last)

    def bind_up(self, now_ms: int) -> None:
        """From now on the SMSC can try again."""
        self._purge(now_ms)
        for doubt in self._doubts.values():
            if doubt.until_ms is None:
                doubt.until_ms = now_ms + RESEND_WITHIN_MS

    def original(self, fingerprint: bytes, now_ms: int) -> Seen | None:
        """The copy that an MO with this fingerprint repeats, or None. Each answers once."""
        for identity in self._by_fingerprint.get(fingerprint, ()):
            doubt = self._doubts[identity]
            if doubt.until_ms is None or now_ms <= doubt.until_ms:
                self._forget(identity)
                return doubt.seen
        return None

    def again(self, original: Seen, now_ms: int) -> None:
        """Its repeat is not stored: the SMSC will try once more."""
        self._doubt([original])
        self._doubts[original.message_id].until_ms = now_ms + RESEND_WITHIN_MS

    def _settle(self, seen: Seen, stored: bool) -> None:
        for known in self._pending.pop(seen.message_id, ()):
            known.callback(stored)

    def _doubt(self, copies: Iterable[Seen]) -> None:
        for seen in copies:
            self._doubts[seen.message_id] = _Doubt(seen)
            self._by_fingerprint.setdefault(seen.fingerprint, []).append(seen.message_id)
        while len(self._doubts) > MAX_DOUBTS:
            self._forget(next(iter(self._doubts)))

    def _purge(self, now_ms: int) -> None:
        over = [
            identity
            for identity, doubt in self._doubts.items()
            if doubt.until_ms is not None and doubt.until_ms < now_ms
        ]
        for identity in over:
            self._forget(identity)

    def _forget(self, identity: int) -> None:
        doubt = self._doubts.pop(identity, None)
        if doubt is not None:
            same = self._by_fingerprint[doubt.seen.fingerprint]
            same.remove(identity)
            if not same:
                del self._by_fingerprint[doubt.seen.fingerprint]
