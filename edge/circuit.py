"""Whether a target may be tried now: freely, once per period while it keeps failing, slowly when it is back.

CLOSED ── so many failures in a row ──► OPEN ── a success ──► RECOVERING ── no failure for a while ──► CLOSED
                                         ▲                        │
                                         └──────── a failure ─────┘
"""

from dataclasses import dataclass
from enum import Enum

FIRST_RATE = 20.0  # attempts a second right after a target is back …
DOUBLES_EVERY_SECONDS = 10.0  # … and this is how fast they may become more …
RECOVERED_AFTER_SECONDS = 60.0  # … until nothing holds them back


class State(Enum):
    """See the module's docstring."""

    CLOSED = "closed"
    OPEN = "open"
    RECOVERING = "recovering"


@dataclass(frozen=True, slots=True)
class CircuitSettings:
    """So many failures in a row open it; then one attempt goes out every ``probe_seconds``."""

    failures: int = 5
    probe_seconds: float = 60.0


class Circuit:
    """I judge one target. ``now`` is monotonic, in seconds."""

    def __init__(self, settings: CircuitSettings) -> None:
        self.state = State.CLOSED
        self.settings = settings
        self._failures = 0
        self._since = 0.0
        self._next_at = 0.0

    @property
    def unblemished(self) -> bool:
        """Nothing needs to be remembered of it."""
        return self.state is State.CLOSED and not self._failures

    def rate(self, now: float) -> float:
        """While it recovers: attempts a second."""
        recovering = min(now - self._since, RECOVERED_AFTER_SECONDS)
        return FIRST_RATE * float(2 ** (recovering / DOUBLES_EVERY_SECONDS))

    def may_start(self, now: float) -> bool:
        """May an attempt begin?"""
        return self.state is State.CLOSED or now >= self._next_at

    def started(self, now: float) -> None:
        """One did."""
        match self.state:
            case State.OPEN:
                self._next_at = now + self.settings.probe_seconds
            case State.RECOVERING:
                # What was not used of the last second is made up for, so a slow timer costs no speed.
                self._next_at = max(self._next_at, now - 1.0) + 1.0 / self.rate(now)
            case State.CLOSED:
                pass

    def succeeded(self, now: float) -> bool:
        """The target took one; True when it is back because of that."""
        self._failures = 0
        back = self.state is State.OPEN
        if back:
            self.state, self._since, self._next_at = State.RECOVERING, now, now
        self._recover(now)
        return back

    def failed(self, now: float) -> bool:
        """The target did not take one; True when the circuit opens because of that."""
        self._recover(now)
        self._failures += 1
        opens = self.state is State.RECOVERING or (
            self.state is State.CLOSED and self._failures >= self.settings.failures
        )
        if opens:
            self.state, self._next_at = State.OPEN, now + self.settings.probe_seconds
        return opens

    def _recover(self, now: float) -> None:
        if self.state is State.RECOVERING and now - self._since >= RECOVERED_AFTER_SECONDS:
            self.state = State.CLOSED
