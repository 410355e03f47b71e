"""A file of people into the account's contacts, and these into a file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from edge.contacts import Person
from edge.errors import Refused
from edge.policy.numbers import destination
from storage import contacts
from storage.contacts import Contact, MoreNumber
from storage.people import Incoming

MAX_NAME, MAX_NOTES, MAX_PEOPLE = 200, 4_000, 10_000
MAX_NUMBERS = 20
"""Beside the first."""

MAX_LABEL = 40


@dataclass(frozen=True, slots=True)
class Readable:
    """What of a file can be kept. ``unreadable`` are numbers that are none; ``left_out`` were too many."""

    people: tuple[Incoming, ...]
    unreadable: tuple[str, ...] = ()
    left_out: int = 0


def readable(people: Iterable[Person], region: str) -> Readable:
    """The first 10,000 people of a file who have a number, each as the store can keep him."""
    found: list[Incoming] = []
    unreadable: list[str] = []
    left_out = 0
    for person in people:
        if len(found) == MAX_PEOPLE:
            left_out += 1
            continue
        numbers = tuple(_numbers(person, region, unreadable))[: MAX_NUMBERS + 1]
        if numbers:
            name, groups = person.name[:MAX_NAME], tuple(group[:MAX_NAME] for group in person.groups)
            found.append(Incoming(name, numbers, person.notes[:MAX_NOTES], groups))
    return Readable(tuple(found), tuple(unreadable), left_out)


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
            yield Person(item.name, ((item.number, item.label), *others), item.notes, names)
        after = page[-1]


def _numbers(person: Person, region: str, unreadable: list[str]) -> Iterator[MoreNumber]:
    for written, label in person.numbers:
        try:
            yield MoreNumber(destination(written, region, "number"), label[:MAX_LABEL])
        except Refused:
            unreadable.append(written[:40])
