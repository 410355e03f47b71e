"""/v1/messages: send, list, look at one."""

from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from edge.outbound import Accepted, Draft
from edge.web.api import views
from edge.web.api.endpoint import Endpoint, Reply
from edge.web.api.members import identifier, limit, members, parse_identifier, text, url
from edge.web.api.problems import NotFound, Problem
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from storage import messages
from storage.records import ApiKey, Direction, MessageView

LEG = "api"
SENT_WITH = frozenset({"from", "to", "text", "status_callback"})
LISTED_BY = frozenset({"direction", "did", "peer", "since_id", "before_id", "limit"})
NONE = frozenset[str]()
PAGE = 50


class Messages(Endpoint):
    """The messages of the key's account."""

    isLeaf = False
    methods: ClassVar[dict[bytes, str]] = {b"GET": "list", b"POST": "send"}

    def __init__(self, services: WebServices) -> None:
        super().__init__(services)
        self._one = Message(services)

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """/v1/messages/ID; a slash at the end changes nothing."""
        if request.postpath:
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
            url(found, "status_callback"),
        )
        return self.services.outbound.submit(draft).addCallback(_accepted)

    def list(self, request: EdgeRequest, key: ApiKey) -> Deferred[Reply]:
        """Newest first; with since_id the ones after it, oldest first."""
        found = members(request, LISTED_BY)
        rows = limit(found, PAGE)
        return self.services.store.read(
            messages.search,
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
        return self.services.store.read(messages.get, key.account_id, identity).addCallback(_shown)


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


def _listed(found: list[MessageView], rows: int) -> Reply:
    return 200, {"messages": [views.message(view) for view in found], "more": len(found) == rows}


def _shown(view: MessageView | None) -> Reply:
    if view is None:
        raise _unknown()
    return 200, views.message(view)


def _unknown() -> Problem:
    return Problem(404, "message_unknown", "There is no message with this id.")
