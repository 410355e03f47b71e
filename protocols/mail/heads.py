"""The headers of another mail, as Outlook's quotations and forwarded mail have them: "From: …", "Sent: …"."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from protocols.mail import lines, words

MAX_LINES = 60
"""So many it takes at most: of whom it was sent to each may have a line."""

_MIN_FIELDS, _MAX_FIELDS = 3, 14
_MIN_UNKNOWN = 4
"""Of a language that we do not know: as many as Outlook writes; a name, a day and a place are three."""

_LIST = re.compile(r"\S@\w|[,;]")
_PEOPLE = ("from", "to")
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
    return lines.HEADER.fullmatch(line) is not None


def read(rows: Sequence[str]) -> Head | None:
    """The head that begins at the first of these lines, as `lines.bare` gives them; None when none does."""
    count, fields = _fields(rows, apart=False)
    head = _head(count, fields)
    ended_by_blank = "" in rows[count : count + 2]
    if head is not None or not fields or not ended_by_blank:
        return head
    count, fields = _fields(rows, apart=True)
    return _head(count, fields) if _stands_apart(fields) else None


def _head(count: int, fields: list[_Field]) -> Head | None:
    """These fields as a head, if they are one from the first on."""
    if len(fields) < _MIN_FIELDS:
        return None
    start, known = _start(fields)
    if start or not (_is_known(fields) if known else _is_likely(fields)):
        return None
    return Head(count, any(lines.is_ours(field.value) for field in fields))


def _is_known(fields: list[_Field]) -> bool:
    """A trip has From, To and Date too, and an address somewhere below: that counts where a mail has it, and
    with a day or a subject. Without one the date is where Outlook puts it."""
    if any(lines.is_ours(field.value) for field in fields):
        return True
    roles = [field.role for field in fields]
    if not any(field.role in _PEOPLE and lines.ADDRESS.search(field.value) for field in fields):
        return _is_outlooks(fields)
    return "subject" in roles or all(_has_digit(field.value) for field in fields if field.role == "sent")


def _has_digit(value: str) -> bool:
    return any(map(str.isdigit, value))


def _is_outlooks(fields: list[_Field]) -> bool:
    """From, Sent with the time, and Subject: nobody writes these three himself."""
    roles = [field.role for field in fields]
    return roles[:2] == ["from", "sent"] and "subject" in roles and lines.says_when(fields[1].value)


def _is_likely(fields: list[_Field]) -> bool:
    """The same of words that we do not know: it is ours, or names somebody first and says when."""
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
        if len(roles) >= _MIN_FIELDS:
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


def _fields(rows: Sequence[str], apart: bool) -> tuple[int, list[_Field]]:
    """The headers from the first line on, and how many lines they take.

    One may be broken in two, as of a table's cells, and a list of people over many; ``apart``: they may be
    paragraphs.
    """
    fields: list[_Field] = []
    end, broken, above = 0, "", ""
    for number, row in enumerate(rows[:MAX_LINES]):
        header = lines.HEADER.fullmatch(row)
        if header is not None:
            if len(fields) == _MAX_FIELDS:
                break
            role = _ROLES.get(header["name"].strip().lower(), "")
            if apart and role == "from" and any(field.role == role for field in fields):
                break  # of the next mail
            if broken:
                fields[-1] = fields[-1]._replace(value=f"{fields[-1].value}{broken}")
            fields.append(_Field(role, header["value"] or ""))
            end, broken = number + 1, ""
        elif fields and (row or apart) and (number == end or (above and _is_list(fields[-1], broken))):
            broken += f" {row}"
        else:
            break
        above = row
    return end, fields


def _is_list(field: _Field, broken: str) -> bool:
    """Does it name people, who may take as many lines as they like?"""
    return field.role == "to" and _LIST.search(field.value + broken) is not None


def _stands_apart(fields: list[_Field]) -> bool:
    """Is it one even as paragraphs? Its first two name an address of who wrote it, or it is Outlook's."""
    if fields[0].role not in {"from", "sent"}:
        return False
    named = any(field.role == "from" and lines.ADDRESS.search(field.value) for field in fields[:2])
    return named or _is_outlooks(fields)
