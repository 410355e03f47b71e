"""/account: how the visitor likes the portal."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback, Wrong
from edge.web.pages.answers import Answer
from edge.web.pages.forms import Fields
from edge.web.pages.locales import LANGUAGES, N_, zones
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import accounts
from storage.records import Role

PATH = "/account"
ROLES = {Role.OWNER: N_("owner"), Role.AGENT: N_("agent"), Role.READ_ONLY: N_("read-only")}


class Preferences(ActionPage):
    """Language, zone, keys: everybody's own."""

    changes = Role.READ_ONLY

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"save": self._save}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """The form."""
        return self.answer(
            "account/preferences.html",
            request,
            visitor,
            setback,
            languages=[("", visitor.locale.gettext(N_("As the browser says"))), *LANGUAGES.items()],
            zones=sorted(zones()),
            role=ROLES[visitor.user.role],
        )

    async def _save(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        fields, user = Fields(request), visitor.user
        language, zone = fields.line("language"), fields.line("timezone")
        if language not in ("", *LANGUAGES):
            raise Wrong("language", N_("This language is not one of ours."))
        if zone and zone not in zones():
            raise Wrong("timezone", N_("There is no such time zone: it has a name such as America/New_York."))
        enter, single = (fields.line(name) == "on" for name in ("enter_sends", "single_keys"))

        def change(conn: Connection) -> None:
            accounts.set_preferences(
                conn,
                user.account_id,
                user.id,
                language=language,
                timezone=zone,
                enter_sends=enter,
                single_keys=single,
            )

        await self.change(request, visitor, "user.preferences", user.login, change)
        return self.done(PATH)
