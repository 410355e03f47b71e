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
from protocols.mail.token import CHARACTERS

MARKER = "##- Write your answer above this line -##"
"""In every mail of ours, in front of what may be quoted back."""

END = "###"
"""A line with this ends the answer, for whoever wants to say so himself."""

_MARKER = re.compile(r"##-.{0,200}?-##", re.DOTALL)
_QUOTED = re.compile(r"^\s*(>|\|)")
_SIGNATURE = re.compile(r"^(--|—|__+) ?$")
_SIGNED_LINES = 8
"""So many has a signature at most, if not the "-- " is above it that mail clients agree on."""
_UNSEEN = str.maketrans({"\u00a0": " ", "\u200b": None, "\u2060": None, "\u2063": None, "\ufeff": None})
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
# "On … wrote:", in any language: our address or our name, a time of day, a colon at the end. Where the name
# has a year beside it, or the address is one of a conversation, less is enough: nobody writes these himself.
_TOKEN_ADDRESS = rf"\+[A-Za-z2-7]{{{CHARACTERS}}}@"
_TIME = r"\b\d{1,2}[:hH.]\d{2}"
_INTROS = (
    re.compile(rf"(?=.*(@|\(SMS\)))(?=.*{_TIME}).{{10,400}}[:：]"),
    re.compile(
        rf"(?=.*\(SMS\))(?=.*\b20\d\d\b).{{10,400}}[:：]|(?=.*{_TOKEN_ADDRESS}).{{10,400}}[:：]"
        rf"|(?=.*{_TOKEN_ADDRESS})(?=.*{_TIME}).{{10,400}}"
    ),
)
_OURS = re.compile(rf"\(SMS\)|{_TOKEN_ADDRESS}")

# What a telephone or a program adds names itself: "Sent with DHL" is somebody's sentence.
_DEVICE = (
    r"(?:\b(?:i(?:phone|pad|pod)|android|galaxy|samsung|smartphone|blackberry|huawei|xiaomi|redmi|pixel"
    r"|oneplus|nokia|motorola|windows ?phone|outlook|yahoo|gmail|proton|protonmail|tuta|tutanota|gmx|web\.de"
    r"|t-online|freemail|aol|icloud|k-9|fairemail|bluemail|aquamail|typeapp|thunderbird|delta chat|mail\.ru"
    r"|mail (?:for|pour|für|para|per|voor) windows)\b"
    r"|\b(?:my|meinem|mon|mi|mio|mijn) (?:cell ?|mobile ?|smart)?(?:phone|device|tablet|handy|gerät|telefon"
    r"|mobiltelefon|appareil|portable|mobile|téléphone|móvil|teléfono|celular|dispositivo|cellulare|telefoon))"
)
_GET = (
    r"(?:get|download|obtenez|télécharger|obtener|obtén|descargar|ottieni|scarica|obter o|obtenha o|skaffa"
    r"|hämta|hent|pobierz|holen sie sich)"
)
_MAX_TAGLINE = 200
_TAGLINES = re.compile(
    r"\s*(?:"
    rf"(?:sent (?:from|via|with|using)|enviado (?:desde|con|a través de|do|de|pelo)|inviato (?:da|dal|con)"
    rf"|envoy[ée]e? (?:de|depuis|avec|par|à partir d)|gesendet (?:von|mit|über)|verzonden (?:vanaf|met)"
    rf"|skickat från|sendt fra).{{0,60}}?{_DEVICE}.{{0,100}}"
    rf"|von (?:meinem|meiner|outlook|yahoo|gmx)\b.{{0,40}}\bgesendet[.!]?"
    rf"|diese nachricht wurde von .{{0,40}}?{_DEVICE}.{{0,80}}"
    rf"|(?:{_GET} )?outlook (?:for|pour|für|para|per|voor|för|til|dla) (?:ios|android)"
    r"(?: beziehen| herunterladen| downloaden)?(?:\s*[<(\[]?https?:.*)?"
    r"|get (?:bluemail|typeapp|spark|aqua mail) for .{1,40}"
    r"|yahoo mail: search, organize, conquer|sent securely with .{1,40}"
    r"|(?:please )?(?:excuse|forgive|pardon) (?:my|the|any) (?:brevity|typos)(?: and (?:brevity|typos))?[.!]?"
    r"|(?:bitte )?entschuldigen sie (?:die|meine) kürze[.!]?|(?:veuillez )?excuse[rz] (?:ma|la) brièveté[.!]?"
    r"|(?:por favor, )?(?:disculpa|disculpe|perdona|perdone) (?:mi|la) brevedad[.!]?"
    r")\s*",
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
    text = text.translate(_UNSEEN)
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
    lines = lines[: _ruled_off(lines)]
    lines = lines[: len(lines) - _introduction(lines)]
    return "\n".join(_trimmed(lines))


def _introduction(lines: list[str]) -> int:
    """How many lines at the end are a mail client's; the surest way of telling goes first."""
    last = [_bare(line) for line in lines[-_INTRO_LINES:]]
    while "" in last:  # it is one paragraph
        del last[: last.index("") + 1]
    for intro in _INTROS:
        for count in range(1, len(last) + 1):
            if _introduces(_judged(" ".join(last[-count:])), intro):
                return count
    return 0


def _ruled_off(lines: list[str]) -> int:
    """Where a rule with words stands in front of a few lines about our mail, in whatever form: the number of
    lines above it. All of them when there is none."""
    for number in range(len(lines) - 1, max(-1, len(lines) - _BLOCK_LINES), -1):
        if _forwards(lines[number]) and any(_OURS.search(_judged(line)) for line in lines[number + 1 :]):
            return number
    return len(lines)


def _introduces(line: str, intro: re.Pattern[str]) -> bool:
    whole = line.count("<") == line.count(">") and line.count("(") == line.count(")")
    return whole and intro.fullmatch(line) is not None


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
        if line.strip() == END or (_SIGNATURE.match(line) and _is_signature(lines[number:])):
            lines = lines[:number]
            break
    while lines and (not lines[-1].strip() or _is_tagline(lines[-1])):
        lines.pop()
    return "\n".join(lines)


def _is_signature(lines: list[str]) -> bool:
    """From the line that begins it on."""
    return lines[0] == "-- " or sum(bool(line.strip()) for line in lines[1:]) <= _SIGNED_LINES


def _is_tagline(line: str) -> bool:
    return len(line) <= _MAX_TAGLINE and _TAGLINES.fullmatch(line) is not None
