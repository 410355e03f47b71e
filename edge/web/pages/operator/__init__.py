"""/operator: what concerns all accounts, for users of the operator's kind. It is the console, as pages.

What is shown is what a command of the console finds; what a button does is a command, noted in the log and
the audit as if it had been typed.
"""

from functools import partial

from edge.web.pages.operator.overview import Overview
from edge.web.pages.operator.tables import TABLES, Table
from edge.web.pages.portal import Portal
from edge.web.pages.tree import Tree


def operator_pages(portal: Portal) -> Tree:
    """All of them."""
    tables = {item.path: partial(Table, view=item) for item in TABLES}
    return Tree(portal, {"": Overview, **tables})
