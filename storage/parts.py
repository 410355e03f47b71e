"""The parts of MT messages on their way to an upstream.

queued → sending → sent → delivered | failed | expired; what a crash or a lost bind leaves in ``sending`` is
``in_doubt`` (and then queued again) or ``held``. No write here takes a part out of a final state.
"""

from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    Text,
    Update,
    literal_column,
    select,
    text,
    update,
)

from storage.messages import part_record
from storage.records import PartRecord, PartState
from storage.statements import Write, given, hot_update
from storage.tables import PART_OPEN, Id, message, part

NOT_FINAL = part.c.state.not_in(sorted(PartState.FINAL))
# A doubt is settled once: what the upstream answered meanwhile, or a receipt told, is not taken back.
ON_ITS_WAY = (PartState.SENDING, PartState.IN_DOUBT)


class QueuedPart(NamedTuple):
    """A part and the numbers it goes between; ``told``: somebody wants to know each state of its message."""

    part: PartRecord
    did: str
    peer: str
    told: bool = False


def _change(*states: PartState, **values: Any) -> Update:
    """Of a part in one of these states; of any part that is not final, if none is named."""
    allowed = part.c.state.in_([state.value for state in states]) if states else NOT_FINAL
    return update(part).where(part.c.id == given("part_id", Id), allowed).values(values)


_MARK_SENDING = hot_update(
    _change(
        state=PartState.SENDING.value,
        attempts=given("attempts_", Integer()),
        sent_at=given("now", BigInteger()),
    ),
    "part_id",
    "attempts_",
    "now",
)
_RECORD_SENT = hot_update(
    _change(
        state=PartState.SENT.value,
        smsc_message_id=given("smsc_id", Text()),
        command_status=0,
        answered_at=given("now", BigInteger()),
    ),
    "part_id",
    "smsc_id",
    "now",
)
_RECORD_FAILED = hot_update(
    _change(
        state=PartState.FAILED.value,
        command_status=given("status", BigInteger()),
        answered_at=given("now", BigInteger()),
        final_at=given("now", BigInteger()),
    ),
    "part_id",
    "status",
    "now",
)
_REQUEUE = hot_update(
    _change(
        *ON_ITS_WAY,
        state=PartState.QUEUED.value,
        due_at=given("due", BigInteger()),
        flags=given("flags_", Integer()),
        command_status=given("status", BigInteger()),
    ),
    "part_id",
    "due",
    "flags_",
    "status",
)
_HOLD = hot_update(_change(*ON_ITS_WAY, state=PartState.HELD.value), "part_id")
_IN_DOUBT = hot_update(_change(PartState.SENDING, state=PartState.IN_DOUBT.value), "part_id")
_EXPIRE = hot_update(
    _change(state=PartState.EXPIRED.value, final_at=given("now", BigInteger())),
    "part_id",
    "now",
)


def queued(connection: Connection, upstream: str, now_ms: int, limit: int) -> list[QueuedPart]:
    """What waits for this upstream and is due, oldest first."""
    query = (
        _with_numbers()
        .where(
            part.c.upstream == upstream, part.c.state == literal_column("'queued'"), part.c.due_at <= now_ms
        )
        .order_by(part.c.due_at, part.c.id)
        .limit(limit)
    )
    return _queued_parts(connection, query)


def sending(connection: Connection, upstream: str) -> list[QueuedPart]:
    """The parts in ``sending``, oldest first: at start, what the last run left without an answer."""
    query = _with_numbers().where(
        part.c.upstream == upstream, text(PART_OPEN), part.c.state == PartState.SENDING.value
    )
    return _queued_parts(connection, query.order_by(part.c.id))


def mark_sending(part_id: int, attempts: int, sent_at_ms: int) -> list[Write]:
    """Its bytes may leave once this is committed; ``attempts`` counts this one."""
    return [(_MARK_SENDING, (part_id, attempts, sent_at_ms))]


def record_sent(part_id: int, smsc_message_id: str | None, now_ms: int) -> list[Write]:
    """The upstream took it, under this id."""
    return [(_RECORD_SENT, (part_id, smsc_message_id, now_ms))]


def record_failed(part_id: int, command_status: int | None, now_ms: int) -> list[Write]:
    """The upstream refused it for good."""
    return [(_RECORD_FAILED, (part_id, command_status, now_ms))]


def requeue(part_id: int, due_at: int, flags: int, command_status: int | None) -> list[Write]:
    """Send it again at ``due_at``; ``flags`` (`PartFlag`) replaces what it has."""
    return [(_REQUEUE, (part_id, due_at, int(flags), command_status))]


def hold(part_id: int) -> list[Write]:
    """Keep it until a receipt or the operator decides."""
    return [(_HOLD, (part_id,))]


def mark_in_doubt(part_id: int) -> list[Write]:
    """The upstream may have it: the link or the server went before its answer."""
    return [(_IN_DOUBT, (part_id,))]


def expire(part_id: int, now_ms: int) -> list[Write]:
    """Its time is over."""
    return [(_EXPIRE, (part_id, now_ms))]


def _with_numbers() -> Select[Any]:
    return select(
        part,
        message.c.did.label("message_did"),
        message.c.peer.label("message_peer"),
        message.c.status_callback.is_not(None).label("message_told"),
    ).join(message, message.c.id == part.c.message_id)


def _queued_parts(connection: Connection, query: Select[Any]) -> list[QueuedPart]:
    width = len(PartRecord._fields)
    return [
        QueuedPart(part_record(row[:width]), row[width], row[width + 1], bool(row[width + 2]))
        for row in connection.execute(query)
    ]
