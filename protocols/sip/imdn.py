"""Receipts between people: instant message disposition notification (RFC 5438)."""

import re
from dataclasses import dataclass
from enum import Enum
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from protocols.sip.errors import BadValue

TYPE = "message/imdn+xml"
NAMESPACE = "urn:ietf:params:xml:ns:imdn"
MAX_XML = 16_384

_KINDS = {
    "delivery-notification": "delivery",
    "display-notification": "display",
    "processing-notification": "processing",
}
_STATUSES = frozenset(("delivered", "failed", "forbidden", "error", "displayed", "processed", "stored"))
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class Wish(Enum):
    """What a sender wants to be told of (imdn.Disposition-Notification)."""

    POSITIVE = "positive-delivery"
    NEGATIVE = "negative-delivery"
    PROCESSING = "processing"
    DISPLAY = "display"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message. ``kind`` is delivery, display or processing; ``status`` such as
    "delivered"."""

    message_id: str
    kind: str
    status: str


def wishes(value: str | None) -> frozenset[Wish]:
    """The words of a Disposition-Notification header that are known."""
    words = {word.strip().lower() for word in (value or "").split(",")}
    return frozenset(wish for wish in Wish if wish.value in words)


def parse_imdn(data: bytes) -> Receipt:
    """A receipt. Raises BadValue; document types and entities are refused before anything is expanded."""
    if len(data) > MAX_XML or _DECLARATION.search(data) is not None:
        raise BadValue("body", "an imdn that is too large or declares entities")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadValue("body", "is not XML") from error
    message_id = root.findtext("{*}message-id")
    for child in root:
        kind = _KINDS.get(_local(child.tag))
        status = child.find("{*}status/*") if kind else None
        if kind and status is not None and message_id and _local(status.tag) in _STATUSES:
            return Receipt(message_id.strip(), kind, _local(status.tag))
    raise BadValue("body", "an imdn without message-id or status")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def make_imdn(message_id: str, datetime: str, delivered: bool) -> bytes:
    """The receipt for a message that was delivered, or was not; ``datetime`` as in RFC 3339."""
    status = "delivered" if delivered else "failed"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\r\n<imdn xmlns="{NAMESPACE}">'
        f"<message-id>{escape(message_id)}</message-id><datetime>{escape(datetime)}</datetime>"
        f"<delivery-notification><status><{status}/></status></delivery-notification></imdn>\r\n"
    ).encode()
