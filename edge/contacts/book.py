"""A file of people into the account's contacts, and these into a file."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from edge.contacts import Person
from edge.errors import Refused
from edge.policy.numbers import destination
from storage import contacts
from storage.contacts import Contact, MoreNumber

MAX_NAME, MAX_NOTES, MAX_PEOPLE = 200, 4_000, 10_000


@dataclass(slots=True)
class Outcome:
    """What came of an import. ``unreadable`` are numbers that are none; ``left_out`` is what was too much."""

    added: int = 0
    changed: int = 0
    left_out: int = 0
    unreadable: tuple[str, ...] = ()

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.added + other.added,
            self.changed + other.changed,
            self.left_out + other.left_out,
            self.unreadable + other.unreadable,
        )


def take(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    people: Iterable[Person],
    region: str,
    now_ms: int,
) -> Outcome:
    """Put a few people into the contacts, in one transaction. Whose number is there already is renamed, and
    keeps notes and groups that the file does not have; further numbers are added to him, unless they are
    others'.
    """
    outcome = Outcome()
    unreadable: list[str] = []
    for person in people:
        numbers = list(_readable(person, region, unreadable))
        if numbers:
            _take_one(connection, next_id, account_id, person, numbers, now_ms, outcome)
    outcome.unreadable = tuple(unreadable)
    return outcome


def people(connection: Connection, account_id: int) -> Iterator[Person]:
    """Everybody, by name."""
    after: Contact | None = None
    while page := contacts.listed(connection, account_id, after=after, limit=contacts.MAX_LIMIT):
        ids = [item.id for item in page]
        more = contacts.more_numbers(connection, account_id, ids)
        groups = contacts.groups_of(connection, account_id, ids)
        for item in page:
            others = tuple((other.number, other.label) for other in more.get(item.id, ()))
            names = tuple(group.name for group in groups.get(item.id, ()))
            yield Person(item.name, ((item.number, ""), *others), item.notes, names)
        after = page[-1]


def _readable(person: Person, region: str, unreadable: list[str]) -> Iterator[MoreNumber]:
    for written, label in person.numbers:
        try:
            yield MoreNumber(destination(written, region, "number"), label)
        except Refused:
            unreadable.append(written[:40])


def _take_one(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    person: Person,
    numbers: list[MoreNumber],
    now_ms: int,
    outcome: Outcome,
) -> None:
    name, notes = person.name[:MAX_NAME], person.notes[:MAX_NOTES]
    held = [contacts.of_number(connection, account_id, item.number) for item in numbers]
    known = next((item for item in held if item is not None), None)
    if known is None:
        one = contacts.put(connection, next_id, account_id, numbers[0].number, name, now_ms, notes=notes)
        outcome.added += 1
    else:
        one = contacts.change(connection, account_id, known.id, now_ms, name=name, notes=notes or None)
        outcome.changed += 1
    before = contacts.more_numbers(connection, account_id, [one.id]).get(one.id, [])
    fresh = [item for item, owner in zip(numbers, held, strict=True) if owner is None]
    contacts.set_more_numbers(connection, account_id, one.id, [*before, *fresh])
    if person.groups:
        ids = [
            contacts.add_group(connection, next_id, account_id, group[:MAX_NAME], now_ms).id
            for group in person.groups
        ]
        mine = contacts.groups_of(connection, account_id, [one.id]).get(one.id, [])
        contacts.set_groups(connection, account_id, one.id, {*ids, *(group.id for group in mine)})
