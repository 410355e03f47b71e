"""Phone books as CSV."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contacts import Person, sheet

GOOGLE = (
    "First Name,Middle Name,Last Name,Notes,Labels,Phone 1 - Label,Phone 1 - Value,Phone 2 - Value\r\n"
    'Ann,,Example,"two\nlines",* myContacts ::: Work,Mobile,+1 202-555-0150 ::: (202) 555-0151,\r\n'
    "Nobody,,,,,,,\r\n"
)
OUTLOOK = "\ufeffNom;Mobile Phone;Home Fax;Notes\nZoé;+33612345678;+33140506070;\n"


def test_google() -> None:
    (person,) = sheet.read(GOOGLE)
    assert person == Person(
        "Ann Example", (("+1 202-555-0150", ""), ("(202) 555-0151", "")), "two\nlines", ("Work",)
    )


def test_another_separator_and_a_byte_order_mark() -> None:
    (person,) = sheet.read(OUTLOOK)
    assert person == Person("Zoé", (("+33612345678", ""),))


def test_without_a_line_of_names() -> None:
    with pytest.raises(sheet.NoColumns):
        list(sheet.read("Ann,+12025550150\n"))
    with pytest.raises(sheet.NoColumns):
        list(sheet.read(""))


def test_no_cell_is_a_formula() -> None:
    written = sheet.write([Person("=cmd()", (("+12025550150", ""),), "@x", ("+g",))])
    assert written == "\ufeffname,number,notes,groups\r\n'=cmd(),+12025550150,'@x,'+g\r\n"
    (again,) = sheet.read(written)
    assert (again.name, again.notes, again.groups) == ("=cmd()", "@x", ("+g",))


@given(st.text(), st.text())
def test_anything_can_be_read(head: str, text: str) -> None:
    list(sheet.read(f"number,{head}\n{text}"))
