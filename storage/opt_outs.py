"""Who wants no more messages: of one DID, of an account, or of anybody here."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from storage.pages import bounded
from storage.tables import opt_out
from storage.tables_people import EVERY_ACCOUNT, EVERY_DID

MAX_LIMIT = 1_000
_MARK = 1_000_003


@dataclass(frozen=True, slots=True)
class OptOut:
    """A peer's wish. ``account_id`` 0 stands for every account, ``did`` "" for every DID of the account.

    ``source`` says where it came from: the word that was sent, or who entered it.
    """

    id: int
    account_id: int
    did: str
    peer: str
    source: str
    at: int


def add(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    peer: str,
    source: str,
    now_ms: int,
    *,
    did: str = EVERY_DID,
) -> OptOut:
    """The wish, kept; one that is there stays as it is."""
    same = (opt_out.c.account_id == account_id, opt_out.c.did == did, opt_out.c.peer == peer)
    row = connection.execute(select(opt_out).where(*same)).first()
    if row is not None:
        return OptOut(*row)
    added = OptOut(next_id(), account_id, did, peer, source, now_ms)
    connection.execute(insert(opt_out).values([added.id, account_id, did, peer, source, now_ms]))
    return added


def find(connection: Connection, account_id: int, did: str, peer: str) -> OptOut | None:
    """What forbids this account to write from this DID to this peer, the widest wish first."""
    query = select(opt_out).where(
        opt_out.c.account_id.in_((EVERY_ACCOUNT, account_id)),
        opt_out.c.did.in_((EVERY_DID, did)),
        opt_out.c.peer == peer,
    )
    row = connection.execute(query.order_by(opt_out.c.account_id, opt_out.c.did).limit(1)).first()
    return None if row is None else OptOut(*row)


def since(connection: Connection, last_id: int) -> list[OptOut]:
    """The wishes with higher ids, towards whomever: those that are new."""
    query = select(opt_out).where(opt_out.c.id > last_id).order_by(opt_out.c.id)
    return [OptOut(*row) for row in connection.execute(query)]


def changed(connection: Connection, mark: tuple[int, int]) -> tuple[tuple[int, int], list[OptOut]] | None:
    """Every wish with the mark of them all, None when that is the one given: nothing came, nothing ended."""
    count, total = func.count(), func.coalesce(func.sum(opt_out.c.id % _MARK), 0)
    found = connection.execute(select(count, total).select_from(opt_out)).one()
    now = (int(found[0]), int(found[1]))
    return None if now == mark else (now, since(connection, 0))


def listed(
    connection: Connection, account_id: int, *, before_id: int | None = None, limit: int = 100
) -> list[OptOut]:
    """The wishes towards this account, newest first."""
    query = select(opt_out).where(opt_out.c.account_id == account_id)
    if before_id is not None:
        query = query.where(opt_out.c.id < before_id)
    query = query.order_by(opt_out.c.id.desc()).limit(bounded(limit, MAX_LIMIT))
    return [OptOut(*row) for row in connection.execute(query)]


def of_peer(connection: Connection, account_id: int, peer: str) -> list[OptOut]:
    """The wishes of a peer towards this account."""
    query = select(opt_out).where(opt_out.c.account_id == account_id, opt_out.c.peer == peer)
    return [OptOut(*row) for row in connection.execute(query.order_by(opt_out.c.did))]


def remove(connection: Connection, account_id: int, peer: str, *, did: str = EVERY_DID) -> bool:
    """The peer wants messages again; was there a wish?"""
    gone = delete(opt_out).where(
        opt_out.c.account_id == account_id, opt_out.c.did == did, opt_out.c.peer == peer
    )
    return connection.execute(gone).rowcount > 0


def remove_one(connection: Connection, account_id: int, opt_out_id: int) -> bool:
    """The same by the id of the wish, which must be towards this account."""
    gone = delete(opt_out).where(opt_out.c.account_id == account_id, opt_out.c.id == opt_out_id)
    return connection.execute(gone).rowcount > 0
