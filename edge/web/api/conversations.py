"""/v1/conversations: the newest first, one of them, and what a person did with it: read, archived, pinned."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.web.api import views
from edge.web.api.paths import number_in, spelled
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import IDENTIFIER, Many, Member, Null, Number, Record, Switch, Text, Whole, given
from storage import conversations
from storage.conversations import ConversationView
from storage.errors import NotFound

PAGE = 50
MISSING = ("conversation_unknown", "There is no conversation of this DID with this peer.")
_SWITCH, _TEXT = Switch(), Text()

CONTACT_NAME = given(Member("id", IDENTIFIER), Member("name", _TEXT), name="ContactName")
CONVERSATION = given(
    Member("did", _TEXT),
    Member("peer", _TEXT),
    Member("contact", Null(CONTACT_NAME)),
    Member("last_message_id", Whole(), "The cursor for the conversations before this one; 0: none is left."),
    Member("last_message", Null(views.MESSAGE)),
    Member("unread", Whole(), "At most 100 are counted."),
    Member("archived", _SWITCH),
    Member("pinned", _SWITCH),
    Member("muted", _SWITCH),
    name="Conversation",
)
CONVERSATIONS = given(Member("conversations", Many(CONVERSATION)), views.MORE, name="Conversations")
LISTED_BY = Record(
    (
        Member("did", Number()),
        Member("unread", _SWITCH, "Only those with something unread.", default=False),
        Member("archived", _SWITCH, "Those that are archived, or those that are not.", default=False),
        Member("pinned", _SWITCH),
        Member("named", Text(1, 200), "What the contact's name or the peer's number holds."),
        Member("before_id", Whole(0, code="id_invalid"), "The last_message_id of the page before."),
        Member("limit", Whole(1, conversations.MAX_LIMIT, "limit_invalid"), default=PAGE),
    )
)
CHANGE = Record(
    (
        Member("read_up_to", Whole(0, code="id_invalid"), "Everything up to this message was read."),
        Member("unread", _SWITCH, "true: the newest message from the peer counts as unread again."),
        Member("archived", _SWITCH),
        Member("pinned", _SWITCH),
        Member("muted", _SWITCH),
    ),
    "ConversationChange",
)


def document(view: ConversationView, unread: AbstractSet[int]) -> dict[str, object]:
    """One conversation; ``unread`` holds the id of its last message when nobody has read that."""
    contact = None if view.contact_id is None else {"id": view.contact_id, "name": view.contact_name}
    last = view.last
    return {
        "did": view.did,
        "peer": view.peer,
        "contact": contact,
        "last_message_id": view.last_message_id,
        "last_message": None if last is None else views.message(last, last.message.id in unread),
        "unread": view.unread,
        "archived": view.archived,
        "pinned": view.pinned,
        "muted": view.muted,
    }


def listed(call: Call) -> Deferred[Reply]:
    """The one with the newest message first."""
    rows = call.given["limit"]
    wanted = {**call.given, "did": spelled(call, "did"), "limit": rows + 1}

    def read(conn: Connection, account_id: int) -> Reply:
        found = conversations.page(conn, account_id, **wanted)
        documents = _documents(conn, account_id, found[:rows])
        return Reply(200, {"conversations": documents, "more": len(found) > rows})

    return call.read(read)


def show(call: Call) -> Deferred[Reply]:
    """One of them."""
    did, peer = number_in(call, "did"), number_in(call, "peer")

    def read(conn: Connection, account_id: int) -> Reply:
        found = conversations.get(conn, account_id, did, peer)
        if found is None:
            raise call.missing()
        return Reply(200, _documents(conn, account_id, [found])[0])

    return call.read(read)


def change(call: Call) -> Deferred[Reply]:
    """All that is asked for, in one transaction."""
    did, peer = number_in(call, "did"), number_in(call, "peer")
    account_id, given, now_ms = call.account_id, call.given, call.services.wall_ms()

    def change(conn: Connection) -> Reply:
        place = (conn, account_id, did, peer)
        if given["read_up_to"] is not None:
            conversations.mark_read(*place, up_to_id=given["read_up_to"], now_ms=now_ms)
        if given["unread"]:
            conversations.mark_unread(*place, now_ms=now_ms)
        states = {name: given[name] for name in ("archived", "pinned", "muted")}
        conversations.set_state(*place, now_ms=now_ms, **states)
        found = conversations.get(*place)
        if found is None:
            raise NotFound(MISSING[1])
        return Reply(200, _documents(conn, account_id, [found])[0])

    return call.change("change conversation", change)


def _documents(
    conn: Connection, account_id: int, found: Sequence[ConversationView]
) -> list[dict[str, object]]:
    unread = conversations.unread_of(conn, account_id, [view.last for view in found if view.last is not None])
    return [document(view, unread) for view in found]


def routes() -> list[Route]:
    """In the order of the documentation."""
    one: dict[str, Any] = {
        "path": "/v1/conversations/{did}/{peer}",
        "tag": "Conversations",
        "gives": {200: CONVERSATION},
        "missing": MISSING,
        "path_shapes": {"did": Number(), "peer": Number()},
    }
    return [
        Route(
            method="GET",
            path="/v1/conversations",
            name="listConversations",
            tag="Conversations",
            scope="messages:read",
            summary="List conversations, the one with the newest message first",
            do=listed,
            takes=LISTED_BY,
            gives={200: CONVERSATIONS},
        ),
        Route(
            method="GET",
            name="getConversation",
            scope="messages:read",
            summary="One conversation",
            do=show,
            **one,
        ),
        Route(
            method="PATCH",
            name="changeConversation",
            scope="messages:write",
            summary="Mark as read or unread, archive, pin, mute",
            do=change,
            takes=CHANGE,
            **one,
        ),
    ]
