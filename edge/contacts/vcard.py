"""vCard: reads 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350), writes 3.0, which every program takes.

Of a card only what a phone book of ours has is read: name, numbers with their labels, notes, categories. A
line that is broken does not stop the others; a card without end or beginning is told, or people were lost.

A label that is no plain word of vCard's is written and read as Apple and Google do: ``item1.TEL`` has it in
``item1.X-ABLabel``.
"""

import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge.contacts import Broken, Fault, Person

OCTETS_A_LINE = 75
_LINE = re.compile(
    r'(?:(?P<group>[^.:;"]+)\.)?(?P<name>[A-Za-z0-9-]+)(?P<parameters>(?:;(?:[^":;]|"[^"]*")*)*):(?P<value>.*)',
    re.DOTALL,
)
_PARAMETER = re.compile(r';((?:[^":;]|"[^"]*")*)')
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
    group: str = ""


def read(text: str) -> Iterator[Person]:
    """Everybody in the file who has a number. Raises Broken for a card without end or beginning."""
    cards: list[tuple[int, list[_Property]]] = []  # those that are open, with the line where each begins
    for number, line in _lines(text):
        found = _property(line)
        if found is None:
            continue
        match found.name, found.value.strip().upper():
            case "BEGIN", "VCARD":
                if cards and not _has_agent(cards[-1][1]):
                    raise Broken(Fault.CARD, cards[-1][0])
                cards.append((number, []))
            case "END", "VCARD":
                if not cards:
                    raise Broken(Fault.END, number)
                person = _person(cards.pop()[1])
                if person is not None:
                    yield person
            case _ if cards:
                cards[-1][1].append(found)
    if cards:
        raise Broken(Fault.CARD, cards[-1][0])


def write(people: Iterable[Person]) -> str:
    """The file, with the line ends that the RFC wants."""
    return "".join(_card(person) for person in people)


# -- reading -----------------------------------------------------------------------------------------------


def _has_agent(card: list[_Property]) -> bool:
    """Does a card of its own follow within this one (vCard 2.1 §2.4.3)?"""
    return bool(card) and card[-1].name == "AGENT" and not card[-1].value.strip()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each with the number of its first one, unfolded (RFC 6350 §3.2); and quoted-printable ones of vCard 2.1
    with those that they go on in."""
    line, begins = "", 1
    unix = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, written in enumerate([*unix, ""], 1):
        if written[:1] in (" ", "\t") and line:
            line += written[1:]
        elif line.endswith("=") and "QUOTED-PRINTABLE" in line.partition(":")[0].upper():
            line = f"{line[:-1]}{written}"
        else:
            if line:
                yield begins, line
            line, begins = written, number
    if line:
        yield begins, line


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
    return _Property(found["name"].upper(), words, pref, value, (found["group"] or "").lower())


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
