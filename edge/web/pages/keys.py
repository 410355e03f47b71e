"""/keys: the habits of a user's keyboard."""

from sqlalchemy import Connection

from edge.web.pages.answers import Answer, see_other
from edge.web.pages.forms import Fields
from edge.web.pages.navigation import HOME
from edge.web.pages.page import MemberPage
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import accounts
from storage.records import Role


class Keys(MemberPage):
    """Changed from the help of the keyboard."""

    get = None  # type: ignore[assignment]
    changes = Role.READ_ONLY

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """What is not marked is off."""
        fields = Fields(request)
        single, enter = bool(fields.line("single")), bool(fields.line("enter"))

        def change(conn: Connection) -> None:
            user = visitor.user
            accounts.set_preferences(conn, user.account_id, user.id, enter_sends=enter, single_keys=single)

        await self.portal.services.store.writer.run("keyboard", change)
        return see_other(HOME)
