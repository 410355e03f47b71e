"""/account/opt-outs: who wants no more messages from the account."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from edge.errors import Refused
from edge.policy.numbers import destination
from edge.web.api.members import parse_identifier
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback, Wrong
from edge.web.pages.answers import Answer, not_found
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import numbers, opt_outs
from storage.errors import NotFound
from storage.opt_outs import OptOut

PATH = "/account/opt-outs"
PAGE = 200
NO_NUMBER = N_("This is no telephone number.")


class OptOuts(ActionPage):
    """Agents may change them."""

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"add": self._add, "remove": self._remove}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """The newest first, a page at a time."""
        store, before = self.portal.services.store, parse_identifier(Fields(request).line("before"))
        found = await store.read(opt_outs.listed, visitor.account_id, before_id=before, limit=PAGE + 1)
        return self.answer(
            "account/opt_outs.html",
            request,
            visitor,
            setback,
            wishes=found[:PAGE],
            older=found[PAGE - 1].id if len(found) > PAGE else None,
            dids=await store.read(numbers.list_dids, visitor.account_id),
        )

    async def _add(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        fields, services = Fields(request), self.portal.services
        did, source = fields.line("did"), visitor.actor
        try:
            peer = destination(fields.line("peer"), services.config.numbers.region, "peer")
        except Refused:
            raise Wrong("peer", NO_NUMBER) from None

        def change(conn: Connection) -> OptOut:
            if did and all(own.number != did for own in numbers.list_dids(conn, visitor.account_id)):
                raise Wrong("did", N_("This is not a number of your account."))
            now_ms = services.wall_ms()
            return opt_outs.add(
                conn, services.store.ids.next, visitor.account_id, peer, source, now_ms, did=did
            )

        await self.change(request, visitor, "opt_out.add", peer, change, did=did)
        if services.opt_outs is not None:
            services.opt_outs.added(visitor.account_id, did, peer)
        return self.done(PATH, "added")

    async def _remove(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        identity = parse_identifier(Fields(request).line("wish"))
        if identity is None:
            raise not_found()

        def change(conn: Connection) -> None:
            if not opt_outs.remove_one(conn, visitor.account_id, identity):
                raise NotFound("There is no such opt-out.")

        await self.change(request, visitor, "opt_out.remove", identity, change)
        if self.portal.services.opt_outs is not None:
            await self.portal.services.opt_outs.refresh().addErrback(lambda _: None)
        return self.done(PATH, "removed")
