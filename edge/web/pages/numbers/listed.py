"""/numbers: the DIDs, and what was asked for."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection

from edge.handlers import registry
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback
from edge.web.pages.answers import Answer, not_found
from edge.web.pages.forms import Fields
from edge.web.pages.sessions import Visitor
from edge.web.pages.terms import handler_word
from edge.web.request import EdgeRequest
from storage import inventory, numbers
from storage.errors import NotFound
from storage.records import Did, Role

PATH = "/numbers"


class Numbers(ActionPage):
    """Everybody may look."""

    changes = Role.OWNER

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"cancel": self._cancel}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """By number, with what is on."""
        store, now_ms = self.portal.services.store, self.portal.services.wall_ms()
        found: list[Did] = await store.read(numbers.list_dids, visitor.account_id)
        rows = [
            {
                "did": did,
                "path": path_of(did.number),
                "until": did.porting_until(now_ms),
                "handlers": [
                    handler_word(kind.name, visitor.locale)
                    for kind in registry.installed()
                    if kind.name in did.handlers and did.handlers[kind.name].enabled and not kind.always_on
                ],
            }
            for did in found
        ]
        wishes = await store.read(inventory.asked_for, visitor.account_id)
        return self.answer("numbers/list.html", request, visitor, setback, rows=rows, wishes=wishes)

    async def _cancel(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        number = Fields(request).line("number")

        def change(conn: Connection) -> None:
            if not inventory.cancel(conn, visitor.account_id, number):
                raise NotFound("The account waits for no such number.")

        if not number:
            raise not_found()
        await self.change(request, visitor, "number.cancel", number, change)
        return self.done(PATH, "removed")


def path_of(number: str) -> str:
    """Where a number's settings are."""
    return f"{PATH}/{quote(number, safe='+')}"
