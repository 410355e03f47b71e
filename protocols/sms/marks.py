"""The marks of parts that are texts of their own: "1/3 ", for people, where carriers pass no concatenation.

The widest mark that a number of parts may need is counted for each of them, so that all parts have the same
room; and as a text in more parts needs wider marks, the narrowest that are enough are taken.
"""

from collections.abc import Sequence
from typing import Protocol

from protocols.sms import cutting
from protocols.sms.errors import MAXIMUM_PARTS
from protocols.sms.units import Units


class Text(Protocol):
    """What I need of `protocols.sms.writing.Written`."""

    @property
    def text(self) -> str: ...
    @property
    def octets(self) -> bytes: ...
    @property
    def units(self) -> Units: ...
    @property
    def single(self) -> int: ...


def mark(number: int, total: int) -> str:
    """What stands before the text of a part."""
    return f"{number}/{total} "


LIMITS = ((9, mark(9, 9)), (99, mark(99, 99)), (MAXIMUM_PARTS, mark(MAXIMUM_PARTS, MAXIMUM_PARTS)))
"""Up to how many parts no mark is wider than this."""


def cuts(written: Text, strict: bool) -> tuple[Sequence[int], int]:
    """Where the parts start in the octets, and how many octets of the text one of them carries.

    Raises UnicodeEncodeError when the tables of the text have no solidus.
    """
    found: Sequence[int] = ()
    room = written.single
    for limit, widest in LIMITS:
        room = written.single - len(written.units.encode(widest))
        found = cutting.cut(written.text, written.octets, written.units, room, strict)
        if len(found) <= limit:
            break
    return found, room


def marked(pieces: Sequence[bytes], units: Units) -> list[bytes]:
    """The pieces with their marks."""
    total = len(pieces)
    return [units.encode(mark(number, total)) + piece for number, piece in enumerate(pieces, 1)]
