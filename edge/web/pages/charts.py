"""Charts as SVG: the geometry is reckoned here, a macro draws it. A table says the same in figures."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 180
GAP = 0.2


@dataclass(frozen=True, slots=True)
class Bar:
    """One class of one column: where it stands, and what it says."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Stacked bars. ``top`` is the figure at the upper edge; ``kinds`` name the classes from below."""

    bars: tuple[Bar, ...]
    top: int
    kinds: tuple[str, ...]
    width: int = WIDTH
    height: int = HEIGHT


def stacked(columns: Sequence[Sequence[int]], kinds: Sequence[str]) -> Chart:
    """A column for each, with a bar for each of its figures, one on the other."""
    top = _round_up(max((sum(column) for column in columns), default=0))
    step = WIDTH / max(len(columns), 1)
    bars = []
    for index, column in enumerate(columns):
        base = float(HEIGHT)
        for kind, figure in zip(kinds, column, strict=True):
            height = figure / top * HEIGHT
            base -= height
            if figure:
                bars.append(
                    Bar(
                        round(index * step, 1),
                        round(base, 1),
                        round(step * (1 - GAP), 1),
                        round(height, 1),
                        kind,
                    )
                )
    return Chart(tuple(bars), top, tuple(kinds))


def _round_up(figure: int) -> int:
    """To the next of 1, 2, 5, 10, 20, 50, …"""
    unit = 1
    while True:
        for factor in (1, 2, 5):
            if figure <= factor * unit:
                return factor * unit
        unit *= 10
