"""The outbox: due deliveries → handler → outcome → next attempt.

A delivery is worked from memory right after its message was committed, and from the table after a
restart, for a retry, and when memory was full. An attempt's outcome is committed before another one
can be planned; a crash in between repeats the attempt under the same delivery id.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge.backlog import Backlog
from edge.handlers import Delivered, Failed, Handler, Job, Outcome, Retry
from storage import deliveries
from storage.deliveries import DueDelivery
from storage.records import AttemptRecord, DeliveryState, Did
from storage.statements import Writes
from storage.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
LOOK_DELIVERIES = 1_000
MEMORY_DELIVERIES = 10_000


@dataclass(slots=True)
class Counters:
    """What the outbox did since the start, for operators."""

    delivered: int = 0
    retried: int = 0
    failed: int = 0


class Outbox:
    """I work deliveries, at most ``concurrency`` attempts at once."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        did: Callable[[str], Did | None],
        store: Store,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
        concurrency: int,
        limit: int = MEMORY_DELIVERIES,
    ) -> None:
        self.counters = Counters()
        self._handlers = handlers
        self._did = did
        self._store = store
        self._clock = clock
        self._wall_ms = wall_ms
        self._concurrency = concurrency
        self._queue: Backlog[DueDelivery] = Backlog(limit, lambda due: due.delivery.id)
        self._running = 0
        self._stopping = False
        self._idle: list[Deferred[None]] = []
        self._poll = LoopingCall(self._look)
        self._poll.clock = clock

    def start(self) -> None:
        """Begin with what the table has, and look there each second for what becomes due."""
        self._poll.start(POLL_SECONDS)

    def drain(self) -> Deferred[None]:
        """Begin no more attempts; fires when the running ones are stored."""
        self._stopping = True
        if self._poll.running:
            self._poll.stop()
        done: Deferred[None] = Deferred()
        self._idle.append(done)
        self._check_idle()
        return done

    @property
    def waiting(self) -> int:
        """Deliveries in memory that wait for a free place."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Attempts under way."""
        return self._running

    def expect(self, delivery_ids: Iterable[int]) -> None:
        """These are about to be committed; a look at the table must not take them twice."""
        self._queue.expect(delivery_ids)

    def offer(self, due: Sequence[DueDelivery]) -> None:
        """Expected deliveries, now committed."""
        for item in due:
            self._queue.put(item)
        self._pump()

    def abandon(self, delivery_ids: Iterable[int]) -> None:
        """Expected deliveries that were not committed."""
        for delivery_id in delivery_ids:
            self._queue.done(delivery_id)

    # -- attempts ---------------------------------------------------------------------------------

    def _pump(self) -> None:
        while self._queue and self._running < self._concurrency and not self._stopping:
            self._attempt(self._queue.take())
        if self._queue.overflowed and not self._queue:
            self._look()

    def _attempt(self, due: DueDelivery) -> None:
        delivery = due.delivery
        handler = self._handlers.get(delivery.handler)
        started_ms, started = self._wall_ms(), self._clock.seconds()
        self._running += 1
        if handler is None:
            self._finish(Failed("handler_unknown"), due, started_ms, started)
            return
        job = Job(delivery, due.message, delivery.attempts + 1, self._settings(due))
        handler.deliver(job).addErrback(_broken, delivery.id).addCallback(
            self._finish, due, started_ms, started
        )

    def _settings(self, due: DueDelivery) -> Mapping[str, object]:
        did = self._did(due.message.did)
        setting = None if did is None else did.handlers.get(due.delivery.handler)
        return {} if setting is None else setting.settings

    def _finish(self, outcome: Outcome, due: DueDelivery, started_ms: int, started: float) -> None:
        now_ms = self._wall_ms()
        delivery = due.delivery
        attempt = AttemptRecord(
            delivery_id=delivery.id,
            number=delivery.attempts + 1,
            started_at=started_ms,
            duration_ms=round((self._clock.seconds() - started) * 1000),
            outcome=outcome.outcome,
            status_code=outcome.status_code,
            excerpt=outcome.excerpt,
        )
        state, due_at = self._next(outcome, now_ms)
        self._store_outcome(deliveries.record_attempt(attempt, state, due_at, now_ms), delivery.id)

    def _next(self, outcome: Outcome, now_ms: int) -> tuple[DeliveryState, int]:
        match outcome:
            case Delivered():
                self.counters.delivered += 1
                return DeliveryState.DELIVERED, now_ms
            case Failed():
                self.counters.failed += 1
                return DeliveryState.FAILED, now_ms
            case Retry(after=after):
                self.counters.retried += 1
                return DeliveryState.PENDING, now_ms + round(after * 1000)

    def _store_outcome(self, writes: Writes, delivery_id: int) -> None:
        self._store.writer.write(writes).addCallbacks(
            self._stored, self._not_stored, callbackArgs=(delivery_id,), errbackArgs=(writes, delivery_id)
        )

    def _stored(self, _: object, delivery_id: int) -> None:
        self._running -= 1
        self._queue.done(delivery_id)
        self._pump()
        self._check_idle()

    def _not_stored(self, failure: Failure, writes: Writes, delivery_id: int) -> None:
        # The attempt keeps its place until it is stored, so a failing store slows the outbox down to a stop.
        log.error("attempt_not_stored", delivery=delivery_id, error=failure.getErrorMessage())
        self._clock.callLater(POLL_SECONDS, self._store_outcome, writes, delivery_id)

    def _check_idle(self) -> None:
        if self._idle and not self._running:
            idle, self._idle = self._idle, []
            for done in idle:
                done.callback(None)

    # -- the table --------------------------------------------------------------------------------

    def _look(self) -> Deferred[None] | None:
        if self._stopping or not self._queue.begin_look():
            return None
        return self._store.read(deliveries.due, self._wall_ms(), LOOK_DELIVERIES).addCallbacks(
            self._looked, self._could_not_look
        )

    def _looked(self, found: Sequence[DueDelivery]) -> None:
        self._queue.end_look(found, complete=len(found) < LOOK_DELIVERIES)
        if self._queue:
            self._pump()

    def _could_not_look(self, failure: Failure) -> None:
        self._queue.end_look((), complete=False)
        log.error("outbox_not_read", error=failure.getErrorMessage())


def _broken(failure: Failure, delivery_id: int) -> Outcome:
    """A handler that raises is our own fault: logged with its traceback, and tried again later."""
    log.error("handler_broken", delivery=delivery_id, error=failure.getTraceback())
    return Retry("internal_error", after=300.0)
