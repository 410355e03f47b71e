"""Our own addresses: where replies, bounces and new mail come to, and what is none of ours.

sms+<token>@domain          a reply; a token that is no good may still stand in References or Subject
sms+bounce-<token>@domain   what comes back of a mail; the token is made of its delivery's id (VERP)
<number>@domain             a new message to that number; <number>+<did>@domain says from which DID
postmaster@domain, abuse@   the operator, if he has said where he is
"""

import re
from dataclasses import dataclass

from edge.config_mail import OPERATORS
from edge.errors import Refused
from edge.policy import numbers
from protocols.mail import address
from protocols.mail.address import Address, NotAnAddress
from protocols.mail.smtp import Reply

BOUNCE = b"bounce"
"""What a bounce's token stands for, beside the delivery's id; see `protocols.mail.token`."""

_BOUNCE_MARK = "bounce-"
_NUMBER = re.compile(r"(?P<number>\+?[0-9]{3,15})(?:\+(?P<did>[0-9]{7,15}))?", re.ASCII)

NO_POSTMASTER = Reply(550, "5.1.1 Nobody reads this here: the operator has not set mail.postmaster")
NO_RELAY = Reply(550, "5.7.1 No relaying: this server takes mail for its own addresses only")
NO_SUCH = Reply(550, "5.1.1 No such address here")
NOT_ONE = Reply(553, "5.1.3 That is not an address")


@dataclass(frozen=True, slots=True)
class ToConversation:
    """A reply; ``written`` may hold a token."""

    written: str


@dataclass(frozen=True, slots=True)
class ToBounces:
    """Something about a mail of ours; ``written`` may hold the token of its delivery."""

    written: str


@dataclass(frozen=True, slots=True)
class ToNumber:
    """A new message to a number, in E.164 or a short code; ``did`` in E.164, None when it is not said."""

    number: str
    did: str | None


@dataclass(frozen=True, slots=True)
class ToPostmaster:
    """Something for the operator."""


Recipient = ToConversation | ToBounces | ToNumber | ToPostmaster


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one domain. ``postmaster``: somebody reads what the operator gets."""

    domain: str
    mailbox: str
    region: str
    postmaster: bool = False

    def reply(self, token: str) -> Address:
        """Where the answer goes; without a token, who it is from when no answer is wanted."""
        return Address(f"{self.mailbox}+{token}" if token else self.mailbox, self.domain)

    def bounce(self, token: str) -> Address:
        """The envelope sender of a mail."""
        return Address(f"{self.mailbox}+{_BOUNCE_MARK}{token}", self.domain)

    def judge(self, written: str) -> Recipient | Reply:
        """What an address is to us, or why it is nothing."""
        if written.lower() == OPERATORS[0]:  # it may stand alone (RFC 5321 §4.1.1.3)
            return self._operators()
        try:
            found = address.parse(written)
        except NotAnAddress:
            return NOT_ONE
        if found.domain != self.domain:
            return NO_RELAY
        local = found.local.lower().replace("%2b", "+")  # a mailto: link that nobody decoded (RFC 6068 §2)
        mailbox, _, detail = local.partition("+")
        if mailbox == self.mailbox:
            return ToBounces(detail) if detail.startswith(_BOUNCE_MARK) else ToConversation(detail)
        if local in OPERATORS:
            return self._operators()
        return self._number(local) or NO_SUCH

    def _operators(self) -> Recipient | Reply:
        return ToPostmaster() if self.postmaster else NO_POSTMASTER

    def _number(self, local: str) -> ToNumber | None:
        match = _NUMBER.fullmatch(local)
        if match is None:
            return None
        try:
            number = numbers.destination(match["number"], self.region)
            did = match["did"] and numbers.destination(f"+{match['did']}", self.region)
        except Refused:
            return None
        return ToNumber(number, did or None)
