"""A mail as the intake sees it: parsed once, off the reactor, whatever is in it.

Python's parser asks every multipart that is open about every line, and keeps an object for each part and
each header; what it knows of parameters takes the square of a header's length. So what is like nobody's mail
is not parsed at all.
"""

import hashlib
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import Compat32, compat32
from email.utils import collapse_rfc2231_value
from itertools import count
from typing import Any

from protocols.mail import address, charsets, reply, screening
from protocols.mail.address import Address, NotAnAddress, one_line
from protocols.mail.reply import Reply

MAX_MESSAGE_ID = 500
MAX_REFERENCES = 20_000
MAX_SUBJECT = 2_000
MAX_HEADER = 32_768
MAX_PARAMETERS = 2_000  # characters of Content-Type and its sisters
MAX_HEADERS = 5_000  # of all parts together
MAX_BORDERS = 5_000  # lines that may begin or end a part
MAX_LOOKS = 3_000_000  # multiparts times lines: a second's work
MAX_LINES, USUAL_LINE = 100_000, 60  # more lines than these must have so many octets each
_FOLD = re.compile(r"\r?\n[ \t]")
_BOUNDARY = re.compile(rb"boundary[*0-9\s]*+=", re.IGNORECASE)


class Intricate(ValueError):
    """A mail of more parts within parts, or more headers, than anybody's."""


@dataclass(frozen=True, slots=True)
class Read:
    """``author`` is the one address of From, or why there is none. ``automatic``: no person wrote it, and
    how that is known; ``away``: the subject says nothing but that somebody is. ``places`` may hold
    the conversation's token, the best first. Not ``whole``: it is the head of a mail that is too large."""

    message: Message
    author: Address | NotAnAddress
    automatic: str | None
    away: bool
    reply: Reply
    message_id: str
    places: tuple[str, ...]
    whole: bool = True

    def key(self, about: str) -> bytes:
        """What tells this mail to a conversation from every other: its Message-ID (without one, all of its
        headers) and what it says."""
        identity = self.message_id or "\n".join(f"{name}: {value}" for name, value in self.message.items())
        parts = (about, identity, self.reply.text)
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


def parse(octets: bytes) -> Message:
    """The mail's parts; the headers of each are cut to what is read of them. Raises Intricate.

    The time grows with the length, whatever is in it.
    """
    lines = octets.count(b"\n")
    if lines > MAX_LINES + len(octets) // USUAL_LINE:
        raise Intricate("too many lines")
    if len(_BOUNDARY.findall(octets)) * lines > MAX_LOOKS or octets.count(b"\n--") > MAX_BORDERS:
        raise Intricate("too many parts within parts")
    numbers = count()

    class Part(_Part):
        headers = numbers

    try:
        return message_from_bytes(octets, _class=Part)
    except RecursionError as error:
        raise Intricate("parts within parts within parts") from error


class _Headers(Compat32):
    """What stands in a header beyond ASCII is UTF-8 (RFC 6532), whoever announced it or did not."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        """See `email.policy.Compat32`, which knows of no such headers."""
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


_HEADERS = _Headers()


class _Part(Message):
    """A part whose headers are counted, with those of all others, and cut."""

    headers: "count[int]"

    def __init__(self, policy: Compat32 = compat32) -> None:
        super().__init__(_HEADERS)

    def set_raw(self, name: str, value: str) -> None:
        """See `email.message.Message`, whose parser calls this for each header."""
        if next(self.headers) >= MAX_HEADERS:
            raise Intricate("too many headers")
        most = MAX_PARAMETERS if name.lower().startswith("content-") else MAX_HEADER
        super().set_raw(name, value[:most])

    def get_param(
        self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True
    ) -> Any:
        """See `email.message.Message`, which decodes by this: what is no charset is not there, nor is a value
        in it decoded (RFC 2231 §4)."""
        found = super().get_param(param, failobj, header, unquote)
        if isinstance(found, tuple) and not charsets.is_charset(found[0] or "us-ascii"):
            found = found[2]
        if param.lower() != "charset" or found is failobj:
            return found
        name = collapse_rfc2231_value(found)
        return name if charsets.is_charset(name) else failobj


def read(octets: bytes, envelope_sender: str, whole: bool = True) -> Read:
    """Everything that is to be known of a mail. Raises Intricate, and nothing else."""
    message = parse(octets)
    try:
        author: Address | NotAnAddress = address.sole_author(_all(message, "From"))
    except NotAnAddress as error:
        author = error
    return Read(
        message=message,
        author=author,
        automatic=screening.automatic(message, envelope_sender),
        away=screening.away(message),
        reply=reply.read(message),
        message_id=one_line(" ".join(_all(message, "Message-ID")[:1]))[:MAX_MESSAGE_ID],
        places=(*_references(message), *_subject(message)),
        whole=whole,
    )


def _references(message: Message) -> tuple[str, str]:
    """What it answers, and what that answered, the nearest first (RFC 5322 §3.6.4): a mail that was put into
    another thread has the references of that too."""
    nearest = " ".join(_all(message, "In-Reply-To"))[:MAX_REFERENCES]
    older = " ".join(_all(message, "References"))[-MAX_REFERENCES:]
    return nearest, " ".join(reversed(older.split()))


def _subject(message: Message) -> tuple[str, str, str]:
    """As it is written, then as it was before a server folded it at its own length, within a token, and at
    last as it was if another one made that a blank."""
    written = address.decoded(" ".join(_all(message, "Subject")[:1])[:MAX_SUBJECT])
    return written, _FOLD.sub("", written), "".join(written.split())


def _all(message: Message, name: str) -> list[str]:
    values: list[str] = message.get_all(name, [])
    return values
