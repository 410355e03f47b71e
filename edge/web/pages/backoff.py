"""Who guesses passwords waits longer and longer. In memory, bounded; a restart forgives."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

MAX_KEYS = 10_000
LONGEST_SECONDS = 900.0
FORGOTTEN_SECONDS = 3600.0


class Backoff:
    """I count failures by key: the first ``free`` cost nothing, then each doubles the wait (1 s to 15 min).

    An hour without a failure forgets. When MAX_KEYS are held, the one that failed longest ago goes.
    """

    def __init__(self, free: int, seconds: Callable[[], float]) -> None:
        self._free = free
        self._seconds = seconds
        self._failures: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait(self, key: Hashable) -> float:
        """Seconds until the next try is allowed; 0.0 when it is."""
        count, last = self._recent(key)
        if count <= self._free:
            return 0.0
        pause = min(2.0 ** min(count - self._free - 1, 30), LONGEST_SECONDS)
        return max(0.0, last + pause - self._seconds())

    def failed(self, key: Hashable) -> None:
        """One more. Said before the password is looked at, so that tries at the same moment count too."""
        count, _ = self._recent(key)
        self._failures[key] = (count + 1, self._seconds())
        self._failures.move_to_end(key)
        if len(self._failures) > MAX_KEYS:
            self._failures.popitem(last=False)

    def undo(self, key: Hashable) -> None:
        """The last one was none."""
        count, last = self._recent(key)
        if count > 1:
            self._failures[key] = (count - 1, last)
        else:
            self._failures.pop(key, None)

    def forget(self, key: Hashable) -> None:
        """It was the right password."""
        self._failures.pop(key, None)

    def _recent(self, key: Hashable) -> tuple[int, float]:
        count, last = self._failures.get(key, (0, 0.0))
        return (count, last) if self._seconds() - last < FORGOTTEN_SECONDS else (0, 0.0)
