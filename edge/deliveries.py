"""The outbox: due deliveries → handler → outcome → next attempt.

A delivery is worked from memory right after its message was committed (it was inserted with this server's
lease), and from the table after a restart, for a retry, when memory was full or its target unwell, and when
another server's lease ran out. An attempt's outcome is committed before another one can be planned; a crash
in between repeats the attempt under the same delivery id. An outcome that comes when the lease is another
server's is refused.

Every delivery has an end, whatever its handler does: one that raises, answers nonsense or never answers is
tried again ever more seldom, and what is not over when its handler's time is up has failed.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge.circuit import State
from edge.claims import Claims
from edge.delivery_lanes import lane_of
from edge.handlers import (
    GIVE_UP_SECONDS,
    INTERNAL_ERROR,
    Delivered,
    Failed,
    Handler,
    Job,
    Outcome,
    Retry,
)
from edge.handlers.base import DIDHandler
from edge.handlers.faults import Faults
from edge.hops import hop
from edge.outage import not_stored
from edge.outcomes import after_fault, answered, checked, give_up_seconds, in_time, unwell
from edge.refill import Refill
from edge.second_look import SecondLook, Taken
from edge.targets import Limits, Target, Targets
from storage import deliveries, events
from storage.deliveries import DueDelivery
from storage.errors import Stale, StoreUnavailable
from storage.records import AttemptRecord, DeliveryState, Did
from storage.store import Store

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 1.0
LEASE_SECONDS = 60.0
UNAVAILABLE_SECONDS = 30.0
ATTEMPT_SECONDS = 300.0  # a handler that has a reason to take longer says so: `attempt_seconds`
OVERDUE_POLL_SECONDS = 10.0
DEFAULTS = Limits()


@dataclass(slots=True)
class Counters:
    """What the outbox did since the start, for operators."""

    delivered: int = 0
    retried: int = 0
    failed: int = 0
    broken: int = 0  # attempts that the handler's own fault ended
    refused: int = 0  # outcomes that came too late


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One that is under way. ``started`` is monotonic, in seconds."""

    due: DueDelivery
    target: Target
    started_ms: int
    started: float


class Outbox:
    """I work deliveries, fairly between targets and DIDs."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        did: Callable[[str], Did | None],
        store: Store,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
        limits: Limits = DEFAULTS,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.counters = Counters()
        self.ended: Counter[tuple[str, str]] = Counter()
        """Attempts since the start, by handler and what came of them."""
        self.handlers = handlers
        self._did = did
        self._store = store
        self._clock = clock
        self._wall_ms = wall_ms
        self._targets = Targets(limits)
        self._claims = Claims(store, round(lease_seconds * 1000))
        self._refill = Refill(
            self._claims,
            self._targets,
            clock,
            wall_ms,
            self.target_key,
            self._something_changed,
            self._current,
        )
        self._second_look = SecondLook(self._claims, clock, wall_ms, self._begin, self._ended_elsewhere)
        self._faults = Faults()
        self._under_way: dict[int, tuple[_Attempt, Deferred[Any]]] = {}
        self._overdue = LoopingCall(self._end_overdue)
        self._overdue.clock = clock
        self._stopping = False
        self._idle: list[Deferred[None]] = []

    def start(self) -> None:
        """Begin with what the table has, and look there each second for what becomes due."""
        self._refill.start()
        self._overdue.start(OVERDUE_POLL_SECONDS, now=False)

    def configure(self, limits: Limits) -> None:
        """Other limits, from now on."""
        self._targets.configure(limits)
        self._pump()

    def drain(self) -> Deferred[None]:
        """Begin no more attempts; fires when the running ones are stored and the rest is given back."""
        self._stopping = True
        self._refill.stop_looking()
        self._ended_elsewhere(self._second_look.give_up())
        done: Deferred[None] = Deferred()
        self._idle.append(done)
        self._check_idle()
        return done.addCallback(self._drained)

    def _drained(self, _: None) -> None:
        self._refill.stop()
        if self._overdue.running:
            self._overdue.stop()

    def look(self, changed: Collection[int] = ()) -> None:
        """For operators, after they have changed something in the table: these deliveries, if it was such.

        None of them begins as memory has it.
        """
        self._claims.doubt(changed)
        self._refill.look()

    def target_states(self) -> Mapping[str, int]:
        """How many targets are known, by the state of their circuits; the stopped ones as "paused"."""
        found = Counter({state.value: 0 for state in State} | {"paused": 0})
        for target in self._targets.all():
            found["paused" if target.paused else target.circuit.state.value] += 1
        return found

    @property
    def lost(self) -> int:
        """Leases that another server took."""
        return self._refill.lost

    @property
    def waiting(self) -> int:
        """Deliveries in memory that wait for their turn."""
        return self._targets.waiting

    @property
    def running(self) -> int:
        """Attempts under way."""
        return self._targets.running

    def target_key(self, handler: str, target: str) -> str:
        """What deliveries share that fail together, as `storage.paused` names it."""
        found = self.handlers.get(handler)
        if found is None:
            return f"{handler} {target}"
        try:
            return f"{handler} {found.target_key(target)}"
        except Exception as error:  # a message is being stored, or claimed: that goes on
            self._faults.tell(handler, "target_key", error)
            return f"{handler} {target}"

    # -- the pipelines' side ----------------------------------------------------------------------

    def stamp(self, due: DueDelivery) -> DueDelivery:
        """In its lane, for whoever claims it. Any thread may ask."""
        delivery, handler = due.delivery, self.handlers.get(due.delivery.handler)
        key = self.target_key(delivery.handler, delivery.target)
        if handler is None or not handler.ordered:
            lane = lane_of(key, delivery.did_id, None)
        else:
            line = getattr(handler, "line", "conversation")
            did_id = 0 if line == "target" else delivery.did_id
            lane = lane_of(key, did_id, (delivery.target, due.message.peer if line == "conversation" else ""))
        return due._replace(delivery=delivery._replace(lane=lane, lease_until=delivery.due_at))

    def expect(self, due: Sequence[DueDelivery]) -> list[DueDelivery]:
        """These are about to be committed, and are to be inserted as they come back: with a lease if they
        will be worked from memory. The caller says `offer` then, or `abandon`."""
        now_ms, now = self._wall_ms(), self._clock.seconds()
        return [self._admitted(self.stamp(item), now_ms, now) for item in due]

    def _admitted(self, due: DueDelivery, now_ms: int, now: float) -> DueDelivery:
        delivery = due.delivery
        key = self.target_key(delivery.handler, delivery.target)
        # Where order is kept, only the table knows what comes before.
        if delivery.lane < 0 or self._stopping or self._targets.room(key, delivery.lane, now) < 1:
            return due
        self._targets.hold(delivery.lane)
        return self._claims.lease(due, now_ms)

    def offer(self, due: Sequence[DueDelivery]) -> None:
        """Expected deliveries, now committed."""
        for item in due:
            if item.delivery.id in self._claims:
                self._refill.put(item)
            elif not self._targets.shut(
                self.target_key(item.delivery.handler, item.delivery.target), item.delivery.lane
            ):
                self._refill.want()
        self._pump()

    def abandon(self, due: Sequence[DueDelivery]) -> None:
        """Expected deliveries that were not committed."""
        for item in due:
            if item.delivery.id in self._claims:
                self._let_go(item)

    # -- attempts ---------------------------------------------------------------------------------

    def _let_go(self, due: DueDelivery) -> None:
        self._claims.drop(due.delivery.id)
        self._targets.let_go(due.delivery.lane)

    def _pump(self) -> None:
        if self._stopping:  # it was expected, or being claimed, when the end began
            self._refill.give_all_back()
        while not self._stopping:
            taken = self._targets.take(self._clock.seconds())
            if taken is None:
                break
            self._attempt(*taken)
        self._second_look.look()
        self._refill.supply()

    def _something_changed(self) -> None:
        self._pump()
        self._check_idle()

    def _attempt(self, target: Target, due: DueDelivery) -> None:
        if due.delivery.id not in self._claims:  # another server took it while it waited
            self._let_go(due)
            self._targets.ended(target)
        elif self._claims.is_sure(due.delivery.id, self._wall_ms()):
            self._begin(target, due)
        else:
            self._second_look.put(target, due)

    def _ended_elsewhere(self, taken: Sequence[Taken]) -> None:
        """These are not what memory has of them, or not to be begun: the table has the word on each."""
        if not taken:
            return
        ids = [due.delivery.id for _, due in taken]

        def not_released(failure: Failure) -> None:
            not_stored(log, "deliveries_not_given_back", failure, deliveries=len(ids))

        def forget(_: None) -> None:
            for target, due in taken:
                self._let_go(due)
                self._targets.ended(target)
            self._something_changed()

        self._claims.release(ids).addErrback(not_released).addCallback(forget)

    def _begin(self, target: Target, due: DueDelivery) -> None:
        due = self._current(due)
        delivery = due.delivery
        attempt = _Attempt(due, target, self._wall_ms(), self._clock.seconds())
        asked: Deferred[Any] = maybeDeferred(self._deliver, due)
        self._under_way[delivery.id] = attempt, asked
        judged: Deferred[Outcome] = asked.addCallback(self._ended, attempt)
        judged.addErrback(self._broken, attempt).addCallback(self._heard, attempt)

    def _deliver(self, due: DueDelivery) -> Outcome | Deferred[Outcome]:
        delivery, settings = due.delivery, self._settings(due)
        handler = self.handlers.get(delivery.handler)
        if handler is None:
            return Failed("handler_unknown")
        if self._is_off(handler, due):
            return Failed("switched_off")
        if not delivery.target and isinstance(handler, DIDHandler):
            # It could not be said when the message came, and somebody has it tried again.
            targets = handler.targets(settings, due.message.peer)
            if not targets:
                return Failed("no_target")
            delivery = delivery._replace(target=targets[0])
        return handler.deliver(Job(delivery, due.message, delivery.attempts + 1, settings))

    def _heard(self, outcome: Outcome, attempt: _Attempt) -> None:
        """The first word on an attempt counts; what comes after its time was up does not."""
        if self._is_under_way(attempt):
            del self._under_way[attempt.due.delivery.id]
            try:
                self._finish(outcome, attempt)
            except Exception as error:  # here it would end nowhere, and the delivery neither
                self._faults.tell(attempt.due.delivery.handler, "outcome", error)
                self._store_ended(Failed(INTERNAL_ERROR), attempt)

    def _is_under_way(self, attempt: _Attempt) -> bool:
        known = self._under_way.get(attempt.due.delivery.id)
        return known is not None and known[0] is attempt

    def _end_overdue(self) -> None:
        now = self._clock.seconds()
        overdue = [
            pair for pair in self._under_way.values() if now - pair[0].started >= self._time_of(pair[0])
        ]
        for attempt, asked in overdue:
            late = TimeoutError(f"no outcome within {self._time_of(attempt):.0f} s")
            self._heard(self._broken(Failure(late), attempt), attempt)
            with suppress(Exception):  # what is left of it is the handler's
                asked.cancel()

    def _time_of(self, attempt: _Attempt) -> float:
        """How long an attempt may take."""
        handler = self.handlers.get(attempt.due.delivery.handler)
        return float(getattr(handler, "attempt_seconds", ATTEMPT_SECONDS))

    def _judge(self, due: DueDelivery) -> Callable[[Outcome], bool]:
        """Who says whether an outcome tells that the target as a whole takes nothing now."""
        judge: Callable[[Outcome], bool] = getattr(self.handlers.get(due.delivery.handler), "unwell", unwell)
        return judge

    def _owned(self, due: DueDelivery) -> Did | None:
        """The number that it is about, as long as that is the same account's."""
        did = self._did(due.message.did)
        return None if did is None or did.account_id != due.delivery.account_id else did

    def _settings(self, due: DueDelivery) -> Mapping[str, object]:
        did = self._owned(due)
        setting = None if did is None else did.handlers.get(due.delivery.handler)
        return {} if setting is None else setting.settings

    def _is_off(self, handler: Handler, due: DueDelivery) -> bool:
        """Has the number's owner switched it off since? Off means: no more requests."""
        did = self._owned(due)
        if did is None or not isinstance(handler, DIDHandler):
            return False
        setting = did.handlers.get(due.delivery.handler)
        return setting is not None and not setting.enabled

    def _current(self, due: DueDelivery) -> DueDelivery:
        """The same, to where the number's owner has it go now."""
        delivery = due.delivery
        handler = self.handlers.get(delivery.handler)
        if not delivery.target or not isinstance(handler, DIDHandler):
            return due
        try:
            target = handler.moved(self._settings(due), due.message.peer, delivery.target)
        except Exception as error:  # it goes where it was to go
            self._faults.tell(delivery.handler, "moved", error)
            return due
        if target == delivery.target:
            return due
        return due._replace(delivery=delivery._replace(target=target), moved=True)

    def _ended(self, outcome: Outcome, attempt: _Attempt) -> Outcome:
        outcome = checked(outcome)
        now, target = self._clock.seconds(), attempt.target
        there = answered(outcome)
        if there:
            target.answers += 1
        elif isinstance(outcome, Retry):
            target.answers = 0
        if self._is_of_the_page(attempt.due):
            self._judge_page(outcome, attempt, now)
            failed = not there and unwell(outcome)
        else:
            failed = self._judge(attempt.due)(outcome)
        if failed:
            if target.circuit.failed(now):
                log.warning("target_failing", target=target.key, outcome=outcome.outcome)
                self._refill.give_back(target)
        elif there and target.circuit.succeeded(now):
            log.info("target_back", target=target.key)
        return outcome

    def _is_of_the_page(self, due: DueDelivery) -> bool:
        """Is what the target answers the word of one DID's page there, rather than of all of it?"""
        handler = self.handlers.get(due.delivery.handler)
        return due.delivery.lane >= 0 and getattr(handler, "unwell", None) is None

    def _judge_page(self, outcome: Outcome, attempt: _Attempt, now: float) -> None:
        """A status is the page's own; that no answer came is not."""
        if not answered(outcome):
            return
        lane, target = attempt.due.delivery.lane, attempt.target
        page = self._targets.page(lane)
        opens = back = False
        if unwell(outcome):
            opens = page.failed(now)
        else:
            back = page.succeeded(now)
        self._targets.judged(lane, page)
        said = {"target": target.key, "did_id": attempt.due.delivery.did_id}
        if opens:
            log.warning("page_failing", **said, outcome=outcome.outcome, status=outcome.status_code)
            self._refill.give_back(target, lane)
        elif back:
            log.info("page_back", **said)

    def _broken(self, failure: Failure, attempt: _Attempt) -> Outcome:
        """A handler that raises is at fault itself; unless it is only that the store is away."""
        if failure.check(StoreUnavailable):
            return Retry("unavailable", UNAVAILABLE_SECONDS)
        delivery = attempt.due.delivery
        if self._is_under_way(attempt) and failure.value is not None:
            self.counters.broken += 1
            self._faults.tell(delivery.handler, "deliver", failure.value)
        return after_fault((self._wall_ms() - delivery.begun_at) / 1000)

    def _finish(self, outcome: Outcome, attempt: _Attempt) -> None:
        delivery = attempt.due.delivery
        age = (self._wall_ms() - delivery.begun_at) / 1000
        self._store_ended(in_time(outcome, age, self._give_up_seconds(delivery.handler)), attempt)

    def _give_up_seconds(self, name: str) -> float:
        try:
            return give_up_seconds(self.handlers.get(name))
        except Exception as error:  # the handler's
            self._faults.tell(name, "give_up_seconds", error)
            return GIVE_UP_SECONDS

    def _store_ended(self, outcome: Outcome, attempt: _Attempt) -> None:
        """Store how an attempt ended; the outcome is one that can be."""
        now_ms = self._wall_ms()
        delivery = attempt.due.delivery
        record = AttemptRecord(
            delivery_id=delivery.id,
            number=delivery.attempts + 1,
            started_at=attempt.started_ms,
            duration_ms=round((self._clock.seconds() - attempt.started) * 1000),
            outcome=outcome.outcome,
            status_code=outcome.status_code,
            excerpt=outcome.excerpt,
        )
        state, due_at = self._next(outcome, now_ms)
        self.ended[delivery.handler, "retried" if state is DeliveryState.PENDING else str(state)] += 1
        hop(
            log,
            "delivery_attempted",
            attempt.started_ms,
            message=delivery.message_id,
            delivery=delivery.id,
            handler=delivery.handler,
            attempt=record.number,
            outcome=record.outcome,
            state=str(state),
        )
        self._store_outcome(record, state, due_at, attempt)

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

    def _store_outcome(
        self, record: AttemptRecord, state: DeliveryState, due_at: int, attempt: _Attempt
    ) -> None:
        now_ms = self._wall_ms()
        writes = deliveries.record_attempt(record, state, due_at, now_ms, self._claims.owner)
        if state is not DeliveryState.PENDING:
            writes += events.delivery_changed(attempt.due.delivery, state, now_ms)
        if attempt.due.moved:
            writes += deliveries.retarget(record.delivery_id, attempt.due.delivery.target)
        self._store.writer.write(writes).addCallbacks(
            self._stored,
            self._not_stored,
            callbackArgs=(attempt,),
            errbackArgs=(record, state, due_at, attempt),
        )

    def _stored(self, _: object, attempt: _Attempt) -> None:
        if attempt.due.delivery.lane < 0:
            self._refill.want()  # the next one of this conversation may go
        self._over(attempt)

    def _over(self, attempt: _Attempt) -> None:
        self._let_go(attempt.due)
        self._targets.ended(attempt.target)
        self._something_changed()

    def _not_stored(
        self, failure: Failure, record: AttemptRecord, state: DeliveryState, due_at: int, attempt: _Attempt
    ) -> None:
        if failure.check(Stale):
            self.counters.refused += 1
            log.warning("late_outcome_refused", delivery=record.delivery_id, attempt=record.number)
            # It may be ours again, for another attempt: memory has no copy of that one.
            self._ended_elsewhere([(attempt.target, attempt.due)])
            return
        not_stored(log, "attempt_not_stored", failure, delivery=record.delivery_id)
        if not failure.check(StoreUnavailable) and record.outcome != INTERNAL_ERROR:
            # The store is there and does not take this: what it says would be the same each time.
            self._store_ended(Failed(INTERNAL_ERROR), attempt)
            return
        # The attempt keeps its place until it is stored, so a failing store slows the outbox down to a stop.
        self._clock.callLater(AGAIN_SECONDS, self._store_outcome, record, state, due_at, attempt)

    def _check_idle(self) -> None:
        if self._idle and not (self.running or self._targets.waiting or self._refill.returning):
            idle, self._idle = self._idle, []
            for done in idle:
                done.callback(None)
