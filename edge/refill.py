"""Between table and memory: what is due comes in, lane by lane; what cannot be worked now goes back."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge.claims import CLAIM_DELIVERIES, LANE_DELIVERIES, Claims
from edge.outage import not_stored
from edge.targets import Target, Targets
from storage.deliveries import DueDelivery
from storage.queue import DueLane

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
LOOKING_SHARE = 0.05  # of the time; where lanes are very many the looks become fewer …
LONGEST_REST_SECONDS = 5.0  # … but a store that stood still for a while is looked at soon after
RENEWALS_A_LEASE = 3


class Refill:
    """I keep memory supplied. ``changed`` is called when there may be something to begin, or nothing left;
    ``current`` brings a delivery's target up to date."""

    def __init__(
        self,
        claims: Claims,
        targets: Targets,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
        target_key: Callable[[str, str], str],
        changed: Callable[[], None],
        current: Callable[[DueDelivery], DueDelivery],
    ) -> None:
        self.lost = 0  # leases that another server took
        self._claims = claims
        self._targets = targets
        self._clock = clock
        self._wall_ms = wall_ms
        self._target_key = target_key
        self._changed = changed
        self._current = current
        self._looking = False
        self._again = False
        self._not_before = 0.0
        self._blind = False
        self._stopped = False
        self._returning = 0
        self._poll = LoopingCall(self.look)
        self._renewal = LoopingCall(self._renew)
        self._poll.clock = self._renewal.clock = clock

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Free what this server had when it last ended, then look each second."""
        self._renewal.start(self._claims.lease_ms / 1000 / RENEWALS_A_LEASE, now=False)
        self._claims.take_over().addCallbacks(_took_over, _could_not_take_over).addCallback(self._begin)

    def _begin(self, _: object) -> None:
        if not self._stopped:
            self._poll.start(POLL_SECONDS)

    def stop_looking(self) -> None:
        """Bring nothing more in, and give back what waits. Leases of what is under way are renewed on."""
        self._stopped = True
        if self._poll.running:
            self._poll.stop()
        self.give_all_back()

    def stop(self) -> None:
        """Renew no more."""
        if self._renewal.running:
            self._renewal.stop()

    # -- in ---------------------------------------------------------------------------------------

    def want(self) -> None:
        """The table has something, or soon will: look as soon as memory has not enough."""
        self._again = True

    def supply(self) -> None:
        """Look now if there is something and memory has not enough."""
        if self._again and self._targets.waiting < LANE_DELIVERIES // 2:
            self.look()

    def look(self) -> None:
        """See what is due in the table and nobody's, and take what there is room for."""
        now = self._clock.seconds()
        if self._looking or self._stopped or (now < self._not_before and not self._again):
            return
        self._looking, self._again = True, False
        looking = self._claims.look(self._wall_ms()).addCallback(self._saw, now)
        looking.addCallbacks(self._claimed, self._could_not_look)

    def _saw(
        self, seen: tuple[list[DueLane], Mapping[str, str]], began: float
    ) -> Deferred[list[DueDelivery]] | list[DueDelivery]:
        lanes, paused = seen
        now = self._clock.seconds()
        self._not_before = now + min((now - began) / LOOKING_SHARE, LONGEST_REST_SECONDS)
        for target in self._targets.pause(paused):
            log.info("target_paused", target=target.key, why=paused[target.key])
            self.give_back(target)
        shares = self._shares(lanes, now)
        return self._claims.claim(shares, self._wall_ms()) if shares else []

    def _shares(self, lanes: Sequence[DueLane], now: float) -> list[tuple[int, int]]:
        """How many to claim from each lane: what its target may have, and memory has room for."""
        shares: list[tuple[int, int]] = []
        left, promised = CLAIM_DELIVERIES, Counter[str]()
        for lane, handler, target in lanes:
            key = self._target_key(handler, target)
            room = self._targets.room(key, lane, now) - promised[key]
            count = min(room, left, LANE_DELIVERIES if lane >= 0 else 1)
            if count > 0:
                shares.append((lane, count))
                promised[key] += count
                left -= count
        return shares

    def _claimed(self, found: Sequence[DueDelivery]) -> None:
        self._looking = self._blind = False
        for due in found:
            self._targets.hold(due.delivery.lane)
            self.put(self._current(due))
        # There may be more where this came from.
        self._again = self._again or bool(found) or not self._claims.seen_all
        self._changed()

    def put(self, due: DueDelivery) -> None:
        """Let a delivery that memory holds wait for its turn."""
        self._targets.put(self._target_key(due.delivery.handler, due.delivery.target), due)

    def _could_not_look(self, failure: Failure) -> None:
        self._looking = False
        if not self._blind:
            log.error("outbox_not_read", error=failure.getErrorMessage())
        self._blind = True
        if self._stopped:
            self._changed()

    # -- back -------------------------------------------------------------------------------------

    @property
    def returning(self) -> bool:
        """Is something on its way back to the table, or about to be: claimed, and not here yet?"""
        return self._looking or self._returning > 0

    def give_all_back(self) -> None:
        """What waits, waits in the table."""
        if self._targets.waiting:
            for target in self._targets.all():
                self.give_back(target)

    def give_back(self, target: Target, lane: int | None = None) -> None:
        """What waits for a target that takes nothing now, or for one lane of it, waits in the table."""
        waiting = self._targets.empty(target, lane)
        if not waiting:
            return

        def released(_: None) -> None:
            self._returning -= 1
            for due in waiting:
                self._targets.let_go(due.delivery.lane)
            self._changed()

        def not_released(failure: Failure) -> None:
            not_stored(log, "deliveries_not_given_back", failure, deliveries=len(waiting))
            if self._stopped:  # our next life takes them over, or another server when their leases end
                for due in waiting:
                    self._claims.drop(due.delivery.id)
                released(None)
                return
            self._returning -= 1
            for due in waiting:
                self.put(due)

        self._returning += 1
        self._claims.release([due.delivery.id for due in waiting]).addCallbacks(released, not_released)

    # -- held -------------------------------------------------------------------------------------

    def _renew(self) -> Deferred[None]:
        return self._claims.renew(self._wall_ms()).addCallbacks(self._renewed, self._not_renewed)

    def _renewed(self, lost: set[int]) -> None:
        if lost:
            self.lost += len(lost)
            log.warning("leases_lost", deliveries=len(lost))
        for delivery_id in lost:
            self._claims.drop(delivery_id)

    def _not_renewed(self, failure: Failure) -> None:
        not_stored(log, "leases_not_renewed", failure, deliveries=len(self._claims))


def _took_over(number: int) -> None:
    if number:
        log.info("deliveries_taken_over", deliveries=number)


def _could_not_take_over(failure: Failure) -> None:
    log.error("deliveries_not_taken_over", error=failure.getErrorMessage())
