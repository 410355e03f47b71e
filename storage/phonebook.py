"""An account's phone book: its contacts, with the speed dial and the caller ID that some programs keep for
them.

Names are unique here, though contacts need not have different ones. An entry shows one of its contact's
groups.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from storage import contacts
from storage.contacts import Contact, Group
from storage.errors import NotFound, StoreError
from storage.tables import contact, contact_group, contact_membership, phonebook_entry

MAX_ENTRIES = 10_000


class Taken(StoreError):
    """Another entry has it; ``what`` is "name", "number" or "speed_dial"."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Another entry has this {what}.")
        self.what = what


class Full(StoreError):
    """There is no room for one more entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One contact as a phone book has it."""

    contact: Contact
    speed_dial: str | None
    callerid: str
    group: Group | None


@dataclass(frozen=True, slots=True)
class Change:
    """What an entry becomes; None leaves as it is. A ``group_id`` of 0 takes it out of every group."""

    name: str
    number: str
    speed_dial: str | None = None
    callerid: str | None = None
    note: str | None = None
    group_id: int | None = None


def entries(
    connection: Connection,
    account_id: int,
    *,
    entry_id: int | None = None,
    holding: str | None = None,
    group_id: int | None = None,
    group_name: str | None = None,
) -> list[Entry]:
    """Entries by name; one, those whose name or number holds a text, those of a group."""
    if group_name is not None and group_id is None:
        named = [group.id for group in contacts.groups(connection, account_id) if group.name == group_name]
        if not named:
            return []
        group_id = named[0]
    kept = select(phonebook_entry).where(phonebook_entry.c.account_id == account_id)
    if entry_id is None:
        found = list(_all(connection, account_id, holding, group_id))
    elif holding is None and group_id is None:  # one is looked up, not looked for
        one = contacts.get(connection, account_id, entry_id)
        found = [] if one is None else [one]
        kept = kept.where(phonebook_entry.c.contact_id == entry_id)
    else:
        every = _all(connection, account_id, holding, group_id)
        found = [item for item in every if item.id == entry_id]
    extras = {row.contact_id: row for row in connection.execute(kept)}
    groups = _groups_of(connection, account_id)
    return [
        Entry(
            item,
            extras[item.id].speed_dial if item.id in extras else None,
            extras[item.id].callerid if item.id in extras else "",
            groups.get(item.id),
        )
        for item in found
    ]


def put(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    entry_id: int | None,
    change: Change,
    now_ms: int,
) -> int:
    """Make an entry, or change it; its id. Raises NotFound (the entry or the group), Taken, Full."""
    if entry_id is None:
        count = connection.scalar(select(func.count()).where(contact.c.account_id == account_id)) or 0
        if count >= MAX_ENTRIES:
            raise Full("A phone book has no room for more entries.")
    elif contacts.get(connection, account_id, entry_id) is None:
        raise NotFound("There is no such entry.")
    _check_free(connection, account_id, entry_id, change)
    if entry_id is None:
        made = contacts.put(
            connection, next_id, account_id, change.number, change.name, now_ms, notes=change.note or ""
        )
        entry_id = made.id
    else:
        contacts.change(
            connection,
            account_id,
            entry_id,
            now_ms,
            number=change.number,
            name=change.name,
            notes=change.note,
        )
    _put_extras(connection, account_id, entry_id, change)
    _put_group(connection, account_id, entry_id, change.group_id)
    return entry_id


def members(connection: Connection, account_id: int) -> dict[int, list[int]]:
    """The ids of the entries of each group."""
    found: dict[int, list[int]] = {}
    mine = contact_group.c.account_id == account_id
    query = (
        select(contact_membership)
        .join(contact_group, contact_group.c.id == contact_membership.c.group_id)
        .where(mine)
        .order_by(contact_membership.c.contact_id)
    )
    for row in connection.execute(query):
        found.setdefault(row.group_id, []).append(row.contact_id)
    return found


def put_group(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    group_id: int | None,
    name: str,
    member_ids: Iterable[int] | None,
    now_ms: int,
) -> int:
    """Make a group, or change it; its id. ``member_ids`` None leaves its members. Raises NotFound, Taken."""
    groups = contacts.groups(connection, account_id)
    if any(group.name == name and group.id != group_id for group in groups):
        raise Taken("name")
    if group_id is None:
        group_id = contacts.add_group(connection, next_id, account_id, name, now_ms).id
    elif not any(group.id == group_id for group in groups):
        raise NotFound("There is no such group.")
    else:
        this = (contact_group.c.account_id == account_id, contact_group.c.id == group_id)
        connection.execute(update(contact_group).where(*this).values(name=name))
    if member_ids is not None:
        contacts.set_members(connection, account_id, group_id, member_ids)
    return group_id


def _all(
    connection: Connection, account_id: int, holding: str | None, group_id: int | None
) -> Iterable[Contact]:
    after: Contact | None = None
    while page := contacts.listed(
        connection, account_id, holding=holding, group_id=group_id, after=after, limit=contacts.MAX_LIMIT
    ):
        yield from page
        after = page[-1]


def _groups_of(connection: Connection, account_id: int) -> dict[int, Group]:
    by_id = {group.id: group for group in contacts.groups(connection, account_id)}
    found: dict[int, Group] = {}
    for group_id, ids in members(connection, account_id).items():
        for identity in ids:
            known = found.get(identity)
            if known is None or by_id[group_id].name < known.name:
                found[identity] = by_id[group_id]
    return found


def _check_free(connection: Connection, account_id: int, entry_id: int | None, change: Change) -> None:
    others = select(contact.c.id).where(contact.c.account_id == account_id, contact.c.id != (entry_id or 0))
    if connection.execute(others.where(contact.c.name == change.name)).first() is not None:
        raise Taken("name")
    owner = contacts.of_number(connection, account_id, change.number)
    if owner is not None and owner.id != entry_id:
        raise Taken("number")
    if change.speed_dial:
        dialled = select(phonebook_entry.c.contact_id).where(
            phonebook_entry.c.account_id == account_id,
            phonebook_entry.c.speed_dial == change.speed_dial,
            phonebook_entry.c.contact_id != (entry_id or 0),
        )
        if connection.execute(dialled).first() is not None:
            raise Taken("speed_dial")


def _put_extras(connection: Connection, account_id: int, entry_id: int, change: Change) -> None:
    values: dict[str, str | None] = {}
    if change.speed_dial is not None:
        values["speed_dial"] = change.speed_dial or None
    if change.callerid is not None:
        values["callerid"] = change.callerid
    if not values:
        return
    this = phonebook_entry.c.contact_id == entry_id
    if not connection.execute(update(phonebook_entry).where(this).values(values)).rowcount:
        row = {"contact_id": entry_id, "account_id": account_id, "callerid": "", **values}
        connection.execute(insert(phonebook_entry).values(row))


def _put_group(connection: Connection, account_id: int, entry_id: int, group_id: int | None) -> None:
    if group_id is None:
        return
    if group_id and not any(group.id == group_id for group in contacts.groups(connection, account_id)):
        raise NotFound("There is no such group.")
    connection.execute(delete(contact_membership).where(contact_membership.c.contact_id == entry_id))
    if group_id:
        connection.execute(insert(contact_membership).values(group_id=group_id, contact_id=entry_id))
