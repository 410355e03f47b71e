"""Parameters as they are understood, and what is said about those that are not."""

import pytest

from edge.console.answers import LARGEST, choice, fields, known, limit, number, rows, shown
from edge.console.language import Misused


def test_a_whole_number() -> None:
    assert number({"message": "17"}, "message") == 17
    assert number({"message": str(LARGEST)}, "message") == LARGEST
    assert number({}, "seconds", 60) == 60
    assert limit({}) == 50
    assert limit({"limit": "1"}) == 1


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", "must be a whole number"),
        ("-1", "must be a whole number"),
        ("٣", "must be a whole number"),
        ("0", "must be at least 1"),
        ("1001", "may be at most 1000"),
        (str(LARGEST * 10), "may be at most 1000"),
        ("9" * 8_000, "may be at most 1000"),  # more than int() reads
    ],
)
def test_what_is_no_limit(written: str, sentence: str) -> None:
    with pytest.raises(Misused, match=sentence):
        limit({"limit": written})


def test_an_id_that_no_store_can_hold() -> None:
    with pytest.raises(Misused, match="may be at most"):
        number({"message": "9" * 30}, "message")


def test_one_of_several_words() -> None:
    assert choice({}, "sms", ("yes", "no"), "yes") == "yes"
    assert choice({"sms": "no"}, "sms", ("yes", "no"), "yes") == "no"
    for written in ("", "No", "maybe"):
        with pytest.raises(Misused, match="sms must be yes or no"):
            choice({"sms": written}, "sms", ("yes", "no"), "yes")


def test_a_name_of_something_that_there_is() -> None:
    known({}, "upstream", ())
    known({"upstream": "acme"}, "upstream", {"acme": 1})
    with pytest.raises(Misused, match=r"There is no upstream 'acm'; there are: acme, other\."):
        known({"upstream": "acm"}, "upstream", ["other", "acme"])
    with pytest.raises(Misused, match=r"There is no upstream 'acm'; there are none\."):
        known({"upstream": "acm"}, "upstream", [])


HOSTILE = "\x1b[2J\x9b31m\u202eevil\r\n0 all is well"
HARMLESS = "\\u001b[2J\\u009b31m\\u202eevil\\u000d\\u000a0 all is well"


def test_what_others_wrote_cannot_move_the_cursor() -> None:
    row = {"smsc_id": HOSTILE, "names": [HOSTILE]}
    for answer in (rows([row]), fields(row)):
        assert answer.text.count(HARMLESS) == 2
        assert all(line.isprintable() for line in answer.text.split("\n"))
    assert rows([row]).document == [row], "programs get what it is"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0.0, "0.000"),
        (0.000_042, "0.000042"),
        (0.0995, "0.099500"),
        (0.1, "0.100"),
        (12.5, "12.500"),
        (-0.02, "-0.020000"),
    ],
)
def test_seconds_below_a_millisecond_are_not_nothing(value: float, read: str) -> None:
    assert shown(value) == read
