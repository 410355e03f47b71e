"""Answers as the provider's PHP writes them: compact JSON in ASCII, `/` escaped, values of rows as strings.

Clients in typed languages rely on it: a number where they expect a string ends their program.
"""

import json
from collections.abc import Iterable, Mapping

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def encode(document: object) -> bytes:
    """A document as PHP's `json_encode` has it."""
    return _encode(document).replace("/", "\\/").encode("ascii")


def success(**members: object) -> bytes:
    """The answer to a call that went well."""
    return encode({"status": "success", **members})


def refusal(status: str, sentence: str) -> bytes:
    """The answer to a call that did not; ``message`` is ours, for people."""
    return encode({"status": status, "message": sentence})


def strings(row: Mapping[str, object]) -> dict[str, object]:
    """A row with its numbers as strings, and True and False as "1" and "0"."""
    return {name: _string(value) for name, value in row.items()}


def rows(name: str, found: Iterable[Mapping[str, object]]) -> bytes:
    """A list; of one row, too."""
    return success(**{name: [strings(row) for row in found]})


def _string(value: object) -> object:
    match value:
        case bool():
            return "1" if value else "0"
        case int() | float():
            return str(value)
        case None:
            return ""
    return value
