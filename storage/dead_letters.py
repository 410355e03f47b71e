"""Deliveries one by one and the dead ones in rows, for the people whose account they are in."""

from sqlalchemy import Connection, literal_column, select

from storage.messages import delivery_record
from storage.pages import bounded
from storage.records import AttemptRecord, DeliveryRecord, DeliveryState, DeliveryView
from storage.tables import attempt, delivery

MAX_LIMIT = 1_000


def find(connection: Connection, account_id: int | None, delivery_id: int) -> DeliveryRecord | None:
    """One delivery of this account; None asks for an operator, here and below."""
    query = select(delivery).where(delivery.c.id == delivery_id)
    if account_id is not None:
        query = query.where(delivery.c.account_id == account_id)
    row = connection.execute(query).first()
    return None if row is None else delivery_record(row)


def view(connection: Connection, account_id: int, delivery_id: int) -> DeliveryView | None:
    """One delivery of this account with its attempts."""
    record = find(connection, account_id, delivery_id)
    if record is None:
        return None
    tries = select(attempt).where(attempt.c.delivery_id == delivery_id).order_by(attempt.c.number)
    return DeliveryView(record, tuple(AttemptRecord._make(row) for row in connection.execute(tries)))


def dead(
    connection: Connection,
    account_id: int,
    *,
    handler: str | None = None,
    from_id: int | None = None,
    to_id: int | None = None,
    limit: int = 50,
) -> list[DeliveryRecord]:
    """Failed deliveries, oldest first; of one handler, or with ids from … to … (both included), if so asked.

    ``limit`` is held between 1 and 1,000 and one (`storage.pages`).
    """
    query = select(delivery).where(
        delivery.c.account_id == account_id, delivery.c.state == literal_column("'failed'")
    )
    if handler is not None:
        query = query.where(delivery.c.handler == handler)
    if from_id is not None:
        query = query.where(delivery.c.id >= from_id)
    if to_id is not None:
        query = query.where(delivery.c.id <= to_id)
    rows = connection.execute(query.order_by(delivery.c.id).limit(bounded(limit, MAX_LIMIT)))
    return [delivery_record(row) for row in rows]


def some(
    connection: Connection,
    account_id: int | None,
    state: DeliveryState,
    handler: str | None,
    from_id: int,
    to_id: int,
    limit: int,
) -> list[DeliveryRecord]:
    """Deliveries in a state, by their ids. For operators: it may read much of the table."""
    query = select(delivery).where(delivery.c.state == state.value, delivery.c.id.between(from_id, to_id))
    if account_id is not None:
        query = query.where(delivery.c.account_id == account_id)
    if handler is not None:
        query = query.where(delivery.c.handler == handler)
    rows = connection.execute(query.order_by(delivery.c.id).limit(bounded(limit, MAX_LIMIT)))
    return [delivery_record(row) for row in rows]
