"""/v1/messages: send, list, look at one, mark as read or unread."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from edge import outgoing
from edge.handlers.base import SettingError
from edge.outbound import Accepted, Draft
from edge.web.api import views
from edge.web.api.endpoint import Endpoint, Reply
from edge.web.api.members import identifier, limit, members, parse_identifier, text, url
from edge.web.api.problems import NotFound, Problem
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from storage import conversations, messages
from storage.records import ApiKey, Direction, MessageRecord, MessageView

LEG = "api"
SENT_WITH = frozenset({"from", "to", "text", "status_callback"})
LISTED_BY = frozenset({"direction", "did", "peer", "since_id", "before_id", "limit"})
NONE = frozenset[str]()
PAGE = 50

Found = tuple[MessageView, bool]
"""A message, and whether it is unread."""


class Messages(Endpoint):
    """The messages of the key's account."""

    isLeaf = False
    methods: ClassVar[dict[bytes, str]] = {b"GET": "list", b"POST": "send"}

    def __init__(self, services: WebServices) -> None:
        super().__init__(services)
        self._one = Message(services)
        self._rules = outgoing.rules(services.config)
        self._marks = {b"read": Read(services), b"unread": Unread(services)}

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """/v1/messages/ID and /v1/messages/ID/read; a slash at the end changes nothing."""
        rest = request.postpath or []
        if path and len(rest) == 1 and rest[0] in self._marks:
            request.prepath, request.postpath = [*(request.prepath or []), rest[0]], []
            return self._marks[rest[0]]
        if rest:
            return NotFound()
        return self._one if path else self

    def send(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """202 once the message is committed."""
        found = members(request, SENT_WITH)
        draft = Draft(
            key.account_id,
            text(found, "from"),
            text(found, "to"),
            text(found, "text"),
            LEG,
            self._status_callback(found),
        )
        return self.services.outbound.submit(draft).addCallback(_accepted)

    def _status_callback(self, found: Mapping[str, object]) -> str | None:
        """Judged as the URLs of DIDs are when they are saved."""
        written = url(found, "status_callback")
        if written is not None:
            try:
                self._rules.check_url(written, "status_callback")
            except SettingError as error:
                raise Problem(
                    422, "url_refused", f"'status_callback': {error.sentence}", "status_callback"
                ) from error
        return written

    def list(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """Newest first; with since_id the ones after it, oldest first."""
        found = members(request, LISTED_BY)
        rows = limit(found, PAGE)
        return self.services.store.read(
            _search,
            key.account_id,
            direction=_direction(found),
            did=_number(found, "did"),
            peer=_number(found, "peer"),
            since_id=identifier(found, "since_id"),
            before_id=identifier(found, "before_id"),
            limit=rows,
        ).addCallback(_listed, rows)


class Message(Endpoint):
    """One message of the key's account."""

    methods: ClassVar[dict[bytes, str]] = {b"GET": "show"}

    def show(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """With its parts, deliveries and attempts."""
        members(request, NONE)
        identity = parse_identifier((request.prepath or [b""])[-1].decode("latin-1"))
        if identity is None:
            raise _unknown()
        return self.services.store.read(_get, key.account_id, identity).addCallback(_shown)


class Mark(Endpoint):
    """I mark a message that came in, and with it others of its conversation, as read or unread."""

    methods: ClassVar[dict[bytes, str]] = {b"POST": "mark"}

    def mark(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """200 with the message as it is then."""
        members(request, NONE)
        identity = parse_identifier((request.prepath or [b"", b""])[-2].decode("latin-1"))
        if identity is None:
            raise _unknown()
        account_id, now_ms = key.account_id, self.services.wall_ms()

        def mark(conn: Connection) -> Found | None:
            view = messages.get(conn, account_id, identity)
            if view is None:
                return None
            if view.message.direction != "mo":
                raise Problem(409, "state_wrong", "Only a message that came in can be read or unread.")
            self.how(conn, view.message, now_ms)
            return _get(conn, account_id, identity)

        return self.services.store.writer.run("mark message", mark).addCallback(_shown)

    def how(self, conn: Connection, record: MessageRecord, now_ms: int) -> None:
        """Which mark."""
        raise NotImplementedError


class Read(Mark):
    """This message and what came before it in its conversation."""

    def how(self, conn: Connection, record: MessageRecord, now_ms: int) -> None:
        """See `Mark`."""
        conversations.mark_read(conn, record.account_id or 0, record.did, record.peer, record.id, now_ms)


class Unread(Mark):
    """This message and what came after it in its conversation."""

    def how(self, conn: Connection, record: MessageRecord, now_ms: int) -> None:
        """See `Mark`."""
        conversations.mark_unread(
            conn, record.account_id or 0, record.did, record.peer, now_ms, from_id=record.id
        )


def _search(connection: Connection, /, account_id: int, **wanted: Any) -> tuple[list[MessageView], set[int]]:
    found = messages.search(connection, account_id, **wanted)
    return found, conversations.unread_of(connection, account_id, found)


def _get(conn: Connection, account_id: int, identity: int) -> Found | None:
    view = messages.get(conn, account_id, identity)
    return None if view is None else (view, bool(conversations.unread_of(conn, account_id, [view])))


def _direction(found: dict[str, object]) -> Direction | None:
    match found.get("direction"):
        case None:
            return None
        case "mo":
            return "mo"
        case "mt":
            return "mt"
    raise Problem(422, "direction_invalid", "'direction' must be mo or mt.", "direction")


def _number(found: dict[str, object], name: str) -> str | None:
    """A number may be given with "+" as such: in a query it arrives as a space."""
    if found.get(name) is None:
        return None
    value = text(found, name)
    if "\0" in value:
        raise Problem(422, "number_invalid", f"{name!r} must be a number.", name)
    return f"+{value[1:]}" if value.startswith(" ") else value


def _accepted(accepted: Accepted) -> Reply:
    return 202, {
        "id": accepted.message_id,
        "status": "queued",
        "from": accepted.did,
        "to": accepted.peer,
        "parts": accepted.parts,
        "encoding": accepted.encoding,
        "created_at": views.iso(accepted.created_at),
    }


def _listed(result: tuple[list[MessageView], set[int]], rows: int) -> Reply:
    found, unread = result
    documents = [views.message(view, view.message.id in unread) for view in found]
    return 200, {"messages": documents, "more": len(found) == rows}


def _shown(found: Found | None) -> Reply:
    if found is None:
        raise _unknown()
    return 200, views.message(*found)


def _unknown() -> Problem:
    return Problem(404, "message_unknown", "There is no message with this id.")
