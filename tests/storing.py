"""A store's functions, called by tests in a transaction of their own."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy import Connection, select, tuple_

from storage import accounts, events, messages, numbers, search
from storage.engines import Engine
from storage.events import Cursor, Event
from storage.records import Account, MessageRecord
from storage.statements import Write, execute_all
from storage.tables import event, follower
from tests.samples import DID, NOW, ids

T = TypeVar("T")


def done(engine: Engine, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """What the function gives, committed."""
    with engine.transaction() as connection:
        return fn(connection, *args, **kwargs)


def read(engine: Engine, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """What the function gives on a read-only snapshot."""
    with engine.snapshot() as connection:
        return fn(connection, *args, **kwargs)


def written(engine: Engine, *writes: Iterable[Write]) -> None:
    """Commit these writes."""
    with engine.transaction() as connection:
        for some in writes:
            execute_all(connection, some)


def stored(engine: Engine, *records: MessageRecord) -> None:
    """Commit these messages, without parts."""
    written(engine, *(messages.insert(record) for record in records))


def indexed(engine: Engine) -> int:
    """Index everything that the feed tells of; how many events there were."""
    total = 0
    while read(engine, _unread):
        total += done(engine, search.index_next, 500)
    return total


def _unread(connection: Connection) -> bool:
    """Is there an event that the search has not followed? On PostgreSQL it may lie behind the horizon yet."""
    place = connection.execute(select(follower).where(follower.c.name == search.FOLLOWER)).one()
    later = tuple_(event.c.xact, event.c.id) > tuple_(place.xact, place.event_id)
    return connection.execute(select(event.c.id).where(later).limit(1)).first() is not None


def told(engine: Engine, cursor: Cursor, account_id: int | None, count: int) -> list[Event]:
    """The next events of the feed, so many; waits until the horizon is past them."""
    found: list[Event] = []
    while len(found) < count:
        batch = read(engine, events.read_after, cursor, account_id, count - len(found))
        found += batch.events
        cursor = batch.cursor
    return found


def customer(engine: Engine, name: str, number: str = DID) -> Account:
    """An account with one DID."""
    account = done(engine, accounts.add_account, ids.next, name, NOW)
    done(engine, numbers.add_did, ids.next, account.id, number, NOW)
    return account
