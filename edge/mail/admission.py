"""Which conversation a mail belongs to, and whether its author may write there.

A reply says it by its token, new mail by the number that it is to. What is proven of the author is asked
last, since that takes the DNS. Who may not is told by his own server: the mail is `Dropped` with what the
session answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.config_mail import MailConfig
from edge.mail.addresses import Addresses, ToNumber
from edge.mail.authentication import Proof
from edge.mail.listed import addresses_of
from edge.mail.owners import Owners, author_key
from edge.mail.reading import Read
from edge.mail.tokens import Tokens
from protocols.mail.address import Address
from protocols.mail.smtp import Reply
from storage import mail
from storage.records import Did, MailConversation, SeenMail
from storage.statements import Write
from storage.store import Store

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
    550, "5.7.1 Several customers have your address: write to <number>+<your number>@ this domain"
)


class Dropped(Exception):
    """The end of a mail that becomes no SMS; ``reply`` is for the session."""

    def __init__(self, reason: str, reply: Reply) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Case:
    """A mail whose author may write to this conversation. ``author`` is who may be told what became of it:
    one of the DID's addresses; a mail to anybody else would take the token, and the blame, to a stranger.
    ``asked`` is the sentence that he is answered with when it does not say enough. ``chosen``: he himself,
    proven, named the DID in new mail.
    """

    did: Did
    conversation: MailConversation
    author: Address | None
    read: Read
    keys: tuple[bytes, ...]
    at: int
    asked: str = ""
    chosen: bool = False

    def seen(self, outcome: str, message_id: int | None = None) -> list[Write]:
        """What is kept of it: the first key says what it became, by the others it is known too. Of one that
        its author chose the DID for, that he writes for this account."""
        about, at = self.conversation.id, self.at
        writes = mail.insert_seen(SeenMail(self.keys[0], about, at, outcome, message_id))
        for mark in self.keys[1:]:
            writes += mail.insert_seen(SeenMail(mark, about, at, mail.SIGNATURE))
        if outcome == mail.SENT and self.chosen and self.author is not None:
            writes += mail.know_author(author_key(self.did.account_id, self.author), about, at)
        return writes


class Admission:
    """I let authors in. Each method raises Dropped, and Unproven when it cannot be told now."""

    def __init__(
        self,
        config: MailConfig,
        addresses: Addresses,
        did: Callable[[str], Did | None],
        owners: Owners,
        tokens: Tokens,
        store: Store,
        wall_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._addresses = addresses
        self._did = did
        self._owners = owners
        self._tokens = tokens
        self._store = store
        self._wall_ms = wall_ms

    async def reply(self, found: Read, proof: Proof, recipient: str, written: str) -> Case:
        """An answer; ``written`` may hold its token, and is "" where the address has none."""
        if self._config.replies == "off":
            raise Dropped("replies_off", NO_REPLIES)
        conversation = await self._tokens.conversation(written, found.places)
        did = None if conversation is None else self._did(conversation.did)
        if conversation is None or did is None or not _is_of(did, conversation):
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

    async def new_mail(self, found: Read, proof: Proof, recipient: str, wanted: ToNumber) -> Case:
        """From an address that DIDs have, to a number that the mail itself names, so that an old mail of
        theirs that somebody kept cannot be sent here once more."""
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
        did, ids, now_ms = dids[0], self._store.ids.next, self._wall_ms()
        conversation = await self._store.writer.run(
            "mail conversation",
            lambda connection: mail.conversation(connection, ids, did, wanted.number, now_ms),
        )
        asked = self._which(dids, wanted.number)
        chosen = wanted.did is not None and self._config.new_mail == "authenticated"
        return self._case(did, conversation, found.author, found, marks, asked, chosen)

    async def _of_one_account(self, author: Address, dids: list[Did]) -> list[Did]:
        """Every customer may name any address. So of several the one counts whose number its owner, proven,
        has named in new mail, if that is one alone; the numbers of the others are not even said.

        An answer says nothing of it: to be answered once is all that a stranger needs.
        """
        keys = {did.account_id: author_key(did.account_id, author) for did in dids}
        if len(keys) == 1:
            return dids
        known = await self._store.read(mail.known_authors, [*keys.values()])
        chosen = [account_id for account_id, key in keys.items() if key in known]
        if len(chosen) != 1:
            raise Dropped("several_accounts", WHICH_NUMBER)
        return [did for did in dids if did.account_id == chosen[0]]

    def _which(self, dids: Sequence[Did], number: str) -> str:
        """What is asked where several DIDs have the author's address."""
        if len(dids) == 1:
            return ""
        numbers = ", ".join(did.number for did in dids)
        example = f"{number.removeprefix('+')}+{dids[0].number[1:]}@{self._addresses.domain}"
        return f"Not sent: several of your numbers ({numbers}) have this address. Write to {example}."

    def _case(
        self,
        did: Did,
        conversation: MailConversation,
        author: Address | None,
        found: Read,
        marks: Sequence[bytes],
        asked: str = "",
        chosen: bool = False,
    ) -> Case:
        keys = found.key(str(conversation.id)), *marks
        return Case(did, conversation, author, found, keys, self._wall_ms(), asked, chosen)


def _is_of(did: Did, conversation: MailConversation) -> bool:
    """Was the number never given up since? Its tokens are void for good then, also when it comes back."""
    return (did.account_id, did.id) == (conversation.account_id, conversation.did_id)


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
