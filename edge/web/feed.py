"""The feed of events for readers, each by himself: he asks the store, and again each second."""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from storage import events
from storage.events import Batch, Cursor
from storage.store import Store

PAGE = 200
LOOK_SECONDS = 1.0


class PolledFeed:
    """I am an `edge.web.services.Feed`."""

    def __init__(self, store: Store, clock: IReactorTime) -> None:
        self._store = store
        self._clock = clock

    def subscribe(self, account_id: int | None, cursor: Cursor | None = None) -> "Deferred[PolledReader]":
        """A reader of an account's events after a cursor, or from now on."""
        if cursor is not None:
            return succeed(PolledReader(self._store, self._clock, account_id, cursor))
        return self._store.read(events.head).addCallback(
            lambda head: PolledReader(self._store, self._clock, account_id, head)
        )


class PolledReader:
    """One reader's place."""

    def __init__(self, store: Store, clock: IReactorTime, account_id: int | None, cursor: Cursor) -> None:
        self.cursor = cursor
        self._store = store
        self._clock = clock
        self._account_id = account_id
        self._closed = False

    def next(self) -> Deferred[Batch]:
        """What comes after the cursor, as soon as there is something."""
        reading = self._store.read(events.read_after, self.cursor, self._account_id, PAGE)
        return reading.addCallback(self._came)

    def close(self) -> None:
        """Read no more; a call that waits is not answered."""
        self._closed = True

    def _came(self, batch: Batch) -> Batch | Deferred[Batch]:
        if self._closed:
            return Deferred()
        if batch.events or batch.gap:
            self.cursor = batch.cursor
            return batch
        return deferLater(self._clock, LOOK_SECONDS).addCallback(self._again)

    def _again(self, _: None) -> Deferred[Batch]:
        return Deferred() if self._closed else self.next()
