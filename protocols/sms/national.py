"""National language tables: other alphabets in seven bits (TS 23.038 §6.2.1.2, annex A).

A locking shift table stands in for the default alphabet, a single shift table for its extension table; a
header tells which (TS 23.040 §9.2.3.24.15, §9.2.3.24.16). The tables are the files in `data`.
"""

import enum
from functools import cache
from importlib.resources import files

from protocols.sms.alphabet import BASIC, ESCAPE, EXTENSION, REPLACEMENT, Septets
from protocols.sms.header import LOCKING_SHIFT, SINGLE_SHIFT


class Language(enum.IntEnum):
    """The national language identifiers (TS 23.038 §6.2.1.2.4)."""

    TURKISH = 1
    SPANISH = 2
    PORTUGUESE = 3
    BENGALI = 4
    GUJARATI = 5
    HINDI = 6
    KANNADA = 7
    MALAYALAM = 8
    ORIYA = 9
    PUNJABI = 10
    TAMIL = 11
    TELUGU = 12
    URDU = 13


@cache
def tables(language: Language) -> dict[str, tuple[str | None, ...]]:
    """The tables of a language, "locking" (Spanish has none) and "single": code → character or None."""
    name = f"{language.name.lower()}.txt"
    return parse(files("protocols.sms").joinpath("data", name).read_text("utf-8"), name)


def parse(text: str, name: str) -> dict[str, tuple[str | None, ...]]:
    """The tables of a data file. ValueError: one is damaged."""
    found: dict[str, list[str | None]] = {}
    codes: list[str | None] = []
    for line in text.splitlines():
        if line.startswith("["):
            codes = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            codes += [None if word == "----" else chr(int(word, 16)) for word in line.split()]
    if any(len(table) != 0x80 or table[ESCAPE] != chr(ESCAPE) for table in found.values()):
        raise ValueError(f"a table of {name} is damaged")
    return {kind: tuple(table) for kind, table in found.items()}


def septets(locking: int, single: int) -> Septets:
    """The alphabet with these tables; 0, and a language that is not known, is the default one."""
    return _septets(locking if locking in _KNOWN else 0, single if single in _KNOWN else 0)


@cache
def _septets(locking: int, single: int) -> Septets:
    basic, extension = BASIC, dict(EXTENSION)
    if locking:
        table = tables(Language(locking)).get("locking")
        basic = BASIC if table is None else "".join(character or REPLACEMENT for character in table)
    if single:
        table = tables(Language(single))["single"]
        extension = {code: c for code, c in enumerate(table) if c is not None and code != ESCAPE}
    return Septets(basic, extension)


def shifts(locking: int, single: int) -> bytes:
    """The elements of a header that announce these tables; none for 0."""
    elements = bytes((SINGLE_SHIFT, 1, single)) if single else b""
    return elements + (bytes((LOCKING_SHIFT, 1, locking)) if locking else b"")


def choices(languages: tuple[Language, ...]) -> list[tuple[int, int]]:
    """The pairs of tables (locking, single) to try for texts in these languages, cheapest header first."""
    pairs = [(0, int(language)) for language in languages]
    locking = [int(language) for language in languages if "locking" in tables(language)]
    pairs += [(language, 0) for language in locking]
    return pairs + [(language, language) for language in locking]


_KNOWN = frozenset(Language)
