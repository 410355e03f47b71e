"""Notices: what became of a person's mail, sent to him with the patience of all mail.

They wait in the store, written with what they are about. Whoever works one puts it off first, so that no
other server works it meanwhile, and one that was cut short comes up again.
"""

from collections.abc import Callable

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from edge.handlers.email import Patience
from edge.mail.sending import Send
from edge.mail.writing import Writing
from storage import mail
from storage.errors import StoreUnavailable
from storage.records import DeliveryState, MailNotice
from storage.store import Store

log = structlog.get_logger(__name__)

LOOK_SECONDS = 10.0
LEASE_MS = 3_600_000  # longer than any attempt
AT_ONCE = 20


class Notices:
    """I send what is owed, from `start` to `stop`."""

    def __init__(
        self,
        writing: Writing,
        send: Send,
        patience: Patience,
        store: Store,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
    ) -> None:
        self._writing = writing
        self._send = send
        self._patience = patience
        self._store = store
        self._wall_ms = wall_ms
        self._poll = LoopingCall(self.look)
        self._poll.clock = clock
        self._working: Deferred[None] | None = None
        self._again = False

    def start(self) -> None:
        """Begin with what the last run left."""
        self._poll.start(LOOK_SECONDS)

    def stop(self) -> None:
        """Begin nothing more; what is under way is tried again by the next run if it cannot be stored."""
        if self._poll.running:
            self._poll.stop()

    def look(self) -> None:
        """Something may be due."""
        if self._working is not None:
            self._again = True
            return
        self._again = False
        self._working = Deferred.fromCoroutine(self._work()).addErrback(_not_looked)
        self._working.addCallback(self._looked)

    def _looked(self, _: object) -> None:
        self._working = None
        if self._again and self._poll.running:
            self.look()

    async def _work(self) -> None:
        now_ms = self._wall_ms()
        due = await self._store.writer.run(
            "mail notices", lambda connection: _claimed(connection, now_ms, now_ms + LEASE_MS)
        )
        await gatherResults([Deferred.fromCoroutine(self._tell(notice)) for notice in due])

    async def _tell(self, notice: MailNotice) -> None:
        envelope = await self._writing.notice(notice)
        attempt, now_ms = notice.attempts + 1, self._wall_ms()
        if envelope is None:
            state, due_at, outcome = DeliveryState.FAILED, now_ms, "unknown_did"
        else:
            verdict = await self._send(envelope)
            now_ms, outcome = self._wall_ms(), verdict.outcome
            wait_ms = round(self._patience.after(attempt) * 1000)
            late = now_ms + wait_ms - notice.created_at > self._patience.give_up_seconds * 1000
            state, due_at = DeliveryState.PENDING, now_ms + wait_ms
            if verdict.outcome == "sent":
                state, due_at = DeliveryState.DELIVERED, now_ms
            elif verdict.final or late:
                state, due_at = DeliveryState.FAILED, now_ms
                log.warning("mail_notice_failed", notice=notice.id, code=notice.code, error=str(verdict))
        await self._store.writer.write(mail.record_notice(notice.id, attempt, state, due_at, outcome))


def _claimed(connection: Connection, now_ms: int, until_ms: int) -> list[MailNotice]:
    return mail.claim_notices(connection, now_ms, until_ms, AT_ONCE)


def _not_looked(failure: object) -> None:
    error = getattr(failure, "value", None)
    say = log.debug if isinstance(error, StoreUnavailable) else log.error
    say("mail_notices_not_sent", error=str(error))
