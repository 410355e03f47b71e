"""Messages of programs on their way out, within the account's daily limit."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge.outbound import Accepted, Draft
from edge.web.quota import Quota
from edge.web.services import WebServices
from storage.records import ApiAccess
from storage.statements import Writes


class LimitReached(Exception):
    """The account has sent as many messages today as it may; the text is for people."""


class Dispatch:
    """I send what programs send."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._quota = Quota(services.store)

    def submit(
        self, access: ApiAccess, draft: Draft, also: Callable[[int], Writes] | None = None
    ) -> Deferred[Accepted]:
        """As `edge.outbound.Outbound.submit`; errback LimitReached, too."""

        def failed(failure: Failure) -> Failure:
            self._quota.give_back(access)
            return failure

        def allowed(free: bool) -> Deferred[Accepted]:
            if not free:
                raise LimitReached(f"This account may send {access.per_day} messages a day.")
            return self._services.outbound.submit(draft, also).addErrback(failed)

        return self._quota.take(access, self._services.wall_ms()).addCallback(allowed)
