"""Parts whose answers are overdue on links that live: the SMSC may have them, and may still say so."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from edge.binds import Bind
from edge.grace import Grace
from storage.parts import QueuedPart


class Overdue:
    """I hold them, each with its bind, which counts its own. ``grace_over`` is called when one has waited for
    ``seconds``; I hold it on."""

    def __init__(
        self, clock: IReactorTime, seconds: float, grace_over: Callable[[Bind, QueuedPart], None]
    ) -> None:
        self._parts: dict[int, tuple[Bind, QueuedPart]] = {}
        self._grace = Grace(clock, seconds, self._over)
        self._grace_over = grace_over

    def begin(self, bind: Bind, item: QueuedPart) -> None:
        """It was sent on this bind."""
        self._parts[item.part.id] = bind, item
        bind.overdue += 1
        self._grace.begin(item)

    def end(self, part_id: int) -> QueuedPart | None:
        """That doubt is over; the part, if I held it."""
        self._grace.end(part_id)
        bind, item = self._parts.pop(part_id, (None, None))
        if bind is not None:
            bind.overdue -= 1
        return item

    def where(self, part_id: int) -> Bind | None:
        """The bind that it was sent on, if I hold it."""
        return self._parts.get(part_id, (None, None))[0]

    def on(self, bind: Bind) -> list[QueuedPart]:
        """Those that were sent on this bind."""
        return [item for where, item in self._parts.values() if where is bind]

    def expired(self, now_ms: int) -> list[QueuedPart]:
        """Those whose own time is over."""
        return [
            item
            for _, item in self._parts.values()
            if item.part.expires_at is not None and item.part.expires_at <= now_ms
        ]

    def stop(self) -> None:
        """Wait for none any more."""
        self._grace.stop()

    def _over(self, item: QueuedPart) -> None:
        self._grace_over(self._parts[item.part.id][0], item)
