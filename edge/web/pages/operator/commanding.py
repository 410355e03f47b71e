"""Commands of the console out of pages."""

import shlex
from typing import ClassVar

from edge.console.console import Operator, Reply
from edge.web import origin
from edge.web.pages.actions import ActionPage, Wrong
from edge.web.pages.answers import not_found
from edge.web.pages.locales import N_
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from edge.web.services import OperatorConsole

NOT_DONE = N_("The server has not done it.")


def line_of(words: str, *parameters: str, **named: str) -> str:
    """A line that means these parameters, whatever is in them."""
    extra = [f"{name}={value}" for name, value in named.items() if value]
    return " ".join([words, *map(shlex.quote, (*parameters, *extra))])


class CommandPage(ActionPage):
    """A page of the operator's area."""

    for_operators: ClassVar[bool] = True

    @property
    def console(self) -> OperatorConsole:
        """Raises not found where a server has none (the simulator alone)."""
        found = self.portal.services.console
        if found is None:
            raise not_found()
        return found

    async def run(self, request: EdgeRequest, visitor: Visitor, line: str) -> Reply:
        """Carry it out as this operator. Raises Wrong with the console's own words."""
        address = origin.client_address(request, bool(self.portal.public_url))
        reply = await self.console.execute(line, Operator(visitor.user.login, f"portal {address}"))
        if not reply.ok:
            raise Wrong("", NOT_DONE, 409, own_words=reply.text)
        return reply
