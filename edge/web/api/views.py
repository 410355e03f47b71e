"""Rows as JSON documents."""

from datetime import UTC, datetime

from edge.carrier_errors import error_of
from storage.messages import status_of
from storage.records import (
    AttemptRecord,
    DeliveryState,
    DeliveryView,
    MessageFlag,
    MessageView,
    PartFlag,
    PartRecord,
)


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
