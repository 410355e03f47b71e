"""Answers out of rows and fields, for people and for programs alike."""

from collections.abc import Collection, Mapping, Sequence

from edge.console.language import Answer, Given, Misused
from edge.tabular import table, when
from edge.visible import escaped

MAX_LIMIT = 1_000
LARGEST = 2**53  # no id is above it


def rows(found: Sequence[Mapping[str, object]], nothing: str = "There are none.") -> Answer:
    """A table, one row for each; programs get the list."""
    if not found:
        return Answer(nothing, [])
    head = list(found[0])
    lines = [head, *([shown(row[key]) for key in head] for row in found)]
    return Answer(table(lines), [dict(row) for row in found])


def fields(found: Mapping[str, object]) -> Answer:
    """One thing, a line for each of its fields."""
    width = max(map(len, found), default=0)
    return Answer("\n".join(f"{key:<{width}}  {shown(value)}" for key, value in found.items()), dict(found))


def done(sentence: str, **document: object) -> Answer:
    """Something was done."""
    return Answer(sentence, {"done": sentence, **document})


def shown(value: object) -> str:
    """A value as people read it."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(shown, value)) or "-"
        case dict():
            return ", ".join(f"{key}={shown(item)}" for key, item in value.items()) or "-"
        case float():
            return f"{value:.6f}" if 0 < abs(value) < 0.1 else f"{value:.3f}"
        case _:
            return escaped(str(value))


def number(given: Given, name: str, default: int | None = None, most: int = LARGEST, least: int = 0) -> int:
    """A whole number that was given. Raises Misused."""
    written = given.get(name)
    if written is None and default is not None:
        return default
    if written is None or not written.isascii() or not written.isdigit():
        raise Misused(f"{name} must be a whole number, not {written!r}.")
    value = int(written) if len(written) <= len(str(LARGEST)) else LARGEST + 1
    if value > most:
        raise Misused(f"{name} may be at most {most}.")
    if value < least:
        raise Misused(f"{name} must be at least {least}.")
    return value


def limit(given: Given, default: int = 50) -> int:
    """How many rows are wanted. Raises Misused."""
    return number(given, "limit", default, MAX_LIMIT, 1)


def choice(given: Given, name: str, of: Sequence[str], default: str | None = None) -> str:
    """One of these words. Raises Misused."""
    written = given[name] if default is None else given.get(name, default)
    if written not in of:
        raise Misused(f"{name} must be {' or '.join(of)}, not {written!r}.")
    return written


def known(given: Given, name: str, of: Collection[str]) -> None:
    """For a list that is empty: is that so because this parameter names nothing there is? Raises Misused."""
    written = given.get(name)
    if written is not None and written not in of:
        there = f"there are: {', '.join(sorted(of))}" if of else "there are none"
        raise Misused(f"There is no {name} {written!r}; {there}.")


def time(at_ms: int | None) -> str | None:
    """A wall-clock time."""
    return when(at_ms)
