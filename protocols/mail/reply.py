"""What somebody wrote above, below or between what he answers: the words that become the SMS.

Cut, in this order: all that a mail client quoted, with our own marker (`quotation`); the signature; what a
telephone adds at the end. The rule above all rules: where something was written, something is left. Cutting
too little sends a line too many, cutting too much loses a message.
"""

import re
from email.message import Message
from typing import NamedTuple

from protocols.mail import body, pictures, quotation, words

END = "###"
"""A line with this ends the answer, for whoever wants to say so himself."""

_MARK = re.compile(r"^-- $", re.MULTILINE)
_LOOSE_MARK = re.compile(r"^[^\S\n]*\n(?P<mark>(?:--|—|__+) ?)$", re.MULTILINE)
_SIGNED_LINES = 5
"""So many has a signature at most, if not the "-- " is above it that mail clients agree on."""
_END = re.compile(rf"^[^\S\n]*{END}[^\S\n]*$", re.MULTILINE)
_UNSEEN = str.maketrans({"\u00a0": " ", "\u200b": None, "\u2060": None, "\u2063": None, "\ufeff": None})
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n){2,}")
_MAX_TAGLINE, _MAX_TAGLINES = 200, 6
_TAGLINE = re.compile(rf"\s*(?:{words.TAGLINE})\s*", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+|[^\W\d_]+")
_ADDED = re.compile(r"https?://\S+|\[[^\[\]\n]{0,200}\]")
"""What programs put into a text that a page does not show: where a link leads to, the name of a picture."""

_TARGET = re.compile(r"<[a-z]{1,20}:[^<>]{0,500}>", re.IGNORECASE)
"""Where a link leads to, as Outlook writes it: "<tel:+1…>"."""

_PAGE_WORD = "html"
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n")
_MIN_DISCLAIMER, _MAX_DISCLAIMED = 80, 20_000
_DISCLAIMED = re.compile(words.DISCLAIMED, re.IGNORECASE)
_DISCLAIMED_TO = re.compile(words.DISCLAIMED_TO, re.IGNORECASE)
_MYSELF = re.compile(words.MYSELF, re.IGNORECASE)
_DISCLAIMED_MAIL = re.compile(words.DISCLAIMED_MAIL, re.IGNORECASE)


class Reply(NamedTuple):
    """``text`` is "" only when nothing was written. ``attachments`` are the names of what cannot be sent: of
    what is attached, and of the pictures in what was written.

    ``sealed``: the mail is encrypted (or signed so that it cannot be read without S/MIME).
    """

    text: str
    attachments: tuple[str, ...]
    sealed: bool = False


def read(message: Message) -> Reply:
    """The answer in a mail. Never raises."""
    written = body.read(message)
    texts = [written.text, written.other]
    plain = strip(written.text, only_marked=False)
    if plain and written.other and not _is_said(plain, written.other):
        texts.reverse()
    answers = ((strip(text, only), only) for only in (False, True) for text in texts)
    text, only_marked = next((found for found in answers if found[0]), ("", False))
    return Reply(text, _names(written, text, only_marked), written.sealed)


def _names(written: body.Body, text: str, only_marked: bool) -> tuple[str, ...]:
    """Of what is attached, but for pictures that a page shows in what is cut of it, or to nobody."""
    shown = _left(written.pinned, text, only_marked) if written.pinned else ""
    pins = pictures.pins(shown)
    return tuple(name for name, pin in written.attachments if not pin or pin in pins)


def _left(page: str, text: str, only_marked: bool) -> str:
    """What is left of a page with pins. Where not every word that is sent is left that is all of it: then
    nobody knows what belongs to what was cut."""
    left = strip(page, only_marked)
    return left if _own_words(_TARGET.sub(" ", text)) <= _words(left) else page


def _is_said(text: str, page: str) -> bool:
    """Does a mail's page say what its text does? Where it does not, the text is a program's, as "This message
    is in HTML": what the writer saw is the page."""
    said, shown = _own_words(text), _words(page)
    return len(said & shown) * 2 >= len(said) and (_PAGE_WORD in shown or _PAGE_WORD not in said)


def _own_words(text: str) -> set[str]:
    """Those of a text that its page has too."""
    return _words(" ".join(word for word in _ADDED.sub(" ", text.lower()).split() if "@" not in word))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def strip(text: str, only_marked: bool = True) -> str:
    """The answer in a mail's text.

    ``only_marked``: marked lines are one where there is no other, unless they show that they are quoted.
    """
    pieces = _ended(quotation.written(text.lstrip("\ufeff"), only_marked))
    tidy = _tidy(pieces)
    answer = tidy if any(piece.strip() for piece in tidy) else pieces
    return _BLANK_LINES.sub("\n\n", "\n".join(answer)).strip()


def _ended(pieces: list[str]) -> list[str]:
    """Without what cannot be seen, and what follows the end mark, if something is in front of it."""
    ended: list[str] = []
    for written in pieces:
        piece = _BLANK_LINES.sub("\n\n", written.translate(_UNSEEN))
        end = _END.search(piece)
        front = piece if end is None else piece[: end.start()]
        if end is not None and (front.strip() or any(before.strip() for before in ended)):
            return [*ended, front]
        ended.append(piece)
    return ended


def _tidy(pieces: list[str]) -> list[str]:
    """Without what stands under the whole: a signature and tag lines above or below all that is quoted, and
    a company's words below."""
    said = [number for number, piece in enumerate(pieces) if piece.strip()]
    tidy = list(pieces)
    for number in {*said[:1], *said[-1:]}:
        whole = _without_disclaimer(pieces[number]) if number else pieces[number]
        tidy[number] = _without_tail(whole)
    return tidy


def _without_tail(piece: str) -> str:
    """Without signature and tag lines; as it is when there are none."""
    end = _signature(piece)
    kept = piece[:end].rstrip()
    for _ in range(_MAX_TAGLINES):
        start = kept.rfind("\n") + 1
        if not _is_tagline(kept[start:]):
            break
        kept = kept[:start].rstrip()
    return kept if piece[len(kept) :].strip() else piece


def _signature(piece: str) -> int:
    """Where it begins. "-- " says so, "--" and others after a blank line, above a few lines."""
    few = _last_lines(piece)
    loose = _LOOSE_MARK.search(piece, piece.rfind("\n", 0, max(0, few - 1)) + 1)
    mark = _MARK.search(piece)
    ends = [
        len(piece) if mark is None else mark.start(),
        len(piece) if loose is None else loose.start("mark"),
    ]
    return min(ends)


def _last_lines(piece: str) -> int:
    """Where the lines begin that may be a signature and its mark."""
    start, left = len(piece) + 1, _SIGNED_LINES + 1
    while start and left:
        end = start - 1
        start = piece.rfind("\n", 0, end) + 1
        left -= bool(piece[start:end].strip())
    return start


def _is_tagline(line: str) -> bool:
    return len(line) <= _MAX_TAGLINE and _TAGLINE.fullmatch(line) is not None


def _without_disclaimer(piece: str) -> str:
    """What was written below a quotation, without the paragraphs that say who else may not read it."""
    kept, start = [], 0
    for gap in _PARAGRAPH.finditer(piece[:_MAX_DISCLAIMED]):
        if not _disclaims(piece[start : gap.start()]):
            kept.append(piece[start : gap.end()])
        start = gap.end()
    if len(piece) > _MAX_DISCLAIMED or not _disclaims(piece[start:]):
        kept.append(piece[start:])
    return "".join(kept)


def _disclaims(paragraph: str) -> bool:
    """Does it say of the mail that it is confidential, and to whom it should have gone, as a company does?"""
    return (
        len(paragraph) >= _MIN_DISCLAIMER
        and all(said.search(paragraph) for said in (_DISCLAIMED, _DISCLAIMED_MAIL, _DISCLAIMED_TO))
        and _MYSELF.search(paragraph) is None
    )
