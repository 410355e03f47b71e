"""Whose turn it is: the deliveries that wait in memory, by target and lane.

Targets take turns, and in each target its lanes do (a lane is one DID's deliveries there). A target has at
most ``per_target`` attempts under way, and about half as many as there are free places left: each target that
hangs gets less than the one before, and there is room for those that do not, until a circuit opens. A target
begins with FIRST_PLACES and gets one more for each answer, so that one that hangs from the start does not
cost the others the making of all its connections. A lane has no more waiting than memory has left.

What a target answers is its page's word, and holds for one lane: others have other pages there. So a lane
has a circuit too, for as long as there is something to know.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from edge.circuit import Circuit, CircuitSettings, State
from edge.recent import Recent
from storage.deliveries import DueDelivery

FIRST_PLACES = 10
PAGES = 50_000  # the circuits of lanes that are remembered; one that is forgotten begins anew


@dataclass(frozen=True, slots=True)
class Limits:
    """Attempts under way in all and for each target, and deliveries held in memory."""

    concurrency: int = 500
    per_target: int = 50
    memory: int = 20_000
    circuit: CircuitSettings = field(default_factory=CircuitSettings)


@dataclass(slots=True)
class Target:
    """One place that deliveries go to. ``key`` is as in `storage.paused`; ``answers`` are counted since it
    was last silent."""

    key: str
    circuit: Circuit
    running: int = 0
    answers: int = 0
    paused: bool = False
    lanes: "OrderedDict[int, deque[DueDelivery]]" = field(default_factory=OrderedDict)

    @property
    def waiting(self) -> int:
        """Deliveries in memory."""
        return sum(map(len, self.lanes.values()))

    def next(self, count: int) -> list[DueDelivery]:
        """About so many of those whose turn comes next."""
        share = max(1, count // max(1, len(self.lanes)))
        return [due for queue in islice(self.lanes.values(), count) for due in islice(queue, share)]

    def pop(self, lane: int) -> DueDelivery:
        """The next one of this lane, which goes behind the others."""
        queue = self.lanes.pop(lane)
        due = queue.popleft()
        if queue:
            self.lanes[lane] = queue
        return due


class Targets:
    """I hold what waits and hand it out fairly."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._targets: dict[str, Target] = {}
        self._turns: deque[Target] = deque()
        self._pages: Recent[int, Circuit] = Recent(PAGES)  # by lane
        self._held: Counter[int] = Counter()  # by lane: expected, waiting or running
        self._holding = 0
        self._paused: frozenset[str] = frozenset()
        self.running = 0
        self.waiting = 0

    def __len__(self) -> int:
        return len(self._targets)

    def configure(self, limits: Limits) -> None:
        """Other limits, from now on; what is under way or in memory beyond them ends first."""
        self._limits = limits
        for target in self.all():
            target.circuit.settings = limits.circuit
        for _, page in self._pages.items():
            page.settings = limits.circuit

    def all(self) -> list[Target]:
        """Every one that there is something to know of."""
        return list(self._targets.values())

    def target(self, key: str) -> Target:
        """The target of this key."""
        found = self._targets.get(key)
        if found is None:
            found = Target(key, Circuit(self._limits.circuit), paused=key in self._paused)
            self._targets[key] = found
        return found

    def page(self, lane: int) -> Circuit:
        """The circuit of this lane alone; `judged` when something was learnt of it."""
        return self._pages.get(lane) or Circuit(self._limits.circuit)

    def judged(self, lane: int, page: Circuit) -> None:
        """This is its circuit."""
        if page.unblemished:
            self._pages.drop(lane)
        else:
            self._pages.put(lane, page)

    # -- how much memory takes --------------------------------------------------------------------

    def shut(self, key: str, lane: int) -> bool:
        """Nothing is begun there for a while: it is stopped, or a circuit is open."""
        target, page = self._targets.get(key), self._pages.get(lane)
        circuits = [page] if target is None else [page, target.circuit]
        return key in self._paused or any(each is not None and each.state is State.OPEN for each in circuits)

    def room(self, key: str, lane: int, now: float) -> int:
        """How many more deliveries of this lane memory may take."""
        room = self._limits.memory - self._holding - self._held[lane]
        target, page = self._targets.get(key), self._pages.get(lane)
        if key in self._paused:
            return 0
        if target is not None:
            room = min(room, self._allowance(target.circuit, now, target.waiting))
        if page is not None:
            waiting = 0 if target is None else len(target.lanes.get(lane, ()))
            room = min(room, self._allowance(page, now, waiting))
        return max(room, 0)

    def _allowance(self, circuit: Circuit, now: float, waiting: int) -> int:
        match circuit.state:
            case State.CLOSED:
                return self._limits.memory
            case State.OPEN:
                return int(circuit.may_start(now) and not waiting)
            case State.RECOVERING:
                return int(circuit.rate(now)) + 1 - waiting

    def hold(self, lane: int) -> None:
        """One more of this lane is in memory's hands, wherever it is."""
        self._held[lane] += 1
        self._holding += 1

    def let_go(self, lane: int) -> None:
        """One less."""
        self._holding -= 1
        if self._held[lane] <= 1:
            del self._held[lane]
        else:
            self._held[lane] -= 1

    # -- turns ------------------------------------------------------------------------------------

    def put(self, key: str, due: DueDelivery) -> None:
        """Let a held delivery wait for its turn."""
        target = self.target(key)
        if not target.lanes:
            self._turns.append(target)
        queue = target.lanes.get(due.delivery.lane)
        if queue is None:
            queue = target.lanes[due.delivery.lane] = deque()
        queue.append(due)
        self.waiting += 1

    def take(self, now: float) -> tuple[Target, DueDelivery] | None:
        """What may begin now; the caller tells of its end with `ended`."""
        free = self._limits.concurrency - self.running
        for _ in range(len(self._turns)):
            target = self._turns.popleft()
            lane = self._next_lane(target, now) if self._may_start(target, free, now) else None
            if lane is not None:
                due = target.pop(lane)
                if target.lanes:
                    self._turns.append(target)
                self._begin(target, lane, now)
                return target, due
            self._turns.append(target)
        return None

    def _may_start(self, target: Target, free: int, now: float) -> bool:
        return (
            not target.paused
            and target.running < min(self._limits.per_target, FIRST_PLACES + target.answers)
            and 2 * target.running < free
            and target.circuit.may_start(now)
        )

    def _next_lane(self, target: Target, now: float) -> int | None:
        if not self._pages:
            return next(iter(target.lanes))
        return next((lane for lane in target.lanes if self.page(lane).may_start(now)), None)

    def _begin(self, target: Target, lane: int, now: float) -> None:
        self.waiting -= 1
        self.running += 1
        target.running += 1
        target.circuit.started(now)
        page = self._pages.get(lane)
        if page is not None:
            page.started(now)

    def ended(self, target: Target) -> None:
        """An attempt there is over, and stored."""
        self.running -= 1
        target.running -= 1
        self._forget(target)

    def empty(self, target: Target, lane: int | None = None) -> list[DueDelivery]:
        """Take everything that waits there, or in one lane of it, out of turn."""
        lanes = [each for each in target.lanes if lane is None or each == lane]
        out = [due for each in lanes for due in target.lanes.pop(each)]
        if lanes and not target.lanes:
            self._turns.remove(target)
        self.waiting -= len(out)
        return out

    def pause(self, keys: Iterable[str]) -> list[Target]:
        """These and no others are stopped; those of them that something waits for."""
        self._paused = frozenset(keys)
        fresh = [target for key, target in self._targets.items() if key in self._paused and target.lanes]
        for target in self.all():
            target.paused = target.key in self._paused
            self._forget(target)
        return fresh

    def _forget(self, target: Target) -> None:
        if not (target.running or target.lanes or target.paused) and target.circuit.unblemished:
            self._targets.pop(target.key, None)
