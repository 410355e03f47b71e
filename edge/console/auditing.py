"""What operators did, in the audit of the store: at once, or as soon as the store is back."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from storage import audit
from storage.errors import StoreUnavailable
from storage.store import Store

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 2.0
MOST_WAITING = 1_000
SUBJECT = "server"


@dataclass(frozen=True, slots=True)
class Noted:
    """What is to be in the audit; ``at_ms`` is when it was done, however late it is stored."""

    actor: str
    action: str
    at_ms: int
    detail: Mapping[str, object]
    address: str


class Auditing:
    """I store what is noted, in order. While the store is away the newest MOST_WAITING wait for it; what
    still waits when the process ends is in the log alone."""

    def __init__(self, store: Store, clock: IReactorTime, wall_ms: Callable[[], int]) -> None:
        self._store = store
        self._wall_ms = wall_ms
        self._waiting: deque[Noted] = deque()
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self._catch_up()))
        self._loop.clock = clock

    def note(self, actor: str, action: str, detail: Mapping[str, object], address: str) -> None:
        """This was done, now."""
        noted = Noted(actor, action, self._wall_ms(), detail, address)
        if self._waiting:
            self._keep(noted, "The store is away.")
        else:
            self._write(noted).addErrback(self._failed, noted)

    def _failed(self, failure: Failure, noted: Noted) -> None:
        if failure.check(StoreUnavailable):
            self._keep(noted, failure.getErrorMessage())
        else:
            log.error("audit_failed", error=failure.getErrorMessage())

    def _keep(self, noted: Noted, why: str) -> None:
        log.warning("audit_not_stored", error=why)
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
        self._waiting.append(noted)
        if not self._loop.running:
            self._loop.start(AGAIN_SECONDS, now=False)

    async def _catch_up(self) -> None:
        while self._waiting:
            noted = self._waiting[0]
            try:
                await self._write(noted, again=True)
            except StoreUnavailable:
                return
            except Exception as error:
                log.error("audit_failed", error=str(error))
            if self._waiting[0] is noted:  # but for one that had to make room meanwhile
                self._waiting.popleft()
        self._loop.stop()

    def _write(self, noted: Noted, again: bool = False) -> Deferred[None]:
        """With ``again`` it may be there: nobody knows what became of a COMMIT that lost the store."""
        ids = self._store.ids.next

        def write(conn: Connection) -> None:
            entry = (noted.actor, noted.action, SUBJECT, noted.at_ms)
            if again and audit.is_noted(conn, *entry, detail=noted.detail, address=noted.address):
                return
            audit.note(conn, ids, None, *entry, detail=noted.detail, address=noted.address)

        return self._store.writer.run("audit of the console", write)
