"""How many parts may leave a second: a token bucket, with `now` as an argument."""

import math


class TokenBucket:
    """I fill at ``rate`` tokens a second up to ``burst``, and am full at first.

    A part costs a token. A bucket with burst lets the parts of one message go together, which a limit on the
    time between two of them would not.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = self._burst
        self._at = now

    def available(self, now: float) -> int:
        """How many parts may leave now."""
        self._fill(now)
        return int(self._tokens)

    def take(self, count: int, now: float) -> None:
        """So many leave; the caller has asked `available`."""
        self._fill(now)
        self._tokens -= count

    def wait(self, now: float) -> float:
        """Seconds until the next part may leave; 0 when one may now."""
        self._fill(now)
        missing = 1.0 - self._tokens
        # A hair more, so that a timer of this length finds the token whole in spite of rounding.
        return 0.0 if missing <= 0 else missing / self._rate + math.ulp(now) * 2

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
