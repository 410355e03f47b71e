"""/account: what belongs to a visitor and to his account."""

from edge.web.pages.account.keys import Keys
from edge.web.pages.account.log import Log
from edge.web.pages.account.opt_outs import OptOuts
from edge.web.pages.account.phones import Phone, Phones
from edge.web.pages.account.preferences import Preferences
from edge.web.pages.account.retention import Retention
from edge.web.pages.account.security import Security
from edge.web.pages.account.usage import Usage
from edge.web.pages.account.users import Users
from edge.web.pages.portal import Portal
from edge.web.pages.tree import Tree


def account_pages(portal: Portal) -> Tree:
    """All of them."""
    return Tree(
        portal,
        {
            "": Preferences,
            "security": Security,
            "users": Users,
            "keys": Keys,
            "phones": Phones,
            "phones/{phone}": Phone,
            "opt-outs": OptOuts,
            "usage": Usage,
            "retention": Retention,
            "log": Log,
        },
    )
