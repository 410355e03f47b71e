"""A short, repeatable run of the fuzz target; `tests.fuzz.fuzz_sms` runs it without end."""

import pytest

from protocols.sms import decode
from tests.fuzz import fuzz_sms


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_raised(seed: int) -> None:
    for octets in fuzz_sms.inputs(seed, 700):
        fuzz_sms.one_input(octets)


def test_the_inputs_are_worth_it() -> None:
    headers = sum(
        decode(octets[4:], 0, udhi=True).concatenation is not None for octets in fuzz_sms.inputs(4, 1_000)
    )
    assert headers > 20
