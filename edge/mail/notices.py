"""Notices: what became of a person's mail, sent to him with the patience of all mail.

They wait in the store, written with what they are about. Whoever works one puts it off first, so that no
other server works it meanwhile, and one that was cut short comes up again. A server that takes its time has
so many of them at once, and so long for each: those to others do not wait for it.
"""

from collections import Counter
from collections.abc import Callable

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from edge.handlers.email import Patience
from edge.mail.sending import Send
from edge.mail.writing import ADDRESS_REMOVED, NotListed, Writing
from protocols.mail.smtp import Envelope, Verdict
from storage import mail
from storage.errors import StoreUnavailable
from storage.records import DeliveryState, MailNotice
from storage.store import Store

log = structlog.get_logger(__name__)

LOOK_SECONDS = 10.0
ATTEMPT_SECONDS = 1_800.0  # a server may take ten minutes to answer the last dot
LEASE_MS = 3_600_000  # longer than any attempt
CLAIMED_AT_ONCE = 20
AT_ONCE = 100
AT_ONE_SERVER = 10


class Notices:
    """I send what is owed, from `start` to `stop`. ``key`` names the server that a domain's mail goes to."""

    def __init__(
        self,
        writing: Writing,
        send: Send,
        key: Callable[[str], str],
        patience: Patience,
        store: Store,
        clock: IReactorTime,
        wall_ms: Callable[[], int],
    ) -> None:
        self._writing = writing
        self._send = send
        self._key = key
        self._patience = patience
        self._store = store
        self._clock = clock
        self._wall_ms = wall_ms
        self._poll = LoopingCall(self.look)
        self._poll.clock = clock
        self._looking = False
        self._again = False
        self._busy: Counter[str] = Counter()

    def start(self) -> None:
        """Begin with what the last run left."""
        self._poll.start(LOOK_SECONDS)

    def stop(self) -> None:
        """Begin nothing more; what is under way is tried again by the next run if it cannot be stored."""
        if self._poll.running:
            self._poll.stop()

    def look(self) -> None:
        """Something may be due."""
        self._again = self._looking
        if not self._looking:
            self._looking = True
            Deferred.fromCoroutine(self._work()).addErrback(_gone_wrong).addCallback(self._looked)

    def _looked(self, _: object) -> None:
        self._looking = False
        if self._again and self._poll.running:
            self.look()

    async def _work(self) -> None:
        """Begin what is due; what its server has no room for waits, behind all that is due now."""
        now_ms, more = self._wall_ms(), True
        while more and self._busy.total() < AT_ONCE:
            due = await self._store.writer.run(
                "mail notices", lambda connection: _claimed(connection, now_ms, now_ms + LEASE_MS)
            )
            waiting = [notice.id for notice in due if not self._begun(notice)]
            if waiting:
                await self._store.writer.write(mail.put_off(waiting, now_ms + 1))
            more = len(due) == CLAIMED_AT_ONCE

    def _begun(self, notice: MailNotice) -> bool:
        key = self._key(notice.recipient.rpartition("@")[2])
        if self._busy[key] >= AT_ONE_SERVER:
            return False
        self._busy[key] += 1
        telling = Deferred.fromCoroutine(self._tell(notice)).addErrback(_gone_wrong)
        telling.addCallback(lambda _: self._done(key))
        return True

    def _done(self, key: str) -> None:
        self._busy[key] -= 1
        if not self._busy[key]:
            del self._busy[key]
        elif self._busy[key] == AT_ONE_SERVER - 1:
            self.look()

    async def _tell(self, notice: MailNotice) -> None:
        verdict = await self._tried(notice)
        attempt, now_ms = notice.attempts + 1, self._wall_ms()
        wait_ms = round(self._patience.after(attempt) * 1000)
        late = now_ms + wait_ms - notice.created_at > self._patience.give_up_seconds * 1000
        state, due_at = DeliveryState.PENDING, now_ms + wait_ms
        if verdict.outcome == "sent":
            state, due_at = DeliveryState.DELIVERED, now_ms
        elif verdict.final or late:
            state, due_at = DeliveryState.FAILED, now_ms
            log.warning("mail_notice_failed", notice=notice.id, code=notice.code, error=str(verdict))
        await self._store.writer.write(mail.record_notice(notice.id, attempt, state, due_at, verdict.outcome))

    async def _tried(self, notice: MailNotice) -> Verdict:
        try:
            envelope = await self._writing.notice(notice)
        except NotListed as error:
            return _not_written(ADDRESS_REMOVED, str(error))
        if envelope is None:
            return _not_written("unknown_did", f"nobody has {notice.did} any more")
        return await self._sent(envelope)

    def _sent(self, envelope: Envelope) -> Deferred[Verdict]:
        return self._send(envelope).addTimeout(ATTEMPT_SECONDS, self._clock).addErrback(_too_slow)


def _not_written(outcome: str, why: str) -> Verdict:
    return Verdict(outcome, None, True, "written", why)


def _too_slow(failure: Failure) -> Verdict:
    failure.trap(DeferredTimeout, ConnectingCancelledError)
    return Verdict("timeout", None, False, "connect")


def _claimed(connection: Connection, now_ms: int, until_ms: int) -> list[MailNotice]:
    return mail.claim_notices(connection, now_ms, until_ms, CLAIMED_AT_ONCE)


def _gone_wrong(failure: Failure) -> None:
    """A notice whose outcome could not be stored comes up again when its lease ends."""
    say = log.debug if failure.check(StoreUnavailable) else log.error
    say("mail_notices_not_sent", error=repr(failure.value))
