"""A short, repeatable run of the fuzz target; `tests.fuzz.fuzz_sip` runs it without end."""

import pytest

from tests.fuzz import fuzz_sip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_raised(seed: int) -> None:
    processed = sum(fuzz_sip.one_input(octets) for octets in fuzz_sip.mutants(seed, 1_000))
    assert processed > 100
