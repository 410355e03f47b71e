"""Phone books as CSV: our own columns, and those that Google, Outlook and VoIP.ms write.

Writes UTF-8 with a byte order mark, without which spreadsheets read it in another encoding; a cell that a
spreadsheet would take for a formula is written with an apostrophe before it, which reading takes away.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping

from edge.contacts import Person

BYTE_ORDER_MARK = "\ufeff"
COLUMNS = ("name", "number", "notes", "groups")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SEPARATORS = ",;\t"
_GROUPS = re.compile(r"\s*(?:;|:::|,)\s*")
_NAMES = ("name", "full name", "display name", "fn", "nom", "nombre")
_PARTS = ("first name", "given name", "middle name", "last name", "family name")
_NOTES = ("notes", "note")
_LABELS = ("groups", "group", "group membership", "labels", "categories")
_NUMBER = re.compile(r"(?:.*\b)?(?:phone|mobile|number|tel|cell|teléfono|téléphone|numéro|número)\b.*")
_NO_NUMBER = re.compile(r".*\b(?:type|label|fax|extension)\b.*")


class NoColumns(ValueError):
    """The first line does not say which columns there are."""


def read(text: str) -> Iterator[Person]:
    """Everybody with a number. Raises NoColumns."""
    text = text.removeprefix(BYTE_ORDER_MARK)
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    head = [cell.strip().lower() for cell in next(rows, [])]
    numbers = [
        index for index, cell in enumerate(head) if _NUMBER.fullmatch(cell) and not _NO_NUMBER.fullmatch(cell)
    ]
    if not numbers:
        raise NoColumns("The first line names no column with a number.")
    for row in rows:
        cells = [_plain(cell) for cell in row]
        person = _person(head, cells, numbers)
        if person is not None:
            yield person


def write(people: Iterable[Person]) -> str:
    """One line for each number; a contact with several has several lines of one name."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for person in people:
        for number, _ in person.numbers:
            writer.writerow(
                [_cell(person.name), number, _cell(person.notes), _cell("; ".join(person.groups))]
            )
    return BYTE_ORDER_MARK + written.getvalue()


def _person(head: list[str], cells: list[str], numbers: list[int]) -> Person | None:
    by_name: dict[str, str] = {}
    for name, cell in zip(head, cells, strict=False):
        by_name.setdefault(name, cell)
    found = [
        (part.strip(), "")
        for index in numbers
        if index < len(cells)
        for part in cells[index].split(":::")
        if part.strip()
    ]
    if not found:
        return None
    name = _first(by_name, _NAMES) or " ".join(filter(None, (by_name.get(part, "") for part in _PARTS)))
    groups = tuple(group for group in _GROUPS.split(_first(by_name, _LABELS)) if group and group[0] != "*")
    return Person(name or found[0][0], tuple(dict.fromkeys(found)), _first(by_name, _NOTES), groups)


def _first(cells: Mapping[str, str], names: Iterable[str]) -> str:
    return next((cells[name] for name in names if cells.get(name)), "")


def _plain(cell: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from calculating."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
