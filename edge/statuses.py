"""The sender of a message learns its final state: planned here, in the transaction that makes it final."""

from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from storage import deliveries, messages
from storage.deliveries import DueDelivery
from storage.records import DeliveryRecord, DeliveryState, MessageRecord, MessageStatus

FINAL = frozenset({MessageStatus.DELIVERED, MessageStatus.FAILED})


def due(
    conn: Connection,
    part_ids: Iterable[int],
    next_id: Callable[[], int],
    stamp: Callable[[DueDelivery], DueDelivery],
    now_ms: int,
) -> list[DueDelivery]:
    """Store one delivery for each message that these parts have made final and whose sender wants to know.

    What was told already is not told again; a message that turns from failed to delivered is. ``stamp`` puts
    each into its lane (`edge.deliveries.Outbox.stamp`).
    """
    planned = []
    for message, parts in messages.awaiting_status(conn, part_ids):
        status = messages.status_of(message, parts)
        if status in FINAL and all(part.state.final for part in parts):
            owed = stamp(DueDelivery(_delivery(message, status, next_id(), now_ms), message))
            if deliveries.insert_event(conn, owed.delivery):
                planned.append(owed)
    return planned


def _delivery(message: MessageRecord, status: MessageStatus, identity: int, now_ms: int) -> DeliveryRecord:
    assert message.account_id is not None
    assert message.did_id is not None
    assert message.status_callback is not None
    return DeliveryRecord(
        id=identity,
        message_id=message.id,
        account_id=message.account_id,
        did_id=message.did_id,
        handler="status",
        target=message.status_callback,
        state=DeliveryState.PENDING,
        attempts=0,
        due_at=now_ms,
        created_at=now_ms,
        updated_at=now_ms,
        event=str(status),
    )
