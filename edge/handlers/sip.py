"""The SIP handler: a message goes to the phones of an address-of-record, in order, exactly once.

A phone that is off keeps its messages waiting in the store; its next REGISTER wakes them, the oldest first.
One message of an address-of-record is under way at a time, and none overtakes an older one that is still
owed.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush, nsmallest

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge.handlers import Delivered, Failed, Job, Outcome, Retry
from edge.sip.bindings import Bindings
from edge.sip.delivery import Delivery, Outgoing, Result, Verdict
from storage import registrations
from storage.sip_accounts import SipAccount
from storage.store import Store

log = structlog.get_logger(__name__)

TEXT = "text/plain;charset=UTF-8"
OFF_SECONDS = 3_600.0  # a safety net: REGISTER wakes earlier
BEHIND_SECONDS = 60.0
WAITS = (15.0, 30.0, 60.0, 120.0, 300.0, 900.0)  # for a phone that is registered and does not answer
MAX_QUEUE = 8
WOKEN_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class SipSettings:
    """How long a message waits for a phone, and whether the DID is told in a header of its own."""

    keep_seconds: float = 72 * 3600.0
    sms_to_header: bool = True


@dataclass(slots=True)
class _Line:
    """One address-of-record: what is owed to it (ids), what waits for its turn here."""

    owed: set[int] = field(default_factory=set)
    order: list[int] = field(default_factory=list)
    queue: deque[tuple[Job, "Deferred[Outcome]"]] = field(default_factory=deque)
    busy: bool = False
    silent: int = 0
    silent_until: float = 0.0
    registrations: int = 0

    def owe(self, identity: int) -> None:
        if identity not in self.owed:
            self.owed.add(identity)
            heappush(self.order, identity)

    def oldest(self) -> int | None:
        while self.order and self.order[0] not in self.owed:
            heappop(self.order)
        return self.order[0] if self.order else None


class SipHandler:
    """I bring messages to phones. ``now`` is monotonic seconds."""

    name = "sip"

    def __init__(
        self,
        find: Callable[[str], SipAccount | None],
        bindings: Bindings,
        delivery: Delivery,
        store: Store,
        settings: SipSettings,
        now: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self._find = find
        self._bindings = bindings
        self._delivery = delivery
        self._store = store
        self._settings = settings
        self._now = now
        self._wall_ms = wall_ms
        self._lines: dict[str, _Line] = {}

    def start(self) -> Deferred[None]:
        """Learn what the last run left owing."""
        return self._store.read(registrations.waiting_deliveries, self.name).addCallback(self._restore)

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        line = self._lines.setdefault(job.delivery.target, _Line())
        line.owe(job.delivery.id)
        if len(line.queue) >= MAX_QUEUE:
            return succeed(Retry("behind", BEHIND_SECONDS))
        done: Deferred[Outcome] = Deferred()
        line.queue.append((job, done))
        self._next(job.delivery.target, line)
        return done

    def registered(self, aor: str) -> None:
        """A phone is there (again): what waits for it goes out now."""
        line = self._lines.get(aor)
        if line is not None:
            line.registrations += 1
            line.silent, line.silent_until = 0, 0.0
            self._wake(line)

    def _restore(self, owed: list[tuple[str, int]]) -> None:
        for target, identity in owed:
            self._lines.setdefault(target, _Line()).owe(identity)

    # -- one after the other ----------------------------------------------------------------------

    def _next(self, aor: str, line: _Line) -> None:
        if line.busy or not line.queue:
            return
        line.busy = True
        job, done = line.queue.popleft()
        seen = line.registrations
        self._attempt(line, job).addCallbacks(
            self._ended,
            self._broken,
            callbackArgs=(aor, line, job, done, seen),
            errbackArgs=(aor, line, done),
        )

    def _ended(
        self, outcome: Outcome, aor: str, line: _Line, job: Job, done: "Deferred[Outcome]", seen: int
    ) -> None:
        line.busy = False
        if isinstance(outcome, Retry):
            if line.registrations != seen and outcome.outcome != "in_order":
                line.silent, line.silent_until = 0, 0.0
                outcome = Retry(outcome.outcome, 0.0, outcome.status_code, outcome.excerpt)
        else:
            line.owed.discard(job.delivery.id)
        done.callback(outcome)
        self._next(aor, line)
        if not isinstance(outcome, Retry) and not line.busy:
            self._wake(line)
        if not line.owed and not line.busy:
            self._lines.pop(aor, None)

    def _broken(self, failure: Failure, aor: str, line: _Line, done: "Deferred[Outcome]") -> None:
        line.busy = False
        done.errback(failure)
        self._next(aor, line)

    def _wake(self, line: _Line) -> None:
        """Let the oldest that wait in the store be tried now."""
        here = {job.delivery.id for job, _ in line.queue}
        identities = [identity for identity in nsmallest(WOKEN_AT_ONCE, line.owed) if identity not in here]
        if identities:
            now_ms = self._wall_ms()
            self._store.writer.run(
                "wake SIP deliveries",
                lambda connection: registrations.make_due(connection, identities, now_ms),
            ).addErrback(_not_woken)

    # -- one attempt ------------------------------------------------------------------------------

    def _attempt(self, line: _Line, job: Job) -> Deferred[Outcome]:
        left = self._settings.keep_seconds - (self._wall_ms() - job.message.created_at) / 1000
        if left <= 0:
            return succeed(Failed("expired"))
        if line.oldest() != job.delivery.id:
            return succeed(Retry("in_order", min(BEHIND_SECONDS, left)))
        user, _, _ = job.delivery.target.removeprefix("sip:").partition("@")
        account = self._find(user)
        if account is None or account.aor != job.delivery.target:
            return succeed(Failed("no_such_account"))
        bindings = self._bindings.of(account.id)
        if not bindings:
            return succeed(Retry("phone_off", min(OFF_SECONDS, left)))
        if line.silent_until > self._now():
            return succeed(Retry("phone_silent", min(line.silent_until - self._now(), left)))
        sending = self._delivery.deliver(self._outgoing(job), bindings)
        return sending.addCallback(self._outcome, line, left)

    def _outgoing(self, job: Job) -> Outgoing:
        message = job.message
        extra = (("X-SMS-To", message.did),) if self._settings.sms_to_header else ()
        return Outgoing(
            identity=job.delivery.id,
            attempt=job.attempt,
            aor=job.delivery.target,
            source=message.peer,
            content_type=TEXT,
            body=message.text.encode("utf-8", "replace"),
            created_at=message.created_at,
            extra=extra,
        )

    def _outcome(self, verdict: Verdict, line: _Line, left: float) -> Outcome:
        match verdict.result:
            case Result.DELIVERED:
                line.silent, line.silent_until = 0, 0.0
                return Delivered("delivered", verdict.status, verdict.reason)
            case Result.UNREACHABLE:
                wait = WAITS[min(line.silent, len(WAITS) - 1)]
                line.silent, line.silent_until = line.silent + 1, self._now() + wait
                return Retry("phone_silent", min(wait, left), verdict.status, verdict.reason)
        return Failed(str(verdict.result.value), verdict.status, verdict.reason)


def _not_woken(failure: Failure) -> None:
    # They are tried all the same, at the time that was set before.
    log.error("sip_deliveries_not_woken", error=failure.getErrorMessage())
