"""The headers of another mail, as Outlook's quotations and forwarded mail have them: "From: …", "Sent: …"."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from protocols.mail import lines, words

MAX_LINES = 14
_MIN = 3
_MIN_UNKNOWN = 4
"""Of a language that we do not know: as many as Outlook writes; a name, a day and a place are three."""

_HEADER = re.compile(r"\*?(?P<name>[^\W\d_][^:<>@*]{0,30}?)\s?:\*?(?:\s(?P<value>.*))?")
_ROLES = {
    **dict.fromkeys(words.TO, "to"),
    **dict.fromkeys(words.SENT, "sent"),
    **dict.fromkeys(words.SUBJECT, "subject"),
    **dict.fromkeys(words.FROM, "from"),
}


class _Field(NamedTuple):
    """A header. ``role`` is what its name means, "" in a language that we do not know."""

    role: str
    value: str


class Head(NamedTuple):
    """``rows``: so many lines. ``ours``: it is of a mail of this conversation."""

    rows: int
    ours: bool


def is_header(line: str) -> bool:
    """May it be one?"""
    return _HEADER.fullmatch(line) is not None


def read(rows: Sequence[str]) -> Head | None:
    """The head that begins at the first of these lines, as `lines.bare` gives them; None when none does."""
    count, fields = _fields(rows)
    if len(fields) < _MIN:
        return None
    start, known = _start(fields)
    if start or not (_is_known(fields) if known else _is_likely(fields)):
        return None
    return Head(count, any(lines.is_ours(field.value) for field in fields))


def _is_known(fields: list[_Field]) -> bool:
    """A trip has From, To and Date too: without an address the date is where Outlook puts it."""
    if any(lines.ADDRESS.search(field.value) or lines.is_ours(field.value) for field in fields):
        return True
    roles = [field.role for field in fields]
    sent = fields[1]
    return roles[:2] == ["from", "sent"] and "subject" in roles and lines.says_when(sent.value)


def _is_likely(fields: list[_Field]) -> bool:
    if any(lines.is_ours(field.value) for field in fields):
        return True
    return (
        len(fields) >= _MIN_UNKNOWN
        and lines.BRACKETED.search(fields[0].value) is not None
        and any(lines.says_when(field.value) for field in fields)
    )


def _start(fields: list[_Field]) -> tuple[int, bool]:
    """Which field is the head's first, and whether its words are known: what stands above was written.

    It is From, or above that what From does not have below it ("Sent", "Subject").
    """
    for number in range(len(fields) - 1, -1, -1):
        if fields[number].role != "from":
            continue
        start, roles = number, {field.role for field in fields[number:]} - {""}
        while start and fields[start - 1].role and fields[start - 1].role not in roles:
            start -= 1
            roles.add(fields[start].role)
        if len(roles) >= _MIN:
            return start, True
    return _start_unknown(fields), False


def _start_unknown(fields: list[_Field]) -> int:
    """Where somebody is named by his address, or above the date."""
    for number, field in enumerate(fields):
        if lines.OUR_NAME in field.value or lines.ADDRESS.search(field.value):
            return number
        if lines.says_when(field.value):
            return max(0, number - 1)
    return 0


def _fields(rows: Sequence[str]) -> tuple[int, list[_Field]]:
    """The headers from the first line on, and how many lines they take.

    One may be broken in two, as of a table's cells; behind a From with an address they may be paragraphs.
    """
    fields: list[_Field] = []
    end, broken = 0, ""
    for number, row in enumerate(rows[:MAX_LINES]):
        header = _HEADER.fullmatch(row)
        if header is not None:
            if broken:
                fields[-1] = fields[-1]._replace(value=f"{fields[-1].value} {broken}")
            fields.append(_Field(_ROLES.get(header["name"].strip().lower(), ""), header["value"] or ""))
            end, broken = number + 1, ""
        elif not fields or number > end or not (row or _is_from(fields[0])):
            break
        else:
            broken = row
    return end, fields


def _is_from(field: _Field) -> bool:
    return field.role == "from" and lines.ADDRESS.search(field.value) is not None
