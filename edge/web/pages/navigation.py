"""The entries of the navigation: what the portal's parts say of themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.web.resource import Resource

from edge.web.pages.locales import N_
from edge.web.pages.sessions import Visitor
from storage.records import Role

if TYPE_CHECKING:
    from edge.web.pages.portal import Portal


HOME = "/conversations"
"""Where a log-in leads to when nothing else was asked for."""


def everybody(visitor: Visitor) -> bool:
    """Nobody is left out."""
    return True


ACCOUNT_TABS = (
    ("", N_("Preferences"), Role.READ_ONLY),
    ("/security", N_("Security"), Role.READ_ONLY),
    ("/users", N_("Users"), Role.OWNER),
    ("/keys", N_("API keys"), Role.OWNER),
    ("/phones", N_("SIP phones"), Role.OWNER),
    ("/opt-outs", N_("Opt-outs"), Role.READ_ONLY),
    ("/usage", N_("Usage"), Role.READ_ONLY),
    ("/retention", N_("Retention"), Role.OWNER),
    ("/log", N_("Log"), Role.OWNER),
)
"""The pages under /account: path, label, and the least role that sees them."""


OPERATOR_TABS = (
    ("", N_("Overview")),
    ("/accounts", N_("Accounts")),
    ("/dids", N_("DIDs")),
    ("/orders", N_("Orders")),
    ("/offers", N_("Offers")),
    ("/binds", N_("Binds")),
    ("/upstreams", N_("Upstreams")),
    ("/queue", N_("Queue")),
    ("/in-doubt", N_("In doubt")),
    ("/deliveries", N_("Deliveries")),
    ("/dead-letters", N_("Dead letters")),
    ("/targets", N_("Targets")),
    ("/phones", N_("Phones")),
    ("/bans", N_("Bans")),
    ("/audit", N_("Audit")),
)
"""The pages under /operator: path and label."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the portal: at ``/path``, called ``label`` (in English, marked with `N_`).

    ``shown`` says to whom the entry is shown; the page itself must see to who may open it.
    """

    path: str
    label: str
    page: Callable[["Portal"], Resource]
    shown: Callable[[Visitor], bool] = everybody
