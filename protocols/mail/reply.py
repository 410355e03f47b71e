"""What somebody wrote above, below or between what he answers: the words that become the SMS.

Cut, in this order: all that a mail client quoted, with our own marker (`quotation`); the signature; what a
telephone adds at the end. The rule above all rules: where something was written, something is left. Cutting
too little sends a line too many, cutting too much loses a message.
"""

import re
from email.message import Message
from typing import NamedTuple

from protocols.mail import body, quotation, words

MARKER = "##- Write your answer above this line -##"
"""In every mail of ours, in front of what may be quoted back."""

END = "###"
"""A line with this ends the answer, for whoever wants to say so himself."""

_MARK, _LOOSE_MARK = re.compile(r"-- $"), re.compile(r"(?:--|—|__+) ?")
_SIGNED_LINES = 5
"""So many has a signature at most, if not the "-- " is above it that mail clients agree on."""
_UNSEEN = str.maketrans({"\u00a0": " ", "\u200b": None, "\u2060": None, "\u2063": None, "\ufeff": None})
_BLANKS = re.compile(r"\n{3,}")
_MAX_TAGLINE = 200
_TAGLINE = re.compile(rf"\s*(?:{words.TAGLINE})\s*", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+|[^\W\d_]+")
_ADDED = re.compile(r"https?://\S+|\[[^\[\]\n]{0,200}\]")
"""What programs put into a text that a page does not show: where a link leads to, the name of a picture."""

_PAGE_WORD = "html"


class Reply(NamedTuple):
    """``text`` is "" only when nothing was written. ``attachments`` are the names of what cannot be sent.

    ``sealed``: the mail is encrypted (or signed so that it cannot be read without S/MIME).
    """

    text: str
    attachments: tuple[str, ...]
    sealed: bool = False


def read(message: Message) -> Reply:
    """The answer in a mail. Never raises."""
    written = body.read(message)
    text = strip(written.text)
    if written.other and not (text and _is_said(text, written.other)):
        text = strip(written.other) or text
    return Reply(text, written.attachments, written.sealed)


def _is_said(text: str, page: str) -> bool:
    """Does a mail's page say what its text does? Where it does not, the text is a program's, as "This message
    is in HTML": what the writer saw is the page."""
    own = " ".join(word for word in _ADDED.sub(" ", text.lower()).split() if "@" not in word)
    said = set(_WORD.findall(own))
    shown = set(_WORD.findall(page.lower()))
    return len(said & shown) * 2 >= len(said) and (_PAGE_WORD in shown or _PAGE_WORD not in said)


def strip(text: str) -> str:
    """The answer in a mail's text."""
    pieces = _ended(quotation.written(text.lstrip("\ufeff")))
    tidy = [_without_tail(piece) for piece in pieces]
    answer = tidy if any(piece.strip() for piece in tidy) else pieces
    return _BLANKS.sub("\n\n", "\n".join(answer)).strip()


def _ended(pieces: list[str]) -> list[str]:
    """Without what cannot be seen, and what follows the end mark, if something is in front of it."""
    ended: list[str] = []
    for piece in pieces:
        lines = piece.translate(_UNSEEN).split("\n")
        end = next((number for number, line in enumerate(lines) if line.strip() == END), len(lines))
        front = "\n".join(lines[:end])
        if end < len(lines) and (front.strip() or any(before.strip() for before in ended)):
            return [*ended, front]
        ended.append("\n".join(lines))
    return ended


def _without_tail(piece: str) -> str:
    """Without signature and tag lines; as it is when there are none."""
    lines = piece.split("\n")
    end = next((number for number in range(len(lines)) if _signs(lines, number)), len(lines))
    kept = lines[:end]
    while kept and (not kept[-1].strip() or _is_tagline(kept[-1])):
        kept.pop()
    return "\n".join(kept) if any(line.strip() for line in lines[len(kept) :]) else piece


def _signs(lines: list[str], number: int) -> bool:
    """Does a signature begin here? "-- " says so, "--" and others after a blank line, above a few lines."""
    if _MARK.fullmatch(lines[number]):
        return True
    if not _LOOSE_MARK.fullmatch(lines[number]) or not number or lines[number - 1].strip():
        return False
    below = lines[number + 1 :]
    return sum(bool(line.strip()) for line in below) <= _SIGNED_LINES


def _is_tagline(line: str) -> bool:
    return len(line) <= _MAX_TAGLINE and _TAGLINE.fullmatch(line) is not None
