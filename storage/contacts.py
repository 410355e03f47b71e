"""Contacts and groups: the names that an account gives to numbers."""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from storage.errors import Conflict, NotFound
from storage.pages import bounded
from storage.tables import contact, contact_group, contact_membership, contact_number, phonebook_entry
from storage.text import storable
from storage.words import fold

MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Contact:
    """A number with a name. ``folded`` is the name as lists sort and compare it, ``label`` says which of his
    numbers it is ("mobile")."""

    id: int
    account_id: int
    number: str
    name: str
    folded: str
    notes: str
    created_at: int
    updated_at: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class MoreNumber:
    """A number that a contact has beside its first; ``label`` says which ("work")."""

    number: str
    label: str


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of contacts."""

    id: int
    account_id: int
    name: str
    created_at: int


class NoSuchContact(NotFound):
    """One of the contacts that were named."""


def put(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    number: str,
    name: str,
    now_ms: int,
    *,
    notes: str = "",
    label: str = "",
) -> Contact:
    """The contact of this number, made or renamed; ``label`` is for one that is made."""
    name, notes, label = storable(name), storable(notes), storable(label)
    found = of_number(connection, account_id, number)
    if found is None:
        added = Contact(next_id(), account_id, number, name, fold(name), notes, now_ms, now_ms, label)
        connection.execute(insert(contact).values([getattr(added, column.name) for column in contact.c]))
        return added
    return change(connection, account_id, found.id, now_ms, name=name, notes=notes)


def change(
    connection: Connection,
    account_id: int,
    contact_id: int,
    now_ms: int,
    *,
    number: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    label: str | None = None,
) -> Contact:
    """Change a contact; None leaves as it is, but a number of his brings its label. Raises NotFound, Conflict
    when another has the number."""
    if get(connection, account_id, contact_id) is None:
        raise NotFound("There is no such contact.")
    if number is not None:
        other = of_number(connection, account_id, number)
        if other is not None and other.id != contact_id:
            raise Conflict(f"The number {number} is another contact's.")
        if label is None:
            more = more_numbers(connection, account_id, [contact_id]).get(contact_id, ())
            label = next((item.label for item in more if item.number == number), None)
    name, notes, label = (None if text is None else storable(text) for text in (name, notes, label))
    folded = None if name is None else fold(name)
    given = {"number": number, "name": name, "notes": notes, "folded": folded, "label": label}
    values = {column: value for column, value in given.items() if value is not None}
    connection.execute(
        update(contact).where(*_mine(account_id, contact_id)).values(**values, updated_at=now_ms)
    )
    if number is not None:  # it may have been one of its other numbers
        connection.execute(
            delete(contact_number).where(
                *_more_of(account_id, [contact_id]), contact_number.c.number == number
            )
        )
    changed = get(connection, account_id, contact_id)
    assert changed is not None, "it was there in this transaction"
    return changed


def get(connection: Connection, account_id: int, contact_id: int) -> Contact | None:
    """One contact of this account."""
    row = connection.execute(select(contact).where(*_mine(account_id, contact_id))).first()
    return None if row is None else Contact(*row)


def of_number(connection: Connection, account_id: int, number: str) -> Contact | None:
    """The contact of this account with this number, be it one of several."""
    query = select(contact).where(contact.c.account_id == account_id, contact.c.number == number)
    row = connection.execute(query).first()
    if row is None:
        also = and_(contact_number.c.account_id == account_id, contact_number.c.number == number)
        query = select(contact).join(contact_number, contact_number.c.contact_id == contact.c.id).where(also)
        row = connection.execute(query).first()
    return None if row is None else Contact(*row)


def names(connection: Connection, account_id: int, peers: Iterable[str]) -> dict[str, str]:
    """The names that this account has for these numbers (at most a page of them)."""
    wanted = sorted(set(peers))
    first = select(contact.c.number, contact.c.name).where(
        contact.c.account_id == account_id, contact.c.number.in_(wanted)
    )
    more = (
        select(contact_number.c.number, contact.c.name)
        .join(contact, contact.c.id == contact_number.c.contact_id)
        .where(contact_number.c.account_id == account_id, contact_number.c.number.in_(wanted))
    )
    return {row.number: row.name for query in (first, more) for row in connection.execute(query)}


def listed(
    connection: Connection,
    account_id: int,
    *,
    holding: str | None = None,
    group_id: int | None = None,
    after: Contact | None = None,
    limit: int = 100,
) -> list[Contact]:
    """Contacts by name; those whose name or number holds a text, those of a group, those after one."""
    query = select(contact).where(contact.c.account_id == account_id)
    if holding:
        also = select(contact_number.c.contact_id).where(
            contact_number.c.account_id == account_id,
            contact_number.c.number.contains(holding, autoescape=True),
        )
        query = query.where(
            or_(
                contact.c.folded.contains(fold(holding), autoescape=True),
                contact.c.number.contains(holding, autoescape=True),
                contact.c.id.in_(also),
            )
        )
    if group_id is not None:
        members = select(contact_membership.c.contact_id).where(contact_membership.c.group_id == group_id)
        query = query.where(contact.c.id.in_(members))
    if after is not None:
        later = and_(contact.c.folded == after.folded, contact.c.id > after.id)
        query = query.where(or_(contact.c.folded > after.folded, later))
    query = query.order_by(contact.c.folded, contact.c.id).limit(bounded(limit, MAX_LIMIT))
    return [Contact(*row) for row in connection.execute(query)]


def called(connection: Connection, account_id: int, name: str) -> list[Contact]:
    """The contacts of exactly this name, at most `MAX_LIMIT`; without one those whose names differ from it in
    case, accents and compatibility forms alone.
    """
    folded = fold(name)
    if not folded:
        return []
    query = select(contact).where(contact.c.account_id == account_id, contact.c.folded == folded)
    alike = [Contact(*row) for row in connection.execute(query.order_by(contact.c.id).limit(MAX_LIMIT))]
    written = unicodedata.normalize("NFC", name)
    return [item for item in alike if unicodedata.normalize("NFC", item.name) == written] or alike


def remove(connection: Connection, account_id: int, contact_ids: Iterable[int]) -> int:
    """Take contacts and their memberships away; how many there were."""
    mine = select(contact.c.id).where(contact.c.account_id == account_id, contact.c.id.in_(list(contact_ids)))
    ids = list(connection.scalars(mine))
    for table in (contact_membership, contact_number, phonebook_entry):
        connection.execute(delete(table).where(table.c.contact_id.in_(ids)))
    return connection.execute(delete(contact).where(contact.c.id.in_(ids))).rowcount


def more_numbers(
    connection: Connection, account_id: int, contact_ids: Iterable[int]
) -> dict[int, list[MoreNumber]]:
    """What contacts have beside their first numbers, by contact; those without are not in it."""
    query = select(contact_number).where(
        contact_number.c.account_id == account_id, contact_number.c.contact_id.in_(list(contact_ids))
    )
    found: dict[int, list[MoreNumber]] = {}
    for row in connection.execute(query.order_by(contact_number.c.number)):
        found.setdefault(row.contact_id, []).append(MoreNumber(row.number, row.label))
    return found


def set_more_numbers(
    connection: Connection, account_id: int, contact_id: int, more: Iterable[MoreNumber]
) -> None:
    """These beside its first number, and no others. Raises NotFound, Conflict when another has one."""
    held = get(connection, account_id, contact_id)
    if held is None:
        raise NotFound("There is no such contact.")
    connection.execute(delete(contact_number).where(*_more_of(account_id, [contact_id])))
    for item in {item.number: item for item in more if item.number != held.number}.values():
        other = of_number(connection, account_id, item.number)
        if other is not None:
            raise Conflict(f"The number {item.number} is another contact's.")
        row = [account_id, item.number, contact_id, storable(item.label)]
        connection.execute(insert(contact_number).values(row))


def merge(
    connection: Connection, account_id: int, contact_id: int, contact_ids: Iterable[int], now_ms: int
) -> Contact:
    """One contact out of it and the others, which are gone then: it has all their numbers, notes and groups.

    Its name and first number stay. Raises NotFound for one that is not the account's.
    """
    kept = get(connection, account_id, contact_id)
    others = [get(connection, account_id, item) for item in dict.fromkeys(contact_ids) if item != contact_id]
    found = [item for item in others if item is not None]
    if kept is None or len(found) != len(others):
        raise NotFound("There is no such contact.")
    ids = [item.id for item in found]
    more = more_numbers(connection, account_id, [contact_id, *ids])
    joined = list(more.get(contact_id, ()))
    for item in found:
        joined += [MoreNumber(item.number, item.label), *more.get(item.id, ())]
    notes = "\n\n".join(dict.fromkeys(item.notes.strip() for item in (kept, *found) if item.notes.strip()))
    memberships = select(contact_membership.c.group_id).where(
        contact_membership.c.contact_id.in_([contact_id, *ids])
    )
    groups_of_all = set(connection.scalars(memberships))
    remove(connection, account_id, ids)
    _join(connection, contact_id, groups_of_all)
    set_more_numbers(connection, account_id, contact_id, joined)
    return change(connection, account_id, contact_id, now_ms, notes=notes)


def groups_of(connection: Connection, account_id: int, contact_ids: Iterable[int]) -> dict[int, list[Group]]:
    """The groups of each contact, by name."""
    query = (
        select(contact_membership.c.contact_id, contact_group)
        .join(contact_group, contact_group.c.id == contact_membership.c.group_id)
        .where(
            contact_group.c.account_id == account_id,
            contact_membership.c.contact_id.in_(list(contact_ids)),
        )
        .order_by(contact_group.c.name)
    )
    found: dict[int, list[Group]] = {}
    for row in connection.execute(query):
        found.setdefault(row.contact_id, []).append(Group(*row[1:]))
    return found


def set_groups(connection: Connection, account_id: int, contact_id: int, group_ids: Iterable[int]) -> None:
    """The contact is in these groups, and in no others. Raises NotFound for what is not the account's."""
    wanted = set(group_ids)
    mine = {group.id for group in groups(connection, account_id)}
    if get(connection, account_id, contact_id) is None or not wanted <= mine:
        raise NotFound("There is no such contact or group.")
    connection.execute(delete(contact_membership).where(contact_membership.c.contact_id == contact_id))
    _join(connection, contact_id, wanted)


def _join(connection: Connection, contact_id: int, group_ids: Iterable[int]) -> None:
    query = select(contact_membership.c.group_id).where(contact_membership.c.contact_id == contact_id)
    missing = set(group_ids) - set(connection.scalars(query))
    if missing:
        rows: list[dict[str, Any]] = [
            {"group_id": item, "contact_id": contact_id} for item in sorted(missing)
        ]
        connection.execute(insert(contact_membership), rows)


def add_group(
    connection: Connection, next_id: Callable[[], int], account_id: int, name: str, now_ms: int
) -> Group:
    """The group of this name, made if it is not there."""
    name = storable(name)
    query = select(contact_group).where(
        contact_group.c.account_id == account_id, contact_group.c.name == name
    )
    row = connection.execute(query).first()
    if row is not None:
        return Group(*row)
    added = Group(next_id(), account_id, name, now_ms)
    connection.execute(insert(contact_group).values([added.id, account_id, name, now_ms]))
    return added


def groups(connection: Connection, account_id: int) -> list[Group]:
    """The groups of an account, by name."""
    query = select(contact_group).where(contact_group.c.account_id == account_id)
    return [Group(*row) for row in connection.execute(query.order_by(contact_group.c.name))]


def rename_group(connection: Connection, account_id: int, group_id: int, name: str) -> Group:
    """The group under another name. Raises NotFound, Conflict when another one has it."""
    _own_group(connection, account_id, group_id)
    name = storable(name)
    for other in groups(connection, account_id):
        if other.name == name and other.id != group_id:
            raise Conflict(f"Another group is called {name}.")
    connection.execute(update(contact_group).where(contact_group.c.id == group_id).values(name=name))
    return next(item for item in groups(connection, account_id) if item.id == group_id)


def remove_group(connection: Connection, account_id: int, group_id: int) -> None:
    """Take a group away, not its contacts. Raises NotFound."""
    _own_group(connection, account_id, group_id)
    connection.execute(delete(contact_membership).where(contact_membership.c.group_id == group_id))
    connection.execute(delete(contact_group).where(contact_group.c.id == group_id))


def set_members(connection: Connection, account_id: int, group_id: int, contact_ids: Iterable[int]) -> None:
    """These contacts, and no others, are in the group. Raises NotFound for a group that is not the
    account's, NoSuchContact for such a contact.
    """
    _own_group(connection, account_id, group_id)
    wanted = set(contact_ids)
    mine = select(contact.c.id).where(contact.c.account_id == account_id, contact.c.id.in_(wanted))
    if set(connection.scalars(mine)) != wanted:
        raise NoSuchContact("There is no such contact.")
    connection.execute(delete(contact_membership).where(contact_membership.c.group_id == group_id))
    if wanted:
        rows: list[dict[str, Any]] = [{"group_id": group_id, "contact_id": item} for item in sorted(wanted)]
        connection.execute(insert(contact_membership), rows)


def _own_group(connection: Connection, account_id: int, group_id: int) -> None:
    query = select(contact_group.c.id).where(
        contact_group.c.account_id == account_id, contact_group.c.id == group_id
    )
    if connection.execute(query).first() is None:
        raise NotFound("There is no such group.")


def _more_of(account_id: int, contact_ids: list[int]) -> tuple[Any, Any]:
    return contact_number.c.account_id == account_id, contact_number.c.contact_id.in_(contact_ids)


def _mine(account_id: int, contact_id: int) -> tuple[Any, Any]:
    return contact.c.account_id == account_id, contact.c.id == contact_id
