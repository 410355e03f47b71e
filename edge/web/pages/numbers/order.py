"""/numbers/order: numbers that nobody has, by country, region and whether they can do SMS."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback, Wrong
from edge.web.pages.answers import Answer
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.numbers.listed import PATH as LIST
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import inventory
from storage.errors import NotFound
from storage.records import Role

SHOWN = 200
GONE = N_("This number is not to be had any more. Choose another one.")
SMS = {"": None, "yes": True, "no": False}


class Order(ActionPage):
    """Owners order; by the server's configuration a number is theirs at once, or after an operator's yes."""

    sees = Role.OWNER
    changes = Role.OWNER

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"order": self._order}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """What there is, as the filters want it."""
        fields, store = Fields(request), self.portal.services.store
        country, region, sms = fields.line("country"), fields.line("region"), fields.line("sms")
        found = await store.read(
            inventory.offered, country=country, region=region, sms=SMS.get(sms), limit=SHOWN + 1
        )
        places = await store.read(inventory.places)
        return self.answer(
            "numbers/order.html",
            request,
            visitor,
            setback,
            found=found[:SHOWN],
            more_than_shown=len(found) > SHOWN,
            countries=sorted({place[0] for place in places}),
            regions=sorted({place[1] for place in places if place[1] and country in ("", place[0])}),
            chosen={"country": country, "region": region, "sms": sms},
            at_once=self._at_once,
        )

    @property
    def _at_once(self) -> bool:
        return self.portal.services.config.numbers.orders == "at_once"

    async def _order(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        number, services = Fields(request).line("number"), self.portal.services
        mine, by, at_once = visitor.account_id, visitor.actor, self._at_once

        def change(conn: Connection) -> None:
            try:
                inventory.ask(conn, mine, number, by, services.wall_ms())
                if at_once:
                    inventory.assign(conn, services.store.ids.next, mine, number, services.wall_ms())
            except NotFound:
                raise Wrong("", GONE, 409) from None

        await self.change(request, visitor, "number.order", number, change, at_once=at_once)
        await self.refreshed()
        return self.done(LIST, "yours" if at_once else "asked")
