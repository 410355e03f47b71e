"""Numbers at the compatible API's edge: digits out, anything that is a number in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.web import spelling

NUMBERS = st.one_of(
    st.from_regex(r"\A\+1[2-9][0-9]{9}\Z"),
    st.from_regex(r"\A\+[2-9][0-9]{6,14}\Z"),
    st.from_regex(r"\A[1-9][0-9]{2,5}\Z"),
)


@given(NUMBERS)
def test_what_is_shown_is_understood_when_it_comes_back(number: str) -> None:
    shown = spelling.shown(number)
    assert shown.isascii()
    assert shown.isdigit()
    assert spelling.read(shown) == number


@given(st.text(min_size=1, max_size=20))
def test_every_peer_is_shown_in_digits(peer: str) -> None:
    shown = spelling.shown(peer)
    assert shown.isascii()
    assert shown.isdigit()


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+12025550100", "2025550100"),
        ("+447911123456", "447911123456"),
        ("+6591234567", "0116591234567"),
        ("12345", "12345"),
        ("GOOGLE", "0466453"),
        ("Trunk-24", "087865024"),
    ],
)
def test_shown(number: str, shown: str) -> None:
    assert spelling.shown(number) == shown


@pytest.mark.parametrize(
    "written",
    [
        "2025550100",
        "12025550100",
        "+12025550100",
        " 12025550100",
        "+1 202 555 0100",
        "(202) 555-0100",
        "202.555.0100",
    ],
)
def test_spellings_of_one_number(written: str) -> None:
    assert spelling.read(written) == "+12025550100"


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("447911123456", "+447911123456"),
        ("011447911123456", "+447911123456"),
        ("+44 7911 123456", "+447911123456"),
        ("0116591234567", "+6591234567"),
        ("611", "611"),
        ("911", None),
        ("0466453", None),
        ("abc", None),
        ("", None),
        ("555 0100", None),
        ("1" * 16, None),
        ("١٢٣٤٥", None),
    ],
)
def test_read(written: str, number: str | None) -> None:
    assert spelling.read(written) == number
