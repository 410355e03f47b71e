"""What somebody wrote above, below or between what he answers: the words that become the SMS.

Cut, in this order: all from our own marker on; all that a mail client quoted; the signature; what a telephone
adds at the end. The rule above all rules: where something was written, something is left. Cutting too little
sends a line too many, cutting too much loses a message.
"""

import re
from email.message import Message
from typing import NamedTuple

import quotequail

from protocols.mail import body

MARKER = "##- Write your answer above this line -##"
"""In every mail of ours, in front of what may be quoted back."""

END = "###"
"""A line with this ends the answer, for whoever wants to say so himself."""

_MARKER = re.compile(r"##-.{0,200}?-##", re.DOTALL)
_QUOTED = re.compile(r"^\s*(>|\|)")
_SIGNATURE = re.compile(r"^(--|—|__+) ?$")
_BLANKS = re.compile(r"\n{3,}")
_LINES = 2_000
_MAX_JUDGED, _MAX_ADDRESSES = 400, 5
"""Characters of a line that may be one of a mail client's own; a longer one was written by somebody. What
finds those lines, ours or quotequail's, takes the square of their length, or worse."""
_INTRO_LINES = 4  # an introduction is broken over so many lines at most
_MIN_HEADERS = 3
_HEADER = re.compile(r"^[\s>|]*\*?[^\W\d][\w \u00a0-]{0,24}\s?:\*?\s.*$")
_MARGIN = re.compile(r"[\s>|]*")
_RULE_END = re.compile(r"[_=*-]{3}")
_RULE = re.compile(r"[_=-]{5,}")
_BLOCK_LINES = 8
_WORDS = {
    "from": frozenset({"from", "de", "von", "da", "van"}),
    "subject": frozenset({"subject", "objet", "asunto", "betreff", "oggetto", "onderwerp", "assunto"}),
}
_FORWARDED = re.compile(
    r"begin forwarded message|début du message (transféré|réexpédié)"
    r"|anfang der weitergeleiteten (nachricht|e-mail)|inicio del mensaje reenviado",
    re.IGNORECASE,
)
# "On … wrote:", in any language: a time of day, our address or our name, a colon at the end.
_INTRO = re.compile(r"(?=.*(@|\(SMS\)))(?=.*\b\d{1,2}[:hH.]\d{2}).{10,400}[:：]")

_TAGLINES = re.compile(
    r"^\s*("
    r"sent from (my|the|a|yahoo|mail|samsung|proton|outlook|blackberry|android|huawei|xiaomi)\b.*"
    r"|sent (via|with|using) .{1,60}"
    r"|get outlook for (ios|android).*"
    r"|(envoyé|envoye) (de|depuis|à partir de) .{1,60}"
    r"|(obtenez|télécharger) outlook pour (ios|android).*"
    r"|(von|gesendet (von|mit)) (meinem|meiner|mein|outlook|yahoo|mail|dem|der)?.{0,60}"
    r"(gesendet|iphone|ipad|handy|smartphone|android|outlook|yahoo|mail|gerät).*"
    r"|(holen sie sich )?outlook für (ios|android)( beziehen| herunterladen)?.*"
    r"|enviado (desde|con|a través de|do|de) .{1,60}"
    r"|(obtener|obtén|descargar) outlook para (ios|android).*"
    r"|inviato da .{1,60}"
    r"|verzonden vanaf .{1,60}"
    r"|(please )?excuse (my|the) (brevity|typos).*"
    r"|(bitte )?entschuldigen sie (die|meine) kürze.*|diese nachricht wurde von .{1,60} gesendet.*"
    r"|(veuillez )?excuse[rz] (ma|la) brièveté.*"
    r"|(disculpe|perdona|perdone) (mi|la) brevedad.*"
    r")\s*$",
    re.IGNORECASE,
)


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
    return Reply(strip(written.text), written.attachments, written.sealed)


def strip(text: str) -> str:
    """The answer in a mail's text."""
    text = text.replace("\u00a0", " ").replace("\u200b", "")
    answer = _answer(text)
    for tidy in (_without_tail, str):
        left = _BLANKS.sub("\n\n", tidy(answer)).strip()
        if left:
            return left
    return ""


def _answer(text: str) -> str:
    """What is above the quotation, and what is below it or between its lines."""
    above, quotation = _split(text)
    pieces = (_unmarked(above), _between(quotation))
    return "\n".join(piece for piece in pieces if piece.strip())


def _split(text: str) -> tuple[str, str]:
    """What is above the quotation, and the quotation with what is in it: of our mail, or of any other."""
    marker = _MARKER.search(text)
    if marker is not None:
        start = text.rfind("\n", 0, marker.start()) + 1
        return _without_intro(text[:start]), text[start:]
    head, foreign = _before_headers(text)
    lines = head.split("\n")
    above, *quoted = quotequail.quote(
        "\n".join(map(_judged, lines[:_LINES])), quote_intro_line=True, limit=_LINES + 1
    )
    shown = (above[1].count("\n") + 1 if above[1] else 0) if quoted else len(lines)
    return "\n".join(lines[:shown]), "\n".join([*lines[shown:], *foreign])


def _judged(line: str) -> str:
    """A line as it is looked at: one that is too long is nobody's introduction, header or rule."""
    return line if len(line) <= _MAX_JUDGED and line.count("<") <= _MAX_ADDRESSES else "…"


def _before_headers(text: str) -> tuple[str, list[str]]:
    """Text up to a block of header lines, as forwarded mail and Outlook's quotations have, and the rest."""
    lines = text.split("\n")
    for start, line in enumerate(lines[:_LINES]):
        if not _HEADER.match(_judged(line)):
            continue
        if len(_header_words(lines[start : start + _BLOCK_LINES])) == len(_WORDS):
            above = _trimmed(lines[:start])
            while above and _forwards(above[-1]):
                above = _trimmed(above[:-1])
            return "\n".join(above), ["\n".join(lines[start:])]
    return text, []


def _header_words(lines: list[str]) -> set[str]:
    """Of the header lines at the front: "from" and "subject", as far as they are among them."""
    found = set()
    for line in lines:
        if not _HEADER.match(_judged(line)):
            break
        name = line.strip(" \t>|*").partition(":")[0].strip().lower()
        found |= {word for word, names in _WORDS.items() if name in names}
    return found


def _without_intro(text: str) -> str:
    """Text that ends where our mail is quoted, without the lines by which mail clients introduce that."""
    lines = _trimmed(text.split("\n"))
    headers = next(
        (n for n, line in enumerate(reversed(lines)) if not _HEADER.match(_judged(line))), len(lines)
    )
    if headers >= _MIN_HEADERS:
        lines = lines[: len(lines) - headers]
    for count in range(1, min(_INTRO_LINES, len(lines)) + 1):
        if _introduces(_judged(" ".join(line.strip(" >|") for line in lines[-count:]).strip())):
            lines = lines[:-count]
            break
    return "\n".join(_trimmed(lines))


def _introduces(line: str) -> bool:
    whole = line.count("<") == line.count(">") and line.count("(") == line.count(")")
    return whole and _INTRO.fullmatch(line) is not None


def _trimmed(lines: list[str]) -> list[str]:
    """Without the blank, quoted and ruled lines at the end."""
    end = len(lines)
    while end and (not lines[end - 1].strip(" >|*") or _is_rule(lines[end - 1])):
        end -= 1
    return lines[:end]


def _bare(line: str) -> str:
    """Without the marks of quotation in front, and the blanks."""
    match = _MARGIN.match(line)
    return line[0 if match is None else match.end() :].rstrip()


def _is_rule(line: str) -> bool:
    """ "-----", or words between two of these; a glance at both ends, however long it is."""
    line = _bare(line)
    return bool(
        _RULE.fullmatch(line)
        or (len(line) >= 6 and _RULE_END.match(line) and _RULE_END.match(line, len(line) - 3))
    )


def _forwards(line: str) -> bool:
    """The line above a forwarded mail's headers."""
    line = _bare(line).removesuffix(":").rstrip()
    ruled = len(line) >= 4 and line.startswith("--") and line.endswith("--")
    return ruled or _FORWARDED.fullmatch(_judged(line)) is not None


def _unmarked(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not _QUOTED.match(line))


def _between(quotation: str) -> str:
    """The writer's lines among those marked as quoted; where none is marked, none can be told apart."""
    lines = quotation.split("\n")
    marked = next((number for number, line in enumerate(lines) if _QUOTED.match(line)), len(lines))
    return _unmarked("\n".join(lines[marked:])).strip()


def _without_tail(text: str) -> str:
    """Without signature, tag lines and all after the end mark."""
    lines = text.rstrip().split("\n")
    for number, line in enumerate(lines):
        if _SIGNATURE.match(line.strip("\r")) or line.strip() == END:
            lines = lines[:number]
            break
    while lines and (not lines[-1].strip() or _TAGLINES.match(lines[-1])):
        lines.pop()
    return "\n".join(lines)
