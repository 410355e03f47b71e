"""What events are about: the rows of their subjects, for whoever is told of the events."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from storage import messages
from storage.events import Event
from storage.history import EVERYTHING
from storage.messages import delivery_record
from storage.records import DeliveryRecord, MessageView
from storage.tables import delivery, message


class Subjects(NamedTuple):
    """By their ids; what is deleted or was purged is not there."""

    messages: dict[int, MessageView]
    deliveries: dict[int, DeliveryRecord]


def subjects(connection: Connection, account_id: int, events: Sequence[Event]) -> Subjects:
    """The messages and deliveries of this account that the events are about, as they are now."""
    of_deliveries = {event.subject_id for event in events if event.kind.startswith("delivery.")}
    of_messages = {event.subject_id for event in events} - of_deliveries
    found: list[MessageView] = []
    owed: list[DeliveryRecord] = []
    if of_messages:
        mine = EVERYTHING.conditions(account_id)
        found = messages.views(connection, select(message).where(message.c.id.in_(of_messages), *mine))
    if of_deliveries:
        query = select(delivery).where(delivery.c.id.in_(of_deliveries), delivery.c.account_id == account_id)
        owed = [delivery_record(row) for row in connection.execute(query)]
    return Subjects({view.message.id: view for view in found}, {record.id: record for record in owed})
