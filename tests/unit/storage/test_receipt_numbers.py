"""Whether the numbers of a receipt are those of a message, in all the ways that carriers write them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import receipt_numbers
from storage.receipt_numbers import Agreement, Earliest, agreement

DID, PEER = "+12025550100", "+12025550150"
BOTH, ONE, NONE = Agreement.BOTH, Agreement.PEER, Agreement.NONE


@pytest.mark.parametrize(
    ("did", "peer", "level"),
    [
        (DID, PEER, BOTH),
        (PEER, DID, BOTH),
        ("12025550100", "12025550150", BOTH),
        ("2025550100", "0012025550150", BOTH),
        ("02025550100", "5512025550150", BOTH),
        ("", PEER, BOTH),
        (DID, "", BOTH),
        ("", "", BOTH),
        ("ACME", PEER, ONE),
        ("+12025550199", PEER, ONE),
        (PEER, "+12025550199", ONE),
        (DID, "+12025550151", NONE),
        (DID, DID, NONE),
        ("+12025550199", "", ONE),
        ("ACME", "0000000", NONE),
        (DID, "50150", NONE),
    ],
)
def test_numbers(did: str, peer: str, level: Agreement) -> None:
    assert agreement(DID, PEER, did, peer) is level


def test_names_and_short_codes_are_the_same_or_not() -> None:
    assert agreement("ACME", "12345", "acme", "12345") is BOTH
    assert agreement("ACME", "12345", "ACME Ltd", "12345") is ONE
    assert agreement("ACME", "12345", "ACME", "2345") is NONE


SPELLINGS = (DID, "2025550100", PEER, "0012025550150", "2025550150", "5550150", "ACME", "acme", "12345", "")
some_number = st.sampled_from(SPELLINGS)


@given(
    st.lists(st.tuples(st.integers(1, 9), some_number, some_number), max_size=6),
    some_number,
    some_number,
    st.sampled_from([NONE, ONE]),
)
def test_the_earliest_pair_that_is_nearer_is_the_one_that_a_comparison_with_all_finds(
    waits: list[tuple[int, str, str]], did: str, peer: str, level: Agreement
) -> None:
    fits = [at_ms for at_ms, its_did, its_peer in waits if agreement(its_did, its_peer, did, peer) > level]
    earliest = Earliest(waits)
    assert earliest.nearer(did, peer, level) == min(fits, default=None)
    assert ((did, peer) in earliest) is ((did, peer) in [wait[1:] for wait in waits])


@pytest.mark.parametrize("ours", [DID, ""])
def test_a_receipt_is_compared_with_few_of_those_that_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, ours: str
) -> None:
    compared = Counter[str]()
    fits = receipt_numbers._fits

    def counted(number: str, told: str) -> bool:
        compared["all"] += 1
        return fits(number, told)

    monkeypatch.setattr(receipt_numbers, "_fits", counted)
    phones = [f"+1202555{number:04}" for number in range(2_000, 4_000)]
    earliest = Earliest((1, DID, phone) for phone in phones)
    assert [earliest.nearer(ours, phone, ONE) for phone in phones] == [1] * 2_000
    assert compared.total() <= 8 * len(phones)
