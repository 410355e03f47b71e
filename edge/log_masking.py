"""Telephone numbers in the log: of each only the last two digits stay."""

import re
from collections.abc import Mapping

# With a "+", or as long as a national number; ids are longer, everything else that is counted is a number.
_NUMBER = re.compile(r"(?:\+|%2[Bb])[0-9]{4,}|(?<![0-9A-Za-z_.:-])[0-9]{7,13}(?![0-9A-Za-z_:-])")
_DIGITS = re.compile(r"[0-9]{4}")


def masked(text: str) -> str:
    """A text without the telephone numbers in it."""
    return _NUMBER.sub(lambda found: f"***{found[0][-2:]}", text)


def masked_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """All fields of a line, lists and tables in them too."""
    return {key: _masked(value) for key, value in fields.items()}


def _masked(value: object) -> object:
    match value:
        case str():
            return masked(value) if _DIGITS.search(value) else value
        case list() | tuple() | set() | frozenset():
            return [_masked(item) for item in value]
        case Mapping():
            return {key: _masked(item) for key, item in value.items()}
        case _:
            return value
