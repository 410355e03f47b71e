"""Phone books from and to other programs: vCard and CSV."""

from dataclasses import dataclass, field
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a file: his numbers as they are written there, each with a label ("work"), best first."""

    name: str
    numbers: tuple[tuple[str, str], ...]
    notes: str = ""
    groups: tuple[str, ...] = field(default=())


class Fault(Enum):
    """What is wrong with a file, of whose people some would be lost."""

    QUOTE = auto()
    """The row has a quotation mark that is not closed, or stands in a quoted cell and is not doubled."""
    CELL = auto()
    """A cell of the row is longer than any is read, which a quotation mark that is not closed may be, too."""
    BREAK = auto()
    """A name or number of the row has a line break in it: quotation marks of two rows made a pair."""
    CARD = auto()
    """The card that begins there does not end."""
    END = auto()
    """What ends there has not begun."""
    NUMBER = auto()
    """The line has a number, which cannot be read, or is swallowed by the one before it."""


class Broken(ValueError):
    """The file cannot be read as a whole. ``line``: where what is wrong begins, the first is 1."""

    def __init__(self, fault: Fault, line: int) -> None:
        super().__init__(f"{fault.name.lower()} in line {line}")
        self.fault = fault
        self.line = line
