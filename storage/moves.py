"""Messages that go from one upstream to another: whole, and only when nothing of them has left.

What a lost upstream may have had, and would be sent again, may go too where ``doubtful`` says so: when nobody
carries that upstream any more. What an operator holds goes where ``kept`` says so: when an operator moves it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, literal_column, select, update

from storage.messages import INSERT_PART, is_kept, part_record
from storage.records import MessageRecord, PartFlag, PartRecord, PartState
from storage.statements import execute
from storage.tables import message, part


class Waiting(NamedTuple):
    """A message none of whose parts is, or may be, with an upstream; the parts are by number."""

    message: MessageRecord
    parts: tuple[PartRecord, ...]


def page(
    connection: Connection, upstream: str, after_id: int, limit: int, *, doubtful: bool = False
) -> tuple[list[Waiting], int | None]:
    """The messages that wait whole for this upstream, of the first ``limit`` with a part in its queue and an
    id above ``after_id``; and the id after which the next page starts, None when this was the last one."""
    queued = (
        select(part.c.message_id)
        .where(
            part.c.upstream == upstream,
            part.c.state == literal_column("'queued'"),
            part.c.message_id > after_id,
        )
        .group_by(part.c.message_id)
        .order_by(part.c.message_id)
        .limit(limit)
    )
    ids = list(connection.scalars(queued))
    found = _wholes(connection, upstream, ids, doubtful=doubtful, kept=False)
    return found, ids[-1] if len(ids) == limit else None


def waiting_one(
    connection: Connection, upstream: str, message_id: int, *, doubtful: bool = False, kept: bool = False
) -> Waiting | None:
    """This message, if it waits whole for this upstream."""
    found = _wholes(connection, upstream, [message_id], doubtful=doubtful, kept=kept)
    return found[0] if found else None


def move(
    connection: Connection,
    waiting: Waiting,
    upstream: str,
    encoding: str,
    parts: Sequence[PartRecord],
) -> bool:
    """Give a message to another upstream as these parts, instead of those that ``waiting`` shows.

    False, and nothing is changed, when it has gone on since.
    """
    identity = waiting.message.id
    now = _wholes(connection, waiting.parts[0].upstream, [identity], doubtful=True, kept=True)
    if [item.parts for item in now] != [waiting.parts]:
        return False
    connection.execute(delete(part).where(part.c.message_id == identity))
    values = {"upstream": upstream, "parts_total": len(parts), "encoding": encoding}
    connection.execute(update(message).where(message.c.id == identity).values(values))
    execute(connection, INSERT_PART, list(parts))
    return True


def _wholes(
    connection: Connection, upstream: str, ids: Sequence[int], *, doubtful: bool, kept: bool
) -> list[Waiting]:
    parts: dict[int, list[PartRecord]] = {}
    rows = select(part).where(part.c.message_id.in_(ids)).order_by(part.c.number, part.c.id)
    for row in connection.execute(rows):
        parts.setdefault(row.message_id, []).append(part_record(row))
    whole = [
        identity
        for identity, its in parts.items()
        if all(_waits(item, upstream, doubtful, kept) for item in its)
    ]
    records = select(message).where(message.c.id.in_(whole)).order_by(message.c.id)
    return [
        Waiting(record, tuple(parts[record.id]))
        for record in map(MessageRecord._make, connection.execute(records))
    ]


def _waits(record: PartRecord, upstream: str, doubtful: bool, kept: bool) -> bool:
    """It is with nobody: it was never sent, or refused by the upstream that still has it in its queue; or
    the upstream may have had it, and ``doubtful`` lets that pass."""
    return (
        (record.state is PartState.QUEUED or (kept and is_kept(record)))
        and record.upstream == upstream
        and (doubtful or not record.flags & PartFlag.POSSIBLE_DUPLICATE)
    )
