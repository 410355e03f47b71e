"""/contacts/groups: the groups of contacts."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from edge.contacts.book import MAX_NAME
from edge.web.api.members import parse_identifier
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback, Wrong
from edge.web.pages.answers import Answer, not_found
from edge.web.pages.contacts.listed import PATH as LIST
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import contacts, phonebook
from storage.errors import Conflict
from storage.records import Role

PATH = f"{LIST}/groups"


class Groups(ActionPage):
    """Agents change them."""

    sees = Role.AGENT

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"add": self._add, "rename": self._rename, "remove": self._remove}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """With how many are in each."""
        store = self.portal.services.store
        members = await store.read(phonebook.members, visitor.account_id)
        found = await store.read(contacts.groups, visitor.account_id)
        rows = [(group, len(members.get(group.id, ()))) for group in found]
        return self.answer("contacts/groups.html", request, visitor, setback, rows=rows)

    async def _add(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        name, services = _name(request), self.portal.services

        def change(conn: Connection) -> None:
            contacts.add_group(conn, services.store.ids.next, visitor.account_id, name, services.wall_ms())

        await self.change(request, visitor, "group.add", name, change)
        return self.done(PATH, "added")

    async def _rename(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        name, identity = _name(request), _group(request)

        def change(conn: Connection) -> None:
            try:
                contacts.rename_group(conn, visitor.account_id, identity, name)
            except Conflict:
                raise Wrong("name", N_("Another group has this name."), 409) from None

        await self.change(request, visitor, "group.rename", name, change)
        return self.done(PATH)

    async def _remove(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        identity = _group(request)

        def change(conn: Connection) -> None:
            contacts.remove_group(conn, visitor.account_id, identity)

        await self.change(request, visitor, "group.remove", identity, change)
        return self.done(PATH, "removed")


def _name(request: EdgeRequest) -> str:
    name = Fields(request).line("name")[:MAX_NAME]
    if not name:
        raise Wrong("name", N_("A group has a name."))
    return name


def _group(request: EdgeRequest) -> int:
    identity = parse_identifier(Fields(request).line("group"))
    if identity is None:
        raise not_found()
    return identity
