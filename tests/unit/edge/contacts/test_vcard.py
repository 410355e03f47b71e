"""vCard 2.1, 3.0 and 4.0 as programs write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contacts import Person, vcard

GOOGLE = """BEGIN:VCARD
VERSION:3.0
FN:Zoé O'Brien\\, PhD
N:O'Brien;Zoé;;Dr.;PhD
item1.TEL:+33 6 12 34 56 78
item1.X-ABLabel:Perso
TEL;TYPE=WORK,pref:tel:+1-202-555-0150;ext=7
NOTE:first line\\nsecond\\; line
CATEGORIES:myContacts,Friends\\, old
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD/
 2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkK
END:VCARD
"""
NOKIA = """BEGIN:VCARD\r
VERSION:2.1\r
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=89milie;Dupont=\r
=20Martin\r
TEL;CELL;VOICE:0612345678\r
TEL;HOME:0140506070\r
END:VCARD\r
"""
FOUR = """BEGIN:VCARD
VERSION:4.0
FN:Ann
TEL;VALUE=uri;PREF=2;TYPE="voice,home":tel:+12025550161
TEL;VALUE=uri;PREF=1;TYPE=cell:tel:+12025550160
END:VCARD
"""


def test_three() -> None:
    (person,) = vcard.read(GOOGLE)
    assert person.name == "Zoé O'Brien, PhD"
    assert person.numbers == (("+1-202-555-0150", "work"), ("+33 6 12 34 56 78", "")), "the preferred first"
    assert person.notes == "first line\nsecond; line"
    assert person.groups == ("myContacts", "Friends, old")


def test_two_one() -> None:
    (person,) = vcard.read(NOKIA)
    assert person.name == "Dupont Martin Émilie"
    assert person.numbers == (("0612345678", "cell"), ("0140506070", "home"))


def test_four() -> None:
    (person,) = vcard.read(FOUR)
    assert person.numbers == (("+12025550160", "cell"), ("+12025550161", "home"))


def test_what_is_broken_stops_nothing_else() -> None:
    broken = "rubbish\nBEGIN:VCARD\nFN:nobody ends me\nTEL:1\n" + GOOGLE + "END:VCARD\nBEGIN:VCARD\nFN:none\n"
    assert [person.name for person in vcard.read(broken + "END:VCARD\n" + FOUR)] == [
        "Zoé O'Brien, PhD",
        "Ann",
    ]


@pytest.mark.parametrize(
    "text", ["", "\r\n" * 5, "BEGIN:VCARD", "=\n=\n", ":" * 100, "BEGIN:VCARD\n \n;:\nEND:VCARD"]
)
def test_nobody(text: str) -> None:
    assert list(vcard.read(text)) == []


def test_a_line_has_at_most_75_octets_and_no_character_is_cut() -> None:
    written = vcard.write([Person("👍🏽é" * 60, (("+12025550150", "work"),), notes="x\n" * 200)])
    assert max(len(line.encode()) for line in written.split("\r\n")) == 75
    assert "\ufffd" not in written


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1)


@given(NAMES, st.text(st.characters(codec="utf-8", exclude_characters="\r")), st.lists(NAMES, max_size=3))
def test_what_is_written_is_read_again(name: str, notes: str, groups: list[str]) -> None:
    person = Person(name, (("+12025550150", "work"), ("+12025550151", "")), notes.strip(), tuple(groups))
    (again,) = vcard.read(vcard.write([person]))
    assert again == person


@given(st.text())
def test_anything_can_be_read(text: str) -> None:
    list(vcard.read("BEGIN:VCARD\n" + text))
