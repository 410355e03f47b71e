"""What events are about: the rows of their subjects, for whoever is told of the events."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from storage import conversations, messages
from storage.events import Event
from storage.history import EVERYTHING
from storage.messages import delivery_record
from storage.records import DeliveryRecord, MessageView
from storage.tables import delivery, message

OF_DELIVERIES = ("delivery.", "endpoint.")
"""The beginnings of the kinds of events whose subject is a delivery."""


class Subjects(NamedTuple):
    """By their ids; what is deleted or was purged is not there. ``unread`` are those of the messages that
    came in and that nobody has read."""

    messages: dict[int, MessageView]
    deliveries: dict[int, DeliveryRecord]
    unread: set[int]


def subjects(connection: Connection, account_id: int, events: Sequence[Event]) -> Subjects:
    """The messages and deliveries of this account that the events are about, as they are now."""
    of_deliveries = {event.subject_id for event in events if event.kind.startswith(OF_DELIVERIES)}
    of_messages = {event.subject_id for event in events} - of_deliveries
    found: list[MessageView] = []
    owed: list[DeliveryRecord] = []
    if of_messages:
        mine = EVERYTHING.conditions(account_id)
        found = messages.views(connection, select(message).where(message.c.id.in_(of_messages), *mine))
    if of_deliveries:
        query = select(delivery).where(delivery.c.id.in_(of_deliveries), delivery.c.account_id == account_id)
        owed = [delivery_record(row) for row in connection.execute(query)]
    return Subjects(
        {view.message.id: view for view in found},
        {record.id: record for record in owed},
        conversations.unread_of(connection, account_id, found),
    )
