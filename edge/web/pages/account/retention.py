"""/account/retention: how long the account's messages are kept."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback, Wrong
from edge.web.pages.answers import Answer
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import retention
from storage.records import Role
from storage.retention import DAY_MS, Kept
from storage.tables_people import EVERY_ACCOUNT

PATH = "/account/retention"
MAX_DAYS = 36_500
FOREVER = "forever"  # what an operator may have set
KINDS = {
    Kept.MO: N_("Messages that came in"),
    Kept.MT: N_("Messages that were sent"),
    Kept.ATTEMPT: N_("The log of tries of deliveries"),
    Kept.RAW: N_("Octets as they came from and went to carriers"),
}


class Retention(ActionPage):
    """Owners' business: what goes is gone."""

    sees = Role.OWNER
    changes = Role.OWNER

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"save": self._save}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """A field for each kind, in days; empty for what holds for all accounts."""
        store = self.portal.services.store
        mine = await store.read(retention.rules_of, visitor.account_id)
        common = await store.read(retention.rules_of, EVERY_ACCOUNT)
        rows = [
            (kind.value, visitor.locale.gettext(label), _written(mine.get(kind)), _days(common.get(kind)))
            for kind, label in KINDS.items()
        ]
        return self.answer("account/retention.html", request, visitor, setback, rows=rows)

    async def _save(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        fields = Fields(request)
        wanted = {kind: _wanted(fields, kind) for kind in KINDS}

        def change(conn: Connection) -> None:
            for kind, keep_ms in wanted.items():
                retention.set_rule(conn, visitor.account_id, kind, keep_ms)

        detail = {kind.value: _written(keep_ms) for kind, keep_ms in wanted.items()}
        await self.change(request, visitor, "retention.set", "messages", change, **detail)
        return self.done(PATH)


def _wanted(fields: Fields, kind: Kept) -> int | None:
    written = fields.line(kind.value)
    if not written:
        return None
    if written == FOREVER:
        return retention.FOREVER
    if not (written.isascii() and written.isdigit() and len(written) <= 6 and 1 <= int(written) <= MAX_DAYS):
        raise Wrong(kind.value, N_("Give a number of days from 1 to %(most)s, or nothing."), most=MAX_DAYS)
    return int(written) * DAY_MS


def _written(keep_ms: int | None) -> int | str | None:
    return FOREVER if keep_ms == retention.FOREVER else _days(keep_ms)


def _days(keep_ms: int | None) -> int | None:
    return None if keep_ms is None or keep_ms >= retention.FOREVER else keep_ms // DAY_MS
