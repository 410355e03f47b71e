"""/contacts/merge: several contacts become one; which name and number it has is chosen here."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from edge.contacts.book import MAX_NUMBERS
from edge.web.api.members import parse_identifier
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback, Wrong
from edge.web.pages.answers import Answer
from edge.web.pages.contacts.listed import PATH, Shown, present, ticked, with_all
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import contacts
from storage.contacts import Contact
from storage.records import Role

LEAST = 2
TOO_MANY = N_("Together they have %(count)s numbers; a contact has at most %(most)s. Nothing was merged.")
TOO_FEW = N_("Choose at least two contacts first.")


class Merge(ActionPage):
    """Agents do it."""

    sees = Role.AGENT

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"merge": self._merge}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """Those that were chosen."""
        found = await self.portal.services.store.read(_chosen, visitor.account_id, ticked(request))
        if len(found) < LEAST and not setback.sentence:
            setback = Setback(422, visitor.locale.gettext(TOO_FEW))
        return self.answer("contacts/merge.html", request, visitor, setback, found=found)

    async def _merge(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        ids, kept = ticked(request), parse_identifier(Fields(request).line("kept"))
        if kept is None:
            raise Wrong("", N_("Choose the one whose name and number stay."))
        if len({*ids, kept}) < LEAST:
            raise Wrong("", TOO_FEW)
        now_ms = self.portal.services.wall_ms()

        def change(conn: Connection) -> Contact:
            merged = contacts.merge(conn, visitor.account_id, kept, ids, now_ms)
            others = contacts.more_numbers(conn, visitor.account_id, [merged.id]).get(merged.id, [])
            if len(others) > MAX_NUMBERS:
                raise Wrong("", TOO_MANY, count=len(others) + 1, most=MAX_NUMBERS + 1)
            return merged

        await self.change(
            request, visitor, "contact.merge", lambda held: held.number, change, others=len(ids) - 1
        )
        return self.done(PATH, "merged")


def _chosen(conn: Connection, account_id: int, ids: list[int]) -> list[Shown]:
    return with_all(conn, account_id, present(conn, account_id, ids))
