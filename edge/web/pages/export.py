"""/messages/export.csv: the messages that the list shows, as a file, written while it is read."""

from functools import partial

from edge.web import exporting
from edge.web.headers import GUARDS, NO_STORE, lines
from edge.web.pages.answers import Answer, Takeover
from edge.web.pages.filters import Wanted, meant_by
from edge.web.pages.page import MemberPage
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import export

HEAD = lines((*GUARDS, NO_STORE, (b"Content-Type", exporting.TYPES["csv"]), exporting.as_file("csv")))


class Export(MemberPage):
    """Oldest first; what comes meanwhile is not in it."""

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Narrowed as the list is, but not by words."""
        services = self.portal.services
        wanted = Wanted.read(request, services.config.numbers.region)
        people = await services.store.read(meant_by, visitor.account_id, wanted.peer)
        newest = await services.store.read(export.newest_id, visitor.account_id)
        meant = wanted.filter(visitor.locale, people, newest)
        file = exporting.Export(services.store, services.reactor, visitor.account_id, "csv", meant)
        return Takeover(begin=partial(file.begin, head=HEAD))
