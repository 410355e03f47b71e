"""The parts of MT messages on their way to an upstream.

queued → sending → sent → delivered | failed | expired; what a crash or a lost bind leaves in ``sending`` is
``in_doubt`` (and then queued again) or ``held``. What the upstream said of a part, or a receipt told, is
not taken back: only `record_late` takes a part out of a final state, one in which we had given it up.

What these writes make of a message is told when they are a `storage.progress.Change` that names their parts,
`record_sent` for the only part of a message also without; the functions tell it themselves.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    Text,
    Update,
    and_,
    case,
    exists,
    literal_column,
    not_,
    or_,
    select,
    text,
    update,
)

from storage import progress
from storage.messages import IS_KEPT, part_record
from storage.progress import NOT_TAKEN
from storage.records import PartFlag, PartRecord, PartState
from storage.statements import Write, execute_all, given, hot_update
from storage.tables import PART_OPEN, PART_PASSING, Id, message, part

NOT_FINAL = part.c.state.not_in(sorted(PartState.FINAL))
# A doubt is settled once: what the upstream answered meanwhile, or a receipt told, is not taken back.
ON_ITS_WAY = (PartState.SENDING, PartState.IN_DOUBT)

IS_DOUBTFUL = or_(
    part.c.state == PartState.IN_DOUBT.value, and_(part.c.state == PartState.HELD.value, not_(IS_KEPT))
)
"""The SMSC may or may not have it. What an operator keeps is held too, and in no doubt."""


class QueuedPart(NamedTuple):
    """A part, whose it is, and the numbers it goes between; ``told``: somebody wants to know each state of
    its message."""

    part: PartRecord
    account_id: int
    did: str
    peer: str
    told: bool = False


def _change(*states: PartState, **values: Any) -> Update:
    """Of a part in one of these states; of any part that is not final, if none is named."""
    allowed = part.c.state.in_([state.value for state in states]) if states else NOT_FINAL
    return update(part).where(part.c.id == given("part_id", Id), allowed).values(values)


_MARK_SENDING = hot_update(
    _change(
        PartState.QUEUED,
        state=PartState.SENDING.value,
        attempts=given("attempts_", Integer()),
        sent_at=given("now", BigInteger()),
    ),
    "part_id",
    "attempts_",
    "now",
)
_TOLD_BEFORE_ANSWER = and_(part.c.receipt_state.is_not(None), part.c.answered_at.is_(None))
_RECORD_SENT = hot_update(
    update(part)
    .where(part.c.id == given("part_id", Id), or_(NOT_FINAL, _TOLD_BEFORE_ANSWER))
    .values(
        state=case((NOT_FINAL, PartState.SENT.value), else_=part.c.state),
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
        *NOT_TAKEN,
        state=PartState.FAILED.value,
        command_status=given("status", BigInteger()),
        answered_at=given("now", BigInteger()),
        final_at=given("now", BigInteger()),
    ),
    "part_id",
    "status",
    "now",
)
# What was decided of its message while a part was on its way, its coming back does not undo.
_DECIDED = int(PartFlag.DROPPED | PartFlag.KEPT)
_IS_DROPPED = part.c.flags.bitwise_and(int(PartFlag.DROPPED)) != 0
_REQUEUE = hot_update(
    _change(
        *ON_ITS_WAY,
        state=case(
            (_IS_DROPPED, PartState.FAILED.value),
            (IS_KEPT, PartState.HELD.value),
            else_=PartState.QUEUED.value,
        ),
        final_at=case((_IS_DROPPED, given("now", BigInteger())), else_=None),
        due_at=given("due", BigInteger()),
        flags=given("flags_", Integer()).bitwise_or(part.c.flags.bitwise_and(_DECIDED)),
        command_status=given("status", BigInteger()),
    ),
    "part_id",
    "now",
    "due",
    "flags_",
    "status",
)
_HOLD = hot_update(
    _change(
        *ON_ITS_WAY,
        state=case((_IS_DROPPED, PartState.FAILED.value), else_=PartState.HELD.value),
        final_at=case((_IS_DROPPED, given("now", BigInteger())), else_=None),
        flags=part.c.flags.bitwise_and(~int(PartFlag.KEPT)),
    ),
    "part_id",
    "now",
)
_IN_DOUBT = hot_update(_change(PartState.SENDING, state=PartState.IN_DOUBT.value), "part_id")
_EXPIRE = hot_update(
    _change(
        PartState.QUEUED,
        PartState.IN_DOUBT,
        state=PartState.EXPIRED.value,
        final_at=given("now", BigInteger()),
    ),
    "part_id",
    "now",
)
_OPT_OUT = hot_update(
    update(part)
    .where(
        part.c.message_id == given("of_message", Id),
        or_(
            part.c.state == PartState.QUEUED.value,
            and_(part.c.id == given("part_id", Id), part.c.state == PartState.SENDING.value),
        ),
    )
    .values(
        state=PartState.FAILED.value,
        flags=part.c.flags.bitwise_or(int(PartFlag.OPTED_OUT)),
        final_at=given("now", BigInteger()),
    ),
    "of_message",
    "part_id",
    "now",
)
_WAITS = part.c.state.in_((PartState.QUEUED.value, PartState.HELD.value))
_FAIL_REST = hot_update(
    update(part)
    .where(part.c.message_id == given("of_message", Id), part.c.state.in_([s.value for s in NOT_TAKEN]))
    .values(
        state=case((_WAITS, PartState.FAILED.value), else_=part.c.state),
        command_status=case((_WAITS, given("status", BigInteger())), else_=part.c.command_status),
        final_at=case((_WAITS, given("now", BigInteger())), else_=None),
        flags=case((_WAITS, part.c.flags), else_=part.c.flags.bitwise_or(int(PartFlag.DROPPED))),
    ),
    "of_message",
    "status",
    "now",
)


def queued(connection: Connection, upstream: str, now_ms: int, limit: int) -> list[QueuedPart]:
    """What waits for this upstream, is due, and whose time is not over; oldest first. What is behind a part
    of its message that is held waits with it: whoever decides may have that one sent again."""
    before = part.alias()
    held = exists().where(
        before.c.message_id == part.c.message_id,
        before.c.number < part.c.number,
        before.c.state == PartState.HELD.value,
    )
    query = (
        _with_numbers()
        .where(
            part.c.upstream == upstream,
            part.c.state == literal_column("'queued'"),
            part.c.due_at <= now_ms,
            or_(part.c.expires_at.is_(None), part.c.expires_at > now_ms),
            or_(part.c.total == 1, ~held),
        )
        .order_by(part.c.due_at, part.c.id)
        .limit(limit)
    )
    return _queued_parts(connection, query)


def unanswered(connection: Connection, upstream: str) -> list[QueuedPart]:
    """The parts in ``sending`` and ``in_doubt``, oldest first: at start, what the last run left so."""
    query = _with_numbers().where(part.c.upstream == upstream, text(PART_OPEN), part.c.state.in_(ON_ITS_WAY))
    return _queued_parts(connection, query.order_by(part.c.id))


def doubtful(connection: Connection, upstream: str, limit: int) -> list[QueuedPart]:
    """The parts of an upstream that it may or may not have, oldest first."""
    query = _with_numbers().where(part.c.upstream == upstream, text(PART_OPEN), IS_DOUBTFUL)
    return _queued_parts(connection, query.order_by(part.c.id).limit(limit))


def overdue(connection: Connection, upstream: str, now_ms: int, limit: int) -> list[int]:
    """The ids of the parts that wait for this upstream and whose time is over."""
    query = select(part.c.id).where(
        part.c.upstream == upstream, text(PART_PASSING), part.c.expires_at <= now_ms
    )
    return list(connection.scalars(query.order_by(part.c.expires_at).limit(limit)))


class Decided(NamedTuple):
    """A part that an operator decided."""

    id: int
    message_id: int
    upstream: str


def decide(connection: Connection, part_ids: Sequence[int], now_ms: int, *, resend: bool) -> list[Decided]:
    """An operator decides parts in doubt: send them again, flagged, or give them up as failed, and with them
    what is left of their messages. Those that were so."""
    chosen = part.c.id.in_(part_ids), IS_DOUBTFUL
    query = select(part.c.id, part.c.message_id, part.c.upstream).where(*chosen).order_by(part.c.id)
    found = [Decided(*row) for row in connection.execute(query.with_for_update())]
    values: dict[str, Any] = {"state": PartState.FAILED.value, "final_at": now_ms}
    if resend:
        flags = part.c.flags.bitwise_and(~int(PartFlag.KEPT)).bitwise_or(int(PartFlag.POSSIBLE_DUPLICATE))
        values = {"state": PartState.QUEUED.value, "flags": flags}
    ids = [one.id for one in found]
    with progress.telling(connection, ids, now_ms):
        connection.execute(update(part).where(part.c.id.in_(ids)).values(values))
        if not resend:
            for message_id in {one.message_id for one in found}:
                execute_all(connection, fail_rest(message_id, None, now_ms))
    return found


def record_late(connection: Connection, part_id: int, smsc_message_id: str | None, now_ms: int) -> bool:
    """The upstream took it after all, in whichever attempt: that outweighs what we decided meanwhile, and a
    refusal of another attempt. False if it is known to be taken already, or a receipt told its end."""
    given_up = and_(
        part.c.state.in_((PartState.FAILED, PartState.EXPIRED)),
        part.c.smsc_message_id.is_(None),
        part.c.receipt_state.is_(None),
    )
    taken = (
        update(part)
        .where(part.c.id == part_id, or_(part.c.state.in_(NOT_TAKEN), given_up))
        .values(
            state=PartState.SENT.value,
            smsc_message_id=smsc_message_id,
            command_status=0,
            answered_at=now_ms,
            final_at=None,
        )
    )
    with progress.telling(connection, [part_id], now_ms):
        return connection.execute(taken).rowcount == 1


def messages_of(connection: Connection, part_ids: Sequence[int]) -> dict[int, int]:
    """The message of each of these parts."""
    query = select(part.c.id, part.c.message_id).where(part.c.id.in_(part_ids))
    return {row.id: row.message_id for row in connection.execute(query)}


def mark_sending(part_id: int, attempts: int, sent_at_ms: int) -> list[Write]:
    """Its bytes may leave once this is committed; ``attempts`` counts this one."""
    return [(_MARK_SENDING, (part_id, attempts, sent_at_ms))]


def record_sent(part_id: int, smsc_message_id: str | None, now_ms: int) -> list[Write]:
    """The upstream took it, under this id; None: it gave it none. What a receipt told before stays."""
    return [progress.tell_sent(part_id, now_ms), (_RECORD_SENT, (part_id, smsc_message_id, now_ms))]


def record_failed(part_id: int, command_status: int | None, now_ms: int) -> list[Write]:
    """The upstream refused it for good; nothing changes if it took another attempt."""
    return [(_RECORD_FAILED, (part_id, command_status, now_ms))]


def requeue(part_id: int, due_at: int, flags: int, command_status: int | None, now_ms: int) -> list[Write]:
    """Send it again at ``due_at``, unless its message was given up or is held since it left; ``flags``
    (`PartFlag`) replaces what else it has."""
    return [(_REQUEUE, (part_id, now_ms, due_at, int(flags), command_status))]


def hold(part_id: int, now_ms: int) -> list[Write]:
    """Keep it until a receipt or the operator decides; it has failed if its message was given up."""
    return [(_HOLD, (part_id, now_ms))]


def mark_in_doubt(part_id: int) -> list[Write]:
    """The upstream may have it: the link or the server went before its answer."""
    return [(_IN_DOUBT, (part_id,))]


def expire(part_id: int, now_ms: int) -> list[Write]:
    """Its time is over, if it still waits, or waits for an answer."""
    return [(_EXPIRE, (part_id, now_ms))]


def settle_doubt(item: PartRecord, now_ms: int) -> list[Write]:
    """No answer to this part will come any more: it is held, or sent again and flagged, as its route said."""
    if item.flags & PartFlag.HOLD:
        return hold(item.id, now_ms)
    return requeue(item.id, item.due_at, item.flags | PartFlag.POSSIBLE_DUPLICATE, None, now_ms)


def opt_out(item: PartRecord, now_ms: int) -> list[Write]:
    """The peer wants no more messages: this part, whose bytes have not left, and those of its message that
    wait are not sent."""
    return [(_OPT_OUT, (item.message_id, item.id, now_ms))]


def fail_rest(message_id: int, command_status: int | None, now_ms: int) -> list[Write]:
    """One part of this message was refused for good, or given up: it cannot be whole. Those that wait have
    failed, those on their way are not sent again."""
    return [(_FAIL_REST, (message_id, command_status, now_ms))]


def _with_numbers() -> Select[Any]:
    return select(
        part,
        message.c.account_id.label("message_account"),
        message.c.did.label("message_did"),
        message.c.peer.label("message_peer"),
        message.c.status_callback.is_not(None).label("message_told"),
    ).join(message, message.c.id == part.c.message_id)


def _queued_parts(connection: Connection, query: Select[Any]) -> list[QueuedPart]:
    width = len(PartRecord._fields)
    return [
        QueuedPart(part_record(row[:width]), row[width], row[width + 1], row[width + 2], bool(row[width + 3]))
        for row in connection.execute(query)
    ]
