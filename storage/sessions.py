"""Log-ins to the portal."""

from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from storage.accounts import user_record
from storage.numbers import bump_catalog
from storage.records import Session, User
from storage.tables import session, user


def add_session(connection: Connection, record: Session) -> None:
    """Store a log-in."""
    connection.execute(insert(session).values(asdict(record)))


def find_session(
    connection: Connection, session_id: str, now_ms: int, *, pending: bool = False
) -> tuple[Session, User] | None:
    """The log-in with this id and whose it is, unless it has expired; or the ``pending`` one with this id."""
    query = select(session).where(
        session.c.id == session_id, session.c.expires_at > now_ms, session.c.pending.is_(pending)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    owner = connection.execute(select(user).where(user.c.id == row.user_id)).one()
    return Session(*row), user_record(owner)


def of_user(connection: Connection, account_id: int, user_id: int, now_ms: int) -> list[Session]:
    """Where he is logged in, the last used first."""
    query = select(session).where(
        _of(account_id, user_id), session.c.expires_at > now_ms, session.c.pending.is_(False)
    )
    rows = connection.execute(query.order_by(session.c.used_at.desc(), session.c.id))
    return [Session(*row) for row in rows]


def end_one(connection: Connection, account_id: int, user_id: int, session_id: str) -> bool:
    """Log him out there; was he logged in?"""
    return _end(connection, _of(account_id, user_id), session.c.id == session_id) > 0


def end_others(connection: Connection, account_id: int, user_id: int, kept_id: str) -> int:
    """Log him out everywhere else; how many log-ins that were."""
    return _end(connection, _of(account_id, user_id), session.c.id != kept_id)


def end_session(connection: Connection, session_id: str) -> None:
    """Log out; an unknown id is as good as ended."""
    connection.execute(delete(session).where(session.c.id == session_id))


def end_sessions_of(connection: Connection, user_id: int) -> None:
    """Log a user out everywhere."""
    _end(connection, session.c.user_id == user_id)


def purge_expired(connection: Connection, now_ms: int) -> int:
    """Forget what has expired; how many there were."""
    return connection.execute(delete(session).where(session.c.expires_at <= now_ms)).rowcount


def _end(connection: Connection, *which: ColumnElement[bool]) -> int:
    """Servers hear of it as of a change of the catalog, and ask for the pages that are open."""
    ended = connection.execute(delete(session).where(*which)).rowcount
    if ended:
        bump_catalog(connection)
    return ended


def _of(account_id: int, user_id: int) -> ColumnElement[bool]:
    mine = select(user.c.id).where(user.c.account_id == account_id, user.c.id == user_id)
    return session.c.user_id.in_(mine)
