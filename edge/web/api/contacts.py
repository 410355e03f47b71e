"""/v1/contacts and /v1/groups: the names that an account gives to numbers."""

from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.policy.numbers import destination
from edge.web.api import views
from edge.web.api.messages import nothing_more
from edge.web.api.paths import identifier
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import IDENTIFIER, Many, Member, Number, Record, Text, Whole, given
from storage import contacts
from storage.contacts import MAX_LIMIT, Contact, Group
from storage.errors import NotFound

PAGE = 100
MAX_NAME, MAX_NOTES, MAX_MEMBERS = 200, 4_000, 10_000
MISSING = ("contact_unknown", "There is no contact with this id.")
GROUP_MISSING = ("group_unknown", "There is no group with this id.")
_TEXT, _NAME, _NOTES = Text(), Text(1, MAX_NAME, True), Text(0, MAX_NOTES)

CONTACT = given(
    Member("id", IDENTIFIER),
    Member("number", _TEXT),
    Member("name", _TEXT),
    Member("notes", _TEXT),
    Member("created_at", views.TIME),
    Member("updated_at", views.TIME),
    name="Contact",
)
CONTACTS = given(Member("contacts", Many(CONTACT)), views.MORE, name="Contacts")
GROUP = given(Member("id", IDENTIFIER), Member("name", _TEXT), Member("created_at", views.TIME), name="Group")
GROUPS = given(Member("groups", Many(GROUP)), name="Groups")
NEW = Record(
    (
        Member("number", Number(), required=True),
        Member("name", _NAME, required=True),
        Member("notes", _NOTES, default=""),
    ),
    "NewContact",
)
CHANGE = Record((Member("number", Number()), Member("name", _NAME), Member("notes", _NOTES)), "ContactChange")
LISTED_BY = Record(
    (
        Member("holding", Text(1, MAX_NAME), "What the name or number holds."),
        Member("group", IDENTIFIER, "Those of this group."),
        Member("after_id", IDENTIFIER, "Those after this contact: the last of the page before."),
        Member("limit", Whole(1, MAX_LIMIT, "limit_invalid"), default=PAGE),
    )
)
NEW_GROUP = Record((Member("name", _NAME, required=True),), "NewGroup")
MEMBERS = Record((Member("contacts", Many(IDENTIFIER, 0, MAX_MEMBERS), required=True),), "GroupMembers")


def document(item: Contact) -> dict[str, object]:
    """One contact."""
    return {
        "id": item.id,
        "number": item.number,
        "name": item.name,
        "notes": item.notes,
        "created_at": views.iso(item.created_at),
        "updated_at": views.iso(item.updated_at),
    }


def group_document(item: Group) -> dict[str, object]:
    """One group."""
    return {"id": item.id, "name": item.name, "created_at": views.iso(item.created_at)}


# -- contacts -----------------------------------------------------------------------------------------------


def listed(call: Call) -> Deferred[Reply]:
    """By name."""
    rows = call.given["limit"]

    def found(items: list[Contact]) -> Reply:
        body = {"contacts": [document(item) for item in items[:rows]], "more": len(items) > rows}
        return Reply(200, body)

    return call.read(_page, call.given).addCallback(found)


def _page(conn: Connection, account_id: int, given: dict[str, Any]) -> list[Contact]:
    after = None
    if given["after_id"] is not None:
        after = contacts.get(conn, account_id, given["after_id"])
        if after is None:
            raise Problem(422, "id_invalid", "'after_id' is no contact of this account.", "after_id")
    return contacts.listed(
        conn,
        account_id,
        holding=given["holding"],
        group_id=given["group"],
        after=after,
        limit=given["limit"] + 1,
    )


def add(call: Call) -> Deferred[Reply]:
    """201; 409 when there is a contact with this number."""
    given, account_id = call.given, call.account_id
    number, now_ms = _number(call, given["number"]), call.services.wall_ms()

    def make(conn: Connection) -> Contact:
        if contacts.of_number(conn, account_id, number) is not None:
            raise Problem(409, "contact_exists", f"{number} is in the contacts already.", "number")
        next_id = call.services.store.ids.next
        return contacts.put(conn, next_id, account_id, number, given["name"], now_ms, notes=given["notes"])

    return call.write("contact.add", number, make).addCallback(_made, "contacts", document)


def show(call: Call) -> Deferred[Reply]:
    """One of them."""

    def found(item: Contact | None) -> Reply:
        if item is None:
            raise call.missing()
        return Reply(200, document(item))

    return call.read(contacts.get, identifier(call)).addCallback(found)


def change(call: Call) -> Deferred[Reply]:
    """What is not named stays."""
    identity, account_id, now_ms = identifier(call), call.account_id, call.services.wall_ms()
    given = dict(call.given)
    if given["number"] is not None:
        given["number"] = _number(call, given["number"])

    def change(conn: Connection) -> Contact:
        return contacts.change(conn, account_id, identity, now_ms, **given)

    return call.write("contact.change", identity, change).addCallback(lambda item: Reply(200, document(item)))


def remove(call: Call) -> Deferred[Reply]:
    """Its messages stay."""
    identity, account_id = identifier(call), call.account_id

    def remove(conn: Connection) -> None:
        if not contacts.remove(conn, account_id, [identity]):
            raise NotFound(MISSING[1])

    return call.write("contact.remove", identity, remove).addCallback(nothing_more)


# -- groups -------------------------------------------------------------------------------------------------


def groups(call: Call) -> Deferred[Reply]:
    """By name."""
    return call.read(contacts.groups).addCallback(
        lambda found: Reply(200, {"groups": [group_document(item) for item in found]})
    )


def add_group(call: Call) -> Deferred[Reply]:
    """201; 409 when there is a group of this name."""
    name, account_id, now_ms = call.given["name"], call.account_id, call.services.wall_ms()

    def make(conn: Connection) -> Group:
        if any(item.name == name for item in contacts.groups(conn, account_id)):
            raise Problem(409, "group_exists", "There is a group of this name already.", "name")
        return contacts.add_group(conn, call.services.store.ids.next, account_id, name, now_ms)

    return call.write("group.add", name, make).addCallback(_made, "groups", group_document)


def rename_group(call: Call) -> Deferred[Reply]:
    """409 when another one has the name."""
    identity, name, account_id = identifier(call), call.given["name"], call.account_id

    def change(conn: Connection) -> Group:
        return contacts.rename_group(conn, account_id, identity, name)

    return call.write("group.rename", identity, change).addCallback(
        lambda item: Reply(200, group_document(item))
    )


def remove_group(call: Call) -> Deferred[Reply]:
    """Its contacts stay."""
    identity, account_id = identifier(call), call.account_id

    def remove(conn: Connection) -> None:
        contacts.remove_group(conn, account_id, identity)

    return call.write("group.remove", identity, remove).addCallback(nothing_more)


def set_members(call: Call) -> Deferred[Reply]:
    """These and no others."""
    identity, wanted, account_id = identifier(call), call.given["contacts"], call.account_id

    def change(conn: Connection) -> None:
        try:
            contacts.set_members(conn, account_id, identity, wanted)
        except contacts.NoSuchContact as error:
            raise Problem(422, "contact_unknown", str(error), "contacts") from error

    return call.write("group.members", identity, change).addCallback(nothing_more)


def _number(call: Call, written: str) -> str:
    return destination(written, call.services.config.numbers.region, "number")


def _made(item: Any, kind: str, say: Any) -> Reply:
    return Reply(201, say(item), ((b"Location", b"/v1/%b/%d" % (kind.encode(), item.id)),))


def routes() -> list[Route]:
    """In the order of the documentation."""
    read, write = "contacts:read", "contacts:write"
    one: dict[str, Any] = {
        "path": "/v1/contacts/{id}",
        "tag": "Contacts",
        "missing": MISSING,
        "path_shapes": {"id": IDENTIFIER},
    }
    group: dict[str, Any] = {
        "tag": "Contacts",
        "missing": GROUP_MISSING,
        "path_shapes": {"id": IDENTIFIER},
    }
    return [
        Route(
            method="GET",
            path="/v1/contacts",
            name="listContacts",
            tag="Contacts",
            scope=read,
            summary="List contacts by name",
            do=listed,
            takes=LISTED_BY,
            gives={200: CONTACTS},
            refuses={422: ("id_invalid",)},
        ),
        Route(
            method="POST",
            path="/v1/contacts",
            name="addContact",
            tag="Contacts",
            scope=write,
            summary="Add a contact",
            do=add,
            takes=NEW,
            gives={201: CONTACT},
            refuses={409: ("contact_exists",), 422: ("invalid_number",)},
        ),
        Route(
            method="GET",
            name="getContact",
            scope=read,
            summary="One contact",
            do=show,
            gives={200: CONTACT},
            **one,
        ),
        Route(
            method="PATCH",
            name="changeContact",
            scope=write,
            summary="Change a contact",
            do=change,
            takes=CHANGE,
            gives={200: CONTACT},
            refuses={409: ("conflict",), 422: ("invalid_number",)},
            **one,
        ),
        Route(
            method="DELETE",
            name="removeContact",
            scope=write,
            summary="Remove a contact",
            do=remove,
            gives={204: None},
            **one,
        ),
        Route(
            method="GET",
            path="/v1/groups",
            name="listGroups",
            tag="Contacts",
            scope=read,
            summary="List the groups of contacts",
            do=groups,
            gives={200: GROUPS},
        ),
        Route(
            method="POST",
            path="/v1/groups",
            name="addGroup",
            tag="Contacts",
            scope=write,
            summary="Add a group",
            do=add_group,
            takes=NEW_GROUP,
            gives={201: GROUP},
            refuses={409: ("group_exists",)},
        ),
        Route(
            method="PATCH",
            path="/v1/groups/{id}",
            name="renameGroup",
            scope=write,
            summary="Rename a group",
            do=rename_group,
            takes=NEW_GROUP,
            gives={200: GROUP},
            refuses={409: ("conflict",)},
            **group,
        ),
        Route(
            method="DELETE",
            path="/v1/groups/{id}",
            name="removeGroup",
            scope=write,
            summary="Remove a group, not its contacts",
            do=remove_group,
            gives={204: None},
            **group,
        ),
        Route(
            method="PUT",
            path="/v1/groups/{id}/members",
            name="setGroupMembers",
            scope=write,
            summary="Say which contacts are in a group",
            do=set_members,
            takes=MEMBERS,
            gives={204: None},
            refuses={422: ("contact_unknown",)},
            **group,
        ),
    ]
