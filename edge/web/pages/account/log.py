"""/account/log: who changed what in the account."""

from edge.web.api.members import parse_identifier
from edge.web.pages.answers import Answer
from edge.web.pages.forms import Fields
from edge.web.pages.page import MemberPage
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import audit
from storage.records import Role

PAGE = 100


class Log(MemberPage):
    """Owners look; nobody changes it."""

    sees = Role.OWNER

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The newest first, a page at a time."""
        before = parse_identifier(Fields(request).line("before"))
        found = await self.portal.services.store.read(
            audit.listed, visitor.account_id, before_id=before, limit=PAGE + 1
        )
        older = found[PAGE - 1].id if len(found) > PAGE else None
        return self.portal.page("account/log.html", visitor, said="", entries=found[:PAGE], older=older)
