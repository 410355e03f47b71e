"""Which messages of an account are meant: the same filter for lists, search, deletion and export."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from storage.ids import lowest_at
from storage.records import Direction
from storage.tables import conversation, message

_FEW = 20_000


@dataclass(frozen=True, slots=True)
class Filter:
    """What is None does not narrow. Times are milliseconds since the Unix epoch; ``until_ms``
    itself is outside. Of several peers any will do.

    ``up_to_id`` leaves out what came after a message, so that "all" means what somebody saw. With
    ``deleted_after``, the id of a moment, what later deletions took is there as long as it is in the store.
    """

    direction: Direction | None = None
    did: str | None = None
    peer: str | tuple[str, ...] | None = None
    leg: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    up_to_id: int | None = None
    deleted_after: int | None = None

    def conditions(self, account_id: int) -> list[ColumnElement[bool]]:
        """What selects these messages of the account, without those that are deleted."""
        found: list[ColumnElement[bool]] = [
            message.c.account_id == account_id,
            self._in_sight(),
        ]
        for name in ("direction", "did", "peer", "leg"):
            value = getattr(self, name)
            if value is not None:
                found.append(_is(message.c[name], value))
        if self.peer is not None and self.did is None:
            found.append(message.c.did.in_(_dids_of(account_id, self.peer)))
        return found + self._bounds()

    def _in_sight(self) -> ColumnElement[bool]:
        undeleted = message.c.deletion_id.is_(None)
        # The id of a deletion says when it was begun.
        after = self.deleted_after
        return undeleted if after is None else undeleted | (message.c.deletion_id > after)

    def _bounds(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.since_ms is not None:
            found += [message.c.id >= lowest_at(self.since_ms), message.c.created_at >= self.since_ms]
        if self.until_ms is not None:
            found.append(message.c.created_at < self.until_ms)
        if self.up_to_id is not None:
            found.append(message.c.id <= self.up_to_id)
        return found

    def order(self, connection: Connection, account_id: int) -> ColumnElement[int]:
        """What to sort by: the id, said so that the index that suits the filter is taken.

        Walking an account from its newest message finds a busy DID's at once and an idle one's never; the
        few of an idle one are better fetched and sorted.
        """
        if self.did is None:
            unsorted = self.peer is not None
        else:
            unsorted = self.peer is None and _has_few(connection, account_id, self.did)
        return message.c.id + 0 if unsorted else message.c.id


EVERYTHING = Filter()
"""All of an account."""


def _dids_of(account_id: int, peer: str | tuple[str, ...]) -> Any:
    return select(conversation.c.did).where(
        conversation.c.account_id == account_id, _is(conversation.c.peer, peer)
    )


def _is(column: ColumnElement[str], value: str | tuple[str, ...]) -> ColumnElement[bool]:
    return column.in_(value) if isinstance(value, tuple) else column == value


def _has_few(connection: Connection, account_id: int, did: str) -> bool:
    some = select(message.c.peer).where(message.c.account_id == account_id, message.c.did == did)
    return (connection.scalar(select(func.count()).select_from(some.limit(_FEW).subquery())) or 0) < _FEW
