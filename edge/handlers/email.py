"""The e-mail handler: a message goes to the DID's owner as a mail, the reply comes back as SMS (`edge.mail`).

One delivery for each address. Its mail keeps its Message-ID over all attempts, so whoever gets it twice can
tell. The conversation's token stands in From and Reply-To, in the subject and in the references; the envelope
sender is made of the delivery's id, so that what bounces tells which mail it was.

A delivery with an event is about a message that came in by mail: its sender is told when that was not sent,
and by setting when the carrier could not deliver it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar
from urllib.parse import parse_qs, quote, unquote, urlencode

from twisted.internet.defer import Deferred

from edge.handlers import EXCERPT_CHARACTERS, Delivered, Failed, Job, Outcome, Retry
from edge.handlers.base import DIDHandler, Key, Rules, SettingError, Settings, Tools
from edge.mail.listed import HANDLER, listed
from edge.mail.writing import ADDRESS_REMOVED, NotListed, NotWanted, Writing
from protocols.mail import address
from protocols.mail.address import Address, NotAnAddress
from protocols.mail.smtp import Envelope, Verdict
from storage.errors import StoreUnavailable
from storage.records import MessageStatus

MAX_ADDRESSES = 10
WAITS = (60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0)  # then the last one again and again
JITTER = 0.1
RETRY_SECONDS = 30.0
SERVICE_NOT_AVAILABLE = 421
MAILTO = "mailto:"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a mail is tried."""

    give_up_seconds: float
    random: Random

    def after(self, attempt: int) -> float:
        """Seconds until the next attempt."""
        wait = WAITS[min(attempt, len(WAITS)) - 1]
        return wait * (1 + JITTER * (2 * self.random.random() - 1))


class EmailHandler(DIDHandler):
    """I write mails, and leave it to ``send`` to bring them away."""

    name = HANDLER
    main = "to"
    attempt_seconds = 1_800.0  # a mail server may take minutes for each answer (RFC 5321 §4.5.3.2)
    keys: ClassVar[tuple[Key, ...]] = (
        Key("to", "text", f"one address, or up to {MAX_ADDRESSES} with commas between", "addresses"),
        Key("html", "switch", "the mail has an HTML part too"),
        Key("failures", "switch", "a mail also when the carrier took a reply and did not deliver it"),
    )

    def __init__(
        self,
        writing: Writing,
        send: Callable[[Envelope], Deferred[Verdict]],
        key: Callable[[str], str],
        patience: Patience,
    ) -> None:
        self._writing = writing
        self._send = send
        self._key = key
        self._patience = patience
        self.give_up_seconds = patience.give_up_seconds

    @classmethod
    def available(cls, tools: Tools) -> bool:
        """See `DIDHandler`: only with [mail]."""
        return tools.email is not None

    @classmethod
    def build(cls, tools: Tools) -> "EmailHandler":
        """The one of the server's mail side."""
        assert tools.email is not None
        return tools.email

    @classmethod
    def check(cls, settings: dict[str, object], rules: Rules) -> dict[str, object]:
        """Each address is read strictly, and kept once."""
        to = settings.get("to")
        if isinstance(to, str) and to:
            written = [item.strip() for item in to.split(",") if item.strip()]
            try:
                found = {(parsed := address.parse(item)).key: str(parsed) for item in written}
            except NotAnAddress as error:
                raise SettingError("email_to", f"{error}.") from error
            if not 1 <= len(found) <= MAX_ADDRESSES:
                raise SettingError("email_to", f"expected 1 to {MAX_ADDRESSES} addresses.")
            settings["to"] = ",".join(found.values())
        return settings

    @classmethod
    def targets(cls, settings: Settings, peer: str) -> Sequence[str]:
        """Each address."""
        return listed(settings)

    def target_key(self, target: str) -> str:
        """The smarthost, or the domain whose servers are asked."""
        return self._key(recipient_of(target).domain)

    def unwell(self, outcome: Outcome) -> bool:
        """A server that judges a recipient or a mail is well, whatever it says."""
        return isinstance(outcome, Retry) and outcome.status_code in (None, SERVICE_NOT_AVAILABLE)

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        return Deferred.fromCoroutine(self._deliver(job))

    async def _deliver(self, job: Job) -> Outcome:
        event = job.delivery.event
        if event is not None and event != MessageStatus.FAILED:
            return Delivered("not_wanted")
        try:
            to = recipient_of(job.delivery.target)
            envelope = await (self._of_failure(job, to) if event else self._of_text(job, to))
        except NotWanted:
            return Delivered("not_wanted")
        except NotListed as error:
            return Failed(ADDRESS_REMOVED, excerpt=str(error)[:EXCERPT_CHARACTERS])
        except NotAnAddress as error:
            return Failed("bad_address", excerpt=str(error)[:EXCERPT_CHARACTERS])
        except StoreUnavailable as error:
            return Retry("unavailable", RETRY_SECONDS, excerpt=str(error)[:EXCERPT_CHARACTERS])
        if envelope is None:
            return Failed("unknown_did")
        return self._outcome(await self._send(envelope), job)

    def _of_text(self, job: Job, to: Address) -> Deferred[Envelope | None]:
        html = job.settings.get("html") is True
        return self._writing.text(job.message, job.delivery.id, to, html)

    def _of_failure(self, job: Job, to: Address) -> Deferred[Envelope | None]:
        thread, each = in_reply_to(job.delivery.target), job.settings.get("failures") is True
        return self._writing.failure(job.message, job.delivery.id, to, thread, each)

    def _outcome(self, verdict: Verdict, job: Job) -> Outcome:
        status = None if verdict.reply is None else verdict.reply.code or None
        excerpt = str(verdict)[:EXCERPT_CHARACTERS]
        if verdict.outcome == "sent":
            return Delivered("sent", status, excerpt)
        if verdict.final:
            return Failed(verdict.outcome, status, excerpt)
        return Retry(verdict.outcome, self._patience.after(job.turn), status, excerpt)


def status_target(to: Address, message_id: str) -> str:
    """The status target of a message that came by mail (RFC 6068): whom to tell, and in which thread."""
    thread = {"in-reply-to": message_id} if message_id else {}
    return f"{MAILTO}{quote(str(to), safe='@')}?{urlencode(thread)}".removesuffix("?")


def recipient_of(target: str) -> Address:
    """The address in a delivery's target. Raises NotAnAddress."""
    bare = target.removeprefix(MAILTO)
    return address.parse(unquote(bare.partition("?")[0]) if target != bare else bare)


def in_reply_to(target: str) -> str:
    """The Message-ID in a status target, or ""."""
    if not target.startswith(MAILTO):
        return ""
    return parse_qs(target.partition("?")[2]).get("in-reply-to", [""])[0]
