"""Long MO messages while they come in: `protocols.sms.reassembly`, with the rows that its parts are.

Memory mirrors the rows of `inbound_part` that belong to no message; after a restart it is filled from
them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from protocols.sms.header import UDHI
from protocols.sms.reassembly import REMEMBER_SECONDS, Key, Message, Part, Reassembly
from storage.records import InboundPartRecord


@dataclass(frozen=True, slots=True)
class Whole:
    """The parts of one message, by number; not all of them if it is overdue."""

    message: Message
    parts: tuple[InboundPartRecord, ...]

    @property
    def total(self) -> int:
        """How many parts the sender made."""
        return self.message.key.total

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return not self.message.missing

    @property
    def part_ids(self) -> list[int]:
        """The ids of the rows."""
        return [part.id for part in self.parts]


@dataclass(frozen=True, slots=True)
class Added:
    """What a part did: it repeated another, or completed ``whole``, or (neither) waits for others."""

    repeated: bool = False
    whole: Whole | None = None


class Assembly:
    """I hold the incomplete messages of one group of upstreams."""

    def __init__(self) -> None:
        self._model = Reassembly(REMEMBER_SECONDS * 1000)
        # equal parts under a key, oldest first
        self._rows: dict[tuple[Key, Part], list[InboundPartRecord]] = {}
        self._uncommitted: dict[Key, Message] = {}  # whole, and on their way into the store

    def add(self, row: InboundPartRecord) -> Added:
        """Take a part that is about to be committed; `forget` it if it is not, and tell when a ``whole`` is
        `committed`."""
        key, part = _key(row), _part(row)
        storing = self._uncommitted.get(key)
        if storing is not None and part in storing.parts:
            return Added(repeated=True)
        added = self._model.add(key, part, row.received_at)
        if added.repeated:
            return Added(repeated=True)
        self._rows.setdefault((key, part), []).append(row)
        if added.message is None:
            return Added()
        self._uncommitted[key] = added.message
        return Added(whole=self._whole(added.message))

    def committed(self, whole: Whole) -> None:
        """It is in the store: an equal part that comes from now on is another message's, or a copy."""
        self._uncommitted.pop(whole.message.key, None)

    def waits(self, row: InboundPartRecord) -> bool:
        """Is an equal part here, or was it in a message that became whole a while ago?"""
        return self._model.waits(_key(row), _part(row))

    def remember(self, rows: Iterable[InboundPartRecord], now_ms: int) -> None:
        """Rows of messages that are in the store already: what is equal to one of a whole message may be a
        copy."""
        messages: dict[int | None, list[InboundPartRecord]] = {}
        for row in rows:
            messages.setdefault(row.message_id, []).append(row)
        for parts in messages.values():
            parts.sort(key=lambda row: row.number)
            if [row.number for row in parts] == list(range(1, parts[0].total + 1)):
                first_at = min(row.received_at for row in parts)
                self._model.know(Message(_key(parts[0]), tuple(map(_part, parts)), first_at), now_ms)

    def restore(self, rows: Iterable[InboundPartRecord]) -> list[Whole]:
        """Take what the store has, oldest first; whatever turns out to be complete."""
        found = [added.whole for row in rows if (added := self.add(row)).whole is not None]
        self._uncommitted.clear()
        return found

    def forget(self, row: InboundPartRecord, whole: Whole | None = None) -> None:
        """The part was not committed; the others of ``whole``, which it had completed, wait again."""
        if whole is not None:
            self.put_back(whole)
        key, part = _key(row), _part(row)
        self._model.discard(key, part)
        rows = self._rows.get((key, part), [])
        if row in rows:
            rows.remove(row)
        if not rows:
            self._rows.pop((key, part), None)

    def overdue(self, now_ms: int, timeout: float) -> list[Whole]:
        """Take out what has waited for ``timeout`` seconds since its first part."""
        return [self._whole(message) for message in self._model.overdue(now_ms, timeout * 1000)]

    def put_back(self, whole: Whole) -> None:
        """It could not be stored as a message: its parts wait as before."""
        self._uncommitted.pop(whole.message.key, None)
        self._model.put_back(whole.message)
        for row in whole.parts:
            self._rows.setdefault((_key(row), _part(row)), []).insert(0, row)

    def _whole(self, message: Message) -> Whole:
        return Whole(message, tuple(self._row(message.key, part) for part in message.parts))

    def _row(self, key: Key, part: Part) -> InboundPartRecord:
        rows = self._rows[key, part]
        row = rows.pop(0)
        if not rows:
            del self._rows[key, part]
        return row


def _key(row: InboundPartRecord) -> Key:
    # An assembly is of one group, so the group need not be in the key.
    return Key("", row.source, row.destination, row.kind, row.reference, row.total)


def _part(row: InboundPartRecord) -> Part:
    return Part(row.number, row.user_data, row.data_coding, bool(row.esm_class & UDHI))
