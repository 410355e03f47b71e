"""Whether the peer is still there: when to ask it, when to give up, when to leave (SMPP 3.4 §2.8, §7.2)."""

from enum import Enum

from protocols.smpp.settings import SessionSettings


class Verdict(Enum):
    """What to do now about a peer that is silent or has nothing to say."""

    WAIT = "wait"
    ENQUIRE = "enquire"
    UNBIND = "unbind"
    DEAD = "dead"


class Liveness:
    """I watch one bound session. Any PDU from the peer shows that it lives; only silence makes me ask."""

    def __init__(self, settings: SessionSettings, now: float) -> None:
        self._interval = settings.enquire_link
        self._patience = settings.response_timeout
        self._max_misses = settings.enquire_misses
        self._inactivity = settings.inactivity
        self._asked = 0
        self._asked_at = now
        self._heard_at = now
        self._active_at = now

    def heard(self, now: float) -> None:
        """A PDU arrived."""
        self._heard_at = now
        self._asked = 0

    def active(self, now: float) -> None:
        """A message, or the answer to one, passed."""
        self._active_at = now

    def resumed(self, now: float) -> None:
        """Nothing could be heard until now."""
        self.heard(now)
        self.active(now)

    def deadline(self) -> float | None:
        """When `verdict` has something new to say; None when there is nothing to watch."""
        silence = self._silence_ends()
        idle = None if self._inactivity is None else self._active_at + self._inactivity
        if silence is None or idle is None:
            return idle if silence is None else silence
        return min(silence, idle)

    def _silence_ends(self) -> float | None:
        if self._interval is None:
            return None
        return self._asked_at + self._patience if self._asked else self._heard_at + self._interval

    def verdict(self, now: float) -> Verdict:
        """ENQUIRE after silence and after a miss, DEAD at the last miss, UNBIND after inactivity."""
        if self._inactivity is not None and now >= self._active_at + self._inactivity:
            return Verdict.UNBIND
        silence = self._silence_ends()
        if silence is None or now < silence:
            return Verdict.WAIT
        if self._asked >= self._max_misses:
            return Verdict.DEAD
        self._asked += 1
        self._asked_at = now
        return Verdict.ENQUIRE
