"""Delivery reports back to a phone that asked for them: a MESSAGE with an IMDN (RFC 5438 §7.2).

The delivery's target says whom and what for (see `edge.sip.senders`), its event what is told.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

import orjson
from twisted.internet.defer import Deferred, succeed

from edge.handlers import Delivered, Failed, Job, Outcome, Retry
from edge.sip.bindings import Bindings
from edge.sip.delivery import AWAY, Delivery, Outgoing, Result, Verdict
from edge.sip.senders import IMDN
from protocols.sip import cpim, imdn
from protocols.sip.uri import escape_user
from storage.sip_accounts import SipAccount

WAIT_SECONDS = 300.0
ATTEMPTS = 288  # a day
_WISHES = {"delivered": imdn.Wish.POSITIVE, "failed": imdn.Wish.NEGATIVE}
"""What a phone must have asked for to be told an event; of the others no report speaks (RFC 5438 §7.2.1)."""


class ImdnHandler:
    """I tell phones what became of their messages."""

    name = "imdn"
    ordered: ClassVar[bool] = False

    def __init__(
        self,
        domain: str,
        find: Callable[[str], SipAccount | None],
        bindings: Bindings,
        delivery: Delivery,
    ) -> None:
        self._domain = domain
        self._find = find
        self._bindings = bindings
        self._delivery = delivery

    def target_key(self, target: str) -> str:
        """See `edge.handlers.Handler`."""
        return str(orjson.loads(target.removeprefix(IMDN))["user"])

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        target = orjson.loads(job.delivery.target.removeprefix(IMDN))
        wish = _WISHES.get(job.delivery.event or "")
        if wish is None or wish.value not in target["wants"]:
            return succeed(Delivered("not_wanted"))
        account = self._find(target["user"])
        if account is None or account.account_id != job.delivery.account_id:
            return succeed(Failed("no_such_account"))  # the name may be another customer's by now
        late = self._delivery.late(job.delivery.id)
        if late is not None:
            return succeed(_outcome(late, job))
        bindings = self._bindings.of(account.id)
        if not bindings:
            return succeed(_again(job, "phone_off", AWAY))
        outgoing = self._outgoing(job, account, target["id"])
        return self._delivery.deliver(outgoing, bindings).addCallback(_outcome, job)

    def _outgoing(self, job: Job, account: SipAccount, message_id: str) -> Outgoing:
        at = datetime.fromtimestamp(job.delivery.created_at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        report = imdn.make_imdn(message_id, at, delivered=job.delivery.event == "delivered")
        body = cpim.make_cpim(
            (
                ("From", f"<sip:{escape_user(job.message.peer)}@{self._domain}>"),
                ("To", f"<{account.aor}>"),
                ("NS", f"imdn <{cpim.IMDN_NAMESPACE}>"),
                ("imdn.Message-ID", f"{job.delivery.id:x}"),
            ),
            (
                ("Content-Type", imdn.TYPE),
                ("Content-Disposition", "notification"),
                ("Content-Length", str(len(report))),
            ),
            report,
        )
        return Outgoing(
            identity=job.delivery.id,
            attempt=job.attempt,
            aor=account.aor,
            source=job.message.peer,
            content_type=cpim.TYPE,
            body=body,
            created_at=job.delivery.created_at,
        )


def _outcome(verdict: Verdict, job: Job) -> Outcome:
    match verdict.result:
        case Result.DELIVERED:
            return Delivered("delivered", verdict.status, verdict.reason)
        case Result.UNREACHABLE:
            return _again(job, "phone_silent", *verdict.away)
    return Failed(str(verdict.result.value), verdict.status, verdict.reason)


def _again(job: Job, outcome: str, status: int, excerpt: str | None = None) -> Outcome:
    if job.turn >= ATTEMPTS:
        return Failed("gave_up", status, excerpt)
    return Retry(outcome, WAIT_SECONDS, status, excerpt)
