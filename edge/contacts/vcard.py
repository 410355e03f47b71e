"""vCard: reads 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350), writes 3.0, which every program takes.

Of a card only what a phone book of ours has is read: name, numbers with their labels, notes, categories. A
line that is broken does not stop the others, but a card without end or beginning and a number that cannot be
read are told, or people were lost.

A label that is no plain word of vCard's is written and read as Apple and Google do: ``item1.TEL`` has it in
``item1.X-ABLabel``.
"""

import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from edge.contacts import Broken, Fault, Person
from protocols.mail import charsets

OCTETS_A_LINE = 75
LINES_A_HEAD = 8
"""Over how many the name and parameters of a property may be folded."""

_LINE = re.compile(
    r'(?:(?P<group>[^.:;"]+)\.)?(?P<name>[A-Za-z0-9-]+)(?P<parameters>(?:;(?:[^":;]|"[^"]*")*)*):(?P<value>.*)',
    re.DOTALL,
)
_PARAMETER = re.compile(r';((?:[^":;]|"[^"]*")*)')
_QUOTED_PRINTABLE = "QUOTED-PRINTABLE"
# A property as programs write it, who have the names in capitals; "Tel: 1" and "http://" are words of a text.
_SURE = re.compile(
    r"(?:[\w-]+\.)?(?:ADR|AGENT|BDAY|BEGIN|CATEGORIES|CLASS|EMAIL|END|FN|GEO|IMPP|KEY|LABEL|LOGO|MAILER|N|NICKNAME"
    r"|NOTE|ORG|PHOTO|PRODID|PROFILE|REV|ROLE|SORT-STRING|SOUND|SOURCE|TEL|TITLE|TZ|UID|URL|VERSION|X-[\w-]+)"
    r"(?:;[^:]*)?:(?!\s)"
)
_SWALLOWED = re.compile(r"[ \t]*(?:[\w-]+\.)?TEL(?:;[^:]*)?:(?!\s).*\d", re.IGNORECASE)
_UNREADABLE = re.compile(r'\s*+(?:[^.:;"]+\.)?TEL(?![\w-]).*\d', re.IGNORECASE | re.DOTALL)
_DIGIT = re.compile(r"\d")
_PREF = re.compile(r"[0-9]{1,3}")
_WORST = 100
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_UNESCAPED = {"n": "\n", "N": "\n"}
_SEPARATOR = {name: re.compile(rf"(?<!\\){name}") for name in ",;"}
# Words that say how to use a number, not which it is.
_NO_LABELS = frozenset({"pref", "voice", "text", "msg", "internet", "type"})
_PLAIN_LABEL = re.compile(r"[a-z]+(?:-[a-z]+)*", re.IGNORECASE)
_LABEL = "X-ABLABEL"
_APPLES_OWN = re.compile(r"_\$!<(.*)>!\$_", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    types: tuple[str, ...]
    pref: int
    value: str
    group: str
    line: int


@dataclass(slots=True)
class _Card:
    """One that is open; ``line`` is where it begins. ``swallowed``: the first line within another that looks
    like a number, 0 for none."""

    line: int
    properties: list[_Property] = field(default_factory=list)
    swallowed: int = 0


class _Line(NamedTuple):
    """All lines that one goes on in; ``number`` is the first one's. ``swallowed``: see `_Card`."""

    number: int
    text: str
    swallowed: int


def read(text: str) -> Iterator[Person]:
    """Everybody in the file who has a number. Raises Broken for a card without end or beginning, and for a
    number that cannot be read."""
    cards: list[_Card] = []  # those that are open
    for line in _lines(text):
        found = _property(line)
        if cards:
            cards[-1].swallowed = cards[-1].swallowed or line.swallowed
            _check(line, found)
        if found is None:
            continue
        match found.name, found.value.strip().upper():
            case "BEGIN", "VCARD":
                if cards and not _has_agent(cards[-1].properties):
                    raise Broken(Fault.CARD, cards[-1].line)
                cards.append(_Card(line.number))
            case "END", "VCARD":
                if not cards:
                    raise Broken(Fault.END, line.number)
                yield from _ended(cards.pop())
            case _ if cards:
                cards[-1].properties.append(found)
    if cards:
        raise Broken(Fault.CARD, cards[-1].line)


def write(people: Iterable[Person]) -> str:
    """The file, with the line ends that the RFC wants."""
    return "".join(_card(person) for person in people)


# -- reading -----------------------------------------------------------------------------------------------


def _has_agent(card: list[_Property]) -> bool:
    """Does a card of its own follow within this one (vCard 2.1 §2.4.3)?"""
    return bool(card) and card[-1].name == "AGENT" and not card[-1].value.strip()


def _check(line: _Line, found: _Property | None) -> None:
    if found is None and _UNREADABLE.match(line.text):
        raise Broken(Fault.NUMBER, line.number)


def _ended(card: _Card) -> Iterator[Person]:
    person = _person(card.properties)
    if person is not None:
        yield person
    elif lost := _lost(card):
        raise Broken(Fault.NUMBER, lost)


def _lost(card: _Card) -> int:
    """The line of a number in the card of somebody without one; 0 if there is none."""
    written = (item.line for item in card.properties if item.name == "TEL" and _DIGIT.search(item.value))
    return next(written, card.swallowed)


def _lines(text: str) -> Iterator[_Line]:
    """Unfolded (RFC 6350 §3.2); and quoted-printable ones of vCard 2.1 with those that they go on in."""
    pieces: list[str] = []
    begins, swallowed, goes_on = 1, 0, False
    for number, written in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        soft = goes_on and not _SURE.match(written)
        folded = not goes_on and pieces and written[:1] in (" ", "\t")
        if soft or folded:
            pieces.append(written if soft else written[1:])
            swallowed = swallowed or (number if _SWALLOWED.match(written) else 0)
        else:
            if pieces:
                yield _Line(begins, "".join(pieces), swallowed)
            pieces, begins, swallowed = [written] if written else [], number, 0
        goes_on = written.endswith("=") and (soft or _is_quoted_printable(pieces))
        if goes_on:
            pieces[-1] = pieces[-1][:-1]
    if pieces:
        yield _Line(begins, "".join(pieces), swallowed)


def _is_quoted_printable(pieces: Iterable[str]) -> bool:
    """Does the line that begins so say that it is?"""
    head = ""
    for piece in islice(pieces, LINES_A_HEAD):
        before, colon, _ = piece.partition(":")
        head += before
        if colon:
            return _QUOTED_PRINTABLE in head.upper()
    return False


def _property(line: _Line) -> _Property | None:
    found = _LINE.fullmatch(line.text)
    if found is None:
        return None
    types: list[str] = []
    pref, value, charset, is_quoted = _WORST, found["value"], "utf-8", False
    for parameter in _PARAMETER.findall(found["parameters"]):
        name, equals, written = parameter.replace('"', "").partition("=")
        # vCard 2.1 has bare words: "TEL;WORK;VOICE:", "NOTE;QUOTED-PRINTABLE:".
        if not equals:
            name, written = "ENCODING" if name.upper() == _QUOTED_PRINTABLE else "TYPE", name
        match name.upper():
            case "TYPE":
                types += written.lower().split(",")
            case "PREF":
                pref = int(written) if _PREF.fullmatch(written) else _WORST
            case "CHARSET":
                charset = written
            case "ENCODING":
                is_quoted = written.upper() == _QUOTED_PRINTABLE
    if is_quoted:
        # What is beyond ASCII has been read as a letter already.
        octets = quopri.decodestring(value.encode())
        value = charsets.decoded(octets, charset if value.isascii() else "utf-8")
    if "pref" in types:
        pref = 1
    words = tuple(word for word in types if word and word not in _NO_LABELS)
    return _Property(found["name"].upper(), words, pref, value, (found["group"] or "").lower(), line.number)


def _person(card: list[_Property]) -> Person | None:
    values: dict[str, str] = {}
    for item in card:
        values.setdefault(item.name, item.value)
    labels = {item.group: _label(item.value) for item in card if item.name == _LABEL and item.group}
    phones = sorted((item for item in card if item.name == "TEL"), key=lambda item: item.pref)
    numbers = [
        (_number(item.value), labels.get(item.group) or (item.types[0] if item.types else ""))
        for item in phones
    ]
    numbers = list({number: (number, label) for number, label in reversed(numbers) if number}.values())[::-1]
    if not numbers:
        return None
    name = _text(values.get("FN", "")).strip() or _name(values.get("N", "")) or numbers[0][0]
    groups = [_text(item).strip() for item in _split(values.get("CATEGORIES", ""), ",")]
    return Person(
        " ".join(name.split()),
        tuple(numbers),
        _text(values.get("NOTE", "")).strip(),
        tuple(filter(None, groups)),
    )


def _number(value: str) -> str:
    """Of a text or a tel: URI (RFC 3966), whose extensions are no part of the number."""
    text = _text(value).strip()
    if text.lower().startswith("tel:"):
        return text[4:].partition(";")[0].strip()
    return text


def _label(value: str) -> str:
    """Without what Apple writes around those that it translates."""
    text = _text(value).strip()
    own = _APPLES_OWN.fullmatch(text)
    return " ".join((own[1] if own else text).split())


def _name(value: str) -> str:
    """Family, given, additional, prefixes, suffixes (§6.2.2), in the order in which they are spoken."""
    parts = [_text(part).strip() for part in _split(value, ";")]
    family, given, additional, prefix, suffix = [*parts, "", "", "", "", ""][:5]
    return " ".join(filter(None, (prefix, given, additional, family, suffix)))


def _split(value: str, separator: str) -> list[str]:
    return _SEPARATOR[separator].split(value)


def _text(value: str) -> str:
    return _ESCAPED.sub(lambda found: _UNESCAPED.get(found[1], found[1]), value)


# -- writing -----------------------------------------------------------------------------------------------


def _card(person: Person) -> str:
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"FN:{_escaped(person.name)}", f"N:{_escaped(person.name)};;;;"]
    for place, (number, label) in enumerate(person.numbers, 1):
        plain = label.lower() if _PLAIN_LABEL.fullmatch(label) and label.lower() not in _NO_LABELS else ""
        group = f"item{place}." if label != plain else ""
        lines.append(f"{group}TEL;TYPE={plain or 'voice'}:{_escaped(number)}")
        if group:
            lines.append(f"{group}X-ABLabel:{_escaped(label)}")
    if person.groups:
        lines.append(f"CATEGORIES:{','.join(map(_escaped, person.groups))}")
    if person.notes:
        lines.append(f"NOTE:{_escaped(person.notes)}")
    return "".join(_folded(line) for line in (*lines, "END:VCARD"))


def _escaped(text: str) -> str:
    for plain, written in (("\\", "\\\\"), ("\r\n", "\\n"), ("\n", "\\n"), (",", "\\,"), (";", "\\;")):
        text = text.replace(plain, written)
    return text.replace("\r", "")


def _folded(line: str) -> str:
    """At most 75 octets a line; a character is never cut (RFC 6350 §3.2)."""
    pieces, piece, octets = [], "", 0
    for letter in line:
        size = len(letter.encode())
        if octets + size > OCTETS_A_LINE:
            pieces.append(piece)
            piece, octets = " ", 1
        piece += letter
        octets += size
    return "\r\n".join((*pieces, piece)) + "\r\n"
