"""The simulated phones: what each has sent and received, as its owner would see it.

A pure model: it knows text and parts, not PDUs. Memory is bounded: a phone keeps its last messages,
and of the phones that nobody configured only those used last are kept.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

KEPT_MESSAGES = 500
KEPT_GUESTS = 100


class Direction(StrEnum):
    """As the phone sees it."""

    IN = "in"
    OUT = "out"


class MessageState(StrEnum):
    """Where a message is."""

    PENDING = "pending"  # out: not every part has been answered
    DELIVERED = "delivered"  # out: the server has acknowledged every part
    REFUSED = "refused"  # out: the server has refused a part for good
    ARRIVING = "arriving"  # in: parts are missing
    ARRIVED = "arrived"  # in: whole


TRANSITIONS: dict[MessageState, frozenset[MessageState]] = {
    MessageState.PENDING: frozenset({MessageState.DELIVERED, MessageState.REFUSED}),
    MessageState.DELIVERED: frozenset(),
    MessageState.REFUSED: frozenset(),
    MessageState.ARRIVING: frozenset({MessageState.ARRIVED}),
    MessageState.ARRIVED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class PhoneMessage:
    """One bubble. ``parts_done`` of ``parts_total`` were answered (out) or have arrived (in)."""

    id: int
    direction: Direction
    peer: str
    text: str
    at_ms: int
    state: MessageState
    parts_total: int
    parts_done: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone at one moment; messages are oldest first."""

    number: str
    messages: tuple[PhoneMessage, ...]


@dataclass(frozen=True, slots=True)
class PartKey:
    """What the parts of one message have in common on the air (TS 23.040 §9.2.3.24.1)."""

    peer: str
    kind: str
    reference: int
    total: int


@dataclass(slots=True)
class _Open:
    """An incoming message that lacks parts: the octets of each by its number."""

    message_id: int
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Line:
    number: str
    messages: dict[int, PhoneMessage] = field(default_factory=dict)
    open: dict[PartKey, _Open] = field(default_factory=dict)


class Phones:
    """I keep every phone's messages. ``version`` grows with each change, and listeners are told."""

    def __init__(
        self,
        numbers: Iterable[str],
        wall_ms: Callable[[], int],
        kept_messages: int = KEPT_MESSAGES,
        kept_guests: int = KEPT_GUESTS,
    ) -> None:
        self.version = 0
        self._wall_ms = wall_ms
        self._kept_messages = kept_messages
        self._kept_guests = kept_guests
        self._configured = {number: _Line(number) for number in numbers}
        self._guests: dict[str, _Line] = {}
        self._listeners: list[Callable[[], None]] = []
        self._last_id = 0

    def all(self) -> list[Phone]:
        """The configured phones in their order, then the others, the one used last at the end."""
        lines = [*self._configured.values(), *self._guests.values()]
        return [Phone(line.number, tuple(line.messages.values())) for line in lines]

    def find(self, number: str) -> Phone | None:
        """One phone, if it is known."""
        line = self._configured.get(number) or self._guests.get(number)
        return None if line is None else Phone(line.number, tuple(line.messages.values()))

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each change; the answer ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # -- out --------------------------------------------------------------------------------------

    def send(self, number: str, peer: str, text: str, parts_total: int) -> PhoneMessage:
        """``number`` writes to ``peer``; the message is pending."""
        message = self._new(Direction.OUT, peer, text, MessageState.PENDING, parts_total, 0)
        return self._keep(self._line(number), message)

    def part_answered(self, number: str, message_id: int) -> None:
        """The server has acknowledged one more part."""
        message = self._get(number, message_id)
        if message is None or message.state is not MessageState.PENDING:
            return
        done = message.parts_done + 1
        state = MessageState.DELIVERED if done >= message.parts_total else MessageState.PENDING
        self._keep(self._line(number), replace(message, parts_done=done, state=state))

    def refused(self, number: str, message_id: int, reason: str) -> None:
        """The server will never take a part of this message."""
        message = self._get(number, message_id)
        if message is not None and MessageState.REFUSED in TRANSITIONS[message.state]:
            self._keep(self._line(number), replace(message, state=MessageState.REFUSED, reason=reason))

    # -- in ---------------------------------------------------------------------------------------

    def receive(self, number: str, peer: str, text: str) -> PhoneMessage:
        """A message in one part."""
        return self._keep(self._line(number), self._new(Direction.IN, peer, text, MessageState.ARRIVED, 1, 1))

    def receive_part(
        self,
        number: str,
        key: PartKey,
        part_number: int,
        octets: bytes,
        decode: Callable[[Sequence[bytes]], str],
    ) -> PhoneMessage:
        """One of several parts, in any order; the bubble shows what is there.

        ``decode`` reads the octets of neighbouring parts together, so that a character that was cut between
        two of them is whole again. A part that comes twice changes nothing; other octets under the same
        number are the first part seen of a new message (references are used again).
        """
        line = self._line(number)
        known = line.open.get(key)
        if known is not None and known.parts.get(part_number, octets) != octets:
            known = None
        if known is None:
            message = self._new(Direction.IN, key.peer, "", MessageState.ARRIVING, key.total, 0)
            known = line.open[key] = _Open(message.id)
        else:
            message = line.messages[known.message_id]
        known.parts[part_number] = octets
        message = replace(message, text=_so_far(known.parts, decode), parts_done=len(known.parts))
        if len(known.parts) == key.total:
            del line.open[key]
            message = replace(message, state=MessageState.ARRIVED)
        return self._keep(line, message)

    # -- keeping ----------------------------------------------------------------------------------

    def _new(
        self, direction: Direction, peer: str, text: str, state: MessageState, total: int, done: int
    ) -> PhoneMessage:
        self._last_id += 1
        return PhoneMessage(self._last_id, direction, peer, text, self._wall_ms(), state, total, done)

    def _get(self, number: str, message_id: int) -> PhoneMessage | None:
        line = self._configured.get(number) or self._guests.get(number)
        return None if line is None else line.messages.get(message_id)

    def _line(self, number: str) -> _Line:
        """The phone with this number, which appears if it was not there; guests used last stay longest."""
        line = self._configured.get(number)
        if line is None:
            line = self._guests.pop(number, None) or _Line(number)
            self._guests[number] = line
            if len(self._guests) > self._kept_guests:
                del self._guests[next(iter(self._guests))]
        return line

    def _keep(self, line: _Line, message: PhoneMessage) -> PhoneMessage:
        line.messages[message.id] = message
        while len(line.messages) > self._kept_messages:
            oldest = next(iter(line.messages))
            del line.messages[oldest]
            line.open = {key: known for key, known in line.open.items() if known.message_id != oldest}
        self.changed()
        return message

    def changed(self) -> None:
        """Something that the phones' viewers look at is not as it was."""
        self.version += 1
        for listener in tuple(self._listeners):
            listener()


def _so_far(parts: dict[int, bytes], decode: Callable[[Sequence[bytes]], str]) -> str:
    """The text of the parts that are there: neighbours read together, a gap shown as an ellipsis."""
    runs: list[list[bytes]] = []
    last = 0
    for number in sorted(parts):
        if runs and number == last + 1:
            runs[-1].append(parts[number])
        else:
            runs.append([parts[number]])
        last = number
    return " … ".join(decode(run) for run in runs)
