"""The token bucket: so many parts a second, with a burst."""

from hypothesis import given
from hypothesis import strategies as st

from edge.rate import TokenBucket


def test_a_burst_first_then_the_rate() -> None:
    bucket = TokenBucket(2.0, 3, 100.0)
    assert bucket.available(100.0) == 3
    bucket.take(3, 100.0)
    assert bucket.available(100.4) == 0
    assert bucket.available(100.5) == 1
    bucket.take(1, 100.5)
    assert bucket.available(1_000.0) == 3


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(1.0, 1, 100.0)
    bucket.take(1, 100.0)
    assert bucket.available(50.0) == 0
    assert bucket.available(101.0) == 1


@given(st.floats(0.01, 10_000), st.integers(1, 100), st.floats(0, 1e7))
def test_after_the_wait_one_may_go(rate: float, burst: int, start: float) -> None:
    bucket = TokenBucket(rate, burst, start)
    assert bucket.wait(start) == 0.0
    bucket.take(burst, start)
    wait = bucket.wait(start)
    assert wait > 0
    assert bucket.available(start + wait) >= 1 or bucket.wait(start + wait) < 1e-6
