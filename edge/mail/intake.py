"""Replies, bounces and new mail: what comes in becomes an SMS, or is answered with why it does not.

    mail ─ parsed ─┬─ to postmaster ───────► the operator's own server
                   ├─ to a bounce address ─► the delivery that it is about has failed
                   ├─ nobody wrote it ─────► taken and dropped, once logged
                   └─ token or number ─ author ─ proven? ─ seen? ─ rate ─► one transaction: SMS + seen +
                   notices

The reply to the final dot waits for the commit; when the store fails it is 452, and the sender tries again.
Who may not write (`edge.mail.admission`) is refused in the session, so that his own server tells him; who
may, and whose text still cannot go, gets a notice in the thread (`edge.mail.notices`). A mail that comes
again, as after a 250 that was lost, is known by what the same transaction kept of it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredSemaphore

from edge.config_mail import MailConfig
from edge.errors import Refused, Unavailable
from edge.handlers.email import status_target
from edge.mail.addresses import Addresses, ToBounces, ToConversation, ToNumber, ToPostmaster
from edge.mail.admission import NO_TOKEN, Admission, Case, Dropped
from edge.mail.authentication import FRESH_SECONDS, Arrival, Authenticator, InThread, Proof, Unproven
from edge.mail.owners import Owners
from edge.mail.postmaster import LOOPS, Postmaster
from edge.mail.reading import Intricate, Read, read
from edge.mail.tokens import Tokens
from edge.outbound import MAX_CHARACTERS, Accepted, Draft
from protocols.mail import bounce
from protocols.mail.address import one_line
from protocols.mail.body import CUT
from protocols.mail.bounce import Bounce
from protocols.mail.smtp import Reply
from storage import mail
from storage.errors import Conflict, StoreUnavailable
from storage.records import DeliveryState, Did, MailNotice
from storage.statements import Write
from storage.store import Store

log = structlog.get_logger(__name__)

LEG = "email"
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
EXCERPT = 500
NAMES_SHOWN = 10
ALIKE_READ, MAX_ALIKE = 100, 3
"""So many of one wording in an hour, and one more above the limit is a program's."""
READ_AT_ONCE = 2  # a mail in pieces takes several times its octets, and others need the threads too

_DIGITS = re.compile(r"\d+")

TAKEN = Reply(250, "2.0.0 Taken")
NOT_NOW = Reply(451, "4.7.0 The author cannot be proven now; try again")
TOO_MANY = Reply(450, "4.7.1 Too many messages in this conversation in a short time; try again later")
ALIKE = Reply(550, "5.7.1 Too many messages like this one in a short time: wait, then send it again")
STORE_AWAY = Reply(452, "4.3.1 The mail could not be stored; try again")
TOO_LARGE = Reply(552, "5.3.4 The mail is too large")
UNREADABLE = Reply(554, "5.6.0 The mail has too many parts or headers to be read")
TOO_OLD = Reply(550, "5.7.1 The mail is too old to tell whether it was sent before")
BROKEN = Reply(451, "4.3.0 Something went wrong here; try again")


@dataclass(slots=True)
class Counters:
    """What came in since the start, for operators."""

    sent: int = 0
    repeated: int = 0
    automatic: int = 0
    refused: int = 0
    put_off: int = 0
    notices: int = 0
    bounces: int = 0
    forwarded: int = 0
    not_stored: int = 0

    def items(self) -> list[tuple[str, int]]:
        """Names and values."""
        return [(item.name, getattr(self, item.name)) for item in fields(self)]


class Intake:
    """I take mails. ``told``: a notice was committed, and may go out."""

    def __init__(
        self,
        config: MailConfig,
        addresses: Addresses,
        did: Callable[[str], Did | None],
        owners: Owners,
        authenticator: Authenticator,
        submit: Callable[[Draft, Callable[[int], Sequence[Write]]], Deferred[Accepted]],
        store: Store,
        in_thread: InThread,
        wall_ms: Callable[[], int],
        told: Callable[[], None],
        postmaster: Postmaster | None = None,
    ) -> None:
        self.counters = Counters()
        self._config = config
        self._addresses = addresses
        self._tokens = Tokens(config.ring, store)
        self._admission = Admission(config, addresses, did, owners, self._tokens, store, wall_ms)
        self._authenticator = authenticator
        self._submit = submit
        self._store = store
        self._in_thread = in_thread
        self._wall_ms = wall_ms
        self._told = told
        self._postmaster = postmaster
        self._reading = DeferredSemaphore(READ_AT_ONCE)

    def accepts(self, recipient: str) -> Reply | None:
        """See `protocols.mail.transport.Receiver`."""
        judged = self._addresses.judge(recipient)
        return judged if isinstance(judged, Reply) else None

    def take(self, arrival: Arrival, recipients: Sequence[str]) -> Deferred[list[Reply]]:
        """What became of a mail, for each recipient. Never fails."""
        return Deferred.fromCoroutine(self._take(arrival, recipients))

    async def _take(self, arrival: Arrival, recipients: Sequence[str]) -> list[Reply]:
        try:
            found = await self._reading.run(
                self._in_thread, lambda: read(arrival.octets, arrival.sender, arrival.whole)
            )
        except Intricate as error:
            self.counters.refused += len(recipients)
            log.info("mail_dropped", reason="unreadable", detail=str(error), peer=arrival.peer)
            return [UNREADABLE for _ in recipients]
        except Exception as error:
            log.error("mail_not_read", error=repr(error))
            return [BROKEN for _ in recipients]
        proof = Proof(self._authenticator, arrival, found.message, self._wall_ms() // 1_000)
        return [await self._answer(arrival, found, proof, recipient) for recipient in recipients]

    async def _answer(self, arrival: Arrival, found: Read, proof: Proof, recipient: str) -> Reply:
        try:
            await self._work(arrival, found, proof, recipient)
        except Dropped as error:
            self._say_dropped(error, arrival, found, recipient)
            return error.reply
        except Unproven as error:
            log.warning("mail_author_unproven", error=str(error), message_id=found.message_id)
            return NOT_NOW
        except (StoreUnavailable, Unavailable) as error:
            self.counters.not_stored += 1
            log.debug("mail_not_stored", error=str(error))
            return STORE_AWAY
        except Exception as error:
            log.exception("mail_not_taken", error=repr(error))
            return BROKEN
        return TAKEN

    def _say_dropped(self, error: Dropped, arrival: Arrival, found: Read, recipient: str) -> None:
        if error.reply.code == TAKEN.code:
            self.counters.automatic += 1
        elif error.reply.code < 500:
            self.counters.put_off += 1
        else:
            self.counters.refused += 1
        log.info(
            "mail_dropped",
            reason=error.reason,
            peer=arrival.peer,
            sender=arrival.sender[:100],
            recipient=recipient[:100],
            message_id=found.message_id[:100],
        )

    async def _work(self, arrival: Arrival, found: Read, proof: Proof, recipient: str) -> None:
        self._is_of_these_days(arrival)
        match self._addresses.judge(recipient):
            case ToPostmaster():
                await self._forward(arrival, found)
            case ToBounces(written):
                said = bounce.read(found.message)
                if said is None and found.automatic is None:  # a client that answers the envelope's sender
                    await self._send(await self._admission.reply(found, proof, recipient, ""))
                else:
                    await self._bounced(written, said)
            case ToConversation(written):
                self._is_a_persons(found)
                if found.away:  # a person's answer has the subject of our mail
                    raise Dropped("subject", TAKEN)
                await self._send(await self._admission.reply(found, proof, recipient, written))
            case ToNumber() as wanted:
                self._is_a_persons(found)
                await self._send(await self._admission.new_mail(found, proof, recipient, wanted))
            case Reply() as refusal:
                raise Dropped("no_such_address", refusal)

    def _is_of_these_days(self, arrival: Arrival) -> None:
        """What is older than what is still known of mails may have been sent."""
        if arrival.at is not None and arrival.at < self._wall_ms() // 1_000 - FRESH_SECONDS:
            raise Dropped("too_old", TOO_OLD)

    def _is_a_persons(self, found: Read) -> None:
        """What a program wrote is taken without a word: an answer would be the next turn of a loop."""
        if found.automatic is not None:
            raise Dropped(found.automatic, TAKEN)

    async def _forward(self, arrival: Arrival, found: Read) -> None:
        assert self._postmaster is not None
        if not found.whole:
            raise Dropped("too_large", TOO_LARGE)
        refusal = await self._postmaster.forward(arrival, found.message)
        if refusal is not None:
            raise Dropped("loop" if refusal is LOOPS else "not_forwarded", refusal)
        self.counters.forwarded += 1

    # -- the SMS ----------------------------------------------------------------------------------

    async def _send(self, case: Case) -> None:
        if await self._seen(case):
            return
        problem = _unsendable(case)
        if problem is not None:
            await self._only_tell(case, *problem)
            return
        await self._not_too_many(case)
        draft = Draft(
            case.did.account_id,
            case.did.number,
            case.conversation.peer,
            await self._tokens.blanked(case.read.reply.text),
            LEG,
            self._status_target(case),
        )
        try:
            await self._submit(draft, lambda message_id: self._kept(case, message_id))
        except Refused as error:
            await self._only_tell(case, error.code, f"Not sent: {error.sentence}")
            return
        except Conflict:  # it came over two connections at once
            if await self._seen(case):
                return
            raise
        self.counters.sent += 1
        if case.read.reply.attachments and case.author is not None:
            self._told()

    async def _seen(self, case: Case) -> bool:
        """Did this mail come before?"""
        if not await self._store.read(mail.was_seen, case.keys):
            return False
        self.counters.repeated += 1
        log.info("mail_repeated", message_id=case.read.message_id[:100])
        return True

    def _kept(self, case: Case, message_id: int) -> list[Write]:
        """What is stored with the message: that this mail was seen, and what could not be sent of it."""
        writes = case.seen(mail.SENT, message_id)
        names = case.read.reply.attachments
        if names and case.author is not None:
            shown = ", ".join(names[:NAMES_SHOWN])
            sentence = f"The text was sent, its attachments were not: {shown}."
            writes += mail.insert_notice(self._notice(case, "attachments_not_sent", sentence))
        return writes

    def _status_target(self, case: Case) -> str | None:
        return None if case.author is None else status_target(case.author, case.read.message_id)

    async def _not_too_many(self, case: Case) -> None:
        """Above what a person writes, his server keeps the mail and brings it later. Only where it says what
        others said shortly before is it refused for good: so ends what a program in disguise goes on with,
        and its author, if it has one, is told by his own server.
        """
        minute, hour = await self._store.read(_recent, case.conversation.id, case.at)
        if minute < self._config.per_minute and hour < self._config.per_hour:
            return
        said = await self._store.read(mail.texts_sent, case.conversation.id, case.at - HOUR_MS, ALIKE_READ)
        wording = _wording(case.read.reply.text)
        if [_wording(text) for text in said].count(wording) >= MAX_ALIKE:
            raise Dropped("too_many_alike", ALIKE)
        raise Dropped("too_many", TOO_MANY)

    # -- what is told instead -----------------------------------------------------------------------

    async def _only_tell(self, case: Case, code: str, sentence: str) -> None:
        """Keep that the mail was seen, and owe its author a notice; or refuse it, where there is nobody to be
        told but whoever brings it."""
        if case.author is None:
            raise Dropped(code, Reply(550, f"5.7.1 {one_line(sentence).encode('ascii', 'replace').decode()}"))
        told = await self._store.read(mail.count_told, case.conversation.id, case.at - HOUR_MS)
        if told >= self._config.per_hour:  # who answers notices all the same is a program that hides it
            raise Dropped("too_many_alike", ALIKE)
        try:
            await self._store.writer.write(
                case.seen(code) + mail.insert_notice(self._notice(case, code, sentence))
            )
        except Exception as error:
            if self._store.engine.contradicted(error) and await self._seen(case):
                return
            raise
        self.counters.notices += 1
        log.info("mail_not_sent", code=code, did=case.did.number, message_id=case.read.message_id[:100])
        self._told()

    def _notice(self, case: Case, code: str, sentence: str) -> MailNotice:
        assert case.author is not None
        return MailNotice(
            id=self._store.ids.next(),
            account_id=case.did.account_id,
            did=case.did.number,
            peer=case.conversation.peer,
            recipient=str(case.author),
            code=code,
            sentence=sentence,
            excerpt=case.read.reply.text[:EXCERPT],
            in_reply_to=case.read.message_id,
            state=DeliveryState.PENDING,
            attempts=0,
            due_at=case.at,
            created_at=case.at,
        )

    # -- bounces ------------------------------------------------------------------------------------

    async def _bounced(self, written: str, said: Bounce | None) -> None:
        delivery_id = self._tokens.delivery(written)
        if delivery_id is None:
            raise Dropped("no_valid_token", NO_TOKEN)
        if said is None or not said.failed:
            raise Dropped("no_bounce" if said is None else "delayed", TAKEN)
        detail, now_ms = said.detail, self._wall_ms()
        new = await self._store.writer.run(
            "bounce", lambda connection: mail.record_bounce(connection, delivery_id, detail, now_ms)
        )
        if new:
            self.counters.bounces += 1
            log.warning("mail_bounced", delivery=delivery_id, detail=detail)


def _unsendable(case: Case) -> tuple[str, str] | None:
    """Why nothing in this mail can be an SMS: a code and a sentence."""
    found = case.read
    if case.asked:
        return "ambiguous", case.asked
    if not found.whole:
        return "too_large", "Not sent: the mail is too large. Send it again without attachments."
    if found.reply.sealed:
        return "encrypted", "Not sent: the mail is encrypted. Send it again without encryption."
    if not found.reply.text:
        extra = "; attachments cannot be sent" if found.reply.attachments else ""
        return "empty", f"Not sent: there is no text above the quotation{extra}."
    if CUT in found.reply.text or len(found.reply.text) > MAX_CHARACTERS:
        return "text_too_long", f"Not sent: a text has {MAX_CHARACTERS} characters at most."
    return None


def _recent(connection: Connection, conversation_id: int, at_ms: int) -> tuple[int, int]:
    """Sent in the last minute, and in the last hour."""
    return (
        mail.count_sent(connection, conversation_id, at_ms - MINUTE_MS),
        mail.count_sent(connection, conversation_id, at_ms - HOUR_MS),
    )


def _wording(text: str) -> str:
    """A text without what a program counts or dates it with."""
    return " ".join(_DIGITS.sub("0", text).casefold().split())
