"""Phone books from and to other programs: vCard and CSV."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a file: his numbers as they are written there, each with a label ("work"), best first."""

    name: str
    numbers: tuple[tuple[str, str], ...]
    notes: str = ""
    groups: tuple[str, ...] = field(default=())
