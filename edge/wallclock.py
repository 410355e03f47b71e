"""Wall-clock time that a step of the machine's clock does not break.

What waits in the store has a time at which it is due, or is over. If the machine's clock is set an hour
ahead, an hour's worth of time-outs would be over at once; if it is set back, nothing is due for an hour. So
time goes on from where it was, on the monotonic clock, and catches up: at most at double speed when it is
behind, at half speed when it is ahead. It never goes back.
"""

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

FASTEST, SLOWEST = 2.0, 0.5
TOLD_MS = 5_000
"""A difference from which on it is told; what NTP mends in the course of a day is far below."""


def wall_ms() -> int:
    """The machine's clock: milliseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1_000_000


class WallClock:
    """I am called for milliseconds since the Unix epoch, by any thread. ``real_ms`` is the machine's clock,
    ``seconds`` the monotonic one."""

    def __init__(self, real_ms: Callable[[], int], seconds: Callable[[], float]) -> None:
        self._real_ms = real_ms
        self._seconds = seconds
        self._lock = threading.Lock()
        self._at = seconds()
        self._now = float(real_ms())
        self._told = False

    def __call__(self) -> int:
        """Now."""
        with self._lock:
            at, real = self._seconds(), self._real_ms()
            elapsed = (at - self._at) * 1000
            self._at = at
            self._now = min(max(real, self._now + SLOWEST * elapsed), self._now + FASTEST * elapsed)
            behind = real - self._now
            tell = (abs(behind) >= TOLD_MS) != self._told
            self._told ^= tell
        if tell and self._told:
            log.warning("clock_stepped", seconds=round(behind / 1000, 1))
        elif tell:
            log.info("clock_caught_up")
        return int(self._now)
