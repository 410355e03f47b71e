"""A mail as the intake sees it: parsed once, off the reactor, whatever is in it."""

import hashlib
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message

from protocols.mail import address, reply, screening
from protocols.mail.address import Address, NotAnAddress, one_line
from protocols.mail.reply import Reply

MAX_MESSAGE_ID = 500
MAX_REFERENCES = 20_000
MAX_SUBJECT = 2_000


@dataclass(frozen=True, slots=True)
class Read:
    """``author`` is the one address of From, or why there is none. ``automatic``: no person wrote it, and
    how that is known. ``places`` may hold the conversation's token, the best first."""

    message: Message
    author: Address | NotAnAddress
    automatic: str | None
    reply: Reply
    message_id: str
    places: tuple[str, ...]

    def key(self, about: str) -> bytes:
        """What tells this mail to a conversation from every other: its Message-ID and what it says."""
        parts = (about, self.message_id or str(self.message.get("Date", "")), self.reply.text)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()

    def naming(self, written: str) -> str | None:
        """The header in which the mail itself says that it is to this address: To or Cc.

        It must be there once. A signature covers the last of several, so that anybody may put one above it.
        """
        for name in ("To", "Cc"):
            fields = _all(self.message, name)
            if len(fields) == 1 and written.lower() in fields[0].lower().translate(_DELIMITERS).split():
                return name
        return None


_DELIMITERS = str.maketrans(dict.fromkeys('<>,;:"()', " "))


def read(octets: bytes, envelope_sender: str) -> Read:
    """Everything that is to be known of a mail. Never raises."""
    message = message_from_bytes(octets)
    try:
        author: Address | NotAnAddress = address.sole_author(_all(message, "From"))
    except NotAnAddress as error:
        author = error
    references = " ".join(_all(message, "References") + _all(message, "In-Reply-To"))[-MAX_REFERENCES:]
    return Read(
        message=message,
        author=author,
        automatic=screening.automatic(message, envelope_sender),
        reply=reply.read(message),
        message_id=one_line(" ".join(_all(message, "Message-ID")[:1]))[:MAX_MESSAGE_ID],
        places=(references, address.decoded(" ".join(_all(message, "Subject")[:1])[:MAX_SUBJECT])),
    )


def _all(message: Message, name: str) -> list[str]:
    return [str(value) for value in message.get_all(name, [])]
