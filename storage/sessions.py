"""Log-ins to the portal."""

from sqlalchemy import Connection, delete, insert, select

from storage.records import Session, User
from storage.tables import session, user


def add_session(connection: Connection, record: Session) -> None:
    """Store a log-in."""
    connection.execute(
        insert(session).values(
            id=record.id,
            user_id=record.user_id,
            csrf_token=record.csrf_token,
            created_at=record.created_at,
            expires_at=record.expires_at,
        )
    )


def find_session(connection: Connection, session_id: str, now_ms: int) -> tuple[Session, User] | None:
    """The log-in with this id and whose it is, unless it has expired."""
    query = select(session).where(session.c.id == session_id, session.c.expires_at > now_ms)
    row = connection.execute(query).first()
    if row is None:
        return None
    owner = connection.execute(select(user).where(user.c.id == row.user_id)).one()
    return Session(*row), User(*owner)


def end_session(connection: Connection, session_id: str) -> None:
    """Log out; an unknown id is as good as ended."""
    connection.execute(delete(session).where(session.c.id == session_id))


def end_sessions_of(connection: Connection, user_id: int) -> None:
    """Log a user out everywhere."""
    connection.execute(delete(session).where(session.c.user_id == user_id))


def purge_expired(connection: Connection, now_ms: int) -> int:
    """Forget what has expired; how many there were."""
    return connection.execute(delete(session).where(session.c.expires_at <= now_ms)).rowcount
