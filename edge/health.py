"""How the server is: how far its start has come, whether traffic can be taken, and why not."""

from collections.abc import Callable, Iterator, Mapping

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from edge.disk import Disk
from edge.startup import Startup
from edge.upstreams import Upstream
from storage.store import Store

PROBE_SECONDS = 1.0
DISK_SECONDS = 5.0


class Health:
    """I look at the store and its disk from time to time, from `start` to `stop`.

    ``ready`` is what the service says of itself: started, and not on its way to the end; ``store_awaited``:
    its start goes no further until there is a store.
    """

    def __init__(
        self, store: Store, upstreams: Callable[[], Mapping[str, Upstream]], disk: Disk, clock: IReactorTime
    ) -> None:
        self.ready = False
        self.store_awaited = False
        self.disk = disk
        self.startup = Startup(clock.seconds)
        self._store = store
        self._upstreams = upstreams
        self._loops = LoopingCall(self._ask_store), LoopingCall(disk.look)
        for loop in self._loops:
            loop.clock = clock

    def start(self) -> None:
        """Look, and again and again."""
        for loop, seconds in zip(self._loops, (PROBE_SECONDS, DISK_SECONDS), strict=True):
            loop.start(seconds)

    def stop(self) -> None:
        """Look no more."""
        for loop in self._loops:
            if loop.running:
                loop.stop()

    @property
    def draining(self) -> bool:
        """It was ready, and will be no more."""
        return self.startup.finished and not self.ready

    def readiness(self) -> tuple[bool, dict[str, object]]:
        """Whether traffic can be taken, the reasons why not, and each part's state."""
        binds = [bind for upstream in self._upstreams().values() for bind in upstream.binds]
        reasons = list(self._reasons())
        return not reasons, {
            "reasons": reasons,
            "started": self.ready,
            "draining": self.draining,
            "store": self._store.writer.available,
            "disk": self.disk.enough,
            "binds": {bind.name: bind.state.name.lower() for bind in binds},
            "paused": [bind.name for bind in binds if bind.paused],
        }

    def _reasons(self) -> Iterator[str]:
        if not self.startup.finished:
            yield "the server is starting" + (": it waits for the store" if self.store_awaited else "")
        if self.draining:
            yield "the server is shutting down"
        if not self._store.writer.available:
            yield "the store takes nothing"
        if not self.disk.enough:
            yield f"less than {self.disk.least_mib} MiB are free for the store"
        upstreams = self._upstreams()
        if not upstreams:
            yield "there is no upstream"
        for name, upstream in upstreams.items():
            if not any(bind.bound for bind in upstream.binds):
                yield f"no bind of {name} is up"

    def _ask_store(self) -> Deferred[None]:
        """While the store takes nothing, or is no more where it was, nobody may be trying: find out."""
        return ensureDeferred(self._probe_if_away()).addErrback(lambda _: None)

    async def _probe_if_away(self) -> None:
        store = self._store
        if not (store.writer.available and await store.in_thread(store.engine.in_place)):
            await store.probe()
