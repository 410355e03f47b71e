"""The sender of a message learns what becomes of it: queued, sent, delivered, failed.

`queued` is planned in the transaction that stores the message, the others right after the change of its
parts; each is told once, by a delivery of its own.
"""

from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import Connection

from storage import deliveries, messages
from storage.deliveries import DueDelivery
from storage.records import DeliveryRecord, DeliveryState, MessageRecord, MessageStatus, PartState

TELLERS = {"imdn": "imdn", "kannel": "report", "jasmin": "report", "mailto": "email"}
"""Who tells a sender that is no plain URL, by the word before the first colon of his address."""

NOT_TOLD: Mapping[str, frozenset[MessageStatus]] = {
    "report": frozenset({MessageStatus.QUEUED}),
    "email": frozenset({MessageStatus.QUEUED, MessageStatus.SENT, MessageStatus.DELIVERED}),
    "imdn": frozenset({MessageStatus.QUEUED, MessageStatus.SENT}),
}
"""What a teller would throw away, so that nothing is stored for it: mail says what failed, Kannel's and
Jasmin's reports begin with what the carrier said, a phone is told how it ended."""

TOLD = frozenset({MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.FAILED})

LEAVING = frozenset({PartState.QUEUED, PartState.SENDING})


Stamp = Callable[[DueDelivery], DueDelivery]


def queued(message: MessageRecord, next_id: Callable[[], int], stamp: Stamp) -> list[DeliveryRecord]:
    """The delivery that tells a new message's sender that it is stored, if he wants to know.

    ``stamp`` puts it into its lane (`edge.deliveries.Outbox.stamp`), here and below.
    """
    if message.status_callback is None or not _is_told(message, MessageStatus.QUEUED):
        return []
    owed = _delivery(message, MessageStatus.QUEUED, next_id(), message.created_at)
    return [stamp(DueDelivery(owed, message)).delivery]


def due(
    conn: Connection,
    part_ids: Iterable[int],
    next_id: Callable[[], int],
    stamp: Stamp,
    now_ms: int,
) -> list[DueDelivery]:
    """Store one delivery for each message that these parts brought further and whose sender wants to know.

    What was told already is not told again; a message that turns from failed to delivered is. ``failed``
    waits while a part of the message is still to be sent.
    """
    planned = []
    for message, parts in messages.awaiting_status(conn, part_ids):
        status = messages.status_of(message, parts)
        leaving = any(part.state in LEAVING for part in parts)
        told = status in TOLD and _is_told(message, status)
        if told and not (leaving and status is MessageStatus.FAILED):
            owed = stamp(DueDelivery(_delivery(message, status, next_id(), now_ms), message))
            if deliveries.insert_event(conn, owed.delivery):
                planned.append(owed)
    return planned


def _teller(address: str) -> str:
    return TELLERS.get(address.partition(":")[0], "status")


def _is_told(message: MessageRecord, status: MessageStatus) -> bool:
    assert message.status_callback is not None
    return status not in NOT_TOLD.get(_teller(message.status_callback), ())


def _delivery(message: MessageRecord, status: MessageStatus, identity: int, now_ms: int) -> DeliveryRecord:
    assert message.account_id is not None
    assert message.did_id is not None
    assert message.status_callback is not None
    return DeliveryRecord(
        id=identity,
        message_id=message.id,
        account_id=message.account_id,
        did_id=message.did_id,
        handler=_teller(message.status_callback),
        target=message.status_callback,
        state=DeliveryState.PENDING,
        attempts=0,
        due_at=now_ms,
        created_at=now_ms,
        updated_at=now_ms,
        event=str(status),
    )
