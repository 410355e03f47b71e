"""Log-ins: a random token in a cookie, its SHA-256 in the store.

A log-in ends 12 hours after its last use and 14 days after its beginning, whichever is first.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.web import origin
from edge.web.pages import browsers
from edge.web.pages.locales import ENGLISH, Locale
from edge.web.request import EdgeRequest
from storage import sessions
from storage.records import Role, Session, User
from storage.store import Store
from storage.text import storable

MINUTE_MS = 60_000
IDLE_MS = 12 * 60 * MINUTE_MS
ABSOLUTE_MS = 14 * 24 * 60 * MINUTE_MS
RENEWED_AFTER_MS = 5 * MINUTE_MS
TOKEN_OCTETS = 32
PENDING_MS = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is logged in, and how he is spoken to."""

    user: User
    session: Session
    locale: Locale = ENGLISH

    @property
    def account_id(self) -> int:
        """Whose data may be shown."""
        return self.user.account_id

    @property
    def actor(self) -> str:
        """Who does something, for the audit."""
        return f"user:{self.user.login}"

    def may(self, role: Role | str) -> bool:
        """Has he this role, or a greater one?"""
        return self.user.role.may(Role(role))

    def speaking(self, locale: Locale) -> "Visitor":
        """The same, spoken to in this way."""
        return replace(self, locale=locale)


@dataclass(frozen=True, slots=True)
class Client:
    """From where somebody logs in, as he is shown it later."""

    address: str
    user_agent: str


def client_of(request: EdgeRequest, proxied: bool) -> Client:
    """Of this request; see `origin.client_address`."""
    user_agent = storable(request.getHeader("user-agent") or "")
    return Client(origin.client_address(request, proxied)[:64], user_agent[: browsers.MAX_CHARACTERS])


class Sessions:
    """I keep log-ins in the store."""

    def __init__(self, store: Store, wall_ms: Callable[[], int]) -> None:
        self._store = store
        self._wall_ms = wall_ms

    def make(self, user: User, client: Client, *, pending: bool = False) -> tuple[str, Session]:
        """A new token for the cookie, and the log-in that is to be stored for it."""
        token, now = secrets.token_urlsafe(TOKEN_OCTETS), self._wall_ms()
        return token, Session(
            _id_of(token),
            user.id,
            secrets.token_urlsafe(TOKEN_OCTETS),
            now,
            now + (PENDING_MS if pending else IDLE_MS),
            pending=pending,
            used_at=now,
            address=client.address,
            user_agent=client.user_agent,
        )

    def begin(
        self, user: User, previous: str | None, client: Client, *, pending: bool = False
    ) -> Deferred[str]:
        """Log in: a new token for the cookie. The log-in that the browser had before ends.

        A ``pending`` one is to be followed by another when the second factor was right.
        """
        token, session = self.make(user, client, pending=pending)
        now = session.created_at

        def store(conn: Connection) -> str:
            if previous is not None:
                sessions.end_session(conn, _id_of(previous))
            sessions.purge_expired(conn, now)
            sessions.add_session(conn, session)
            return token

        return self._store.writer.run("log in", store)

    def find(self, token: str, *, pending: bool = False) -> Deferred[Visitor | None]:
        """Who has this token, unless the log-in is over; ``pending``: who has given his password only."""
        return self._store.read(_visitor, _id_of(token), self._wall_ms(), pending)

    def still_good(self, visitor: Visitor) -> Deferred[bool]:
        """Is this log-in not over?"""
        finding = self._store.read(sessions.find_session, visitor.session.id, self._wall_ms())
        return finding.addCallback(lambda found: found is not None)

    def renew(self, visitor: Visitor) -> Deferred[None] | None:
        """The log-in was used: put its end off. None when there is nothing to do yet."""
        session, now = visitor.session, self._wall_ms()
        end = min(now + IDLE_MS, session.created_at + ABSOLUTE_MS)
        if end - session.expires_at < RENEWED_AFTER_MS:
            return None

        def store(conn: Connection) -> None:
            # Only if it is still there: a log-out in between stays one.
            if sessions.find_session(conn, session.id, now) is not None:
                sessions.end_session(conn, session.id)
                sessions.add_session(conn, replace(session, expires_at=end, used_at=now))

        return self._store.writer.run("renew a log-in", store)

    def end(self, visitor: Visitor) -> Deferred[None]:
        """Log out."""
        return self._store.writer.run("log out", lambda conn: sessions.end_session(conn, visitor.session.id))


def _id_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _visitor(conn: Connection, session_id: str, now_ms: int, pending: bool) -> Visitor | None:
    found = sessions.find_session(conn, session_id, now_ms, pending=pending)
    return None if found is None else Visitor(found[1], found[0])
