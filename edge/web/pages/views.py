"""Rows as the templates show them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from edge.carrier_errors import error_of
from edge.web.api.views import iso
from storage.messages import status_of
from storage.records import DeliveryState, MessageFlag, MessageStatus, MessageView, PartFlag

EXCERPT = 300
# Not %A: that follows the locale of the process, and the pages are English.
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WORDS = {
    MessageStatus.RECEIVED: "received",
    MessageStatus.QUEUED: "queued",
    MessageStatus.SENDING: "sending",
    MessageStatus.SENT: "sent",
    MessageStatus.IN_DOUBT: "in doubt",
    MessageStatus.DELIVERED: "delivered",
    MessageStatus.FAILED: "failed",
}
FLAGS = {
    MessageFlag.POSSIBLE_DUPLICATE: "possible duplicate",
    MessageFlag.INCOMPLETE: "parts are missing",
    MessageFlag.UNDECODABLE: "not decodable",
    MessageFlag.FLASH: "flash",
    MessageFlag.INDICATION: "message waiting indication",
    MessageFlag.HEADER: "with a header for a program (ports)",
}


def clock(ms: int) -> str:
    """For people, without a script: "2026-01-31 12:00:00 UTC"."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def day(ms: int) -> str:
    """For the line between two days, in UTC: "Saturday, 2026-01-31"."""
    date = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{WEEKDAYS[date.weekday()]}, {date:%Y-%m-%d}"


def status(view: MessageView) -> str:
    """The message's status as the style sheet knows it."""
    return str(status_of(view.message, view.parts))


def status_words(view: MessageView) -> str:
    """The message's status, why it failed, and what is remarkable about it."""
    words = [WORDS[status_of(view.message, view.parts)]]
    words.extend(dict.fromkeys(filter(None, map(error_of, view.parts))))
    words.extend(word for flag, word in FLAGS.items() if view.message.flags & flag)
    if any(part.flags & PartFlag.POSSIBLE_DUPLICATE for part in view.parts):
        words.append("may have been sent twice")
    return ", ".join(words)


def deliveries_words(view: MessageView) -> str:
    """What became of it, handler by handler, in a few words."""
    return ", ".join(
        f"{item.delivery.handler}: {item.delivery.state}"
        + (f" after {item.delivery.attempts} tries" if item.delivery.attempts > 1 else "")
        for item in view.deliveries
    )


def excerpt(text: str) -> str:
    """The beginning of a text, for lists."""
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"


def conversation_path(did: str, peer: str) -> str:
    """The address of a conversation."""
    return f"/conversations/{quote(did, safe='+')}/{quote(peer, safe='+')}"


def pending(state: DeliveryState) -> bool:
    """Is there another try to come?"""
    return state == DeliveryState.PENDING


FILTERS: dict[str, Callable[..., Any]] = {
    "clock": clock,
    "day": day,
    "iso": iso,
    "status": status,
    "status_words": status_words,
    "deliveries_words": deliveries_words,
    "excerpt": excerpt,
    "part_error": error_of,
    "pending": pending,
}
