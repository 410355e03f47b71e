"""Bounces: what a delivery status notification says of a mail of ours (RFC 3464).

Old servers (qmail, Exim, some appliances) write theirs as a plain mail. What comes to a bounce address from a
server's own name and says in its subject, or by X-Failed-Recipients, that a mail failed, is taken for one.
"""

import re
from email.message import Message
from typing import NamedTuple

from protocols.mail import body
from protocols.mail.address import decoded, one_line

MAX_DETAIL = 200
_PARTS = 20
_SERVER = re.compile(r"(?:mailer-daemon|postmaster|mdaemon|mail ?delivery (?:sub)?system)\b", re.IGNORECASE)
_FAILED = re.compile(
    r"failure notice|undeliver|returned (?:mail|to sender)|delivery (?:has )?fail"
    r"|delivery status notification ?\(failure\)|mail delivery failed|could not be delivered"
    r"|unzustellbar|nicht zugestellt|non remis|no se (?:ha )?pud[oe]? entregar|mancata consegna",
    re.IGNORECASE,
)
_LATE = re.compile(r"delay|warning|still being|verzöger", re.IGNORECASE)
_REASON = re.compile(r"\b5\d\d[ -](?:5\.\d{1,3}\.\d{1,3})?[^\n]{0,200}|\b5\.\d{1,3}\.\d{1,3}\b[^\n]{0,200}")
_LOOKED_AT = 4_000


class Bounce(NamedTuple):
    """``failed``: it was not, and will not be, delivered; else it is late, or was relayed. ``detail`` is the
    status and what the other server said."""

    failed: bool
    detail: str


def read(message: Message) -> Bounce | None:
    """The worst that a notification says; None when the mail is none."""
    fields = _recipients(message)
    if not fields:
        return _plain(message)
    worst = next((item for item in fields if _word(item, "Action") == "failed"), fields[0])
    said = one_line(str(worst.get("Diagnostic-Code", ""))).partition(";")
    detail = f"{_word(worst, 'Status')} {said[2].strip() or said[0]}".strip()
    return Bounce(_word(worst, "Action") == "failed", " ".join(detail.split())[:MAX_DETAIL])


def _recipients(message: Message) -> list[Message]:
    """The groups of fields about recipients: those with an Action, in a report or what some make of it."""
    if message.get_content_maintype() != "multipart":
        return []
    parts = _parts(message)
    groups = [
        group
        for part in parts[:_PARTS]
        if isinstance(part, Message)
        and part.get_content_type() in ("message/delivery-status", "message/global-delivery-status")
        for group in _parts(part)
    ]
    return [group for group in groups if isinstance(group, Message) and "Action" in group]


def _parts(message: Message) -> list[object]:
    """What it is made of; nothing when that is a text, which Python would decode before it gives it away."""
    inner: object = message.get_payload() if message.is_multipart() else []
    assert isinstance(inner, list)
    return inner


def _word(fields: Message, name: str) -> str:
    return one_line(str(fields.get(name, ""))).partition(" ")[0].lower()


def _plain(message: Message) -> Bounce | None:
    subject = decoded(str(message.get("Subject", ""))[:MAX_DETAIL])
    named = "X-Failed-Recipients" in message
    server = _SERVER.search(str(message.get("From", ""))[:MAX_DETAIL])
    if not named and (server is None or _LATE.search(subject) or not _FAILED.search(subject)):
        return None
    reason = _REASON.search(body.read(message).text[:_LOOKED_AT])
    detail = one_line(subject if reason is None else reason[0])
    return Bounce(True, " ".join(detail.split())[:MAX_DETAIL])
