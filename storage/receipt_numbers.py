"""Whether a receipt can be about a part, by the numbers of both.

A receipt comes from the phone that the message went to, and goes to the number that sent it. That tells apart
what ids cannot: SMSCs use them again, write them in another base, and number independently of each other. But
carriers spell numbers in their own way, turn the two round, leave one out or put another in its place, so
numbers only choose between parts.
"""

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
