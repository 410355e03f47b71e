"""/numbers: the account's DIDs, what each does with a message, and new ones."""

from edge.web.pages.numbers.did import Settings
from edge.web.pages.numbers.listed import Numbers
from edge.web.pages.numbers.order import Order
from edge.web.pages.portal import Portal
from edge.web.pages.tree import Tree


def number_pages(portal: Portal) -> Tree:
    """All of them."""
    return Tree(portal, {"": Numbers, "order": Order, "{number}": Settings})
