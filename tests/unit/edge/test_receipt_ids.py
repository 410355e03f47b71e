"""How a receipt's id is spelled and how the part's is: all the ways that SMSCs differ."""

import pytest

from edge.receipt_ids import readings
from storage.receipts import LIKELY, SURE


@pytest.mark.parametrize(
    ("stored", "reported", "base"),
    [
        ("0a1B", "0a1B", "as_sent"),
        ("abcdef", "ABCDEF", "as_sent"),
        ("ABCDEF", "abcdef", "any"),
        ("1001", "00001001", "as_sent"),
        ("00001001", "1001", "any"),
        ("0000001001", "1001", "as_sent"),
        ("0", "0000", "as_sent"),
        ("6fa4-uuid", "6FA4-UUID", "any"),
        ("a" * 64, "a" * 64, "any"),
        ("z" * 70, "z" * 70, "any"),
        ("00001001", "4097", "hex"),
        ("1001", "0000004097", "hex"),
        ("4097", "1001", "decimal"),
    ],
)
def test_it_is_found_at_once(stored: str, reported: str, base: str) -> None:
    assert stored in readings([reported], base).same


@pytest.mark.parametrize(
    ("stored", "reported", "distance"),
    [
        ("DEADBEEF", "3735928559", SURE),
        ("0000000a1f", "2591", SURE),
        ("2591", "A1F", SURE),
        ("10", "16", LIKELY),
        ("16", "10", LIKELY),
        ("0000004097", "00001001", LIKELY),
    ],
)
def test_another_base_that_is_not_known_is_a_second_choice(stored: str, reported: str, distance: int) -> None:
    found = readings([reported], "any")
    assert stored not in found.same
    assert dict(found.others)[stored] == distance


def test_all_ids_as_sent_come_first_the_other_base_last() -> None:
    found = readings(["1001", "77"], "any")
    assert found.same[:2] == ["1001", "77"]
    assert found.sent == 2
    assert {"00001001", "00000077"} < set(found.same)
    assert {"3e9", "4d", "4097", "119"} < set(dict(found.others))
    assert not set(found.same) & set(dict(found.others))


def test_a_base_that_is_known_comes_first_for_the_one_id_of_a_text() -> None:
    found = readings(["16"], "hex")
    assert (found.same[0], found.sent) == ("10", 1)
    assert ("16", SURE) in found.others
    assert readings(["a1"], "hex").same[0] == "a1"


def test_beside_an_id_in_a_tlv_it_comes_last() -> None:
    found = readings(["10", "16"], "hex")
    assert (found.same[0], found.sent) == ("10", 1)
    assert ("16", SURE) in found.others
    assert readings(["16", "10"], "hex").same[0] == "10"
    assert readings(["16", "10"], "decimal").same[0] == "16"


def test_two_ids_that_are_not_one_number_are_both_tried_as_sent() -> None:
    found = readings(["abc", "16"], "hex")
    assert found.same[: found.sent] == ["abc", "16"]
    assert readings(["10", "16"], "any").same[:2] == ["10", "16"]


@pytest.mark.parametrize(
    ("reported", "base", "never"), [("4097", "as_sent", "1001"), ("1001", "hex", "4097"), ("zz", "any", "0")]
)
def test_another_base_is_tried_only_where_it_is_so(reported: str, base: str, never: str) -> None:
    found = readings([reported], base)
    assert never not in (*found.same, *dict(found.others))


def test_where_ids_are_exact_there_is_one_reading() -> None:
    assert readings(["0a", "10"], "any", exact=True) == (["0a", "10"], 2, ())


def test_an_endless_id_costs_nothing() -> None:
    found = readings(["9" * 100_000], "any")
    assert max(map(len, (*found.same, *dict(found.others)))) <= 320
