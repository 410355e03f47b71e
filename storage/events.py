"""The feed: what changed, written in the transaction that changed it, read in an order that skips nothing.

The order is (number of the transaction, id). On SQLite the number is 0 and the id is given inside the one
write transaction there is at a time, so the ids are the order of the commits. On PostgreSQL transactions
commit in any order; a reader gets an event only when no transaction with a number as low is still running
(the horizon, ``pg_snapshot_xmin``), so nothing can turn up behind its cursor. Writers wait for nobody.

A cursor belongs to an epoch: a store that was put back from a backup begins a new one. Who comes with a
cursor of another epoch, or from before what was purged, is told that there is a gap.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, Select, Text, cast, delete, func, select, tuple_, update

from storage.records import DeliveryRecord, DeliveryState, MessageRecord
from storage.statements import Write, hot_insert
from storage.tables import event, feed, follower

INSERT_EVENT = hot_insert(event, "id", "xact")

MAX_LIMIT = 1_000


class Kind(StrEnum):
    """What an event tells. Its subject is a message for ``message.*``, a delivery for ``delivery.*``, and for
    ``conversation.*`` the newest message of the conversation. Of what becomes of a message `storage.progress`
    says which steps are told. ``endpoint.paused``: the delivery that failed when its endpoint was given up
    (see `storage.endpoints`).
    """

    MESSAGE_RECEIVED = "message.received"
    MESSAGE_QUEUED = "message.queued"
    MESSAGE_SENT = "message.sent"
    MESSAGE_IN_DOUBT = "message.in_doubt"
    MESSAGE_DELIVERED = "message.delivered"
    MESSAGE_FAILED = "message.failed"
    MESSAGE_DELETED = "message.deleted"
    MESSAGE_RESTORED = "message.restored"
    DELIVERY_DELIVERED = "delivery.delivered"
    DELIVERY_FAILED = "delivery.failed"
    CONVERSATION_READ = "conversation.read"
    CONVERSATION_CHANGED = "conversation.changed"
    ENDPOINT_PAUSED = "endpoint.paused"


class Cursor(NamedTuple):
    """A place in the feed; ``str`` gives it as people's programs hand it back."""

    epoch: int
    xact: int
    id: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.xact}-{self.id}"

    @property
    def place(self) -> tuple[int, int]:
        """As `Event.place`."""
        return self.xact, self.id

    @classmethod
    def parse(cls, written: str) -> Self | None:
        """What `str` gave; None for anything else."""
        members = written.split("-")
        if len(members) != len(cls._fields) or not all(
            member.isascii() and member.isdecimal() and len(member) < 19 for member in members
        ):
            return None
        return cls._make(map(int, members))


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed. ``account_id`` is None for an MO whose DID nobody here has."""

    id: int
    xact: int
    account_id: int | None
    kind: str
    subject_id: int
    at: int

    @property
    def place(self) -> tuple[int, int]:
        """Where it is in the feed: comparable to a cursor's without its epoch."""
        return self.xact, self.id


@dataclass(frozen=True, slots=True)
class Batch:
    """The events after a cursor and the cursor after them.

    With ``gap`` the cursor given was of no use: what came after it is not all here. The reader looks at what
    there is now and goes on from ``cursor``.
    """

    events: tuple[Event, ...]
    cursor: Cursor
    gap: bool = False


# -- writing ------------------------------------------------------------------------------------------------


def record(account_id: int | None, kind: Kind, subject_id: int, at: int) -> list[Write]:
    """The write that tells of one change; part of the unit that makes it."""
    return [(INSERT_EVENT, (account_id, kind.value, subject_id, at))]


def message_added(message: MessageRecord) -> Write:
    """A message is there: received, or queued. `storage.messages.insert` has it among its writes."""
    kind = "message.received" if message.direction == "mo" else "message.queued"
    return INSERT_EVENT, (message.account_id, kind, message.id, message.created_at)


def delivery_changed(delivery: DeliveryRecord, state: DeliveryState, now_ms: int) -> list[Write]:
    """The delivery has ended in this state."""
    return record(delivery.account_id, Kind(f"delivery.{state.value}"), delivery.id, now_ms)


def write(connection: Connection, rows: Sequence[tuple[int | None, Kind, int, int]]) -> None:
    """Tell of changes that a function of the writer makes: (account, kind, subject, at) each."""
    if rows:
        names = ("account_id", "kind", "subject_id", "at")
        connection.execute(event.insert(), [dict(zip(names, row, strict=True)) for row in rows])


# -- reading ------------------------------------------------------------------------------------------------


def head(connection: Connection) -> Cursor:
    """The cursor after everything that can be read now."""
    query = _visible(connection, select(event.c.xact, event.c.id)).order_by(*_backwards(connection)).limit(1)
    newest = connection.execute(query).first()
    epoch, *purged = _feed_row(connection)
    return Cursor(epoch, *(newest or purged))


def read_after(
    connection: Connection,
    cursor: Cursor,
    account_id: int | None = None,
    limit: int = MAX_LIMIT,
    kinds: Collection[str] = (),
) -> Batch:
    """The next events after a cursor, in order; those of one account, or of all (for the server itself), and
    of these kinds, or of all.

    The cursor after the last event that is meant is past the others too: one for whom nothing happens does
    not stay behind until his place is purged.
    """
    epoch, *purged = _feed_row(connection)
    if cursor.epoch != epoch or cursor.place < tuple(purged):
        return Batch((), head(connection), gap=True)
    limit = min(max(limit, 1), MAX_LIMIT)
    # Looked up before the events are: what comes between the two is after it.
    end = cursor if account_id is None and not kinds else max(cursor, head(connection))
    query = _after(connection, cursor)
    if kinds:
        query = query.where(event.c.kind.in_(kinds))
    if account_id is not None:
        query = query.where(event.c.account_id == account_id)
    found = tuple(Event(*row) for row in connection.execute(query.limit(limit)))
    if not found and cursor.place > (newest := head(connection)).place:
        return Batch((), newest, gap=True)  # nobody was given this one: the feed is not the one it is of
    last = Cursor(epoch, found[-1].xact, found[-1].id) if found else cursor
    return Batch(found, last if len(found) == limit else max(last, end))


def start(connection: Connection) -> Cursor:
    """The cursor before the oldest event that is kept."""
    return Cursor(*_feed_row(connection))


def _after(connection: Connection, cursor: Cursor) -> Select[Any]:
    query = _visible(connection, select(event))
    if _ordered_by_id(connection):
        return query.where(event.c.id > cursor.id).order_by(event.c.id)
    place = tuple_(event.c.xact, event.c.id)
    return query.where(place > tuple_(cursor.xact, cursor.id)).order_by(event.c.xact, event.c.id)


def _visible(connection: Connection, query: Select[Any]) -> Select[Any]:
    """Only what lies before the horizon."""
    if _ordered_by_id(connection):
        return query
    horizon = cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), event.c.xact.type)
    return query.where(event.c.xact < horizon)


def _backwards(connection: Connection) -> tuple[Any, ...]:
    return (event.c.id.desc(),) if _ordered_by_id(connection) else (event.c.xact.desc(), event.c.id.desc())


def _ordered_by_id(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _feed_row(connection: Connection) -> tuple[int, int, int]:
    row = connection.execute(select(feed.c.epoch, feed.c.purged_xact, feed.c.purged_id)).one()
    return row.epoch, row.purged_xact, row.purged_id


# -- readers whose place is kept ----------------------------------------------------------------------------


def follow(connection: Connection, name: str) -> Cursor | None:
    """Where this follower is, held until the transaction ends; None while another process has it."""
    query = select(follower).where(follower.c.name == name).with_for_update(skip_locked=True)
    row = connection.execute(query).first()
    if row is None:
        return None
    epoch, purged_xact, purged_id = _feed_row(connection)
    return Cursor(epoch, *max((row.xact, row.event_id), (purged_xact, purged_id)))


def followed(connection: Connection, name: str, cursor: Cursor) -> None:
    """The follower has done everything up to here."""
    place = {"xact": cursor.xact, "event_id": cursor.id}
    connection.execute(update(follower).where(follower.c.name == name).values(place))


# -- keeping it small ---------------------------------------------------------------------------------------


def purge(connection: Connection, before_ms: int, limit: int) -> int:
    """Forget at most ``limit`` of the oldest events, none that came since ``before_ms``, none that a follower
    has not read; how many went.
    """
    places = [(row.xact, row.event_id) for row in connection.execute(select(follower)) if _reads(row.name)]
    gone = []
    for row in connection.execute(_after(connection, start(connection)).limit(limit)):
        place = (row.xact, row.id)
        if row.at >= before_ms or any(place > done for done in places):
            break
        gone.append(place)
    if gone:
        xact, identity = gone[-1]
        connection.execute(update(feed).values(purged_xact=xact, purged_id=identity))
        connection.execute(delete(event).where(event.c.id.in_([identity for _, identity in gone])))
    return len(gone)


def begin_epoch(connection: Connection) -> None:
    """This store is another than the one that gave out its cursors: it was put back from a backup.

    What the feed held is before everything that will come, whatever number its transactions had.
    """
    for row in connection.execute(select(follower)).all():
        unread = select(func.min(event.c.id)).where(
            tuple_(event.c.xact, event.c.id) > tuple_(row.xact, row.event_id)
        )
        first = connection.scalar(unread)
        if first is not None and _reads(row.name):
            followed(connection, row.name, Cursor(0, 0, first - 1))
    connection.execute(update(event).values(xact=0))
    connection.execute(update(follower).values(xact=0))
    connection.execute(update(feed).values(epoch=feed.c.epoch + 1, purged_xact=0))


def _reads(name: str) -> bool:
    return not name.endswith("history")
