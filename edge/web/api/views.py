"""Rows as JSON documents, and the shapes of these documents."""

from datetime import UTC, datetime
from functools import lru_cache

from edge.carrier_errors import error_of
from edge.web.api.shapes import (
    IDENTIFIER,
    Choice,
    Many,
    Member,
    Moment,
    Null,
    Switch,
    Text,
    Whole,
    given,
)
from storage.messages import status_of
from storage.records import (
    AttemptRecord,
    DeliveryState,
    DeliveryView,
    MessageFlag,
    MessageStatus,
    MessageView,
    PartFlag,
    PartRecord,
    PartState,
)

_TEXT, _COUNT, _SWITCH = Text(), Whole(), Switch()
TIME = Moment()
MAYBE_TIME, MAYBE_TEXT, MAYBE_ID = Null(TIME), Null(_TEXT), Null(IDENTIFIER)
MORE = Member("more", _SWITCH, "There are others, which are not on this page.")

PART = given(
    Member("number", Whole(1), "From 1."),
    Member("state", Choice(tuple(PartState))),
    Member("attempts", _COUNT, "How often it was sent."),
    Member("smsc_message_id", MAYBE_TEXT, "The carrier's id."),
    Member("command_status", Null(_COUNT), "What the carrier answered (SMPP)."),
    Member("receipt_state", MAYBE_TEXT, "What the carrier's receipt says."),
    Member("receipt_error", MAYBE_TEXT),
    Member("error", MAYBE_TEXT, "Why it failed, in words."),
    Member("possible_duplicate", _SWITCH, "The carrier may have had it before."),
    Member("sent_at", MAYBE_TIME),
    Member("answered_at", MAYBE_TIME),
    Member("final_at", MAYBE_TIME),
    name="Part",
)
ATTEMPT = given(
    Member("number", Whole(1)),
    Member("started_at", TIME),
    Member("duration_ms", _COUNT),
    Member("outcome", _TEXT),
    Member("status_code", Null(_COUNT)),
    Member("excerpt", MAYBE_TEXT, "The beginning of the answer."),
    name="Attempt",
)
DELIVERY = given(
    Member("id", IDENTIFIER),
    Member("handler", _TEXT),
    Member("target", _TEXT),
    Member("event", MAYBE_TEXT, "The state that is told; null for the message itself."),
    Member("state", Choice(tuple(DeliveryState))),
    Member("last_outcome", MAYBE_TEXT),
    Member("next_attempt_at", MAYBE_TIME),
    Member("attempts", Many(ATTEMPT)),
    name="Delivery",
)
MESSAGE = given(
    Member("id", IDENTIFIER),
    Member("direction", Choice(("mo", "mt")), "mo: received; mt: sent."),
    Member("from", _TEXT),
    Member("to", _TEXT),
    Member("did", _TEXT, "The account's number."),
    Member("peer", _TEXT, "The other one's."),
    Member("text", _TEXT),
    Member("status", Choice(tuple(MessageStatus))),
    Member("unread", _SWITCH, "It came in, and nobody has read it."),
    Member("leg", _TEXT, "Where it came in: smpp, api, portal, …"),
    Member("upstream", MAYBE_TEXT),
    Member("encoding", MAYBE_TEXT),
    Member("created_at", TIME),
    Member("parts_total", _COUNT),
    Member("flags", Many(_TEXT)),
    Member("duplicate_of", MAYBE_ID),
    Member("parts", Many(PART)),
    Member("deliveries", Many(DELIVERY)),
    name="Message",
)


@lru_cache(1_024)  # the messages of a batch have one time
def iso(ms: int | None) -> str | None:
    """Milliseconds since the epoch as "2026-01-31T12:00:00.000Z"."""
    if ms is None:
        return None
    return f"{datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec='milliseconds')[:23]}Z"


def message(view: MessageView, unread: bool) -> dict[str, object]:
    """A message with its parts (MT) and deliveries (MO); ``unread``: it came in, and nobody has read it."""
    record = view.message
    outgoing = record.direction == "mt"
    return {
        "id": record.id,
        "direction": record.direction,
        "from": record.did if outgoing else record.peer,
        "to": record.peer if outgoing else record.did,
        "did": record.did,
        "peer": record.peer,
        "text": record.text,
        "status": status_of(record, view.parts),
        "unread": unread,
        "leg": record.leg,
        "upstream": record.upstream,
        "encoding": record.encoding,
        "created_at": iso(record.created_at),
        "parts_total": record.parts_total,
        "flags": [flag.name.lower() for flag in MessageFlag(record.flags) if flag.name],
        "duplicate_of": record.duplicate_of,
        "parts": [part(item) for item in view.parts],
        "deliveries": [delivery(item) for item in view.deliveries],
    }


def part(record: PartRecord) -> dict[str, object]:
    """One part on its way to the carrier."""
    return {
        "number": record.number,
        "state": record.state,
        "attempts": record.attempts,
        "smsc_message_id": record.smsc_message_id,
        "command_status": record.command_status,
        "receipt_state": record.receipt_state,
        "receipt_error": record.receipt_error,
        "error": error_of(record),
        "possible_duplicate": bool(record.flags & PartFlag.POSSIBLE_DUPLICATE),
        "sent_at": iso(record.sent_at),
        "answered_at": iso(record.answered_at),
        "final_at": iso(record.final_at),
    }


def delivery(view: DeliveryView) -> dict[str, object]:
    """One handler's duty, with its attempts and the next one's time."""
    record = view.delivery
    pending = record.state == DeliveryState.PENDING
    return {
        "id": record.id,
        "handler": record.handler,
        "target": record.target,
        "event": record.event,
        "state": record.state,
        "last_outcome": record.last_outcome,
        "next_attempt_at": iso(record.due_at) if pending else None,
        "attempts": [attempt(item) for item in view.attempts],
    }


def attempt(record: AttemptRecord) -> dict[str, object]:
    """One try."""
    return {
        "number": record.number,
        "started_at": iso(record.started_at),
        "duration_ms": record.duration_ms,
        "outcome": record.outcome,
        "status_code": record.status_code,
        "excerpt": record.excerpt,
    }
