"""Columns and times for people at a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

from edge.visible import escaped


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns; the first row is the head. A cell is one line, whoever wrote what is in it."""
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def when(at_ms: int | None) -> str | None:
    """A wall-clock time for people and programs."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
