"""Whether the numbers of a receipt are those of a message, in all the ways that carriers write them."""

import pytest

from storage.receipt_numbers import Agreement, agreement

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
