"""vCard 2.1, 3.0 and 4.0 as programs write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contacts import Broken, Fault, Person, vcard

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
    assert person.numbers == (("+1-202-555-0150", "work"), ("+33 6 12 34 56 78", "Perso")), (
        "the preferred first"
    )
    assert person.notes == "first line\nsecond; line"
    assert person.groups == ("myContacts", "Friends, old")


def test_two_one() -> None:
    (person,) = vcard.read(NOKIA)
    assert person.name == "Dupont Martin Émilie"
    assert person.numbers == (("0612345678", "cell"), ("0140506070", "home"))


def test_four() -> None:
    (person,) = vcard.read(FOUR)
    assert person.numbers == (("+12025550160", "cell"), ("+12025550161", "home"))


def test_a_line_that_is_broken_stops_nothing_else() -> None:
    broken = "rubbish\nBEGIN:VCARD\nrubbish\nFN:none\nEND:VCARD\n"
    assert [person.name for person in vcard.read(broken + GOOGLE + FOUR)] == ["Zoé O'Brien, PhD", "Ann"]


@pytest.mark.parametrize(
    ("text", "fault", "line"),
    [
        ("BEGIN:VCARD", Fault.CARD, 1),
        (f"{FOUR}\r\nBEGIN:VCARD\r\nFN:me\r\nTEL:1\r\n", Fault.CARD, 8),
        (f"{FOUR}BEGIN:VCARD\nFN:me\nTEL:1\n{FOUR}", Fault.CARD, 7),
        (f"NOTE:folded\n once\n{FOUR}TEL:1\nEND:VCARD\n", Fault.END, 10),
    ],
)
def test_a_card_without_end_or_beginning_is_told(text: str, fault: Fault, line: int) -> None:
    with pytest.raises(Broken) as caught:
        list(vcard.read(text))
    assert (caught.value.fault, caught.value.line) == (fault, line)


def card(*lines: str) -> str:
    return "\n".join(("BEGIN:VCARD", *lines, "END:VCARD", ""))


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (card('TEL;TYPE="x:+12025550101'), 2),
        (card("FN:one line", " more", 'item1.TEL;TYPE="x:+12025550101', "TEL:+12025550102"), 4),
        (card("FN:Ann", "TEL +12025550101"), 3),
        (card("FN:Ann", "TEL;VALUE=uri:tel:;ext=5"), 3),
        (card("FN:folded", " TEL:+12025550101"), 3),
        (card("rubbish", " TEL:+12025550101"), 3),
        (card("FN;ENCODING=QUOTED-PRINTABLE:Lost=", "tel;cell:+12025550101"), 3),
    ],
)
def test_a_number_that_cannot_be_read_is_told(written: str, line: int) -> None:
    with pytest.raises(Broken) as caught:
        list(vcard.read(card("FN:Kept", "TEL:+12025550112") + written))
    assert (caught.value.fault, caught.value.line) == (Fault.NUMBER, line + 4)


@pytest.mark.parametrize("name", ["Lost", "Lost=\nand", "Lost=\n"])
@pytest.mark.parametrize("tel", ["TEL:", "item1.TEL;CELL:", "NOTE:x\nTEL:"])
def test_a_soft_line_break_swallows_no_property(name: str, tel: str) -> None:
    (person,) = vcard.read(card(f"FN;ENCODING=QUOTED-PRINTABLE:{name}=", f"{tel}+12025550111"))
    assert person.numbers[0][0] == "+12025550111"
    assert person.name == name.replace("=\n", "")


def test_a_soft_line_break_goes_on_where_quoted_printable_is_declared() -> None:
    note = "NOTE;QUOTED-PRINTABLE:Dupont=\n Martin=0D=0A=\nTel: 01=0D=0A=\nhttp://x=\n/y"
    (person,) = vcard.read(card("N:=", "TEL;QUOTED-PRINTABLE;HOME:=2B1=", "2", note, "ORG:=", "X:y"))
    assert (person.name, person.numbers) == ("=", (("+12", "home"),))
    assert person.notes == "Dupont Martin\r\nTel: 01\r\nhttp://x/y"
    folded = "NOTE;CHARSET=UTF-8;\n ENCODING=QUOTED-PRINTABLE:a=\nb"
    assert [person.notes for person in vcard.read(card("TEL:1", folded))] == ["ab"]


@pytest.mark.parametrize("tel", ["TEL:", "TEL;CELL: ", "TEL;VALUE=uri:tel:", "Tel aviv", "NOTE:\n tel: 1"])
def test_somebody_without_a_number_is_nobody(tel: str) -> None:
    assert list(vcard.read(card("FN:Ann", tel))) == []


@pytest.mark.parametrize(
    ("parameters", "written", "name"),
    [
        ("CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE", "Andr=E9", "André"),
        ("ENCODING=QUOTED-PRINTABLE;CHARSET=windows-1251", "=CE=EB=FC=E3=E0", "Ольга"),
        ("CHARSET=SHIFT_JIS;QUOTED-PRINTABLE", "=83A=83j", "アニ"),
        ("CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE", "é=C3=A9", "éé"),
        ("ENCODING=QUOTED-PRINTABLE", "Andr=E9", "André"),
        ("CHARSET=no-such;ENCODING=QUOTED-PRINTABLE", "Andr=C3=A9", "André"),
        ("CHARSET=ISO-8859-1", "André", "André"),
    ],
)
def test_charsets_of_two_one(parameters: str, written: str, name: str) -> None:
    (person,) = vcard.read(card("VERSION:2.1", f"N;{parameters}:;{written}", "TEL:1"))
    assert person.name == name


@pytest.mark.parametrize("pref", ["9" * 5_000, "1000", "", "-1", "1.5", "x", "\u0661"])
def test_a_preference_that_is_none_is_the_worst(pref: str) -> None:
    (person,) = vcard.read(card(f"TEL;PREF={pref}:1", "TEL;PREF=99:2"))
    assert [number for number, _ in person.numbers] == ["2", "1"]


def test_an_agents_card_within_one() -> None:
    text = f"BEGIN:VCARD\nFN:Bob\nAGENT:\n{FOUR}TEL:+12025550162\nEND:VCARD\n"
    assert [person.name for person in vcard.read(text)] == ["Ann", "Bob"]


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("item1.TEL;TYPE=work:1\nitem1.X-ABLabel:Second home 2", "Second home 2"),
        ("ITEM1.TEL:1\nitem1.X-ABLabel:_$!<Mobile>!$_", "Mobile"),
        ("my_phone 1.TEL:1\nmy_phone 1.X-ABLABEL:a\\, b", "a, b"),
        ("item1.TEL;TYPE=work:1\nitem2.X-ABLabel:Other", "work"),
        ("TEL:1\nX-ABLabel:Nobody's", ""),
    ],
)
def test_labels_of_the_writers_own(written: str, label: str) -> None:
    (person,) = vcard.read(f"BEGIN:VCARD\n{written}\nEND:VCARD\n")
    assert person.numbers == (("1", label),)


@pytest.mark.parametrize("text", ["", "\r\n" * 5, "=\n=\n", ":" * 100, "BEGIN:VCARD\n \n;:\nEND:VCARD"])
def test_nobody(text: str) -> None:
    assert list(vcard.read(text)) == []


def test_a_line_has_at_most_75_octets_and_no_character_is_cut() -> None:
    written = vcard.write([Person("👍🏽é" * 60, (("+12025550150", "work"),), notes="x\n" * 200)])
    assert max(len(line.encode()) for line in written.split("\r\n")) == 75
    assert "\ufffd" not in written


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1)


LABELS = NAMES | st.sampled_from(("work", "Work", "text", "two words", "work 2", "a-b", "-", ""))


@given(
    NAMES, st.text(st.characters(codec="utf-8", exclude_characters="\r")), st.lists(NAMES, max_size=3), LABELS
)
def test_what_is_written_is_read_again(name: str, notes: str, groups: list[str], label: str) -> None:
    numbers = (("+12025550150", "work"), ("+12025550151", ""), ("+12025550152", label))
    person = Person(name, numbers, notes.strip(), tuple(groups))
    (again,) = vcard.read(vcard.write([person]))
    assert again == person


@given(st.text())
def test_anything_can_be_read(text: str) -> None:
    with suppress(Broken):
        list(vcard.read(f"BEGIN:VCARD\n{text}\nEND:VCARD"))
