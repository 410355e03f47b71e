"""The entries of the navigation: what the portal's parts say of themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.web.resource import Resource

from edge.web.pages.sessions import Visitor

if TYPE_CHECKING:
    from edge.web.pages.portal import Portal


def everybody(visitor: Visitor) -> bool:
    """Nobody is left out."""
    return True


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the portal: at ``/path``, called ``label`` (in English, marked with `N_`).

    ``shown`` says to whom the entry is shown; the page itself must see to who may open it.
    """

    path: str
    label: str
    page: Callable[["Portal"], Resource]
    shown: Callable[[Visitor], bool] = everybody
