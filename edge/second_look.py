"""What waited in memory is looked at once more before it begins: somebody may have ended it meanwhile.

People skip what waits behind a slow target, and replay it, in this process or from another one (the command
line). So a delivery begins at once only if the store said less than FRESH_MS ago that it is ours and
pending; any other is compared with the table first. One read is for all that were taken, and for those
that come next, so that where much waits it costs one small read for some hundreds of attempts, and
nothing where nothing waits.
"""

from collections.abc import Callable, Sequence

import structlog
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from edge.claims import Claims
from edge.targets import Target
from storage.deliveries import DueDelivery

log = structlog.get_logger(__name__)

AHEAD = 200  # of each target, how many that come next are looked at too
AGAIN_SECONDS = 1.0

Taken = tuple[Target, DueDelivery]


class SecondLook:
    """I hold what was taken out of its turn's queue until the store has said what it is. ``begin`` is told of
    those that may, ``lost`` of those that are another's, over, or another try by now."""

    def __init__(
        self,
        claims: Claims,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
        begin: Callable[[Target, DueDelivery], None],
        lost: Callable[[Sequence[Taken]], None],
    ) -> None:
        self._claims = claims
        self._clock = clock
        self._wall_ms = wall_ms
        self._begin = begin
        self._lost = lost
        self._taken: list[Taken] = []
        self._looking = False
        self._blind = False

    def put(self, target: Target, due: DueDelivery) -> None:
        """One that is to be looked at; call `look` when there are no more of them for now."""
        self._taken.append((target, due))

    def look(self) -> None:
        """Ask the store, unless it is being asked: then what came meanwhile is next."""
        if not self._taken or self._looking:
            return
        self._looking = True
        wanted = {due.delivery.id: due.delivery.attempts for _, due in self._taken}
        for target in {id(target): target for target, _ in self._taken}.values():
            wanted.update((due.delivery.id, due.delivery.attempts) for due in target.next(AHEAD))
        self._claims.check(wanted, self._wall_ms).addCallbacks(self._saw, self._could_not)

    def give_up(self) -> list[Taken]:
        """Those that the store has not been asked about, or has not answered for."""
        taken, self._taken = self._taken, []
        return taken

    def _saw(self, ended: set[int]) -> None:
        self._looking = self._blind = False
        now_ms = self._wall_ms()
        taken, self._taken = self._taken, []
        lost = [pair for pair in taken if pair[1].delivery.id in ended or not self._is_held(pair)]
        gone = {due.delivery.id for _, due in lost}
        for target, due in taken:
            if due.delivery.id in gone:
                continue
            if self._claims.is_sure(due.delivery.id, now_ms):
                self._begin(target, due)
            else:
                self._taken.append((target, due))
        if lost:
            self._lost(lost)
        self.look()

    def _is_held(self, pair: Taken) -> bool:
        return pair[1].delivery.id in self._claims

    def _could_not(self, failure: Failure) -> None:
        if not self._blind:
            log.error("outbox_not_read", error=failure.getErrorMessage())
        self._blind = True
        self._clock.callLater(AGAIN_SECONDS, self._ask_again)

    def _ask_again(self) -> None:
        self._looking = False
        self.look()
