"""/contacts: by name, those of a group, those that hold a word."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection

from edge.web.api.members import parse_identifier
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Question, Setback, Wrong
from edge.web.pages.answers import Answer, gone, see_other
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import contacts, numbers
from storage.contacts import Contact, Group, MoreNumber
from storage.errors import NotFound

PATH = "/contacts"
PAGE = 100
NOTHING_CHOSEN = N_("Choose some contacts first.")


@dataclass(frozen=True, slots=True)
class Shown:
    """One contact with what belongs to it."""

    contact: Contact
    more: tuple[MoreNumber, ...]
    groups: tuple[Group, ...]


def read(
    conn: Connection, account_id: int, holding: str, group_id: int | None, after_id: int | None
) -> tuple[list[Shown], list[Group], int | None]:
    """A page of contacts, all groups, and after which contact the next page begins."""
    after = None if after_id is None else contacts.get(conn, account_id, after_id)
    found = contacts.listed(
        conn, account_id, holding=holding or None, group_id=group_id, after=after, limit=PAGE + 1
    )
    return (
        with_all(conn, account_id, found[:PAGE]),
        contacts.groups(conn, account_id),
        found[PAGE - 1].id if len(found) > PAGE else None,
    )


def with_all(conn: Connection, account_id: int, found: list[Contact]) -> list[Shown]:
    """These with their numbers and groups."""
    ids = [item.id for item in found]
    more = contacts.more_numbers(conn, account_id, ids)
    groups = contacts.groups_of(conn, account_id, ids)
    return [Shown(item, tuple(more.get(item.id, ())), tuple(groups.get(item.id, ()))) for item in found]


def present(conn: Connection, account_id: int, ids: Iterable[int]) -> list[Contact]:
    """Those of them that there are."""
    found = (contacts.get(conn, account_id, identity) for identity in ids)
    return [item for item in found if item is not None]


def ticked(request: EdgeRequest) -> list[int]:
    """The contacts that are ticked, each once."""
    return list(dict.fromkeys(Fields(request).identifiers("contact")))


def chosen(request: EdgeRequest) -> list[int]:
    """The same. Raises Wrong when there are none."""
    ids = ticked(request)
    if not ids:
        raise Wrong("", NOTHING_CHOSEN)
    return ids


class Contacts(ActionPage):
    """Agents change them."""

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"remove": self._remove, "merge": self._merge, "join": self._join}

    async def question(self, request: EdgeRequest, visitor: Visitor, do: str) -> Question | None:
        """See `ActionPage`."""
        if do != "remove":
            return None
        found = await self.portal.services.store.read(present, visitor.account_id, chosen(request))
        if not found:
            raise gone()
        count, locale = len(found), visitor.locale
        sentence = locale.ngettext(
            "%(num)d contact leaves the phone book. The messages stay.",
            "%(num)d contacts leave the phone book. The messages stay.",
            count,
        )
        return Question(sentence % {"num": count}, locale.gettext(N_("Remove the chosen")))

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """A page of them."""
        fields, store = Fields(request), self.portal.services.store
        holding = fields.line("holding")[:200]
        group, after = parse_identifier(fields.line("group")), parse_identifier(fields.line("after"))
        found, groups, older = await store.read(read, visitor.account_id, holding, group, after)
        dids = await store.read(numbers.list_dids, visitor.account_id)
        wanted = {"holding": holding, "group": group or ""}
        return self.answer(
            "contacts/list.html",
            request,
            visitor,
            setback,
            found=found,
            groups=groups,
            holding=holding,
            group=group,
            next_page=f"{PATH}?{urlencode({**wanted, 'after': older})}" if older else "",
            write_from=next((did.number for did in dids if did.sms_enabled), ""),
        )

    async def _remove(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        ids = chosen(request)

        def change(conn: Connection) -> int:
            removed = contacts.remove(conn, visitor.account_id, ids)
            if not removed:
                raise NotFound("There are no such contacts.")
            return removed

        await self.change(request, visitor, "contact.remove", lambda removed: removed, change)
        return self.done(PATH, "removed")

    async def _merge(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Which one stays is asked on a page of its own."""
        return see_other(f"{PATH}/merge?{urlencode([('contact', identity) for identity in chosen(request)])}")

    async def _join(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        ids, group_id = chosen(request), parse_identifier(Fields(request).line("into"))
        if group_id is None:
            raise Wrong("into", N_("Choose a group."))

        def change(conn: Connection) -> None:
            groups = contacts.groups_of(conn, visitor.account_id, ids)
            for identity in ids:
                held = {group.id for group in groups.get(identity, ())}
                contacts.set_groups(conn, visitor.account_id, identity, held | {group_id})

        await self.change(request, visitor, "group.members", group_id, change)
        return self.done(PATH)
