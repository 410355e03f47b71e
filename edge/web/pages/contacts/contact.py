"""/contacts/new and /contacts/ID: one contact, with all its numbers."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from edge.contacts.book import MAX_LABEL, MAX_NAME, MAX_NOTES, MAX_NUMBERS
from edge.errors import Refused
from edge.policy.numbers import destination
from edge.web.api.members import parse_identifier
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Question, Setback, Wrong
from edge.web.pages.answers import Answer, gone, not_found
from edge.web.pages.contacts.listed import PATH, Shown, with_all
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.portal import Portal
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import contacts
from storage.contacts import Contact, Group, MoreNumber
from storage.errors import NotFound
from storage.records import Role

_DIGITS = re.compile(r"[0-9+().\-/\s]*")
NO_NUMBER = N_("This is no telephone number.")
TAKEN = N_("Another contact has this number.")
REMOVING = N_("%(name)s leaves the phone book, with all numbers and notes. The messages stay.")


class Edit(ActionPage):
    """One that is there."""

    sees = Role.AGENT

    def __init__(self, portal: Portal, contact: str) -> None:
        super().__init__(portal)
        self._identity: int | None = parse_identifier(contact) or 0  # what is no id is nobody's

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"save": self._save, "remove": self._remove}

    async def question(self, request: EdgeRequest, visitor: Visitor, do: str) -> Question | None:
        """See `ActionPage`."""
        item, _ = await self.portal.services.store.read(_read, visitor.account_id, self._identity)
        if do != "remove":
            return None
        if item is None:
            raise gone()
        said = visitor.locale.gettext
        return Question(said(REMOVING) % {"name": item.contact.name}, said(N_("Remove")))

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """The form, filled."""
        item, groups = await self.portal.services.store.read(_read, visitor.account_id, self._identity)
        if item is None and self._identity is not None:
            raise not_found()
        fields = Fields(request)
        lines = "\n".join(f"{more.number} {more.label}".rstrip() for more in item.more) if item else ""
        form = {
            "name": item.contact.name if item else fields.line("name"),
            "number": item.contact.number if item else fields.line("number"),
            "label": item.contact.label if item else fields.line("label"),
            "more": lines,
            "notes": item.contact.notes if item else "",
            "groups": {group.id for group in item.groups} if item else set(),
        }
        if setback.sentence:
            form = {name: fields.text(name) for name in ("name", "number", "label", "more", "notes")}
            form["groups"] = set(map(parse_identifier, fields.lines("group")))
        path = f"{PATH}/new" if item is None else f"{PATH}/{item.contact.id}"
        return self.answer(
            "contacts/edit.html", request, visitor, setback, item=item, groups=groups, form=form, path=path
        )

    async def _save(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        fields, services, mine = Fields(request), self.portal.services, visitor.account_id
        name, notes = fields.line("name")[:MAX_NAME], fields.text("notes").strip()[:MAX_NOTES]
        if not name:
            raise Wrong("name", N_("A contact has a name."))
        number = self._number(fields.line("number"), "number")
        label = fields.line("label")[:MAX_LABEL]
        others = self._others(fields.text("more"))
        groups = [group for group in map(parse_identifier, fields.lines("group")) if group is not None]
        now_ms, identity = services.wall_ms(), self._identity

        def change(conn: Connection) -> Contact:
            _check_free(conn, mine, identity, number, others)
            if identity is None:
                next_id = services.store.ids.next
                held = contacts.put(conn, next_id, mine, number, name, now_ms, notes=notes, label=label)
            else:
                given = {"number": number, "name": name, "notes": notes, "label": label}
                held = contacts.change(conn, mine, identity, now_ms, **given)
            contacts.set_more_numbers(conn, mine, held.id, others)
            contacts.set_groups(conn, mine, held.id, groups)
            return held

        action = "contact.add" if identity is None else "contact.change"
        await self.change(request, visitor, action, number, change)
        return self.done(PATH)

    async def _remove(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        identity = self._identity

        def change(conn: Connection) -> str:
            held = None if identity is None else contacts.get(conn, visitor.account_id, identity)
            if held is None or not contacts.remove(conn, visitor.account_id, [held.id]):
                raise NotFound("There is no such contact.")
            return held.number

        await self.change(request, visitor, "contact.remove", lambda number: number, change)
        return self.done(PATH, "removed")

    def _number(self, written: str, field: str) -> str:
        try:
            return destination(written, self.portal.services.config.numbers.region, field)
        except Refused:
            raise Wrong(field, NO_NUMBER) from None

    def _others(self, written: str) -> list[MoreNumber]:
        """A line for each: the number, then a word or more that says which it is."""
        found = []
        for line in filter(None, map(str.strip, written.split("\n"))):
            digits = _DIGITS.match(line)
            number = digits[0] if digits else ""
            label = line[len(number) :].strip()[:MAX_LABEL]
            found.append(MoreNumber(self._number(number, "more"), label))
        if len(found) > MAX_NUMBERS:
            raise Wrong("more", N_("A contact has at most %(most)s numbers."), most=MAX_NUMBERS + 1)
        return found


class New(Edit):
    """One that is not there yet; a link may bring its number."""

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal, "")
        self._identity = None


def _read(conn: Connection, account_id: int, identity: int | None) -> tuple[Shown | None, list[Group]]:
    found = None if identity is None else contacts.get(conn, account_id, identity)
    item = None if found is None else with_all(conn, account_id, [found])[0]
    return item, contacts.groups(conn, account_id)


def _check_free(
    conn: Connection, account_id: int, identity: int | None, number: str, others: list[MoreNumber]
) -> None:
    for field, wanted in (("number", number), *(("more", other.number) for other in others)):
        owner = contacts.of_number(conn, account_id, wanted)
        if owner is not None and owner.id != identity:
            raise Wrong(field, TAKEN, 409)
