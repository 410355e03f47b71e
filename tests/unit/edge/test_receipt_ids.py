"""How a receipt's id is spelled and how the part's is: all the ways that SMSCs differ."""

import pytest

from edge.receipts import spellings


@pytest.mark.parametrize(
    ("stored", "reported", "base"),
    [
        ("0a1B", "0a1B", "as_sent"),
        ("abcdef", "ABCDEF", "as_sent"),
        ("ABCDEF", "abcdef", "as_sent"),
        ("1001", "00001001", "as_sent"),
        ("00001001", "1001", "as_sent"),
        ("0000001001", "1001", "as_sent"),
        ("0", "0000", "as_sent"),
        ("00001001", "4097", "hex"),
        ("1001", "0000004097", "hex"),
        ("DEADBEEF", "3735928559", "any"),
        ("4097", "1001", "decimal"),
        ("0000004097", "00001001", "any"),
        ("6fa4-uuid", "6FA4-UUID", "any"),
        ("a" * 64, "a" * 64, "any"),
    ],
)
def test_it_is_found(stored: str, reported: str, base: str) -> None:
    assert stored in spellings(reported, base)


def test_as_sent_comes_first_and_the_other_base_last() -> None:
    found = spellings("1001", "any")
    assert found[0] == "1001"
    assert found.index("3e9") > found.index("00001001")
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("reported", "base", "never"), [("4097", "as_sent", "1001"), ("1001", "hex", "4097"), ("zz", "any", "0")]
)
def test_another_base_is_tried_only_where_it_is_so(reported: str, base: str, never: str) -> None:
    assert never not in spellings(reported, base)


def test_an_endless_id_costs_nothing() -> None:
    assert max(map(len, spellings("9" * 100_000, "any"))) <= 80
