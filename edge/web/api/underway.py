"""What keys have under way that lasts: streams of events, exports."""

from collections import Counter

from edge.web.api.routes import Call


class UnderWay:
    """I count the requests of each key from when they begin until they end, however they end."""

    def __init__(self) -> None:
        self._open: Counter[int] = Counter()

    @property
    def total(self) -> int:
        """Of all keys together."""
        return self._open.total()

    def of(self, key: int) -> int:
        """Of one key."""
        return self._open[key]

    def begin(self, call: Call) -> None:
        """One more."""
        self._open[call.key.id] += 1
        call.request.notifyFinish().addBoth(lambda _: self._ended(call.key.id))

    def _ended(self, key: int) -> None:
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]
