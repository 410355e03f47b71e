"""/contacts: the account's phone book."""

from edge.web.pages.contacts.contact import Edit, New
from edge.web.pages.contacts.files import Export, Import
from edge.web.pages.contacts.groups import Groups
from edge.web.pages.contacts.listed import Contacts
from edge.web.pages.contacts.merging import Merge
from edge.web.pages.portal import Portal
from edge.web.pages.tree import Tree


def contact_pages(portal: Portal) -> Tree:
    """All of them."""
    return Tree(
        portal,
        {
            "": Contacts,
            "new": New,
            "groups": Groups,
            "import": Import,
            "merge": Merge,
            "export/{form}": Export,
            "{contact}": Edit,
        },
    )
