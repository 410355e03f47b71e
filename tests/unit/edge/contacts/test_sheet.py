"""Phone books as CSV."""

import csv
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contacts import Broken, Fault, Person, sheet

GOOGLE = (
    "First Name,Middle Name,Last Name,Notes,Labels,Phone 1 - Label,Phone 1 - Value,Phone 2 - Value\r\n"
    'Ann,,Example,"two\nlines",* myContacts ::: Work,Mobile,+1 202-555-0150 ::: (202) 555-0151,\r\n'
    "Nobody,,,,,,,\r\n"
)
OUTLOOK = "\ufeffNom;Mobile Phone;Home Fax;Notes\nZoé;+33612345678;+33140506070;\n"


def test_google() -> None:
    (person,) = sheet.read(GOOGLE)
    assert person == Person(
        "Ann Example", (("+1 202-555-0150", "Mobile"), ("(202) 555-0151", "Mobile")), "two\nlines", ("Work",)
    )


def test_another_separator_and_a_byte_order_mark() -> None:
    (person,) = sheet.read(OUTLOOK)
    assert person == Person("Zoé", (("+33612345678", ""),))


@pytest.mark.parametrize(
    ("said", "separator"),
    [("sep=;\r\n", ";"), ('"sep=,"\n', ","), ("\ufeff\nSEP=\t\n", "\t"), ("sep=|\r", "|")],
)
def test_a_first_line_that_says_what_separates(said: str, separator: str) -> None:
    rows = (separator.join(cells) + "\n" for cells in (("name", "number"), ("A,;", "+1"), ("Bob", "+2")))
    text = said + "".join(rows).replace("A,;", '"A,;"')
    assert [person.name for person in sheet.read(text)] == ["A,;", "Bob"]


LONG = "x" * (csv.field_size_limit() + 1)


@pytest.mark.parametrize(
    ("rows", "fault", "line"),
    [
        ('Ann,+1\n"Bob,+2\nCid,+3\n', Fault.QUOTE, 3),
        ('Ann,+1\n"Bob,+2\n"Cid",+3\n', Fault.QUOTE, 3),
        ('Ann,+1,"two\nlines"\n"Bob,+2', Fault.QUOTE, 4),
        ('Ann,+1,"two\nlines"\n"Bob\nB.",+2', Fault.BREAK, 4),
        ('"Bob "the boss" B.",+2\n', Fault.QUOTE, 2),
        ('Ann,+1\n "Bob,+2\nCid,+3\n', Fault.QUOTE, 3),
        ('Ann,+1\n "Bob" B.,+2\n', Fault.QUOTE, 3),
        ('Ann,+1\n"Bob,+2\nCid",+3\nDora,+4\n', Fault.BREAK, 3),
        ('Ann,"+1\nBob,+2"\n', Fault.BREAK, 2),
        ('Ann,"+1\rBob,+2"\r', Fault.BREAK, 2),
        ('"Bob\n\nCid",\n', Fault.BREAK, 2),
        (f"Ann,+1\n{LONG},+2\nCid,+3\n", Fault.CELL, 3),
        ('Ann,+1\n"Bob,+2\n' + "Cid,+3\n" * 20_000, Fault.CELL, 3),
    ],
)
def test_what_would_swallow_others_is_told(rows: str, fault: Fault, line: int) -> None:
    for text, more in ((f"name,number\n{rows}", 0), (f"sep=,\nname,number\n{rows}", 1)):
        with pytest.raises(Broken) as caught:
            list(sheet.read(text))
        assert (caught.value.fault, caught.value.line) == (fault, line + more)


def test_a_quotation_mark_within_a_plain_cell_is_a_letter() -> None:
    assert [person.name for person in sheet.read('name,number\n6" pipe,+1\n')] == ['6" pipe']


@pytest.mark.parametrize("column", ["first name", "last name", "phone 2 - value", "nom"])
def test_a_line_break_in_any_name_or_number_is_told(column: str) -> None:
    with pytest.raises(Broken) as caught:
        list(sheet.read(f'number,organization,{column}\n+1,"two\nlines",x\n+2,,"a\n+3,,b"\n'))
    assert (caught.value.fault, caught.value.line) == (Fault.BREAK, 4)


@pytest.mark.parametrize("column", ["notes", "address 1 - formatted"])
def test_a_line_break_elsewhere_or_at_an_end_is_none(column: str) -> None:
    (person,) = sheet.read(f'name,number,{column}\n"Ann\n","\r\n+1","two\nlines"\n')
    assert (person.name, person.numbers) == ("Ann", (("+1", ""),))


def test_a_name_of_two_lines_is_written_as_one() -> None:
    (person,) = sheet.read(sheet.write([Person("two\nlines", (("+1", ""),))]))
    assert person.name == "two lines"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("blank", ["", " ", "   "])
def test_blanks_around_cells_are_none_of_them(separator: str, blank: str) -> None:
    rows = (
        ("name", '"number" ', '"notes"'),
        ("Ada", "+12025550114", f'"x{separator} y"'),
        ('"Bob ""B"" , "', '"+12025550115"  ', f'"a{separator} "" {separator}  b\n {separator} ""c"" "'),
        ('6" pipe', "+12025550116", '6" "x" '),
    )
    text = "\n".join(blank + f"{separator}{blank}".join(row) + blank for row in rows)
    assert [(person.name, person.notes) for person in sheet.read(text)] == [
        ("Ada", f"x{separator} y"),
        ('Bob "B" ,', f'a{separator} " {separator}  b\n {separator} "c"'),
        ('6" pipe', '6" "x"'),
    ]


def test_without_a_line_of_names() -> None:
    with pytest.raises(sheet.NoColumns):
        list(sheet.read("Ann,+12025550150\n"))
    with pytest.raises(sheet.NoColumns):
        list(sheet.read(""))


def test_no_cell_is_a_formula() -> None:
    written = sheet.write([Person("=cmd()", (("+12025550150", ""),), "@x", ("+g",))])
    assert written == "\ufeffname,number,label,notes,groups\r\n'=cmd(),+12025550150,,'@x,'+g\r\n"
    (again,) = sheet.read(written)
    assert (again.name, again.notes, again.groups) == ("=cmd()", "@x", ("+g",))


def test_one_line_a_person() -> None:
    ann = Person("Ann", (("+12025550150", "=mobile"), ("+12025550151", "work"), ("+12025550152", "")))
    written = sheet.write([ann, Person("Bob", (("+12025550153", ""),))])
    assert written.removeprefix("\ufeff").splitlines() == [
        "name,number,label,notes,groups,number 2,label 2,number 3,label 3",
        "Ann,+12025550150,'=mobile,,,+12025550151,work,+12025550152,",
        "Bob,+12025550153,,,",
    ]


WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(
    lambda word: word == word.strip()
)
NUMBERS = st.integers(2_000_000_000, 9_999_999_999).map("+1{}".format)
PEOPLE = st.builds(
    Person,
    WORDS,
    st.dictionaries(NUMBERS, WORDS | st.just(""), min_size=1, max_size=4).map(lambda of: tuple(of.items())),
    WORDS | st.sampled_from(("", "two\nlines", "=1", "'quoted'", "''=2", "a;b,c\td")),
    st.lists(
        WORDS
        | st.sampled_from(("Family, close", "a; b", "* own", 'say "x"', '"', "a ::: b", "=g", "'", ":::")),
        unique=True,
    ).map(tuple),
)


@given(st.lists(PEOPLE))
def test_what_is_written_reads_as_the_same(people: list[Person]) -> None:
    assert list(sheet.read(sheet.write(people))) == people


@given(st.text(), st.text())
def test_anything_can_be_read(head: str, text: str) -> None:
    with suppress(Broken):
        list(sheet.read(f"number,{head}\n{text}"))
