"""The mails that we write: an SMS on its way to the DID's owner, and a notice in the same thread.

Every header goes through `email`'s typed policy, and everything that somebody else wrote through
`one_line` before it: a line end in a name or a number is a blank. The octets are ASCII (MIME's encodings)
unless the recipient's own address is not, so no server on the way has to be asked what it can take.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from html import escape
from typing import Any

from protocols.mail.address import Address, one_line
from protocols.mail.lines import MARKER
from protocols.mail.screening import LOOP_HEADER

MAX_NAME = 80
_NO_NAME = re.compile(r"[^A-Za-z0-9.:_-]")
MAX_LINE = 900  # RFC 5322 §2.1.1 allows 998


class _Policy(EmailPolicy):
    """As `email.policy.SMTP`, but a header without encoded words stays on one line where it may: a subject
    that is folded right behind its colon is shown with a blank in front, or not at all, and a name beyond
    ASCII that is folded loses its quotes.

    What looks like an encoded word (RFC 2047) in a text is none, and is spoiled: the policy would decode it,
    line ends and all."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        """See `email.policy.EmailPolicy`."""
        literal = value.replace("=?", "= ?") if isinstance(value, str) else value
        return super().header_store_parse(name, literal)

    def fold_binary(self, name: str, value: Any) -> bytes:
        """See `email.policy.EmailPolicy`."""
        line = f"{name}: {value}{self.linesep}"
        octets = line.encode("utf-8", "replace")
        if (self.utf8 or line.isascii()) and len(octets) < MAX_LINE:
            return octets
        return super().fold_binary(name, value)


POLICY = _Policy(linesep="\r\n", cte_type="7bit")


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation as mail: who writes (``name`` and ``address``), the root of the thread's references."""

    name: str
    address: Address
    root: str
    did: str
    peer: str


@dataclass(frozen=True, slots=True)
class Text:
    """An SMS. ``at`` has a time zone; ``identity`` is the message's id, ``subject`` is ready."""

    body: str
    subject: str
    at: datetime
    identity: int
    html: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of a person's mail: a ``sentence``, and the beginning of what he wrote."""

    sentence: str
    subject: str
    excerpt: str
    at: datetime
    in_reply_to: str
    code: str


def text_mail(thread: Thread, to: Address, message_id: str, text: Text, answerable: bool) -> bytes:
    """The mail of an SMS. ``message_id`` has its angle brackets; ``answerable``: it may be replied to."""
    mail = _mail(thread, to, message_id, text.at, text.subject)
    mail["Auto-Submitted"] = "auto-generated"
    mail["In-Reply-To"] = thread.root
    mail["References"] = thread.root
    mail["List-Id"] = f"<sms.{_digits(thread.did)}.{thread.address.domain}>"
    mail["X-SMS-ID"] = str(text.identity)
    mail["X-SMS-Time"] = text.at.isoformat(timespec="milliseconds")
    foot, body = _foot(thread, text), _encodable(text.body)
    mail.set_content("\n".join([*_head(answerable), body, "", *foot, ""]))
    if text.html:
        mail.add_alternative(_html(body, _head(answerable), foot), subtype="html")
    return mail.as_bytes()


def received(hello: str, peer: str, by: str, at: datetime) -> bytes:
    """The line of a server that a mail went through (RFC 5321 §4.4). ``hello`` and ``peer`` are as they came:
    of a name nothing but what names have is told."""
    said = _NO_NAME.sub("?", hello)[:MAX_NAME] or "unknown"
    place = _NO_NAME.sub("?", peer)[:MAX_NAME] or "unknown"
    return f"Received: from {said} ([{place}])\r\n\tby {by}; {format_datetime(at)}\r\n".encode("ascii")


def notice_mail(thread: Thread, to: Address, message_id: str, notice: Notice) -> bytes:
    """The answer of the server itself; it stands in the thread and wants no answer (RFC 3834 §3)."""
    mail = _mail(thread, to, message_id, notice.at, notice.subject)
    mail["Auto-Submitted"] = "auto-replied"
    references = [thread.root]
    if notice.in_reply_to:
        mail["In-Reply-To"] = one_line(notice.in_reply_to)
        references.append(one_line(notice.in_reply_to))
    mail["References"] = " ".join(references)
    mail["X-SMS-Outcome"] = one_line(notice.code)
    lines = [MARKER, "", _encodable(notice.sentence), ""]
    if notice.excerpt:
        lines += [f"> {line}".rstrip() for line in _encodable(notice.excerpt).split("\n")]
        lines.append("")
    mail.set_content("\n".join([*lines, f"{_shown(thread.peer)} and {_shown(thread.did)}", ""]))
    return mail.as_bytes()


def _mail(thread: Thread, to: Address, message_id: str, at: datetime, subject: str) -> EmailMessage:
    mail = EmailMessage(policy=POLICY if to.local.isascii() else POLICY.clone(utf8=True))
    sender = Mailbox(_name(thread.name), thread.address.local, thread.address.domain)
    mail["From"] = sender
    mail["Reply-To"] = sender
    mail["To"] = str(to)
    mail["Subject"] = one_line(subject)
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id
    mail["X-Auto-Response-Suppress"] = "All"
    mail[LOOP_HEADER] = thread.address.domain
    mail["X-SMS-DID"] = _shown(thread.did)
    mail["X-SMS-Peer"] = _shown(thread.peer)
    return mail


def _encodable(text: str) -> str:
    """Halves of surrogate pairs, which a carrier may send alone, are no Unicode text."""
    return text.encode("utf-8", "replace").decode()


def _name(name: str) -> str:
    return f"{one_line(name)[:MAX_NAME]} (SMS)".replace("=?", "= ?")


def _shown(number: str) -> str:
    return one_line(number)[:MAX_NAME]


def _digits(did: str) -> str:
    return "".join(letter for letter in did if letter.isdigit() and letter.isascii())


def _head(answerable: bool) -> list[str]:
    return [MARKER, ""] if answerable else []


def _foot(thread: Thread, text: Text) -> list[str]:
    at = text.at.strftime("%Y-%m-%d %H:%M:%S %Z")
    return [*text.remarks, f"From {_shown(thread.peer)} to {_shown(thread.did)}, {at}"]


def _html(body: str, head: Sequence[str], foot: Sequence[str]) -> str:
    """No styles, no pictures, nothing from elsewhere; the marker is the first line here too."""
    marker = f'<p style="color:#767676">{escape(head[0])}</p>\n' if head else ""
    lines = "<br>\n".join(escape(line) for line in body.split("\n"))
    small = "<br>\n".join(escape(line) for line in foot)
    return f'<html><body>\n{marker}<p>{lines}</p>\n<p style="color:#767676">{small}</p>\n</body></html>\n'
