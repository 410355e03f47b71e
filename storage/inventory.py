"""Numbers that nobody has yet: what customers can order, who has asked for one, and where they go.

A number is here or a DID, never both. ``account_id`` and ``asked_at`` are set while somebody waits for it.
"""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from storage import numbers
from storage.errors import Conflict, NotFound
from storage.pages import bounded
from storage.records import Did
from storage.tables import did, free_number

MAX_LIMIT = 1_000


class FreeNumber(NamedTuple):
    """``country`` is that of ISO 3166, ``region`` a name ("New York"); without ``sms`` it is for calls."""

    number: str
    country: str
    region: str
    sms: bool
    added_at: int
    account_id: int | None = None
    asked_at: int | None = None
    asked_by: str | None = None


def add(connection: Connection, wanted: FreeNumber) -> FreeNumber:
    """Offer a number; one that is offered stays as it is. Raises Conflict when somebody has it."""
    if connection.execute(select(did.c.id).where(did.c.number == wanted.number)).first() is not None:
        raise Conflict(f"{wanted.number} is somebody's already.")
    found = find(connection, wanted.number)
    if found is not None:
        return found
    connection.execute(insert(free_number).values(list(wanted)))
    return wanted


def find(connection: Connection, number: str) -> FreeNumber | None:
    """A number that nobody has, asked for or not."""
    row = connection.execute(select(free_number).where(free_number.c.number == number)).first()
    return None if row is None else FreeNumber._make(row)


def withdraw(connection: Connection, number: str) -> bool:
    """Offer it no more; was it offered?"""
    return connection.execute(delete(free_number).where(free_number.c.number == number)).rowcount > 0


def everything(connection: Connection, *, asked: bool | None = None, limit: int = 100) -> list[FreeNumber]:
    """For operators: all, those that somebody waits for, or those that nobody does."""
    query = select(free_number).order_by(free_number.c.asked_at.nulls_last(), free_number.c.number)
    if asked is not None:
        condition = free_number.c.account_id.is_not(None) if asked else free_number.c.account_id.is_(None)
        query = query.where(condition)
    return [FreeNumber._make(row) for row in connection.execute(query.limit(bounded(limit, MAX_LIMIT)))]


def offered(
    connection: Connection,
    *,
    country: str = "",
    region: str = "",
    sms: bool | None = None,
    limit: int = 100,
) -> list[FreeNumber]:
    """What anybody may order, by number."""
    query = select(free_number).where(free_number.c.account_id.is_(None))
    if country:
        query = query.where(free_number.c.country == country)
    if region:
        query = query.where(free_number.c.region == region)
    if sms is not None:
        query = query.where(free_number.c.sms.is_(sms))
    query = query.order_by(free_number.c.number).limit(bounded(limit, MAX_LIMIT))
    return [FreeNumber._make(row) for row in connection.execute(query)]


def places(connection: Connection) -> list[tuple[str, str]]:
    """The countries and regions that have numbers to order, in order."""
    query = select(free_number.c.country, free_number.c.region).where(free_number.c.account_id.is_(None))
    rows = connection.execute(query.distinct().order_by(free_number.c.country, free_number.c.region))
    return [(row.country, row.region) for row in rows]


def asked_for(connection: Connection, account_id: int) -> list[FreeNumber]:
    """What this account waits for, the oldest wish first."""
    query = select(free_number).where(free_number.c.account_id == account_id)
    rows = connection.execute(query.order_by(free_number.c.asked_at, free_number.c.number))
    return [FreeNumber._make(row) for row in rows]


def ask(connection: Connection, account_id: int, number: str, by: str, now_ms: int) -> FreeNumber:
    """The account wants it, or says so once more. Raises NotFound when it is not to be had any more."""
    wish = {"account_id": account_id, "asked_at": now_ms, "asked_by": by}
    free = or_(free_number.c.account_id.is_(None), free_number.c.account_id == account_id)
    this = (free_number.c.number == number, free)
    if not connection.execute(update(free_number).where(*this).values(wish)).rowcount:
        raise NotFound(f"{number} is not to be had any more.")
    found = find(connection, number)
    assert found is not None, "it was there in this transaction"
    return found


# Two who decide at the same time see the same wish: the old state is in the statement that ends it, so that
# one of them finds it and the other does not.


def cancel(connection: Connection, account_id: int, number: str, asked_at: int | None = None) -> bool:
    """The account wants it no more, or does not get it; did it wait for it? ``asked_at``: since just then."""
    nobody = {"account_id": None, "asked_at": None, "asked_by": None}
    mine = [free_number.c.number == number, free_number.c.account_id == account_id]
    if asked_at is not None:
        mine.append(free_number.c.asked_at == asked_at)
    return connection.execute(update(free_number).where(*mine).values(nobody)).rowcount > 0


def assign(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    number: str,
    now_ms: int,
    asked_at: int | None = None,
) -> Did:
    """The account gets a number that it waits for or that nobody has; with ``asked_at`` only one that it
    waits for since then. Raises NotFound."""
    mine = free_number.c.account_id == account_id
    free = free_number.c.account_id.is_(None)
    state = or_(free, mine) if asked_at is None else and_(mine, free_number.c.asked_at == asked_at)
    taken = delete(free_number).where(free_number.c.number == number, state).returning(free_number.c.sms)
    row = connection.execute(taken).first()
    if row is None:
        raise NotFound(f"{number} is not to be had any more.")
    return numbers.add_did(connection, next_id, account_id, number, now_ms, sms_capable=row.sms)


def release(
    connection: Connection, account_id: int, number: str, country: str, region: str, now_ms: int
) -> FreeNumber:
    """The account gives a number up, and others may order it. Raises NotFound."""
    gone = numbers.remove_did(connection, account_id, number)
    return add(connection, FreeNumber(number, country, region, gone.sms_capable, now_ms))
