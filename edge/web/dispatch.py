"""Messages of programs on their way out, within the account's daily limit."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge.errors import Refused
from edge.outbound import Accepted, Draft, Outcome
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

        def allowed(free: int) -> Deferred[Accepted]:
            if not free:
                raise _reached(access)
            return self._services.outbound.submit(draft, also).addErrback(failed)

        return self._quota.take(access, self._services.wall_ms()).addCallback(allowed)

    def submit_many(
        self, access: ApiAccess, drafts: Sequence[Draft]
    ) -> Deferred[list[Accepted | Refused | LimitReached]]:
        """All that are good and within the limit, in one transaction; each has its outcome in its place.

        Errback Unavailable: nothing was stored.
        """

        def allowed(free: int) -> Deferred[list[Outcome]]:
            if not free:
                return succeed([])
            sending = self._services.outbound.submit_many(drafts[:free])
            return sending.addCallbacks(sent, failed, errbackArgs=(free,))

        def sent(outcomes: list[Outcome]) -> list[Outcome]:
            self._quota.give_back(access, sum(isinstance(outcome, Refused) for outcome in outcomes))
            return outcomes

        def failed(failure: Failure, free: int) -> Failure:
            self._quota.give_back(access, free)
            return failure

        def placed(outcomes: list[Outcome]) -> list[Accepted | Refused | LimitReached]:
            beyond = len(drafts) - len(outcomes)
            told = [outcome for outcome in outcomes if outcome is not None]
            return [*told, *(_reached(access) for _ in range(beyond))]

        taking = self._quota.take(access, self._services.wall_ms(), len(drafts))
        return taking.addCallback(allowed).addCallback(placed)


def _reached(access: ApiAccess) -> LimitReached:
    return LimitReached(f"This account may send {access.per_day} messages a day.")
