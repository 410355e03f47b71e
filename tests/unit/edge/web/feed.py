"""A feed of events that gives what it is told to."""

from typing import Any

from twisted.internet.defer import Deferred, succeed

from storage.events import Batch, Cursor, Event


class Reader:
    """Gives what it is told to give."""

    def __init__(self) -> None:
        self.cursor = Cursor(1, 0, 5)
        self.waiting: Deferred[Batch] | None = None
        self.closed = False

    def next(self) -> Deferred[Batch]:
        self.waiting = Deferred()
        return self.waiting

    def close(self) -> None:
        self.closed = True

    def give(self, *found: Event, gap: bool = False) -> None:
        assert self.waiting is not None
        self.waiting.callback(Batch(found, Cursor(1, 0, 9), gap))


class Feed:
    """One reader for whoever comes, and who that was."""

    def __init__(self) -> None:
        self.reader = Reader()
        self.asked: list[tuple[Any, Any]] = []

    def subscribe(self, account_id: int | None, cursor: Cursor | None = None) -> Deferred[Any]:
        self.asked.append((account_id, cursor))
        return succeed(self.reader)
