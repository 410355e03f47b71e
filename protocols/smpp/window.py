"""The window: the requests of ours that the peer has not answered yet (SMPP 3.4 §2.9 asks for one)."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from protocols.smpp.commands import CommandId
from protocols.smpp.errors import WindowFull
from protocols.smpp.pdu import Request, Response


@dataclass(slots=True)
class Outstanding:
    """One request on its way; `context` is what its sender wants back with the outcome."""

    request: Request
    context: object
    sent_at: float
    deadline: float
    late: bool = False


class Window:
    """I hold at most `size` outstanding requests of one session, each with its deadline.

    A slot is freed by the response or generic_nack, by the deadline, or by the end of the link. An
    expired request stays known, outside the window, so that its late answer can still be told from a
    stray one: the last `remember` of them, until the link ends.
    """

    def __init__(self, size: int, timeout: float, remember: int) -> None:
        self.size = size
        self._timeout = timeout
        self._remember = remember
        self._outstanding: dict[int, Outstanding] = {}  # in the order of sending, so of the deadlines too
        self._expired: OrderedDict[int, Outstanding] = OrderedDict()

    @property
    def in_use(self) -> int:
        """The number of requests outstanding."""
        return len(self._outstanding)

    @property
    def free(self) -> int:
        """The number of requests that may be sent now."""
        return self.size - len(self._outstanding)

    def __contains__(self, sequence_number: object) -> bool:
        return sequence_number in self._outstanding

    def add(self, request: Request, context: object, now: float) -> None:
        """Take a slot for a request that is being sent; WindowFull when there is none."""
        if len(self._outstanding) >= self.size:
            raise WindowFull(f"{self.size} requests are outstanding")
        sequence = request.sequence_number
        self._outstanding[sequence] = Outstanding(request, context, now, now + self._timeout)
        if self._expired:
            self._expired.pop(sequence, None)  # the number is in use anew; its old meaning is gone

    def take(self, response: Response) -> Outstanding | None:
        """Free the slot that `response` answers. None: it answers nothing, or another command."""
        sequence = response.sequence_number
        where: dict[int, Outstanding] = self._outstanding
        found = where.get(sequence)
        if found is None:
            where = self._expired
            found = where.get(sequence)
            if found is None:
                return None
        if (
            type(response) is not found.request.response_class
            and response.command_id != CommandId.GENERIC_NACK
        ):
            return None
        del where[sequence]
        return found

    def next_deadline(self) -> float | None:
        """When the oldest request expires."""
        for outstanding in self._outstanding.values():
            return outstanding.deadline
        return None

    def expire(self, now: float) -> Iterator[Outstanding]:
        """The requests whose deadline has come, each freed and remembered as it is handed out."""
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            sequence = next(iter(self._outstanding))
            expired = self._outstanding.pop(sequence)
            expired.late = True
            self._expired[sequence] = expired
            if len(self._expired) > self._remember:
                self._expired.popitem(last=False)
            yield expired

    def postpone(self, seconds: float) -> None:
        """Move every deadline: the responses could not be read for so long."""
        for outstanding in self._outstanding.values():
            outstanding.deadline += seconds

    def clear(self) -> list[Outstanding]:
        """Free every slot and forget the expired: the link is gone. What was outstanding, oldest first."""
        lost = list(self._outstanding.values())
        self._outstanding.clear()
        self._expired.clear()
        return lost
