"""What becomes of messages, told to the feed in the transaction that changes their parts.

A message's status is derived from its parts, so it is not a part's change that is told, but the difference
that the change makes. `telling` looks at the messages before and after; whoever knows both already
(`storage.receipts`), or can leave it to one statement (`storage.parts.record_sent`, the hottest of all), need
not look. Going to and fro between the queue and the wire (queued, sending) is not told.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Text, bindparam, insert, literal, select

from storage.events import INSERT_EVENT
from storage.messages import STATE_TO_TELL, status_of_states
from storage.records import MessageStatus, PartRecord, PartState
from storage.statements import Row, Statement, Write, execute, given, hot_insert_from
from storage.tables import Id, event, message, part

TOLD = frozenset({MessageStatus.SENT, MessageStatus.IN_DOUBT, MessageStatus.DELIVERED, MessageStatus.FAILED})

NOT_TAKEN = (PartState.QUEUED, PartState.SENDING, PartState.IN_DOUBT, PartState.HELD)
"""The states of a part of which it is not known that the upstream has it, or never will."""

# Runs before the update that it tells of: what that will not change, or has no news in it, is not found.
_TELL_SENT = hot_insert_from(
    insert(event).from_select(
        ["account_id", "kind", "subject_id", "at"],
        select(
            message.c.account_id,
            literal(f"message.{MessageStatus.SENT}", Text()),
            message.c.id,
            given("told_at", BigInteger()),
        )
        .where(
            part.c.id == given("told_part", Id),
            part.c.total == 1,
            part.c.state.in_([state.value for state in NOT_TAKEN]),
            message.c.id == part.c.message_id,
        )
        .with_for_update(of=part),
    ),
    "told_part",
    "told_at",
)

# Made once, since they run with each batch of outcomes.
_MESSAGES = (
    select(message.c.id, message.c.account_id)
    .where(message.c.id.in_(select(part.c.message_id).where(part.c.id.in_(bindparam("ids", expanding=True)))))
    .order_by(message.c.id)
    # Two that change different parts of one message: the later looks when the earlier has committed.
    .with_for_update(of=message, key_share=True)
)
_STATES = select(part.c.message_id, STATE_TO_TELL).where(
    part.c.message_id.in_(bindparam("ids", expanding=True))
)


News = tuple[int | None, int, MessageStatus | None, MessageStatus]
"""Of a message its account, its id, and its status before and after."""


class Change(NamedTuple):
    """Writes that change parts. ``part_ids``: of these the messages are looked at, before and after; none, if
    the writes tell all there is to tell.
    """

    writes: Sequence[Write]
    part_ids: Collection[int] = ()
    now_ms: int = 0


def of_many(items: Iterable[PartRecord]) -> list[int]:
    """The ids of those that are not the only part of their message."""
    return [item.id for item in items if item.total > 1]


def tell_sent(part_id: int, now_ms: int) -> Write:
    """The message of this part is sent, if it has no other and this was not known to be taken."""
    return _TELL_SENT, (part_id, now_ms)


def apply(connection: Connection, changes: Sequence[Change]) -> list[None]:
    """Make these changes and tell of what they mean; for `storage.writer.Writer.collect`.

    None of them touches a part that another one does.
    """
    groups: dict[Statement, list[Row]] = {}
    for statement, row in (write for change in changes for write in change.writes):
        groups.setdefault(statement, []).append(row)
    with telling(
        connection,
        [part_id for change in changes for part_id in change.part_ids],
        max(change.now_ms for change in changes),
    ):
        for statement, rows in groups.items():
            execute(connection, statement, rows)
    return [None] * len(changes)


@contextmanager
def telling(connection: Connection, part_ids: Collection[int], now_ms: int) -> Iterator[None]:
    """Tell what is done meanwhile, in the same transaction, makes of the messages of these parts."""
    if not part_ids:
        yield
        return
    accounts = {row.id: row.account_id for row in connection.execute(_MESSAGES, {"ids": list(part_ids)})}
    before = _statuses(connection, accounts)
    yield
    after = _statuses(connection, accounts)
    news = ((accounts[identity], identity, before.get(identity), after[identity]) for identity in after)
    tell(connection, news, now_ms)


def tell(connection: Connection, news: Iterable[News], now_ms: int) -> None:
    """Tell what is new of it."""
    rows = [
        (account_id, f"message.{after}", identity, now_ms)
        for account_id, identity, before, after in news
        if after != before and after in TOLD
    ]
    execute(connection, INSERT_EVENT, rows)


def _statuses(connection: Connection, message_ids: Mapping[int, int | None]) -> dict[int, MessageStatus]:
    states: dict[int, set[PartState]] = {}
    for message_id, state in connection.execute(_STATES, {"ids": list(message_ids)}):
        states.setdefault(message_id, set()).add(state)
    return {identity: status_of_states("mt", found) for identity, found in states.items()}
