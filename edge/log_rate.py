"""How many lines one event gets: a fault that repeats a thousand times a second must not fill the disk.

What is left out is counted and said, once the minute is over.
"""

from collections.abc import Callable

WINDOW_SECONDS = 60.0

UNLIMITED = frozenset(
    {
        "bind_pdu",
        "console_command",
        "http_request",
        "log_suppressed",
        "manhole_line",
        "message_accepted",
        "delivery_attempted",
        "message_received",
        "message_reported",
        "message_sent",
        "submit_refused",
    }
)
"""What somebody has asked for line by line, or must not lose."""


class EventRate:
    """I let each event have ``most`` lines a minute; 0: any number. ``seconds`` is the monotonic clock."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.most = 0
        self._seconds = seconds
        self._since = 0.0
        self._lines: dict[str, int] = {}
        self._left_out: dict[str, int] = {}

    def admits(self, event: str) -> bool:
        """May this event have another line?"""
        if not self.most or event in UNLIMITED:
            return True
        lines = self._lines.get(event, 0)
        if lines < self.most:
            self._lines[event] = lines + 1
            return True
        self._left_out[event] = self._left_out.get(event, 0) + 1
        return False

    def over(self) -> dict[str, int]:
        """At the end of a minute: how many lines of which event were left out in it. Else nothing."""
        now = self._seconds()
        if now - self._since < WINDOW_SECONDS:
            return {}
        self._since = now
        left_out, self._left_out = self._left_out, {}
        self._lines.clear()
        return left_out
