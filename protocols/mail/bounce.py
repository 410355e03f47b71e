"""Bounces: what a delivery status notification says of a mail of ours (RFC 3464)."""

from email.message import Message
from typing import NamedTuple

from protocols.mail.address import one_line

MAX_DETAIL = 200
_PARTS = 20


class Bounce(NamedTuple):
    """``failed``: it was not, and will not be, delivered; else it is late, or was relayed. ``detail`` is the
    status and what the other server said."""

    failed: bool
    detail: str


def read(message: Message) -> Bounce | None:
    """The worst that a notification says; None when the mail is none."""
    fields = _recipients(message)
    if not fields:
        return None
    worst = next((item for item in fields if _word(item, "Action") == "failed"), fields[0])
    said = one_line(str(worst.get("Diagnostic-Code", ""))).partition(";")
    detail = f"{_word(worst, 'Status')} {said[2].strip() or said[0]}".strip()
    return Bounce(_word(worst, "Action") == "failed", " ".join(detail.split())[:MAX_DETAIL])


def _recipients(message: Message) -> list[Message]:
    """The groups of fields about recipients: those with an Action."""
    if message.get_content_type() != "multipart/report":
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
