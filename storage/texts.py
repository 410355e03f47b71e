"""Rows of messages for lists of many: no more columns than such a list shows, and what the parts came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, or_, select

from storage import media
from storage.history import Filter
from storage.media import MediaPlace
from storage.messages import STATE_TO_TELL, status_of_states
from storage.records import Direction, MessageFlag, MessageStatus, PartState
from storage.tables import message, part

Kind = Literal["sms", "mms"]
_STEP = 5_000


class TextRow(NamedTuple):
    """What the table has of one."""

    id: int
    created_at: int
    direction: Direction
    did: str
    peer: str
    text: str
    flags: int


@dataclass(frozen=True, slots=True)
class TextView:
    """A message with what became of it and the places of what came with it."""

    row: TextRow
    status: MessageStatus
    media: tuple[MediaPlace, ...]


def page(
    connection: Connection,
    account_id: int,
    wanted: Filter,
    *,
    kind: Kind | None = None,
    message_id: int | None = None,
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int = _STEP,
) -> list[TextView]:
    """Messages of this account that have a text or media, newest first; at most 5,000 at a time.

    ``kind`` None stands for both; ``before_id`` leaves out that message and the newer ones. With ``after_id``
    they are those after it, oldest first.
    """
    query = select(*(message.c[name] for name in TextRow._fields)).where(*wanted.conditions(account_id))
    query = query.where(*_of_kind(kind))
    if message_id is not None:
        query = query.where(message.c.id == message_id)
    if before_id is not None:
        query = query.where(message.c.id < before_id)
    order = wanted.order(connection, account_id)
    if after_id is not None:
        query = query.where(message.c.id > after_id).order_by(order)
    else:
        query = query.order_by(order.desc())
    query = query.limit(min(max(limit, 1), _STEP))
    rows = [TextRow._make(row) for row in connection.execute(query)]
    states = _states(connection, [row.id for row in rows if row.direction == "mt"])
    with_media = [row.id for row in rows if row.flags & MessageFlag.MMS]
    places = media.places(connection, account_id, with_media) if with_media else {}
    return [
        TextView(
            row, status_of_states(row.direction, states.get(row.id, set())), tuple(places.get(row.id, ()))
        )
        for row in rows
    ]


def _of_kind(kind: Kind | None) -> list[ColumnElement[bool]]:
    is_mms, erased = (
        message.c.flags.op("&")(int(flag)) != 0 for flag in (MessageFlag.MMS, MessageFlag.ERASED)
    )
    if kind is None:
        return [~erased, or_(message.c.text != "", is_mms)]
    return [~erased, is_mms] if kind == "mms" else [~erased, ~is_mms, message.c.text != ""]


def _states(connection: Connection, message_ids: Sequence[int]) -> dict[int, set[PartState]]:
    found: dict[int, set[PartState]] = {}
    for start in range(0, len(message_ids), 1_000):
        some = message_ids[start : start + 1_000]
        query = select(part.c.message_id, STATE_TO_TELL).where(part.c.message_id.in_(some))
        for row in connection.execute(query):
            found.setdefault(row.message_id, set()).add(PartState(row.state))
    return found
