"""What a line of a mail says, wherever it stands: a date, a time of day, an address, our own names."""

import re

from protocols.mail.token import CHARACTERS

MARKER = "##- Write your answer above this line -##"
"""In every mail of ours, in front of what may be quoted back."""

MARKERS = re.compile(r"[\s>|]{1,60}".join(map(re.escape, MARKER.split())))
"""The same as it comes back: broken over lines, each with marks in front."""

OUR_NAME = "(SMS)"
"""Who writes our mails has this behind his name."""

HEADER = re.compile(r"\*?(?P<name>[^\W\d_][^:<>@*]{0,30}?)\s?:\*?(?:\s(?P<value>.*))?")
"""A header of a mail, as one that is quoted shows it."""

_HEADER_NAME = re.compile(r"\*?[^\W\d_][^:<>@*]{0,30}:\*?\s")

MAX_JUDGED = 400
"""Characters of a line that may be one of a mail client's own; a longer one was written by somebody."""

_MAX_ADDRESSES = 5
_MARGIN = re.compile(r"[\s>|]*")

_ZEROS = (0x660, 0x6F0, 0x966, 0x9E6)
"""Arabic's, Persian's, Hindi's and Bengali's."""

# As a line is looked at: without marks of direction and of nothing, with ASCII's digits, colon and blanks.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys(
            [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF], None
        ),
        **dict.fromkeys([0xA0, 0x2007, 0x202F, 0x3000], " "),
        **{zero + digit: str(digit) for zero in _ZEROS for digit in range(10)},
        0xFF1A: ": ",
        0x55D: ":",
    }
)
_IN_BRACKETS = r"[<(\[][^<>()\[\]\s]*[^<>()\[\]\s:]@[^<>()\[\]\s]+[>)\]]"
ADDRESS = re.compile(r"\S@\w")
"""What tells one, wherever it stands."""

BRACKETED = re.compile(_IN_BRACKETS)
"""An address as it stands behind a name."""

_BROKEN_OFF = re.compile(rf"(?:{_IN_BRACKETS})[>)\]]?[^<>:]{{0,40}}:\s+\S")
"""An introduction, and a character of what follows it."""

TOKEN = re.compile(rf"\+[A-Za-z2-7]{{{CHARACTERS}}}@|#[Uu][Ss][A-Za-z2-7]{{{CHARACTERS}}}\b")
TIME = re.compile(r"(?<!\d)\d{1,2}[:hH.]\d{2}(?!\d)")
DATE = re.compile(r"(?<!\d)(?:20|25)\d\d(?!\d)|(?<!\d)\d{1,2}([./-])\d{1,2}\1\d{2}(?!\d)")
"""With its year, as clients write it and people seldom do."""


def bare(line: str) -> str:
    """A line as it is looked at: without the marks in front and the blanks. Of one that is too long, nothing
    that could be taken for a mail client's, but that it may be a header: of many people, their first ones."""
    match = _MARGIN.match(line)
    line = line[0 if match is None else match.end() :]
    long = len(line) > MAX_JUDGED or line.count("<") > _MAX_ADDRESSES
    if not long:
        return line.translate(_PLAIN).strip()
    front = line[:MAX_JUDGED].translate(_PLAIN).strip()
    if _HEADER_NAME.match(front) is None:
        return "…"
    return f"{'<'.join(front.split('<', _MAX_ADDRESSES)[:_MAX_ADDRESSES])}…"


def is_ours(line: str) -> bool:
    """Does it name us, or hold a conversation's token?"""
    return OUR_NAME in line or TOKEN.search(line) is not None


def names_somebody(line: str) -> bool:
    """Does it name us, or anybody by his address?"""
    return is_ours(line) or BRACKETED.search(line) is not None


def says_when(line: str) -> bool:
    """Has it a date and a time of day?"""
    return DATE.search(line) is not None and TIME.search(line) is not None


def broken_off(line: str) -> str | None:
    """The introduction at the front of a line on which the quotation begins already."""
    found = _BROKEN_OFF.search(line)
    front = "" if found is None else line[: found.end() - 1].rstrip()
    return front if says_when(front) else None
