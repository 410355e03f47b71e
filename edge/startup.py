"""How far the start has come: its steps, and how long each took."""

from collections.abc import Callable


class Startup:
    """I note the steps of a start. ``seconds`` is the monotonic clock."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.finished = False
        self._seconds = seconds
        self._began = seconds()
        self._steps: list[tuple[str, float]] = []
        self._now: tuple[str, float] | None = None

    @property
    def uptime(self) -> float:
        """Seconds since the beginning."""
        return self._seconds() - self._began

    def begin(self, step: str) -> None:
        """One step is done, the next one begins."""
        self._end_step()
        self._now = (step, self._seconds())

    def finish(self) -> None:
        """That was all."""
        self._end_step()
        self.finished = True

    def state(self) -> tuple[bool, dict[str, object]]:
        """Whether it is over, and the steps with their seconds; ``doing`` is the one under way."""
        steps = [{"step": step, "seconds": round(seconds, 3)} for step, seconds in self._steps]
        return self.finished, {"doing": None if self._now is None else self._now[0], "steps": steps}

    def _end_step(self) -> None:
        if self._now is not None:
            step, since = self._now
            self._steps.append((step, self._seconds() - since))
            self._now = None
