"""Is a line what a mail client writes above a quotation: "On … wrote:"?

It is told from a sentence by what it holds (a date with its year, a time of day, an address, our own name,
that somebody wrote) and by what stands around it: the more of the one, the less of the other.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from protocols.mail import words
from protocols.mail.lines import BRACKETED, DATE, OUR_NAME, TIME, TOKEN, says_when

MAX_LINES = 4
"""An introduction is broken over so many lines at most."""

_MIN_LENGTH = 10
_WROTE = re.compile(words.WROTE, re.IGNORECASE)
_MAX_BEHIND_VERB = 20
"""Characters that may stand between the verb and the end, where only the verb says what the line is."""
_DAY = re.compile(r"(?<!\d)\d{1,2}(?!\d)")
_OPENS = re.compile(words.OPENS, re.IGNORECASE)


class Around(NamedTuple):
    """``shown``: marked lines or our marker follow. ``thread``: a mail of ours is quoted further down, so
    another one may be above it. ``apart``: nothing was written directly above."""

    shown: bool
    thread: bool
    apart: bool


def opens(line: str) -> bool:
    """Does it begin as an introduction does: "On", "Am", "Le"?"""
    return _OPENS.match(line) is not None


def judge(candidates: list[tuple[str, Around]]) -> tuple[int, bool] | None:
    """Which of these it is, and whether surely. Each is the one before it with a line more in front."""
    for is_one, sure in _JUDGES:
        for number, (line, around) in enumerate(candidates):
            if _balanced(line) and len(line) >= _MIN_LENGTH and is_one(line, around):
                return number, sure
    return None


def is_complete(line: str) -> bool:
    """Is it one, where it is marked itself?"""
    return _complete(line, Around(shown=True, thread=False, apart=False))


def _complete(line: str, around: Around) -> bool:
    """It says when, and who by an address or that he wrote: nobody writes such a line himself."""
    if not DATE.search(line):
        return False
    timed = TIME.search(line) is not None
    if not line.endswith(":"):
        return timed and around.shown and TOKEN.search(line) is not None
    if OUR_NAME in line:
        return True
    if BRACKETED.search(line):
        return (timed and around.shown) or _wrote(line)
    return timed and around.shown and _wrote(line)


def _ours(line: str, around: Around) -> bool:
    """It holds the address of a conversation, or our name."""
    if TOKEN.search(line):
        return line.endswith(":") or (around.shown and TIME.search(line) is not None)
    return around.shown and OUR_NAME in line and line.endswith(":") and _wrote(line)


def _colleagues(line: str, around: Around) -> bool:
    """It says that somebody wrote, and when or who, above a mail of ours: whoever did write it is told when
    nothing is left, while what a colleague wrote could not be called back."""
    if not around.thread or not line.endswith(":"):
        return False
    if says_when(line):
        return _wrote(line)
    if not _wrote_last(line):
        return False
    return (DATE.search(line) or BRACKETED.search(line)) is not None or (opens(line) and _says_day(line))


def _says_day(line: str) -> bool:
    """Has it a time of day, and a day that may be without its year?"""
    return TIME.search(line) is not None and _DAY.search(TIME.sub("", line)) is not None


def _likely(line: str, around: Around) -> bool:
    """It may be one because of what stands around it."""
    if around.shown:
        if not line.endswith(":"):
            return says_when(line) and BRACKETED.search(line) is not None
        return says_when(line) or _wrote_last(line)
    if not line.endswith(":"):
        return False
    if not says_when(line):
        return False
    if opens(line) and _wrote(line):
        return True
    return around.thread and around.apart and BRACKETED.search(line) is not None


def _wrote(line: str) -> bool:
    """Does it say that somebody wrote?"""
    return _WROTE.search(line) is not None


def _wrote_last(line: str) -> bool:
    """Does it say so at its end?"""
    return any(len(line) - found.end() <= _MAX_BEHIND_VERB for found in _WROTE.finditer(line))


def _balanced(line: str) -> bool:
    """Is no bracket open, as one is where a line was broken?"""
    return line.count("<") == line.count(">") and line.count("(") == line.count(")")


_JUDGES: tuple[tuple[Callable[[str, Around], bool], bool], ...] = (
    (_complete, True),
    (_ours, True),
    (_colleagues, True),
    (_likely, False),
)
"""In this order, and whether each is sure."""
