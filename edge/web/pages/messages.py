"""/messages: everything, newest first; /messages/ID: one, with what became of it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode

from sqlalchemy import Connection
from twisted.web.resource import Resource

from edge.errors import Refused
from edge.policy.numbers import destination
from edge.web.api.members import parse_identifier
from edge.web.pages.answers import Answer, PageProblem, not_found
from edge.web.pages.forms import Fields
from edge.web.pages.page import MemberPage, is_refresh
from edge.web.pages.portal import Portal
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import conversations, endpoints, messages, numbers
from storage.endpoints import EndpointRecord
from storage.records import Did, Direction, MessageView

PAGE = 50
DIRECTIONS = ("mo", "mt")


@dataclass(frozen=True, slots=True)
class Slice:
    """A page of a list, newest first, and the cursors to the next ones (None: there are none).

    ``unread`` are the ids of those on it that nobody has read.
    """

    views: tuple[MessageView, ...]
    older: int | None
    newer: int | None
    unread: frozenset[int] = frozenset()


def read_slice(
    conn: Connection,
    account_id: int,
    filters: Mapping[str, str],
    before: int | None = None,
    after: int | None = None,
) -> Slice:
    """The newest page, or the one next to a cursor."""
    found = messages.search(
        conn,
        account_id,
        direction=cast(Direction | None, filters.get("direction") or None),
        did=filters.get("did") or None,
        peer=filters.get("peer") or None,
        before_id=before,
        since_id=after,
        limit=PAGE + 1,
    )
    more, page = len(found) > PAGE, found[:PAGE]
    if after is not None:
        page.reverse()
    ids = [view.message.id for view in page]
    if not ids:
        return Slice((), None, None)
    older = ids[-1] if more or after is not None else None
    newer = ids[0] if before is not None or (after is not None and more) else None
    return Slice(tuple(page), older, newer, frozenset(conversations.unread_of(conn, account_id, page)))


def cursors(request: EdgeRequest) -> tuple[int | None, int | None]:
    """``before`` and ``after`` of a query. Raises PageProblem."""
    found = []
    for name in ("before", "after"):
        written = Fields(request).line(name)
        identity = parse_identifier(written)
        if written and identity is None:
            raise PageProblem(400, "This link is broken: it does not say where the page begins.")
        found.append(identity)
    return found[0], found[1]


class Messages(MemberPage):
    """The list."""

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        self._region = portal.services.config.numbers.region

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """One message."""
        identity = parse_identifier(path.decode("latin-1"))
        if identity is None or request.postpath not in ([], [b""]):
            return super().getChild(path, request)
        return Message(self.portal, identity)

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """By direction, DID and peer; the changing part alone when the page's script asks."""
        filters = self._filters(Fields(request))
        before, after = cursors(request)
        store = self.portal.services.store
        page = await store.read(read_slice, visitor.account_id, filters, before, after)
        chosen = {name: value for name, value in filters.items() if value}
        link = f"/messages?{urlencode(chosen)}{'&' * bool(chosen)}"
        if is_refresh(request):
            return self.portal.page("list.html", visitor, page=page, link=link)
        dids: list[Did] = await store.read(numbers.list_dids, visitor.account_id)
        failing: list[EndpointRecord] = await store.read(endpoints.failing, visitor.account_id)
        paused = [record for record in failing if record.paused_at is not None]
        newest = before is None and after is None
        return self.portal.page(
            "messages.html",
            visitor,
            page=page,
            link=link,
            filters=filters,
            dids=dids,
            newest=newest,
            paused=paused,
        )

    def _filters(self, fields: Fields) -> dict[str, str]:
        direction = fields.line("direction")
        peer = fields.line("peer")
        with suppress(Refused):  # a name, or a number that is none, is looked for as it is
            peer = destination(peer, self._region) if peer else ""
        return {
            "direction": direction if direction in DIRECTIONS else "",
            "did": fields.line("did"),
            "peer": peer,
        }


class Message(MemberPage):
    """One message, with its parts, deliveries and attempts."""

    def __init__(self, portal: Portal, identity: int) -> None:
        super().__init__(portal)
        self._identity = identity

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The delivery matrix."""
        view = await self.portal.services.store.read(messages.get, visitor.account_id, self._identity)
        if view is None:
            raise not_found()
        return self.portal.page("message.html", visitor, view=view)
