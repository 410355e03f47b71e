"""Messages taken from sight: at once for people, undone within 30 seconds if they wish, then purged.

A deletion has an id that says when it was made; it stands on each of its messages and in the audit. Many
messages are marked, brought back and purged in steps, each a transaction of its own.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Select, func, select, update

from storage import audit, conversations, events, removal, usage
from storage.history import Filter
from storage.ids import IdSource, lowest_at, time_of
from storage.tables import message

UNDO_MS = 30_000
STEP = 1_000
"""Messages marked or brought back in one transaction."""

PURGE_STEP = 200
"""Messages purged in one: with all that belongs to each, it must not hold up what is being sent."""

TWICE_MS = 15_000
"""How long the same form means the same deletion."""

ACTION = "message.delete"
_A_MINUTE_MS = 60_000


def begin(
    connection: Connection,
    ids: IdSource,
    account_id: int,
    actor: str,
    subject: str,
    now_ms: int,
    *,
    address: str | None = None,
    form: str = "",
) -> int:
    """A new deletion: its id, noted in the audit with what it is of and from where it was wanted.

    Of a form that is sent twice (``form`` is its key) it is the one that the first began a moment ago: what
    both take can be undone as one.
    """
    detail = {"form": form} if form else {}
    found = audit.find(connection, account_id, ACTION, detail, now_ms - TWICE_MS) if form else None
    if found is not None:
        return found
    return audit.note(
        connection, ids.next, account_id, actor, ACTION, subject, now_ms, detail=detail, address=address
    )


def delete_selected(
    connection: Connection, account_id: int, message_ids: Iterable[int], deletion_id: int, now_ms: int
) -> int:
    """Take these messages of the account from sight (at most 1,000); how many there were."""
    wanted = list(message_ids)[:STEP]
    conditions = (
        message.c.id.in_(wanted),
        message.c.account_id == account_id,
        message.c.deletion_id.is_(None),
    )
    return _mark(connection, account_id, conditions, deletion_id, events.Kind.MESSAGE_DELETED, now_ms)


def delete_matching(
    connection: Connection, account_id: int, wanted: Filter, deletion_id: int, now_ms: int, limit: int = STEP
) -> int:
    """One step of taking everything that the filter means from sight; how many went, 0 when it is done.

    Give the filter ``up_to_id``: what comes while the steps run is not meant.
    """
    conditions = wanted.conditions(account_id)
    return _mark(connection, account_id, conditions, deletion_id, events.Kind.MESSAGE_DELETED, now_ms, limit)


def undo(connection: Connection, account_id: int, deletion_id: int, now_ms: int, limit: int = STEP) -> int:
    """One step of bringing a deletion back; how many came, 0 when it is done or its 30 seconds are over."""
    if time_of(deletion_id) < now_ms - UNDO_MS:
        return 0
    conditions = (message.c.account_id == account_id, message.c.deletion_id == deletion_id)
    return _mark(connection, account_id, conditions, None, events.Kind.MESSAGE_RESTORED, now_ms, limit)


def count(connection: Connection, account_id: int, deletion_id: int) -> int:
    """How many messages of the account a deletion has taken, and not given back."""
    taken = select(func.count()).where(
        message.c.deletion_id == deletion_id, message.c.account_id == account_id
    )
    return connection.scalar(taken) or 0


def purge(connection: Connection, now_ms: int, limit: int = PURGE_STEP) -> int:
    """Remove at most ``limit`` messages of deletions that can no longer be undone; how many went.

    One about which something is still under way waits until that is settled.
    """
    over = _over(now_ms).order_by(message.c.deletion_id, message.c.id).limit(limit)
    return removal.remove(connection, list(connection.scalars(over)), usage.HOUR_MS)


def purgeable(connection: Connection, now_ms: int) -> bool:
    """Is there anything for `purge`?"""
    return connection.scalar(_over(now_ms).limit(1)) is not None


def _over(now_ms: int) -> Select[tuple[int]]:
    # `lowest_at` allows for a minute between an id and its date; the ids of deletions are their date.
    before = lowest_at(now_ms - UNDO_MS + _A_MINUTE_MS)
    return select(message.c.id).where(message.c.deletion_id < before, *removal.settled())


def _mark(
    connection: Connection,
    account_id: int,
    conditions: Sequence[ColumnElement[bool]],
    deletion_id: int | None,
    kind: events.Kind,
    now_ms: int,
    limit: int = STEP,
) -> int:
    found = select(message.c.id, message.c.did, message.c.peer).where(*conditions)
    rows = connection.execute(found.order_by(message.c.id.desc()).limit(limit).with_for_update()).all()
    if rows:
        ids = [row.id for row in rows]
        connection.execute(update(message).where(message.c.id.in_(ids)).values(deletion_id=deletion_id))
        conversations.recount(connection, account_id, [(row.did, row.peer) for row in rows])
        events.write(connection, [(account_id, kind, identity, now_ms) for identity in ids])
    return len(rows)
