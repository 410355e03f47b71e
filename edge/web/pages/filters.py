"""What a list of messages or conversations is narrowed to, as links and forms say it."""

from collections.abc import Mapping
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
from storage.history import Filter
from storage.records import Direction
from storage.search import MIN_PREFIX
from storage.words import fold, words

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

    def filter(self, locale: Locale, number: str | None = None, up_to_id: int | None = None) -> Filter:
        """For the store; the days are the reader's. ``number``: the peer's, when a name was written."""
        until = date.fromisoformat(self.until) + timedelta(days=1) if self.until else None
        return Filter(
            direction=cast(Direction | None, self.direction or None),
            did=self.did or None,
            peer=number or self.peer or None,
            since_ms=locale.begin_of(date.fromisoformat(self.since)) if self.since else None,
            until_ms=None if until is None else locale.begin_of(until),
            up_to_id=up_to_id,
        )


def number_of(connection: Connection, account_id: int, written: str) -> str | None:
    """The number of the contact of this name; None for what is no contact's name."""
    if not written or written.startswith("+"):
        return None
    folded = fold(written)
    found = contacts.listed(connection, account_id, holding=written, limit=20)
    return next((contact.number for contact in found if contact.folded == folded), None)


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
