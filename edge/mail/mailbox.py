"""Replies from a mailbox elsewhere: looked at by IMAP over TLS (RFC 3501, RFC 8314) every so often.

A mail is fetched without being marked, taken, and marked as seen when it is stored; after a crash in between
it comes again, and is known. Marks may be lost all the same, as when a mailbox is moved or restored: so what
came into it before the mails that are still known is refused, whatever became of it then. Nothing is taken
from a folder in which nothing can be marked. What was refused is flagged too, for whoever looks after the
mailbox: there is no session to say it in, and a mail to a stranger would be the next nuisance. Of one that is
too large the head is taken, so that an author who is the DID's own is told.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from itertools import pairwise
from typing import Any

import structlog
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.mail import imap4
from twisted.python.failure import Failure

from edge import tls
from edge.config_mail import IMAPConfig
from edge.mail.addresses import Addresses, Recipient, ToBounces, ToConversation, ToNumber
from edge.mail.authentication import Arrival
from edge.mail.intake import TAKEN, Intake
from protocols.mail.smtp import Reply

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 30.0
LOOK_SECONDS = 300.0  # for one look at the mailbox
AT_ONCE = 100
MAX_RECIPIENTS = 100  # there is no session in which its server could be told to bring it for the others too
MAX_HEAD = 65_536
"""Octets of a mail in which it is looked for whom it is to."""

_ORIGIN = re.compile(r"<\d+>")
_PLACES = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To")
"""As the author spelt an address comes first: that is what a signature is over."""

SEEN, FLAGGED = "\\Seen", "\\Flagged"


class NothingMarked(Exception):
    """The folder is there to be read only."""


class Client(imap4.IMAP4Client):
    """Twisted's, which says when it has been greeted, and why it is gone: ``lost``."""

    def __init__(self) -> None:
        super().__init__()
        self.greeted: Deferred[None] = Deferred()
        self.lost: Failure | None = None

    def serverGreeting(self, caps: object) -> None:
        """See IMAP4Client."""
        self.greeted.callback(None)

    def connectionLost(self, reason: Any = connectionDone) -> None:
        """See IMAP4Client, which leaves who waits for the greeting waiting."""
        self.lost = reason
        super().connectionLost(reason)
        if not self.greeted.called:
            self.greeted.errback(reason)

    def sendCommand(self, cmd: imap4.Command) -> Deferred[Any]:
        """See IMAP4Client, which has forgotten how when the connection is lost."""
        sent: Deferred[Any] = fail(self.lost) if self.lost is not None else super().sendCommand(cmd)
        return sent


class Mailbox:
    """I look into one mailbox, from `start` to `stop`."""

    def __init__(
        self, config: IMAPConfig, addresses: Addresses, intake: Intake, max_octets: int, reactor: Any
    ) -> None:
        self._config = config
        self._addresses = addresses
        self._intake = intake
        self._max_octets = max_octets
        self._reactor = reactor
        self._failing = False
        self._later: set[str] = set()
        self._poll = LoopingCall(self.look)
        self._poll.clock = reactor

    def start(self) -> None:
        """Look now, then every so often."""
        self._poll.start(self._config.poll_seconds)

    def stop(self) -> None:
        """Look no more."""
        if self._poll.running:
            self._poll.stop()

    def look(self) -> Deferred[None]:
        """Take what is new. A mailbox that cannot be reached is said once."""
        looking = Deferred.fromCoroutine(self._look()).addTimeout(LOOK_SECONDS, self._reactor)
        return looking.addCallbacks(self._looked, self._not_looked)

    def _looked(self, _: object) -> None:
        if self._failing:
            log.info("mailbox_back", host=self._config.host)
        self._failing = False

    def _not_looked(self, failure: Any) -> None:
        if not self._failing:
            log.error("mailbox_not_read", host=self._config.host, error=failure.getErrorMessage())
        self._failing = True

    async def _look(self) -> None:
        client = await self._connect()
        try:
            await client.greeted
            await client.login(self._config.username.encode(), self._config.password.reveal().encode())
            await client.select(self._config.folder)
            found = await client.search(imap4.Query(unseen=True, unflagged=True), uid=True)
            await self._take_all(client, [str(uid) for uid in found])
            await client.logout()
        finally:
            if client.lost is None:
                client.transport.abortConnection()

    async def _take_all(self, client: Any, uids: list[str]) -> None:
        """As many as one look takes; those that an earlier one left come last, to be in nobody's way."""
        self._later &= set(uids)
        if uids:
            await self._can_be_marked(client, uids[0])
        for uid in sorted(uids, key=self._later.__contains__)[:AT_ONCE]:
            if not await self._take_or_leave(client, uid):
                self._later.add(uid)

    async def _can_be_marked(self, client: Any, uid: str) -> None:
        """Taking a flag away that is not there changes nothing, and is refused where flags are not ours."""
        try:
            await client.removeFlags(uid, [FLAGGED], uid=True)
        except imap4.IMAP4Exception as error:
            raise NothingMarked(f"its mails cannot be marked as seen: {error}") from error

    async def _connect(self) -> Any:
        plain = HostnameEndpoint(
            self._reactor, self._config.host.encode(), self._config.port, timeout=CONNECT_SECONDS
        )
        options = tls.verified(self._config.host, self._config.ca_file)
        client: Any = await wrapClientTLS(options, plain).connect(Factory.forProtocol(Client))
        return client

    async def _take_or_leave(self, client: Any, uid: str) -> bool:
        """One mail; False: it comes up again. What goes wrong with it is said, and it is flagged, not seen:
        the others have their turn."""
        try:
            flags = await self._take(client, uid)
        except CancelledError:
            raise
        except Exception as error:  # whatever a server or a mail can make of Twisted's parser
            if client.lost is not None:
                raise
            log.error("mailbox_mail_not_read", host=self._config.host, uid=uid, error=repr(error))
            flags = [FLAGGED]
        return bool(flags) and await self._marked(client, uid, flags)

    async def _marked(self, client: Any, uid: str, flags: list[str]) -> bool:
        try:
            await client.addFlags(uid, flags, uid=True)
        except imap4.IMAP4Exception as error:
            log.error("mailbox_mail_not_marked", host=self._config.host, uid=uid, error=str(error))
            return False
        return True

    async def _take(self, client: Any, uid: str) -> list[str]:
        """How it is to be marked."""
        told = await client.fetchFast(uid, uid=True)
        facts = next((item for item in told.values() if _is_about(item, uid)), {"RFC822.SIZE": "0"})
        size, came = int(facts["RFC822.SIZE"]), _moment(facts.get("INTERNALDATE"))
        if size > self._max_octets:
            log.warning("mail_too_large", octets=size)
            return await self._take_head(client, uid, came)
        found = await client.fetchSpecific(uid, uid=True, peek=True)
        octets = _octets(found, uid)
        if octets is None:
            return []  # somebody has taken it away
        return flags_for(await self._intake.take(*self._arrival(octets, came)))

    async def _take_head(self, client: Any, uid: str, came: int | None) -> list[str]:
        found = await client.fetchSpecific(
            uid, uid=True, headerType="HEADER", peek=True, offset=0, length=MAX_HEAD
        )
        octets = _octets(found, uid)
        if octets is None:
            return []
        arrival, recipients = self._arrival(octets, came)
        replies = await self._intake.take(replace(arrival, whole=False), recipients)
        return flags_for(replies) and [SEEN, FLAGGED]

    def _arrival(self, octets: bytes, came: int | None) -> tuple[Arrival, list[str]]:
        message = message_from_bytes(octets[:MAX_HEAD].partition(b"\r\n\r\n")[0])
        path = str(message.get("Return-Path", "unknown")).strip().strip("<>")
        at = _moment(message.get("Date")) if came is None else came
        return Arrival(octets, path, "", trusted=True, at=at), self.recipients(message)

    def recipients(self, message: Message) -> list[str]:
        """Our addresses among those that the mail is to, each once however it is spelt.

        The mailbox itself counts only when none of them says whom the text is for: the server that put the
        mail into it names it too (Delivered-To), and beside such an address what the mail refers to says
        nothing.
        """
        written = [str(value) for place in _PLACES for value in message.get_all(place, [])]
        ours: dict[Recipient, str] = {}
        for _, address in getaddresses(written):
            judged = self._addresses.judge(address.lower())
            if not isinstance(judged, Reply) and judged != ToConversation(""):
                ours.setdefault(judged, address.lower())
        found = [*ours.values()]
        if not any(isinstance(judged, ToConversation | ToNumber | ToBounces) for judged in ours):
            found.append(str(self._addresses.reply("")))
        if len(found) > MAX_RECIPIENTS:
            left_out = found[MAX_RECIPIENTS:]
            log.error("mailbox_recipients_left_out", host=self._config.host, recipients=left_out)
        return found[:MAX_RECIPIENTS]


def flags_for(replies: Sequence[Reply]) -> list[str]:
    """How a mail is marked: not at all when it must be tried again."""
    if any(400 <= reply.code < 500 for reply in replies):
        return []
    return [SEEN] if any(reply.code == TAKEN.code for reply in replies) else [SEEN, FLAGGED]


def _is_about(fields: Mapping[str, Any], uid: str) -> bool:
    """Is this what was asked for? A server tells of other mails meanwhile (RFC 3501 §7.4.2)."""
    return "RFC822.SIZE" in fields and fields.get("UID", uid) == uid


def _moment(written: object) -> int | None:
    """A date as mail (RFC 5322 §3.3) or IMAP (RFC 3501 §7.4.2) writes it, in seconds since the epoch."""
    try:
        return int(parsedate_to_datetime(str(written).strip()).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def _octets(found: Mapping[int, list[Any]], uid: str) -> bytes | None:
    """BODY[] of this mail, each octet as one character (Twisted's "charmap"), None when it is not there.

    Names and values stand one after the other, in whatever order the server likes, and other mails' flags and
    UIDs come with them; behind BODY is the section, and of a piece where it begins.
    """
    for (fields,) in found.values():
        if "BODY" not in fields or not _is_uid(fields, uid):
            continue
        value = [*fields[fields.index("BODY") + 2 :], None]
        body = value[1] if isinstance(value[0], str) and _ORIGIN.fullmatch(value[0]) else value[0]
        if isinstance(body, str):
            return body.encode("latin-1")
    return None


def _is_uid(fields: list[Any], uid: str) -> bool:
    """Is it this mail, as far as it says which?"""
    told = [value for name, value in pairwise(fields) if name == "UID"]
    return not told or uid in told
