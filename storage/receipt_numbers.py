"""Whether a receipt can be about a part, by the numbers of both.

A receipt comes from the phone that the message went to, and goes to the number that sent it. That tells apart
what ids cannot: SMSCs use them again, write them in another base, and number independently of each other. But
carriers spell numbers in their own way, turn the two round, leave one out or put another in its place, so
numbers only choose between parts.
"""

from collections.abc import Iterable
from enum import IntEnum

SHORTEST_ENDING = 7
"""Digits that a national spelling, or one with something before it, must share with the number."""


class Agreement(IntEnum):
    """How far the numbers of a receipt and of a part are the same; a number that is missing never differs."""

    NONE = 0
    PEER = 1
    BOTH = 2


def agreement(did: str, peer: str, told_did: str, told_peer: str) -> Agreement:
    """How far a receipt with the numbers ``told_*`` fits a message between ``did`` and ``peer``."""
    return max(_straight(did, peer, told_did, told_peer), _straight(did, peer, told_peer, told_did))


class Earliest:
    """I know since when each pair of numbers, ours and a phone's, has been waited for, and compare a receipt
    with few of them: numbers that fit have one ending (`_ending`)."""

    def __init__(self, waits: Iterable[tuple[int, str, str]]) -> None:
        self._pairs: dict[tuple[str, str], int] = {}
        for at_ms, did, peer in waits:
            self._pairs[did, peer] = min(at_ms, self._pairs.get((did, peer), at_ms))
        self._first = min(self._pairs.values(), default=None)
        self._by_peer: dict[str, list[tuple[str, str]]] = {}
        self._by_did: dict[str, dict[str, int]] = {}
        for (did, peer), at_ms in self._pairs.items():
            self._by_peer.setdefault(_ending(peer), []).append((did, peer))
            dids = self._by_did.setdefault(_ending(did), {})
            dids[did] = min(at_ms, dids.get(did, at_ms))

    def __contains__(self, pair: tuple[str, str]) -> bool:
        """Is this very pair waited for?"""
        return pair in self._pairs

    def nearer(self, told_did: str, told_peer: str, level: Agreement) -> int | None:
        """Since when the first pair is waited for that fits a receipt with these numbers better than
        ``level``; None: there is none."""
        if not (told_did and told_peer):
            return self._with_one(told_did or told_peer, level)
        fits = [
            self._pairs[pair]
            for ending in {_ending(told_did), _ending(told_peer)}
            for pair in self._by_peer.get(ending, ())
            if agreement(*pair, told_did, told_peer) > level
        ]
        return min(fits, default=None)

    def _with_one(self, told: str, level: Agreement) -> int | None:
        """One number of the receipt is missing, and a missing one fits any."""
        if level < Agreement.PEER or not told:
            return self._first
        ending = _ending(told)
        fits = [self._pairs[pair] for pair in self._by_peer.get(ending, ()) if _fits(pair[1], told)]
        fits += [at_ms for did, at_ms in self._by_did.get(ending, {}).items() if _fits(did, told)]
        return min(fits, default=None)


def _straight(did: str, peer: str, told_did: str, told_peer: str) -> Agreement:
    if not _fits(peer, told_peer):
        return Agreement.NONE
    return Agreement.BOTH if _fits(did, told_did) else Agreement.PEER


def _fits(number: str, told: str) -> bool:
    return not told or number == told or _same_ending(number, told) or number.casefold() == told.casefold()


def _same_ending(number: str, told: str) -> bool:
    """One is the other with a country's or a carrier's prefix."""
    one, other = _significant(number), _significant(told)
    shortest = min(len(one), len(other))
    return shortest >= SHORTEST_ENDING and (one.endswith(other) or other.endswith(one))


def _significant(number: str) -> str:
    """The digits without "+" and leading zeros; nothing of what is no number."""
    digits = number.removeprefix("+")
    return digits.lstrip("0") if digits.isascii() and digits.isdigit() else ""


def _ending(number: str) -> str:
    """What all numbers that fit this one have too."""
    digits = _significant(number)
    return digits[-SHORTEST_ENDING:] if len(digits) >= SHORTEST_ENDING else number.casefold()
