"""Phone books as CSV: our own columns, and those that Google, Outlook and VoIP.ms write.

Writes UTF-8 with a byte order mark, without which spreadsheets read it in another encoding; a cell that a
spreadsheet would take for a formula is written with an apostrophe before it, which reading takes away. What
is written is one line a person, with as many columns of numbers as somebody needs, and reads as the same.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from edge.contacts import Broken, Fault, Person

BYTE_ORDER_MARK = "\ufeff"
COLUMNS = ("name", "number", "label", "notes", "groups")
MORE_COLUMNS = ("number {}", "label {}")
"""Of a person's second number, third …"""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_APOSTROPHED = (*_FORMULA, "'")
_SEPARATORS = ",;\t"
_BREAK = re.compile(r"[\r\n]")
# Excel's own first line, which says what separates.
_SEPARATED = re.compile(r'"?sep=([,;\t|])"?[\r\n]*', re.IGNORECASE)
_GROUP = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"\s*|(?P<plain>(?:(?!:::)[^;,])*))(?:;|,|:::|$)')
_PLAIN_GROUP = re.compile(r'(?!\s|[*"])(?:(?!:::)[^;,])+(?<!\s)')
_NAMES = ("name", "full name", "display name", "fn", "nom", "nombre")
_PARTS = ("first name", "given name", "middle name", "last name", "family name")
_OF_NAMES = frozenset((*_NAMES, *_PARTS))
_NOTES = ("notes", "note")
_LABELS = ("groups", "group", "group membership", "labels", "categories")
_NUMBER = re.compile(r"(?:.*\b)?(?:phone|mobile|number|tel|cell|teléfono|téléphone|numéro|número)\b.*")
_NO_NUMBER = re.compile(r".*\b(?:type|label|fax|extension)\b.*")
# What names the label of a column of numbers: ours ("label 2"), Google's of now and of before.
_LABELLED = (("number", "label"), ("value", "label"), ("value", "type"))


class NoColumns(ValueError):
    """The first line does not say which columns there are."""


def read(text: str) -> Iterator[Person]:
    """Everybody with a number. Raises NoColumns, and Broken for what would swallow others."""
    lines = io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline="").readlines()
    first = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    said = _SEPARATED.fullmatch(lines[first]) if lines[first:] else None
    if said is not None:
        rows = _rows(lines, first + 1, said[1])
    else:
        rows = _rows(lines, first, max(_SEPARATORS, key="".join(lines[first : first + 1]).count))
    head = [cell.strip().lower() for cell in next(rows, (0, []))[1]]
    numbers = [
        index for index, cell in enumerate(head) if _NUMBER.fullmatch(cell) and not _NO_NUMBER.fullmatch(cell)
    ]
    if not numbers:
        raise NoColumns("The first line names no column with a number.")
    of_one_line = {index for index, cell in enumerate(head) if cell in _OF_NAMES}.union(numbers)
    for line, row in rows:
        cells = [_plain(cell) for cell in row]
        if any(_BREAK.search(cell) for index, cell in enumerate(cells) if index in of_one_line):
            raise Broken(Fault.BREAK, line)
        person = _person(head, cells, numbers)
        if person is not None:
            yield person


def write(people: Iterable[Person]) -> str:
    """One line for each person."""
    everybody = list(people)
    most = max((len(person.numbers) for person in everybody), default=1)
    more = [column.format(number) for number in range(2, most + 1) for column in MORE_COLUMNS]
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow([*COLUMNS, *more])
    for person in everybody:
        (number, first), *others = person.numbers
        groups = "; ".join(map(_group, person.groups))
        name = _cell(_BREAK.sub(" ", person.name))
        cells = [name, number, _cell(first), _cell(person.notes), _cell(groups)]
        writer.writerow(cells + [cell for other, label in others for cell in (other, _cell(label))])
    return BYTE_ORDER_MARK + written.getvalue()


def _rows(lines: Sequence[str], first: int, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each from the line of this index on, with the number of its own first line. Strictly: a quotation mark
    too many or too few would make one cell of many people."""
    bare = io.StringIO(_without_blanks("".join(lines[first:]), separator), newline="").readlines()
    reader = csv.reader(bare, delimiter=separator, strict=True, skipinitialspace=True)
    while True:
        begins = reader.line_num
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            letters = sum(map(len, bare[begins : reader.line_num]))
            fault = Fault.CELL if letters > csv.field_size_limit() else Fault.QUOTE
            raise Broken(fault, first + begins + 1) from None
        yield first + begins + 1, row


def _without_blanks(text: str, separator: str) -> str:
    """Without those around a cell in quotes, which make it none for the reader."""
    ends, blank = rf"[^{separator}\r\n]", "[ ]" if separator == "\t" else "[ \t]"
    quoted = r'"[^"]*+(?:""[^"]*+)*+"'
    return re.sub(rf"(?<!{ends}){blank}*+({quoted}){blank}*+(?!{ends})", r"\1", text)


def _person(head: list[str], cells: list[str], numbers: list[int]) -> Person | None:
    by_name: dict[str, str] = {}
    for name, cell in zip(head, cells, strict=False):
        by_name.setdefault(name, cell)
    found: dict[str, str] = {}
    for index in numbers:
        label = _label(head[index], by_name)
        for part in cells[index].split(":::") if index < len(cells) else ():
            if part.strip():
                found.setdefault(part.strip(), label)
    if not found:
        return None
    name = _first(by_name, _NAMES) or " ".join(filter(None, (by_name.get(part, "") for part in _PARTS)))
    groups = tuple(_groups(_first(by_name, _LABELS)))
    return Person(name or next(iter(found)), tuple(found.items()), _first(by_name, _NOTES), groups)


def _label(column: str, by_name: Mapping[str, str]) -> str:
    names = (column.replace(value, label) for value, label in _LABELLED if value in column)
    return _first(by_name, names).removeprefix("* ")


def _groups(cell: str) -> Iterator[str]:
    """Their names, as they are or in quotes; those with an asterisk are Google's own ("* myContacts")."""
    for found in _GROUP.finditer(cell):
        quoted, plain = found["quoted"], (found["plain"] or "").strip()
        if quoted:
            yield quoted.replace('""', '"')
        elif plain and plain[0] != "*":
            yield plain


def _group(name: str) -> str:
    if _PLAIN_GROUP.fullmatch(name):
        return name
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def _first(cells: Mapping[str, str], names: Iterable[str]) -> str:
    return next((cells[name] for name in names if cells.get(name)), "")


def _plain(cell: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from calculating."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _APOSTROPHED else cell


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_APOSTROPHED) else text
