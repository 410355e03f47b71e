"""Replies, bounces and new mail: what comes in becomes an SMS, or is answered with why it does not.

    mail ─ parsed ─┬─ to postmaster ───────► the operator's own server
                   ├─ to a bounce address ─► the delivery that it is about has failed
                   ├─ nobody wrote it ─────► taken and dropped, once logged
                   └─ token or number ─ author ─ proven? ─ seen? ─ rate ─► one transaction: SMS + seen +
                   notices

The reply to the final dot waits for the commit; when the store fails it is 452, and the sender tries again.
Who may not write is refused in the session, so that his own server tells him; who may, and whose text still
cannot go, gets a notice in the thread (`edge.mail.notices`). A mail that comes again, as after a 250 that
was lost, is known by what the same transaction kept of it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import islice

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredSemaphore

from edge.config_mail import MailConfig
from edge.errors import Refused, Unavailable
from edge.handlers.email import status_target
from edge.mail.addresses import BOUNCE, Addresses, ToBounces, ToConversation, ToNumber, ToPostmaster
from edge.mail.authentication import Arrival, Authenticator, InThread, Proof, Unproven
from edge.mail.owners import Owners, addresses_of, author_key
from edge.mail.postmaster import Postmaster
from edge.mail.reading import Intricate, Read, read
from edge.mail.writing import binding
from edge.outbound import Accepted, Draft
from protocols.mail import bounce, token
from protocols.mail.address import Address, one_line
from protocols.mail.bounce import Bounce
from protocols.mail.smtp import Reply
from protocols.mail.token import KeyRing
from storage import mail
from storage.errors import Conflict, StoreUnavailable
from storage.records import DeliveryState, Did, MailConversation, MailNotice, SeenMail
from storage.statements import Write
from storage.store import Store

log = structlog.get_logger(__name__)

LEG = "email"
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
EXCERPT = 500
NAMES_SHOWN = 10
MAX_CANDIDATES = 10
ALIKE_READ, MAX_ALIKE = 100, 3
"""So many of one wording in an hour, and one more above the limit is a program's."""
READ_AT_ONCE = 2  # a mail in pieces takes several times its octets, and others need the threads too

_DIGITS = re.compile(r"\d+")

TAKEN = Reply(250, "2.0.0 Taken")
NO_REPLIES = Reply(550, "5.7.1 Replies are not taken here")
NO_TOKEN = Reply(
    550, "5.7.1 Nothing in this mail says which conversation it belongs to: reply to a mail of ours"
)
NOT_YOURS = Reply(550, "5.7.1 You may not write here from this address")
NO_AUTHOR = Reply(550, "5.7.1 From must be one plain address")
NOT_PROVEN = Reply(
    550,
    "5.7.1 The mail is not proven to be from its author: neither SPF of that domain,"
    " nor a DKIM signature of these days that covers To",
)
NOT_ADDRESSED = Reply(550, "5.7.1 To or Cc must name this address")
WHICH_NUMBER = Reply(
    550, "5.7.1 Several customers have your address: write to <number>+<your number>@ this domain, once"
)
NOT_NOW = Reply(451, "4.7.0 The author cannot be proven now; try again")
TOO_MANY = Reply(450, "4.7.1 Too many messages in this conversation in a short time; try again later")
ALIKE = Reply(550, "5.7.1 Too many messages like this one in a short time: wait, then send it again")
STORE_AWAY = Reply(452, "4.3.1 The mail could not be stored; try again")
TOO_LARGE = Reply(552, "5.3.4 The mail is too large")
UNREADABLE = Reply(554, "5.6.0 The mail has too many parts or headers to be read")
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


class Dropped(Exception):
    """The end of a mail that becomes no SMS; ``reply`` is for the session."""

    def __init__(self, reason: str, reply: Reply) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


@dataclass(frozen=True, slots=True)
class _Case:
    """A mail whose author may write to this conversation. ``author`` is who may be told what became of it:
    one of the DID's addresses; a mail to anybody else would take the token, and the blame, to a stranger.
    """

    did: Did
    conversation: MailConversation
    author: Address | None
    read: Read
    keys: tuple[bytes, ...]
    at: int

    def seen(self, outcome: str, message_id: int | None = None) -> list[Write]:
        """What is kept of it: the first key says what it became, by the others it is known too. Of a first
        message, that its author writes for this account."""
        about, at = self.conversation.id, self.at
        writes = mail.insert_seen(SeenMail(self.keys[0], about, at, outcome, message_id))
        for mark in self.keys[1:]:
            writes += mail.insert_seen(SeenMail(mark, about, at, mail.SIGNATURE))
        if outcome == mail.SENT and self.author is not None:
            writes += mail.know_author(author_key(self.did.account_id, self.author), about, at)
        return writes


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
        self._ring: KeyRing = config.ring
        self._addresses = addresses
        self._did = did
        self._owners = owners
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
        match self._addresses.judge(recipient):
            case ToPostmaster():
                await self._forward(arrival, found)
            case ToBounces(written):
                said = bounce.read(found.message)
                if said is None and found.automatic is None:  # a client that answers the envelope's sender
                    await self._send(await self._replied(found, proof, recipient, ""))
                else:
                    await self._bounced(written, said)
            case ToConversation(written):
                self._is_a_persons(found)
                await self._send(await self._replied(found, proof, recipient, written))
            case ToNumber() as wanted:
                self._is_a_persons(found)
                case = await self._began(found, proof, recipient, wanted)
                if case is not None:
                    await self._send(case)
            case Reply() as refusal:
                raise Dropped("no_such_address", refusal)

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
            raise Dropped("not_forwarded", refusal)
        self.counters.forwarded += 1

    # -- which conversation, and whether the author may -------------------------------------------

    async def _replied(self, found: Read, proof: Proof, recipient: str, written: str) -> _Case:
        if self._config.replies == "off":
            raise Dropped("replies_off", NO_REPLIES)
        conversation = await self._conversation(written, found.places)
        did = None if conversation is None else self._did(conversation.did)
        if conversation is None or did is None or did.account_id != conversation.account_id:
            raise Dropped("no_valid_token", NO_TOKEN)
        known = addresses_of(did)
        if not known:
            raise Dropped("handler_off", NO_REPLIES)
        author = found.author if isinstance(found.author, Address) else None
        marks: list[bytes] = []
        if self._config.replies != "token":
            if author is None:
                raise Dropped("no_author", NO_AUTHOR)
            if author.key not in known:
                raise Dropped("foreign_author", NOT_YOURS)
            if self._config.replies == "authenticated" and self._provable(found):
                await _prove(proof, author, _naming(found, recipient), by_host=True)
                marks = proof.marks(author, recipient)
        told = author if author is not None and author.key in known else None
        return self._case(did, conversation, told, found, marks)

    def _provable(self, found: Read) -> bool:
        """A signature cannot be verified without the body. Nothing is sent of such a mail, and only an
        address of the DID's is told so."""
        return found.whole or bool(self._config.authserv_id)

    async def _conversation(self, written: str, places: Sequence[str]) -> MailConversation | None:
        """The conversation of the first token that is one of ours and not revoked.

        Where something is ``written`` in the address, it says which: the other places may only mend it.
        """
        named = token.conversation_of(written)
        for candidate in islice(token.find([written, *places]), MAX_CANDIDATES):
            if written and candidate.conversation != named:
                continue
            known = await self._store.read(mail.find_conversation, candidate.conversation)
            genuine = known is not None and self._ring.verifies(candidate, binding(known))
            if known is not None and genuine and known.revoked_at is None:
                return known
        return None

    async def _began(self, found: Read, proof: Proof, recipient: str, wanted: ToNumber) -> _Case | None:
        """New mail to a number: from an address that DIDs have, named in the mail itself, so that an old
        mail of theirs that somebody kept cannot be sent here once more. None: which DID it is from the author
        has been asked."""
        if self._config.new_mail == "off":
            raise Dropped("new_mail_off", NO_REPLIES)
        if not isinstance(found.author, Address):
            raise Dropped("no_author", NO_AUTHOR)
        owned = await self._owners.dids(found.author)
        dids = [did for did in owned if wanted.did in (None, did.number)]
        if not dids:
            raise Dropped("foreign_author", NOT_YOURS)
        naming, marks = _naming(found, recipient), []
        if self._config.new_mail == "authenticated":
            await _prove(proof, found.author, naming, by_host=False)
            marks = proof.marks(found.author, recipient)
        dids = await self._of_one_account(found.author, dids)
        did = dids[0]
        ids, now_ms = self._store.ids.next, self._wall_ms()
        conversation = await self._store.writer.run(
            "mail conversation",
            lambda connection: mail.conversation(connection, ids, did, wanted.number, now_ms),
        )
        case = self._case(did, conversation, found.author, found, marks)
        if len(dids) > 1:
            if await self._seen(case):
                return None
            numbers = ", ".join(other.number for other in dids)
            example = f"{wanted.number.removeprefix('+')}+{did.number[1:]}@{self._addresses.domain}"
            sentence = f"Not sent: several of your numbers ({numbers}) have this address. Write to {example}."
            await self._only_tell(case, "ambiguous", sentence)
            return None
        return case

    async def _of_one_account(self, author: Address, dids: list[Did]) -> list[Did]:
        """Every customer may name any address, so of several the one counts for whom its owner wrote first;
        the numbers of the others are not even said."""
        keys = {did.account_id: author_key(did.account_id, author) for did in dids}
        if len(keys) == 1:
            return dids
        since = await self._store.read(mail.known_since, [*keys.values()])
        known = [account_id for account_id, key in keys.items() if key in since]
        if not known:
            raise Dropped("several_accounts", WHICH_NUMBER)
        first = min(known, key=lambda account_id: since[keys[account_id]])
        return [did for did in dids if did.account_id == first]

    def _case(
        self,
        did: Did,
        conversation: MailConversation,
        author: Address | None,
        found: Read,
        marks: Sequence[bytes],
    ) -> _Case:
        keys = found.key(str(conversation.id)), *marks
        return _Case(did, conversation, author, found, keys, self._wall_ms())

    # -- the SMS ----------------------------------------------------------------------------------

    async def _send(self, case: _Case) -> None:
        if await self._seen(case):
            return
        problem = _unsendable(case.read)
        if problem is not None:
            await self._only_tell(case, *problem)
            return
        await self._not_too_many(case)
        draft = Draft(
            case.did.account_id,
            case.did.number,
            case.conversation.peer,
            case.read.reply.text,
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

    async def _seen(self, case: _Case) -> bool:
        """Did this mail come before?"""
        if not await self._store.read(mail.was_seen, case.keys):
            return False
        self.counters.repeated += 1
        log.info("mail_repeated", message_id=case.read.message_id[:100])
        return True

    def _kept(self, case: _Case, message_id: int) -> list[Write]:
        """What is stored with the message: that this mail was seen, and what could not be sent of it."""
        writes = case.seen(mail.SENT, message_id)
        names = case.read.reply.attachments
        if names and case.author is not None:
            shown = ", ".join(names[:NAMES_SHOWN])
            sentence = f"The text was sent, its attachments were not: {shown}."
            writes += mail.insert_notice(self._notice(case, "attachments_not_sent", sentence))
        return writes

    def _status_target(self, case: _Case) -> str | None:
        return None if case.author is None else status_target(case.author, case.read.message_id)

    async def _not_too_many(self, case: _Case) -> None:
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

    async def _only_tell(self, case: _Case, code: str, sentence: str) -> None:
        """Keep that the mail was seen, and owe its author a notice; or refuse it, where there is nobody to be
        told but whoever brings it."""
        if case.author is None:
            raise Dropped(code, Reply(550, f"5.7.1 {one_line(sentence).encode('ascii', 'replace').decode()}"))
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

    def _notice(self, case: _Case, code: str, sentence: str) -> MailNotice:
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
        delivery_id = next(
            (item.conversation for item in token.find([written]) if self._ring.verifies(item, BOUNCE)), None
        )
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


async def _prove(proof: Proof, author: Address, naming: str, by_host: bool) -> None:
    if not await proof.holds(author, naming, by_host):
        raise Dropped("not_proven", NOT_PROVEN)


def _naming(found: Read, recipient: str) -> str:
    """The header in which the mail names us: one of the author's to somebody else, which that one or a third
    sends here, does not."""
    naming = found.naming(recipient)
    if naming is None:
        raise Dropped("not_addressed", NOT_ADDRESSED)
    return naming


def _unsendable(found: Read) -> tuple[str, str] | None:
    """Why nothing in this mail can be an SMS: a code and a sentence."""
    if not found.whole:
        return "too_large", "Not sent: the mail is too large. Send it again without attachments."
    if found.reply.sealed:
        return "encrypted", "Not sent: the mail is encrypted. Send it again without encryption."
    if not found.reply.text:
        extra = "; attachments cannot be sent" if found.reply.attachments else ""
        return "empty", f"Not sent: there is no text above the quotation{extra}."
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
