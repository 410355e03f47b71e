"""What somebody wrote above, below or between what he answers: the words that become the SMS.

Cut, in this order: all from our own marker on; all that a mail client quoted; the signature; what a telephone adds
at the end. The rule above all rules: where something was written, something is left. Cutting too little sends a
line too many, cutting too much loses a message.
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

_TAGLINES = re.compile(
    r"^\s*("
    r"sent from (my|the|a|yahoo|mail|samsung|proton|outlook|blackberry|android|huawei|xiaomi)\b.*"
    r"|sent (via|with|using) .{1,60}"
    r"|get outlook for (ios|android).*"
    r"|(envoyé|envoye) (de|depuis|à partir de) .{1,60}"
    r"|(obtenez|télécharger) outlook pour (ios|android).*"
    r"|(von|gesendet (von|mit)) (meinem|meiner|mein|outlook|yahoo|mail|dem|der)?.{0,60}(gesendet|iphone|ipad|handy"
    r"|smartphone|android|outlook|yahoo|mail|gerät).*"
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
    """``text`` is "" only when nothing was written. ``attachments`` are the names of what cannot be sent."""

    text: str
    attachments: tuple[str, ...]


def read(message: Message) -> Reply:
    """The answer in a mail. Never raises."""
    written = body.read(message)
    return Reply(strip(written.text), written.attachments)


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
    """What is above the quotation; below it or between its lines when there is nothing above."""
    marker = _MARKER.search(text)
    reach = text if marker is None else text[: text.rfind("\n", 0, marker.start()) + 1]
    above = _above(reach if marker is None else _with_quotation(reach))
    between = _between(text)
    if above.strip():
        return f"{above.rstrip()}\n{between}" if between.strip() else above
    if between.strip():
        return between
    return "" if marker is not None or _is_quotation(text) else text


def _with_quotation(reach: str) -> str:
    """What quotequail needs to see that the last lines introduce a quotation."""
    return f"{reach.rstrip()}\n> quoted\n> quoted\n> quoted"


def _above(text: str) -> str:
    found = quotequail.quote(text, quote_intro_line=True, limit=5_000)
    return "\n".join(line for line in found[0][1].split("\n") if not _QUOTED.match(line)) if found[0][0] else ""


def _between(text: str) -> str:
    """The lines of the writer among lines that are marked as quoted; nothing when no line is marked."""
    lines = text.split("\n")
    marked = [number for number, line in enumerate(lines) if _QUOTED.match(line)]
    if not marked:
        return ""
    return "\n".join(line for line in lines[marked[0] :] if not _QUOTED.match(line)).strip()


def _is_quotation(text: str) -> bool:
    found = quotequail.quote(text, quote_intro_line=True, limit=5_000)
    return len(found) > 1


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
