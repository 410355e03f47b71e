"""The portal: pages that people log in to. All of it is HTML and forms; scripts add that pages keep
themselves fresh, count what is written, propose contacts, send without a reload and know the keyboard.
"""

from twisted.web.resource import Resource

from edge.web.pages.account import account_pages
from edge.web.pages.account.phones import Provision
from edge.web.pages.answers import Answer, see_other
from edge.web.pages.contacts import contact_pages
from edge.web.pages.conversations import Conversations, New
from edge.web.pages.keys import Keys
from edge.web.pages.live import Live
from edge.web.pages.locales import N_
from edge.web.pages.login import Login, Logout
from edge.web.pages.messages import Messages
from edge.web.pages.navigation import HOME, Section
from edge.web.pages.numbers import number_pages
from edge.web.pages.operator import operator_pages
from edge.web.pages.page import Missing, Page
from edge.web.pages.portal import Portal
from edge.web.pages.second import LoginCode
from edge.web.pages.static import FILES, StaticFile
from edge.web.pages.tree import Tree
from edge.web.request import EdgeRequest

__all__ = ["Portal", "Root"]


SECTIONS = (
    Section("conversations", N_("Messages"), Conversations),
    Section("contacts", N_("Contacts"), contact_pages),
    Section("numbers", N_("Numbers"), number_pages),
    Section("account", N_("Account"), account_pages),
    Section("operator", N_("Operator"), operator_pages, lambda visitor: visitor.user.operator),
)
"""The entries of the navigation, in their order; each is a page that is put at its path."""


class Home(Page):
    """/ is the list; whoever is not logged in is sent on to the log-in there."""

    async def get(self, request: EdgeRequest) -> Answer:
        """Go there."""
        return see_other(HOME)


class Root(Resource):
    """The top of the tree, with the portal's pages in it; other parts are put beside them."""

    def __init__(self, portal: Portal) -> None:
        super().__init__()
        self._missing = Missing(portal)
        portal.sections = SECTIONS
        for section in SECTIONS:
            self.putChild(section.path.encode(), section.page(portal))
        self.putChild(b"", Home(portal))
        self.putChild(b"login", Login(portal))
        self.putChild(b"login-code", LoginCode(portal))
        self.putChild(b"phone", Tree(portal, {"{token}": Provision}))
        self.putChild(b"logout", Logout(portal))
        self.putChild(b"messages", Messages(portal))
        self.putChild(b"live", Live(portal))
        self.putChild(b"keys", Keys(portal))
        self.putChild(b"new", New(portal))
        static = Static(portal)
        self.putChild(b"static", static)

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """Nothing is here."""
        return self._missing


class Static(Missing):
    """/static: exactly the files that there are."""

    isLeaf = False

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        for name in FILES:
            self.putChild(name.encode(), StaticFile(name, Missing(portal)))
