"""One call: who makes it, what it says, and what of the server it may use."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred

from edge.web.dispatch import Dispatch
from edge.web.services import WebServices
from edge.web.voipms.parameters import Parameters
from edge.web.voipms.rows import Rows
from edge.web.voipms.statuses import Rejected
from storage.records import ApiAccess, Did


@dataclass(frozen=True)
class Call:
    """``address`` is where it comes from."""

    services: WebServices
    dispatch: Dispatch
    access: ApiAccess
    parameters: Parameters
    address: str

    @property
    def account_id(self) -> int:
        """Whose call it is."""
        return self.access.account_id

    @property
    def now_ms(self) -> int:
        """The wall clock."""
        return self.services.wall_ms()

    @cached_property
    def zone(self) -> ZoneInfo:
        """Of the account's times."""
        return ZoneInfo(self.access.timezone)

    def own_did(self, number: str | None) -> Did:
        """The account's DID with this number. Raises Rejected."""
        did = None if number is None else self.services.directory.did(number)
        if did is None or did.account_id != self.account_id:
            raise Rejected("invalid_did", "did is not a number of this account.")
        return did


@dataclass(frozen=True, slots=True)
class Method:
    """What can be called. ``changes``: HEAD must not do it; ``anywhere``: from any address."""

    run: Callable[[Call], Deferred[bytes] | Deferred[bytes | Rows]]
    changes: bool = False
    anywhere: bool = False
