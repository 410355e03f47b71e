"""What the SMSC still has to deliver to the server: texts and receipts, kept until they are answered.

As real SMSCs do: a temporary status or no answer means the same PDU again later; what was on a link that
was lost is sent again after the next bind; any other status ends it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from edge.simulator.delay import DelayLine
from protocols.smpp.errors import CommandStatus, NotAllowed, WindowFull
from protocols.smpp.pdu import DeliverSm

TEMPORARY = frozenset(
    {
        CommandStatus.ESME_RSYSERR,
        CommandStatus.ESME_RMSGQFUL,
        CommandStatus.ESME_RTHROTTLED,
        CommandStatus.ESME_RX_T_APPN,
    }
)


class SpoolFull(Exception):
    """Too much waits for the server already; nothing was taken."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} messages and receipts wait for the server already: is it bound?")
        self.limit = limit


class Carrier(Protocol):
    """A link that may take a deliver_sm."""

    @property
    def free(self) -> int:
        """How many requests it takes now; 0 unless it is bound to receive."""
        ...

    def request(self, pdu: DeliverSm, context: object) -> None:
        """Send it; the outcome comes back with ``context``."""
        ...


class Deliverable:
    """One deliver_sm on its way. ``ended`` is called once with the final command_status."""

    __slots__ = ("ended", "finished", "on_wire", "pdu", "tries")

    def __init__(self, pdu: DeliverSm, ended: Callable[[int], None]) -> None:
        self.pdu = pdu
        self.ended = ended
        self.finished = False
        self.on_wire = False
        self.tries = 0


class Spool:
    """I keep at most ``limit`` deliverables, those on the wire included, and send them in order."""

    def __init__(
        self, links: Callable[[], Iterable[Carrier]], clock: IReactorTime, limit: int, retry_seconds: float
    ) -> None:
        self.limit = limit
        self._links = links
        self._new: deque[Deliverable] = deque()
        self._again: deque[Deliverable] = deque()
        self._resting = DelayLine(clock, retry_seconds)
        self._unfinished = 0

    def __len__(self) -> int:
        return self._unfinished

    def room(self, count: int) -> bool:
        """Would ``count`` more be taken?"""
        return self._unfinished + count <= self.limit

    def put(self, deliverables: Sequence[Deliverable]) -> None:
        """Take all of them or, with SpoolFull, none."""
        if not self.room(len(deliverables)):
            raise SpoolFull(self.limit)
        self._unfinished += len(deliverables)
        self._new.extend(deliverables)
        self.pump()

    def pump(self) -> None:
        """Send as much as the links take."""
        while (queue := self._again or self._new) and (link := self._best()) is not None:
            item = queue.popleft()
            if item.finished:
                continue
            try:
                link.request(item.pdu, item)
            except (NotAllowed, WindowFull):
                queue.appendleft(item)
                return
            item.tries += 1
            item.on_wire = True

    def answered(self, item: Deliverable, status: int) -> None:
        """The server said ``status``; a late answer to something given up counts too."""
        if item.finished:
            return
        if status in TEMPORARY:
            self.unanswered(item)
            return
        item.finished = True
        self._unfinished -= 1
        item.ended(status)

    def unanswered(self, item: Deliverable) -> None:
        """No answer in time, or a temporary one: again after a rest."""
        if not item.on_wire:
            return
        item.on_wire = False

        def again() -> None:
            self._again.append(item)
            self.pump()

        self._resting.put(again)

    def lost(self, item: Deliverable) -> None:
        """The link went before the answer came: first of all on the next one."""
        if item.on_wire:
            item.on_wire = False
            self._again.append(item)

    def clear(self) -> None:
        """Forget everything."""
        self._new.clear()
        self._again.clear()
        self._resting.clear()
        self._unfinished = 0

    def _best(self) -> Carrier | None:
        link = max(self._links(), key=lambda link: link.free, default=None)
        return link if link is not None and link.free > 0 else None
