"""The SIP handler: a message goes to the phones of an address-of-record, in order, exactly once.

A phone that is off keeps its messages waiting in the store; its next REGISTER wakes them, the oldest first.
The outbox works one message of an address-of-record at a time, and none overtakes an older one that is still
owed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge.handlers import Delivered, Failed, Job, Outcome, Retry
from edge.handlers.base import DIDHandler, Key, Line, Rules, SettingError, Tools
from edge.sip.bindings import Bindings
from edge.sip.delivery import AWAY, Delivery, Outgoing, Result, Verdict
from protocols.sip import cpim
from protocols.sip.imdn import Wish
from protocols.sip.uri import escape_user
from storage import contacts, registrations
from storage.contacts import Contact
from storage.sip_accounts import SipAccount
from storage.store import Store

log = structlog.get_logger(__name__)

TEXT = "text/plain;charset=UTF-8"
OFF_SECONDS = 3_600.0  # a safety net: REGISTER wakes earlier
WAITS = (15.0, 30.0, 60.0, 120.0, 300.0, 900.0)  # for a phone that is registered and does not answer
_AOR = re.compile(r"sip:[^@\s]+@[a-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class SipSettings:
    """How long a message waits for a phone, and whether the DID is told in a header of its own."""

    keep_seconds: float = 72 * 3600.0
    sms_to_header: bool = True


@dataclass(slots=True)
class _Line:
    """One address-of-record: the delivery that waits there, the first of all that are owed to it."""

    waiting: int | None = None
    silent: int = 0
    registrations: int = 0


class SipHandler(DIDHandler):
    """I bring messages to phones. ``look`` makes the outbox see what has become due."""

    name = "sip"
    ordered: ClassVar[bool] = True
    line: ClassVar[Line] = "target"
    main = "aor"
    keys = (Key("aor", "text", "sip:user@domain, a phone of `trunkline sip-account`", "address-of-record"),)

    def __init__(
        self,
        find: Callable[[str], SipAccount | None],
        bindings: Bindings,
        delivery: Delivery,
        store: Store,
        settings: SipSettings,
        look: Callable[[], None],
        wall_ms: Callable[[], int],
    ) -> None:
        self._find = find
        self._bindings = bindings
        self._delivery = delivery
        self._store = store
        self._settings = settings
        self.give_up_seconds = settings.keep_seconds + OFF_SECONDS  # it says `expired` itself, before
        self._look = look
        self._wall_ms = wall_ms
        self._lines: dict[str, _Line] = {}

    @classmethod
    def available(cls, tools: Tools) -> bool:
        """See `DIDHandler`: only with [sip]."""
        return cls.name in tools.sip

    @classmethod
    def build(cls, tools: Tools) -> "SipHandler":
        """The one of the server's SIP side."""
        found = tools.sip[cls.name]
        assert isinstance(found, cls)
        return found

    @classmethod
    def check(cls, settings: dict[str, object], rules: Rules) -> dict[str, object]:
        """An address-of-record."""
        aor = settings.get("aor")
        if isinstance(aor, str) and aor and _AOR.fullmatch(aor) is None:
            raise SettingError("sip_aor", f"expected sip:user@domain, not {aor}.")
        return settings

    def start(self) -> Deferred[None]:
        """Learn what the last run left owing."""
        return self._store.read(registrations.waiting_deliveries, self.name).addCallback(self._restore)

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        line = self._lines.setdefault(job.delivery.target, _Line())
        return self._attempt(line, job).addCallback(self._ended, line, job, line.registrations)

    def registered(self, aor: str) -> None:
        """A phone is there (again): what waits for it goes out now."""
        line = self._lines.get(aor)
        if line is None:
            return
        line.registrations += 1
        line.silent = 0
        self._wake(line)

    def settled(self, outgoing: Outgoing) -> None:
        """A phone took a text after its time was up: that ends its delivery."""
        line = self._lines.get(outgoing.aor)
        if line is not None and line.waiting == outgoing.identity:
            self._wake(line)

    def _wake(self, line: _Line) -> None:
        if line.waiting is not None:
            waiting, now_ms = [line.waiting], self._wall_ms()
            self._store.writer.run(
                "wake SIP delivery", lambda connection: registrations.make_due(connection, waiting, now_ms)
            ).addCallbacks(lambda _: self._look(), _not_woken)

    def _restore(self, owed: list[tuple[str, int]]) -> None:
        for target, identity in owed:
            line = self._lines.setdefault(target, _Line())
            line.waiting = line.waiting or identity  # they come in order: the first is the oldest

    # -- one attempt ------------------------------------------------------------------------------

    def _ended(self, outcome: Outcome, line: _Line, job: Job, seen: int) -> Outcome:
        if isinstance(outcome, Retry):
            line.waiting = job.delivery.id
            if line.registrations != seen:  # meanwhile: what was learnt of the phone is out of date
                line.silent = 0
                return replace(outcome, after=0.0)
            return outcome
        line.waiting = None
        if not line.silent:
            self._lines.pop(job.delivery.target, None)
        return outcome

    def _attempt(self, line: _Line, job: Job) -> Deferred[Outcome]:
        left = self._settings.keep_seconds - (self._wall_ms() - job.delivery.begun_at) / 1000
        if left <= 0:
            return succeed(Failed("expired"))
        late = self._delivery.late(job.delivery.id)
        if late is not None:
            return succeed(self._outcome(late, line, left))
        user, _, _ = job.delivery.target.removeprefix("sip:").partition("@")
        account = self._find(user)
        if (
            account is None
            or account.aor != job.delivery.target
            or account.account_id != job.delivery.account_id
        ):
            return succeed(Failed("no_such_account"))
        bindings = self._bindings.of(account.id)
        if not bindings:
            return succeed(Retry("phone_off", min(OFF_SECONDS, left), AWAY))
        return (
            self._store.read(contacts.of_number, account.account_id, job.message.peer)
            .addErrback(_nameless)
            .addCallback(
                # Who has registered meanwhile is not to be left out.
                lambda known: self._delivery.deliver(
                    self._outgoing(job, account, known), self._bindings.of(account.id) or bindings
                )
            )
            .addCallback(self._outcome, line, left)
        )

    def _outgoing(self, job: Job, account: SipAccount, known: Contact | None) -> Outgoing:
        message = job.message
        extra = (("X-SMS-To", message.did),) if self._settings.sms_to_header else ()
        body = message.text.encode("utf-8", "replace")
        if account.reports:
            source = f"sip:{escape_user(message.peer)}@{account.domain}"
            body = asking(body, f"{job.delivery.id:x}", source, account.aor, message.created_at)
        return Outgoing(
            identity=job.delivery.id,
            attempt=job.attempt,
            aor=job.delivery.target,
            source=message.peer,
            content_type=cpim.TYPE if account.reports else TEXT,
            body=body,
            created_at=message.created_at,
            name="" if known is None else known.name,
            extra=extra,
        )

    def _outcome(self, verdict: Verdict, line: _Line, left: float) -> Outcome:
        if verdict.result is Result.UNREACHABLE:
            wait = WAITS[min(line.silent, len(WAITS) - 1)]
            line.silent += 1
            return Retry("phone_silent", min(wait, left), *verdict.away)
        line.silent = 0
        if verdict.result is Result.DELIVERED:
            return Delivered("delivered", verdict.status, verdict.reason)
        return Failed(str(verdict.result.value), verdict.status, verdict.reason)


def asking(body: bytes, message_id: str, source: str, aor: str, created_at: int) -> bytes:
    """A text in message/cpim that asks the phone for receipts (RFC 5438 §6)."""
    wishes = ", ".join(wish.value for wish in (Wish.POSITIVE, Wish.NEGATIVE, Wish.DISPLAY))
    return cpim.make_cpim(
        (
            ("From", f"<{source}>"),
            ("To", f"<{aor}>"),
            ("DateTime", datetime.fromtimestamp(created_at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
            ("NS", f"imdn <{cpim.IMDN_NAMESPACE}>"),
            ("imdn.Message-ID", message_id),
            ("imdn.Disposition-Notification", wishes),
        ),
        (("Content-Type", TEXT), ("Content-Length", str(len(body)))),
        body,
    )


def _nameless(failure: Failure) -> None:
    """A name is a courtesy: without it the text goes all the same."""
    log.warning("sip_contact_not_read", error=failure.getErrorMessage())


def _not_woken(failure: Failure) -> None:
    # It is tried all the same, at the time that was set before.
    log.error("sip_delivery_not_woken", error=failure.getErrorMessage())
