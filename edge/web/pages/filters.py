"""What a list of messages or conversations is narrowed to, as links and forms say it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from sqlalchemy import Connection

from edge.errors import Refused
from edge.policy.numbers import destination
from edge.web.api.members import parse_identifier
from edge.web.pages.answers import PageProblem
from edge.web.pages.forms import Fields
from edge.web.pages.locales import Locale
from edge.web.request import EdgeRequest
from storage import contacts
from storage.contacts import Contact, MoreNumber
from storage.history import Filter
from storage.records import Direction
from storage.search import MIN_PREFIX
from storage.words import words

DIRECTIONS = ("mo", "mt")
SHOWN = ("unread", "archived")


@dataclass(frozen=True, slots=True)
class Wanted:
    """As written in the address; "" does not narrow. ``since`` and ``until`` are days, both included."""

    q: str = ""
    did: str = ""
    peer: str = ""
    direction: str = ""
    since: str = ""
    until: str = ""
    show: str = ""

    @classmethod
    def read(cls, request: EdgeRequest, region: str) -> "Wanted":
        """What a request says; what it says wrongly does not narrow."""
        fields = Fields(request)
        peer = fields.line("peer")
        with suppress(Refused):  # a name, or a number that is none, is looked for as it is
            peer = destination(peer, region) if peer else ""
        return cls(
            q=fields.line("q")[:200],
            did=fields.line("did"),
            peer=peer,
            direction=_one_of(fields.line("direction"), DIRECTIONS),
            since=_day(fields.line("since")),
            until=_day(fields.line("until")),
            show=_one_of(fields.line("show"), SHOWN),
        )

    @property
    def chosen(self) -> Mapping[str, str]:
        """What narrows, by name."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}

    @property
    def query(self) -> str:
        """For a link; "" when nothing narrows."""
        return urlencode(self.chosen)

    def link(self, path: str) -> str:
        """The page at this path, narrowed so; more parameters can be put after it."""
        return f"{path}?{self.query}{'&' * bool(self.query)}"

    @property
    def of_messages(self) -> bool:
        """Does it say something of messages, not only of conversations?"""
        return bool(self.q or self.peer or self.direction or self.since or self.until)

    @property
    def is_short(self) -> bool:
        """Is the last word too short to be looked for as the beginning of one?"""
        asked = words(self.q)
        return bool(asked) and len(asked[-1]) < MIN_PREFIX

    def filter(self, locale: Locale, meant: Sequence["Meant"] = (), up_to_id: int | None = None) -> Filter:
        """For the store; the days are the reader's. ``meant``: whom ``peer`` names, see `meant_by`."""
        until = date.fromisoformat(self.until) + timedelta(days=1) if self.until else None
        return Filter(
            direction=cast(Direction | None, self.direction or None),
            did=self.did or None,
            peer=_one_or_all(tuple(item.number for item in meant)) or self.peer or None,
            since_ms=locale.begin_of(date.fromisoformat(self.since)) if self.since else None,
            until_ms=None if until is None else locale.begin_of(until),
            up_to_id=up_to_id,
        )


def unreadable(request: EdgeRequest, wanted: Wanted) -> list[str]:
    """What a request says of days and the type that does not narrow because it cannot be read."""
    said = {name: Fields(request).line(name) for name in ("direction", "since", "until")}
    return [written[:40] for name, written in said.items() if written and not getattr(wanted, name)]


@dataclass(frozen=True, slots=True)
class Meant:
    """A number that a contact's name may stand for; ``label`` says which of his it is ("work")."""

    number: str
    name: str
    label: str = ""


def meant_by(connection: Connection, account_id: int, written: str) -> list[Meant]:
    """Every number of every contact of this name; none for what is no contact's name."""
    if not written or written.startswith("+"):
        return []
    return numbers_of(connection, account_id, contacts.called(connection, account_id, written))


def numbers_of(connection: Connection, account_id: int, people: Sequence[Contact]) -> list[Meant]:
    """All their numbers: of each the first one, then the others."""
    more = contacts.more_numbers(connection, account_id, [contact.id for contact in people])
    return [
        Meant(number.number, contact.name, number.label)
        for contact in people
        for number in (MoreNumber(contact.number, contact.label), *more.get(contact.id, ()))
    ]


def number_of(connection: Connection, account_id: int, written: str, chosen: str = "") -> str | None:
    """The one number that a name stands for, of several the one that was chosen. None for what is no
    contact's name, while none of several is chosen, and when the chosen one is none of them any more.
    """
    meant = [item.number for item in meant_by(connection, account_id, written)]
    if chosen:
        return chosen if chosen in meant else None
    return meant[0] if len(meant) == 1 else None


def _one_or_all(numbers: tuple[str, ...]) -> str | tuple[str, ...]:
    return numbers[0] if len(numbers) == 1 else numbers


def cursors(request: EdgeRequest) -> dict[str, int | None]:
    """``before`` and ``after`` of a query. Raises PageProblem."""
    found: dict[str, Any] = {}
    for name in ("before", "after"):
        written = Fields(request).line(name)
        found[name] = parse_identifier(written)
        if written and found[name] is None:
            raise PageProblem(400, "This link is broken: it does not say where the page begins.")
    return found


def _one_of(written: str, known: tuple[str, ...]) -> str:
    return written if written in known else ""


def _day(written: str) -> str:
    with suppress(ValueError):
        found = date.fromisoformat(written)
        if 1970 <= found.year < 3000:
            return found.isoformat()
    return ""
