"""The mails that the server writes: what is known of a message and its conversation becomes an envelope."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.carrier_errors import FAILED, GIVEN_UP, OPTED_OUT, first_error
from edge.handlers.callback import plain
from edge.mail.addresses import BOUNCE, Addresses
from edge.mail.listed import addresses_of
from protocols.mail import compose
from protocols.mail.address import Address, one_line
from protocols.mail.compose import Notice, Text, Thread
from protocols.mail.dkim import Signer
from protocols.mail.smtp import Envelope
from protocols.mail.token import KeyRing
from storage import contacts, mail, messages
from storage.records import Did, MailConversation, MailNotice, MessageFlag, MessageRecord
from storage.store import Store

_REMARKS = {
    MessageFlag.INCOMPLETE: "Parts of this message are missing.",
    MessageFlag.POSSIBLE_DUPLICATE: "This message may have come twice.",
    MessageFlag.UNDECODABLE: "This message could not be read as it was sent.",
}
_FAILED = "This message was not delivered."
ADDRESS_REMOVED = "address_removed"
"""The outcome of what is not written since an address is not listed any more."""


class NotWanted(Exception):
    """Nobody asked to be told of this."""


class NotListed(Exception):
    """The address is no longer one of the DID's; the text says so."""


def binding(conversation: MailConversation) -> bytes:
    """All that a conversation's token stands for; see `protocols.mail.token`."""
    return f"{conversation.account_id}\0{conversation.did}\0{conversation.peer}".encode()


class Writing:
    """I write for one domain. ``answers``: replies are taken, so mails may ask for them."""

    def __init__(
        self,
        addresses: Addresses,
        ring: KeyRing,
        subject: str,
        answers: bool,
        signer: Signer | None,
        did: Callable[[str], Did | None],
        store: Store,
        wall_ms: Callable[[], int],
    ) -> None:
        self._addresses = addresses
        self._ring = ring
        self._subject = subject
        self._answers = answers
        self._signer = signer
        self._did = did
        self._store = store
        self._wall_ms = wall_ms

    def text(
        self, message: MessageRecord, delivery_id: int, to: Address, html: bool
    ) -> Deferred[Envelope | None]:
        """A message on its way to somebody; None when nobody has its DID any more. Errback NotListed when
        he is not to have it any more: so with all that is written."""
        return Deferred.fromCoroutine(self._text(message, delivery_id, to, html))

    def failure(
        self, message: MessageRecord, delivery_id: int, to: Address, in_reply_to: str, each: bool
    ) -> Deferred[Envelope | None]:
        """A message that came by mail and was not delivered, to whoever wrote it.

        Errback NotWanted when the carrier had taken it, unless ``each`` failure is told.
        """
        return Deferred.fromCoroutine(self._failure(message, delivery_id, to, in_reply_to, each))

    def notice(self, notice: MailNotice) -> Deferred[Envelope | None]:
        """What became of a mail, to whoever wrote it."""
        return Deferred.fromCoroutine(self._notice(notice))

    async def _text(
        self, message: MessageRecord, delivery_id: int, to: Address, html: bool
    ) -> Envelope | None:
        did = self._did(message.did)
        if did is None or did.account_id != message.account_id:
            return None
        _is_listed(did, to)
        token, thread = await self._thread(did, message.peer)
        text = Text(
            body=message.text,
            subject=self._subject_of(token, thread),
            at=_time(message.created_at),
            identity=message.id,
            html=html,
            remarks=tuple(said for flag, said in _REMARKS.items() if message.flags & flag),
        )
        message_id = _within(thread, f"{delivery_id:x}")
        octets = compose.text_mail(thread, to, message_id, text, self._answers)
        sender = ""
        if self._answers:
            sender = str(self._addresses.bounce(self._ring.make(delivery_id, BOUNCE)))
        return self._envelope(sender, to, octets)

    async def _failure(
        self, message: MessageRecord, delivery_id: int, to: Address, in_reply_to: str, each: bool
    ) -> Envelope | None:
        did = self._did(message.did)
        if did is None or did.account_id != message.account_id:
            return None
        _is_listed(did, to)
        view = await self._store.read(messages.get, did.account_id, message.id)
        parts = () if view is None else view.parts
        if not (each or any(part.state in FAILED and part.smsc_message_id is None for part in parts)):
            raise NotWanted
        code, sentence = _told(message, first_error(parts))
        return await self._reply(
            did, message.peer, delivery_id, to, in_reply_to, code, sentence, message.text
        )

    async def _notice(self, notice: MailNotice) -> Envelope | None:
        did = self._did(notice.did)
        if did is None or did.account_id != notice.account_id:
            return None
        to = Address(*notice.recipient.rsplit("@", 1))
        _is_listed(did, to)
        return await self._reply(
            did, notice.peer, notice.id, to, notice.in_reply_to, notice.code, notice.sentence, notice.excerpt
        )

    async def _reply(
        self,
        did: Did,
        peer: str,
        identity: int,
        to: Address,
        in_reply_to: str,
        code: str,
        sentence: str,
        excerpt: str,
    ) -> Envelope:
        token, thread = await self._thread(did, peer)
        subject = f"Re: {self._subject_of(token, thread)}"
        at = _time(self._wall_ms())
        notice = Notice(sentence, subject, excerpt, at, in_reply_to, code)
        message_id = _within(thread, f"n{identity:x}")
        # The null sender: of a mail about a mail nobody is to be told that it went astray (RFC 5321 §6.1).
        return self._envelope("", to, compose.notice_mail(thread, to, message_id, notice))

    async def _thread(self, did: Did, peer: str) -> tuple[str, Thread]:
        conversation, name = await self._store.read(_known, did, peer)
        if conversation is None:
            ids, now_ms = self._store.ids.next, self._wall_ms()
            conversation = await self._store.writer.run(
                "mail conversation", lambda connection: mail.conversation(connection, ids, did, peer, now_ms)
            )
        names = conversation.id, binding(conversation)
        token = self._ring.make(*names)
        sender = self._addresses.reply(token if self._answers else "")
        # What is tried again is the same mail, and the thread the same, though there is a new key meanwhile.
        root = f"<{self._ring.lasting(*names)}@{self._addresses.domain}>"
        return token, Thread(name or peer, sender, root, did.number, peer)

    def _subject_of(self, token: str, thread: Thread) -> str:
        return one_line(
            self._subject.format(
                token=token, did=plain(thread.did), peer=plain(thread.peer), name=one_line(thread.name)
            )
        )

    def _envelope(self, sender: str, to: Address, octets: bytes) -> Envelope:
        if self._signer is not None:
            octets = self._signer.signed(octets, self._wall_ms() // 1000)
        return Envelope(sender, str(to), octets)


def _within(thread: Thread, name: str) -> str:
    """The Message-ID of this name in a thread; by the token in it an answer is known too."""
    return thread.root.replace("@", f".{name}@", 1)


def _is_listed(did: Did, to: Address) -> None:
    """Raises NotListed. The setting may have changed since the mail was owed, and each attempt asks again."""
    if to.key not in addresses_of(did):
        raise NotListed(f"{to} is no longer an address of {did.number}")


def _known(connection: Connection, did: Did, peer: str) -> tuple[MailConversation | None, str | None]:
    contact = contacts.of_number(connection, did.account_id, peer)
    return mail.open_conversation(connection, did, peer), None if contact is None else contact.name


def _told(message: MessageRecord, error: str | None) -> tuple[str, str]:
    """The code and the sentence of a failure, by what `first_error` says."""
    if error == OPTED_OUT:
        sentence = f"{message.peer} has opted out, and wants no messages from {message.did} any more."
        return OPTED_OUT, f"{_FAILED} {sentence}"
    if error == GIVEN_UP:
        return "failed", f"{_FAILED} It was given up."
    return "failed", _FAILED if error is None else f"{_FAILED} The carrier said: {error}."


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
