"""Rows for tests: a message, its parts, its deliveries, with only what matters to a test said by it."""

from typing import Any

from storage.ids import IdSource
from storage.records import DeliveryRecord, DeliveryState, MessageRecord, PartRecord, PartState, ReceiptRecord

NOW = 1_800_000_000_000
DID = "+12025550100"
PEER = "+12025550199"
UPSTREAM = "carrier"

ids = IdSource(14, lambda: NOW)


def mo(**fields: Any) -> MessageRecord:
    """An MO message of account 1."""
    record = MessageRecord(ids.next(), 1, 2, "mo", "smpp", DID, PEER, "hello", UPSTREAM, NOW, 1, "GSM7")
    return record._replace(**fields)


def mt(**fields: Any) -> MessageRecord:
    """An MT message of account 1."""
    return mo(direction="mt", leg="api", **fields)


def part_of(message: MessageRecord, **fields: Any) -> PartRecord:
    """A queued part of a message, due at once."""
    record = PartRecord(
        ids.next(), message.id, UPSTREAM, 1, 1, 0, 0, b"hello", None, PartState.QUEUED, due_at=NOW
    )
    return record._replace(**fields)


def delivery_of(message: MessageRecord, **fields: Any) -> DeliveryRecord:
    """A pending delivery of a message, due at once."""
    record = DeliveryRecord(
        ids.next(), message.id, 1, 2, "callback", "http://sink/", DeliveryState.PENDING, 0, NOW, NOW, NOW
    )
    return record._replace(**fields)


def receipt_for(smsc_message_id: str, **fields: Any) -> ReceiptRecord:
    """A receipt that says delivered."""
    record = ReceiptRecord(
        ids.next(), UPSTREAM, smsc_message_id, "DELIVERED", None, b"id:1 stat:DELIVRD", NOW
    )
    return record._replace(**fields)
