"""Long MO messages while they come in: parts in any order, repeated, mixed up, or never.

A part belongs to the set of its upstream, source, destination, kind of concatenation, reference and
total. A set is complete when every number is there, whichever came last. An equal part in a taken
place is the SMSC's repetition and is ignored; a different one means that the sender has used the
reference again, and starts a new set. A set that waits too long is delivered as it is.

Memory mirrors the rows of `inbound_part` that belong to no message; after a restart it is filled from
them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from storage.records import InboundPartRecord

Key = tuple[str, str, str, int, int]


@dataclass(frozen=True, slots=True)
class Whole:
    """The parts of one message, by number; not all of them if it is overdue."""

    parts: tuple[InboundPartRecord, ...]

    @property
    def total(self) -> int:
        """How many parts the sender made."""
        return self.parts[0].total

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return len(self.parts) == self.total

    @property
    def part_ids(self) -> list[int]:
        """The ids of the rows."""
        return [part.id for part in self.parts]


@dataclass(frozen=True, slots=True)
class Added:
    """What a part did: it repeated another, or completed ``whole``, or (neither) waits for others."""

    repeated: bool = False
    whole: Whole | None = None


@dataclass(slots=True)
class _Set:
    first_at: int
    parts: dict[int, InboundPartRecord] = field(default_factory=dict)

    def whole(self) -> Whole:
        return Whole(tuple(self.parts[number] for number in sorted(self.parts)))


class Assembly:
    """I hold the incomplete messages of one upstream; ``timeout`` is in seconds from the first part."""

    def __init__(self, timeout: float) -> None:
        self._timeout_ms = round(timeout * 1000)
        self._sets: dict[Key, list[_Set]] = {}

    def add(self, part: InboundPartRecord) -> Added:
        """Take a part that is about to be committed; `forget` it if it is not."""
        key = _key(part)
        sets = self._sets.setdefault(key, [])
        for waiting in sets:
            same = waiting.parts.get(part.number)
            if same is not None and _equal(same, part):
                return Added(repeated=True)
        for waiting in sets:
            if part.number not in waiting.parts:
                waiting.parts[part.number] = part
                return self._completed(key, waiting)
        fresh = _Set(part.received_at, {part.number: part})
        sets.append(fresh)
        return self._completed(key, fresh)

    def restore(self, parts: Iterable[InboundPartRecord]) -> list[Whole]:
        """Take what the store has, oldest first; whatever turns out to be complete."""
        return [added.whole for part in parts if (added := self.add(part)).whole is not None]

    def forget(self, part: InboundPartRecord, whole: Whole | None = None) -> None:
        """The part was not committed; the others of ``whole``, which it had completed, wait again."""
        if whole is not None:
            self._wait_again([other for other in whole.parts if other.id != part.id])
            return
        key = _key(part)
        for waiting in self._sets.get(key, []):
            if waiting.parts.get(part.number) is part:
                del waiting.parts[part.number]
        self._tidy(key)

    def overdue(self, now_ms: int) -> list[Whole]:
        """Take out every set whose first part came too long ago."""
        found = []
        for key in list(self._sets):
            late = [waiting for waiting in self._sets[key] if now_ms - waiting.first_at >= self._timeout_ms]
            for waiting in late:
                self._sets[key].remove(waiting)
                found.append(waiting.whole())
            self._tidy(key)
        return found

    def put_back(self, whole: Whole) -> None:
        """An overdue set could not be stored as a message: it is overdue still."""
        self._wait_again(whole.parts)

    def _wait_again(self, parts: Sequence[InboundPartRecord]) -> None:
        if parts:
            first_at = min(part.received_at for part in parts)
            fresh = _Set(first_at, {part.number: part for part in parts})
            self._sets.setdefault(_key(parts[0]), []).append(fresh)

    def _completed(self, key: Key, waiting: _Set) -> Added:
        whole = waiting.whole()
        if not whole.complete:
            return Added()
        self._sets[key].remove(waiting)
        self._tidy(key)
        return Added(whole=whole)

    def _tidy(self, key: Key) -> None:
        sets = [waiting for waiting in self._sets.get(key, []) if waiting.parts]
        if sets:
            self._sets[key] = sets
        else:
            self._sets.pop(key, None)


def _key(part: InboundPartRecord) -> Key:
    return (part.source, part.destination, part.kind, part.reference, part.total)


def _equal(one: InboundPartRecord, other: InboundPartRecord) -> bool:
    return one.user_data == other.user_data and one.data_coding == other.data_coding
