"""The phone book and its groups: the account's contacts, with what phones keep beside a name and a number."""

import re

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.web import spelling
from edge.web.api.members import parse_identifier
from edge.web.voipms import answers
from edge.web.voipms.call import Call
from edge.web.voipms.statuses import Rejected
from storage import contacts, phonebook
from storage.errors import NotFound
from storage.phonebook import Change, Entry, Full, Taken

MAX_NAME = 100
MAX_NOTE = 2_000
SIP = "sip:"
_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")
_SPEED_DIAL = re.compile(r"\*75[0-9]{2}", re.ASCII)
_EXTENSION = re.compile(r"sip:[!-~]{1,200}", re.ASCII)
_MEMBERS = re.compile(r"[;,\s]+")


def get_phonebook(call: Call) -> Deferred[bytes]:
    """`phonebooks`: entries by name."""
    given = call.parameters
    entry = _id(given.text("phonebook"), "invalid_phonebook")
    group = _id(given.text("group"), "invalid_id")

    def shown(found: list[Entry]) -> bytes:
        if not found:
            raise Rejected("no_phonebook")
        return answers.rows("phonebooks", [_row(item) for item in found])

    return call.services.store.read(
        phonebook.entries,
        call.account_id,
        entry_id=entry,
        holding=given.text("name") or None,
        group_id=group,
        group_name=given.text("group_name") or None,
    ).addCallback(shown)


def set_phonebook(call: Call) -> Deferred[bytes]:
    """`phonebook`: the id of the entry, new or changed."""
    given = call.parameters
    entry = _id(given.text("phonebook"), "invalid_phonebook")
    change = Change(
        name=_name(call),
        number=_number(given.required("number", "missing_number")),
        speed_dial=_speed_dial(call),
        callerid=_line(call, "callerid"),
        note=_line(call, "note"),
        group_id=(_id(given.text("group"), "invalid_id") or 0) if given.given("group") else None,
    )
    store = call.services.store

    def work(connection: Connection) -> int:
        if entry is not None and contacts.get(connection, call.account_id, entry) is None:
            raise Rejected("invalid_phonebook")
        try:
            return phonebook.put(connection, store.ids.next, call.account_id, entry, change, call.now_ms)
        except Taken as error:
            raise Rejected(f"used_{error.what}") from error
        except Full as error:
            raise Rejected("members_exceeded") from error
        except NotFound as error:
            raise Rejected("invalid_id", "There is no phone book group with this id.") from error

    return store.writer.run("set phone book entry", work).addCallback(
        lambda identity: answers.success(phonebook=str(identity))
    )


def del_phonebook(call: Call) -> Deferred[bytes]:
    """The entry is gone, and so is the contact."""
    entry = _id(call.parameters.required("phonebook", "missing_phonebook"), "invalid_phonebook")

    def work(connection: Connection) -> None:
        if entry is None or not contacts.remove(connection, call.account_id, [entry]):
            raise Rejected("invalid_phonebook")

    return call.services.store.writer.run("delete phone book entry", work).addCallback(
        lambda _: answers.success()
    )


def get_groups(call: Call) -> Deferred[bytes]:
    """`phonebooks`: groups, with the ids of their members."""
    given = call.parameters
    wanted, name = _id(given.text("group"), "invalid_id"), given.text("name")

    def work(connection: Connection) -> bytes:
        members = phonebook.members(connection, call.account_id)
        rows = [
            {
                "phonebook_group": group.id,
                "name": group.name,
                "members": ";".join(map(str, members.get(group.id, ()))),
            }
            for group in contacts.groups(connection, call.account_id)
            if wanted in (None, group.id) and name.lower() in group.name.lower()
        ]
        if not rows:
            raise Rejected("no_phonebook_group")
        return answers.rows("phonebooks", rows)

    return call.services.store.read(work)


def set_group(call: Call) -> Deferred[bytes]:
    """`group`: the id of the group, new or changed."""
    group = _id(call.parameters.text("group"), "invalid_id")
    name, members = _name(call), _members(call)
    store = call.services.store

    def work(connection: Connection) -> int:
        if group is not None and not any(
            item.id == group for item in contacts.groups(connection, call.account_id)
        ):
            raise Rejected("invalid_id")
        try:
            return phonebook.put_group(
                connection, store.ids.next, call.account_id, group, name, members, call.now_ms
            )
        except Taken as error:
            raise Rejected("used_name") from error
        except NotFound as error:
            raise Rejected("invalid_member") from error

    return store.writer.run("set phone book group", work).addCallback(
        lambda identity: answers.success(group=str(identity))
    )


def del_group(call: Call) -> Deferred[bytes]:
    """The group is gone; its members stay."""
    group = _id(call.parameters.required("group", "missing_id"), "invalid_id")

    def work(connection: Connection) -> None:
        try:
            contacts.remove_group(connection, call.account_id, group or 0)
        except NotFound as error:
            raise Rejected("invalid_id") from error

    return call.services.store.writer.run("delete phone book group", work).addCallback(
        lambda _: answers.success()
    )


def _row(entry: Entry) -> dict[str, object]:
    number = entry.contact.number
    return {
        "phonebook": entry.contact.id,
        "speed_dial": entry.speed_dial,
        "name": entry.contact.name,
        "number": number if number.startswith(SIP) else spelling.shown(number),
        "callerid": entry.callerid,
        "note": entry.contact.notes,
        "group": None if entry.group is None else entry.group.id,
        "group_name": None if entry.group is None else entry.group.name,
    }


def _id(written: str, status: str) -> int | None:
    """None for an empty one. Raises Rejected."""
    if not written:
        return None
    identity = parse_identifier(written)
    if identity is None:
        raise Rejected(status)
    return identity


def _name(call: Call) -> str:
    name = call.parameters.required("name", "missing_name")
    if len(name) > MAX_NAME:
        raise Rejected("name_toolong")
    if not _NAME.fullmatch(name):
        raise Rejected("invalid_name")
    return name


def _number(written: str) -> str:
    if written.lower().startswith(SIP):
        number = f"{SIP}{written[len(SIP) :]}"
        if not _EXTENSION.fullmatch(number):
            raise Rejected("invalid_number")
        return number
    found = spelling.read(written)
    if found is None:
        raise Rejected("invalid_number")
    return found


def _speed_dial(call: Call) -> str | None:
    written = call.parameters.text("speed_dial")
    if written and not _SPEED_DIAL.fullmatch(written):
        raise Rejected("invalid_speed_dial")
    return written if call.parameters.given("speed_dial") else None


def _line(call: Call, name: str) -> str | None:
    if not call.parameters.given(name):
        return None
    return call.parameters.text(name)[:MAX_NOTE]


def _members(call: Call) -> list[int] | None:
    if not call.parameters.given("members"):
        return None
    words = [word for word in _MEMBERS.split(call.parameters.text("members")) if word]
    found = [parse_identifier(word) for word in words]
    if None in found:
        raise Rejected("invalid_member")
    return [identity for identity in found if identity is not None]
