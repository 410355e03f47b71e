"""vCard: reads 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350), writes 3.0, which every program takes.

Of a card only what a phone book of ours has is read: name, numbers, notes, categories. What is broken in one
line or card does not stop the others.
"""

import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge.contacts import Person

OCTETS_A_LINE = 75
_LINE = re.compile(
    r'(?:[A-Za-z0-9-]+\.)?(?P<name>[A-Za-z0-9-]+)(?P<parameters>(?:;(?:[^":;]|"[^"]*")*)*):(?P<value>.*)',
    re.DOTALL,
)
_PARAMETER = re.compile(r';((?:[^":;]|"[^"]*")*)')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_UNESCAPED = {"n": "\n", "N": "\n"}
_SEPARATOR = {name: re.compile(rf"(?<!\\){name}") for name in ",;"}
# Words that say how to use a number, not which it is.
_NO_LABELS = frozenset({"pref", "voice", "text", "msg", "internet", "type"})


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    types: tuple[str, ...]
    pref: int
    value: str


def read(text: str) -> Iterator[Person]:
    """Everybody in the file who has a number."""
    card: list[_Property] | None = None
    for line in _lines(text):
        found = _property(line)
        if found is None:
            continue
        match found.name, found.value.strip().upper():
            case "BEGIN", "VCARD":
                card = []
            case "END", "VCARD":
                person = None if card is None else _person(card)
                card = None
                if person is not None:
                    yield person
            case _ if card is not None:
                card.append(found)


def write(people: Iterable[Person]) -> str:
    """The file, with the line ends that the RFC wants."""
    return "".join(_card(person) for person in people)


# -- reading -----------------------------------------------------------------------------------------------


def _lines(text: str) -> Iterator[str]:
    """Unfolded (RFC 6350 §3.2); and quoted-printable ones of vCard 2.1 with those that they go on in."""
    line = ""
    for written in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if written[:1] in (" ", "\t") and line:
            line += written[1:]
        elif line.endswith("=") and "QUOTED-PRINTABLE" in line.partition(":")[0].upper():
            line = f"{line[:-1]}{written}"
        else:
            if line:
                yield line
            line = written
    if line:
        yield line


def _property(line: str) -> _Property | None:
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    types: list[str] = []
    pref, value = 100, found["value"]
    for parameter in _PARAMETER.findall(found["parameters"]):
        name, equals, written = parameter.partition("=")
        # vCard 2.1 has bare words: "TEL;WORK;VOICE:".
        name, written = (name.upper(), written) if equals else ("TYPE", name)
        match name:
            case "TYPE":
                types += written.replace('"', "").lower().split(",")
            case "PREF":
                pref = int(written) if written.isascii() and written.isdigit() else 100
            case "ENCODING" if written.upper() == "QUOTED-PRINTABLE":
                value = quopri.decodestring(value.encode()).decode("utf-8", "replace")
    if "pref" in types:
        pref = 1
    words = tuple(word for word in types if word and word not in _NO_LABELS)
    return _Property(found["name"].upper(), words, pref, value)


def _person(card: list[_Property]) -> Person | None:
    values: dict[str, str] = {}
    for item in card:
        values.setdefault(item.name, item.value)
    phones = sorted((item for item in card if item.name == "TEL"), key=lambda item: item.pref)
    numbers = [(_number(item.value), item.types[0] if item.types else "") for item in phones]
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
    for number, label in person.numbers:
        kind = label if re.fullmatch(r"[A-Za-z-]+", label) else "voice"
        lines.append(f"TEL;TYPE={kind}:{_escaped(number)}")
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
