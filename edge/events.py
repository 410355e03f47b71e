"""The feed of events for readers in this process: server-sent events, or whoever follows what changes.

The table is read once for all of them. What came last is kept in memory, so much and no more; a reader asks
for what comes after his cursor and gets it from there, or from the table when he has fallen behind. Nothing
is kept for a reader but his cursor, so a slow one costs nothing.

Commits of this process wake the reading; on PostgreSQL others' do too (`storage.listening`). What a commit
has written may lie behind the horizon for a while (`storage.events`), and a notice may be lost, so as long as
there are readers the table is looked at once a second all the same.
"""

from collections import deque
from collections.abc import Sequence
from itertools import takewhile

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure

from storage import events
from storage.events import MAX_LIMIT, Batch, Cursor, Event
from storage.listening import Listener, notify
from storage.store import Store

log = structlog.get_logger(__name__)

KEPT = 2_000
"""Events kept in memory."""

PAGE = 500
"""Events that a reader gets at once."""

PACE_SECONDS = 0.05
"""Between two looks at the table, and between two notices to others, however fast is committed."""

LOOK_SECONDS = 1.0


class Subscription:
    """One reader's place in the feed, made by `Events.subscribe`. ``account_id`` None reads everybody's."""

    def __init__(self, hub: "Events", account_id: int | None, cursor: Cursor, gap: bool = False) -> None:
        self.account_id = account_id
        self.cursor = cursor
        self._gap = gap  # to be told first
        self._hub = hub
        self._waiting: Deferred[Batch] | None = None
        self._busy = False

    def next(self) -> Deferred[Batch]:
        """What comes after ``cursor``: events, as soon as there is one, or the word that there is a gap.

        ``cursor`` is then after them. One call at a time; it may be cancelled, and nothing is lost by that.
        Errback StoreUnavailable: the cursor has not moved, ask again.
        """
        assert not self._busy, "one call at a time"
        self._busy = True
        return self._next().addBoth(self._over)

    def close(self) -> None:
        """Leave the feed; a call that waits is not answered."""
        self._hub.leave(self)

    def wants(self, event: Event) -> bool:
        """Is it this reader's, and new to him?"""
        mine = self.account_id is None or event.account_id == self.account_id
        return mine and event.place > self.cursor.place

    def offer(self, found: Sequence[Event], end: Cursor) -> None:
        """These came, up to ``end``."""
        wanted = [event for event in found if self.wants(event)]
        if wanted:
            self._answer(_page(wanted, end))

    def tell_of_gap(self, end: Cursor) -> None:
        """What came up to ``end`` is not all there any more."""
        self._answer(Batch((), end, gap=True))

    def _next(self) -> Deferred[Batch]:
        if self._gap:
            self._gap = False
            return succeed(Batch((), self.cursor, gap=True))
        batch = self._hub.remembered_for(self)
        if batch is None:
            return self._hub.read_for(self).addCallback(self._read)
        if batch.events:
            return succeed(self._moved(batch))
        self._waiting = Deferred(self._cancelled)
        return self._waiting

    def _read(self, batch: Batch) -> Deferred[Batch] | Batch:
        self._moved(batch)
        # When nothing of his is there: what comes now is told from memory.
        return batch if batch.events or batch.gap else self._next()

    def _answer(self, batch: Batch) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(self._moved(batch))

    def _moved(self, batch: Batch) -> Batch:
        self.cursor = batch.cursor if batch.gap else max(self.cursor, batch.cursor)
        return batch

    def _cancelled(self, _: Deferred[Batch]) -> None:
        self._waiting = None
        self.cursor = max(self.cursor, self._hub.end)  # what came while he waited was not his

    def _over(self, result: Batch | Failure) -> Batch | Failure:
        self._busy = False
        return result


class Events:
    """I read the feed for all subscriptions of this process, from `start` to `stop`.

    ``end`` is the cursor up to which I have read, ``kept`` how many events are kept in memory at most.
    """

    def __init__(
        self, store: Store, clock: IReactorTime, threads: IReactorFromThreads, kept: int = KEPT
    ) -> None:
        self._store = store
        self._clock = clock
        self._threads = threads
        self._recent: deque[Event] = deque()
        self.kept = kept
        self.end = self._begin = Cursor(0, 0, 0)
        self._subscriptions: set[Subscription] = set()
        self._listener: Listener | None = None
        self._running = False
        self._reading = False
        self._again = False
        self._behind = False
        self._failing = False
        # On PostgreSQL what we hear of may be behind the horizon yet: the next looks come soon.
        self._horizon = store.engine.name == "postgresql"
        self._pace = LOOK_SECONDS
        self._looked_at = clock.seconds() - PACE_SECONDS
        self._soon: IDelayedCall | None = None
        self._notify: IDelayedCall | None = None

    @property
    def readers(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)

    @property
    def remembered(self) -> int:
        """How many events are in memory."""
        return len(self._recent)

    def start(self) -> None:
        """Follow this process's commits, and on PostgreSQL those of others."""
        self._running = True
        self._store.writer.committed.append(self._committed)
        if self._store.engine.name == "postgresql":
            self._listener = Listener(self._store.engine, self._threads, self.look)
            self._listener.start()

    def stop(self) -> Deferred[None]:
        """Nobody is told of anything any more."""
        if not self._running:
            return succeed(None)
        self._running = False
        self._store.writer.committed.remove(self._committed)
        for call in (self._soon, self._notify):
            if call is not None and call.active():
                call.cancel()
        self._subscriptions.clear()
        listener, self._listener = self._listener, None
        return succeed(None) if listener is None else listener.stop()

    def subscribe(self, account_id: int | None, cursor: Cursor | None = None) -> Deferred[Subscription]:
        """A reader of an account's events (None: of all) that come after a cursor, or from now on."""

        def begin(head: Cursor) -> Subscription:
            if not self._subscriptions:
                self._forget(head)
            # A cursor beyond the head is that of another feed: of before a restore, or of no restore.
            gap = cursor is not None and cursor > head
            made = Subscription(self, account_id, head if cursor is None or gap else cursor, gap)
            self._subscriptions.add(made)
            self.look()
            return made

        return self._store.read(events.head).addCallback(begin)

    def look(self) -> None:
        """There may be something new: look soon, once for many who say so."""
        if self._horizon:
            self._pace = PACE_SECONDS
        if self._reading:
            self._again = True
        elif self._running and self._subscriptions:
            self._look_within(max(0.0, self._looked_at + PACE_SECONDS - self._clock.seconds()))

    # -- for subscriptions ------------------------------------------------------------------------

    def remembered_for(self, subscription: Subscription) -> Batch | None:
        """What memory has for a reader after his cursor, maybe nothing; None: he must read the table."""
        cursor = subscription.cursor
        if cursor.epoch != self.end.epoch or cursor.place < self._begin.place:
            return None
        later = takewhile(lambda event: event.place > cursor.place, reversed(self._recent))
        wanted = [event for event in later if subscription.wants(event)]
        return _page(wanted[::-1], self.end)

    def read_for(self, subscription: Subscription) -> Deferred[Batch]:
        """What the table has for him."""
        return self._store.read(events.read_after, subscription.cursor, subscription.account_id, PAGE)

    def leave(self, subscription: Subscription) -> None:
        """He reads no more."""
        self._subscriptions.discard(subscription)

    # -- what is committed ------------------------------------------------------------------------

    def _committed(self) -> None:
        self.look()
        if self._listener is not None and self._notify is None:
            self._notify = self._clock.callLater(PACE_SECONDS, self._tell_others)

    def _tell_others(self) -> None:
        self._notify = None
        # One that is lost is made good by their looking.
        self._store.read(notify).addErrback(lambda _: None)

    # -- reading ----------------------------------------------------------------------------------

    def _look_within(self, seconds: float) -> None:
        if self._soon is not None and self._soon.active():
            if self._soon.getTime() <= self._clock.seconds() + seconds:
                return
            self._soon.cancel()
        self._soon = self._clock.callLater(seconds, self._read)

    def _read(self) -> None:
        if not self._subscriptions:
            return
        self._reading, self._again, self._behind = True, False, False
        self._looked_at = self._clock.seconds()
        reading = self._store.read(events.read_after, self.end, limit=MAX_LIMIT)
        reading.addCallback(self._came, self.end).addErrback(self._failed).addBoth(self._next_look)

    def _came(self, batch: Batch, after: Cursor) -> None:
        self._failing = False
        if after != self.end:
            return  # all readers have gone meanwhile, and others come
        if batch.gap:
            self._forget(batch.cursor)
            for subscription in list(self._subscriptions):
                subscription.tell_of_gap(batch.cursor)
        elif batch.events:
            self._remember(batch)
            self._tell(batch)
            self._behind = len(batch.events) == MAX_LIMIT
            if self._horizon:
                self._pace = PACE_SECONDS

    def _remember(self, batch: Batch) -> None:
        self.end = batch.cursor
        self._recent.extend(batch.events)
        while len(self._recent) > self.kept:
            self._begin = Cursor(self.end.epoch, *self._recent.popleft().place)

    def _tell(self, batch: Batch) -> None:
        by_account: dict[int | None, list[Event]] = {}
        for event in batch.events:
            by_account.setdefault(event.account_id, []).append(event)
        for subscription in list(self._subscriptions):
            owner = subscription.account_id
            found = batch.events if owner is None else by_account.get(owner, ())
            subscription.offer(found, batch.cursor)

    def _failed(self, failure: Failure) -> None:
        """Said once; the place did not move."""
        if not self._failing and self._running:
            log.error("events_not_read", error=failure.getErrorMessage())
        self._failing = True

    def _next_look(self, _: object) -> None:
        self._reading = False
        if self._running and self._subscriptions:
            pace = LOOK_SECONDS if self._failing else PACE_SECONDS if self._again else self._pace
            self._pace = min(2 * self._pace, LOOK_SECONDS)
            self._look_within(0.0 if self._behind else pace)

    def _forget(self, cursor: Cursor) -> None:
        self._recent.clear()
        self.end = self._begin = cursor


def _page(wanted: Sequence[Event], end: Cursor) -> Batch:
    """At most a page of these, which are all that there is up to ``end``."""
    page = tuple(wanted[:PAGE])
    return Batch(page, end if len(page) == len(wanted) else Cursor(end.epoch, *page[-1].place))
