"""Many contacts at once, as a file brings them: a few statements for all of them, however many there are."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, Text, bindparam, func, insert, select, update

from storage.contacts import MoreNumber
from storage.tables import contact, contact_group, contact_membership, contact_number
from storage.words import fold

Row = dict[str, Any]

_RENAME = (
    update(contact)
    .where(contact.c.id == bindparam("this"))
    .values(
        name=bindparam("called"),
        folded=bindparam("compared"),
        notes=func.coalesce(bindparam("noted", type_=Text), contact.c.notes),
        updated_at=bindparam("at"),
    )
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """Somebody of a file, with one number or more in E.164, best first, and the names of his groups."""

    name: str
    numbers: tuple[MoreNumber, ...]
    notes: str = ""
    groups: tuple[str, ...] = ()


class Put(NamedTuple):
    """How many people are new, and how many were there, be it further up in the same file."""

    added: int
    changed: int


def put(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    people: Sequence[Incoming],
    now_ms: int,
) -> Put:
    """Put some people into the account's contacts: hundreds, as all of it is one transaction.

    Whose number is there already is renamed, and keeps notes and groups that the file does not have; further
    numbers are added to him, unless they are others'.
    """
    numbers = {item.number for person in people for item in person.numbers}
    plan = _Plan(next_id, account_id, now_ms, _owners(connection, account_id, numbers))
    for person in people:
        plan.take(person)
    _insert(connection, contact, plan.added.values())
    if plan.renamed:
        connection.execute(_RENAME, list(plan.renamed.values()))
    _insert(connection, contact_number, plan.more)
    _join(connection, plan)
    return Put(len(plan.added), len(people) - len(plan.added))


@dataclass(slots=True)
class _Plan:
    """What is to be written. ``owners`` has the contact of each number, those that are made here too."""

    next_id: Callable[[], int]
    account_id: int
    now_ms: int
    owners: dict[str, int]
    added: dict[int, Row] = field(default_factory=dict)
    renamed: dict[int, Row] = field(default_factory=dict)
    more: list[Row] = field(default_factory=list)
    memberships: dict[tuple[str, int], None] = field(default_factory=dict)

    def take(self, person: Incoming) -> None:
        """The next one of the file."""
        numbers = [item.number for item in person.numbers]
        known = next((self.owners[number] for number in numbers if number in self.owners), None)
        if known is None:
            identity = self._add(person)
        else:
            identity = known
            self._rename(identity, person)
        for item in person.numbers:
            if item.number not in self.owners:
                self.owners[item.number] = identity
                row = {"number": item.number, "contact_id": identity, "label": item.label}
                self.more.append({"account_id": self.account_id, **row})
        for group in person.groups:
            self.memberships[group, identity] = None

    def _add(self, person: Incoming) -> int:
        identity, first = self.next_id(), person.numbers[0]
        self.owners[first.number] = identity
        self.added[identity] = {
            "id": identity,
            "account_id": self.account_id,
            "number": first.number,
            "label": first.label,
            "name": person.name,
            "folded": fold(person.name),
            "notes": person.notes,
            "created_at": self.now_ms,
            "updated_at": self.now_ms,
        }
        return identity

    def _rename(self, identity: int, person: Incoming) -> None:
        name, folded = person.name, fold(person.name)
        fresh = self.added.get(identity)
        if fresh is not None:
            fresh.update(name=name, folded=folded, notes=person.notes or fresh["notes"])
            return
        notes = person.notes or self.renamed.get(identity, {}).get("noted")
        self.renamed[identity] = {
            "this": identity,
            "called": name,
            "compared": folded,
            "noted": notes,
            "at": self.now_ms,
        }


def _owners(connection: Connection, account_id: int, numbers: Collection[str]) -> dict[str, int]:
    first = select(contact.c.number, contact.c.id).where(
        contact.c.account_id == account_id, contact.c.number.in_(numbers)
    )
    more = select(contact_number.c.number, contact_number.c.contact_id).where(
        contact_number.c.account_id == account_id, contact_number.c.number.in_(numbers)
    )
    return {number: identity for query in (more, first) for number, identity in connection.execute(query)}


def _join(connection: Connection, plan: _Plan) -> None:
    """Make the groups that are missing, and put everybody in."""
    if not plan.memberships:
        return
    names = dict.fromkeys(group for group, _ in plan.memberships)
    query = select(contact_group.c.name, contact_group.c.id).where(
        contact_group.c.account_id == plan.account_id, contact_group.c.name.in_(names)
    )
    groups = {row.name: row.id for row in connection.execute(query)}
    made = {name: plan.next_id() for name in names if name not in groups}
    fixed = {"account_id": plan.account_id, "created_at": plan.now_ms}
    _insert(connection, contact_group, ({"id": made[name], "name": name, **fixed} for name in made))
    groups |= made
    wanted = {(groups[name], identity) for name, identity in plan.memberships}
    there = select(contact_membership.c.group_id, contact_membership.c.contact_id).where(
        contact_membership.c.contact_id.in_({identity for _, identity in wanted})
    )
    missing = sorted(wanted - {(row.group_id, row.contact_id) for row in connection.execute(there)})
    rows = ({"group_id": group, "contact_id": who} for group, who in missing)
    _insert(connection, contact_membership, rows)


def _insert(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    given = list(rows)
    if given:
        connection.execute(insert(table), given)
