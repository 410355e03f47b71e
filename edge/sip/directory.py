"""SIP accounts in memory, as the store has them: the message path never waits for a read.

A command that changes one bumps the catalog's version in the same transaction; a look each second sees it.
"""

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from storage import numbers, sip_accounts
from storage.sip_accounts import SipAccount
from storage.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0


class SipDirectory:
    """I hold the accounts of one domain, from `start` to `stop`."""

    def __init__(self, store: Store, clock: IReactorTime, domain: str) -> None:
        self._store = store
        self._domain = domain
        self._version = -1
        self._accounts: dict[str, SipAccount] = {}
        self._poll = LoopingCall(self._look)
        self._poll.clock = clock
        self._failing = False

    def start(self) -> Deferred[None]:
        """Load the accounts, then keep them fresh."""
        return self._refresh().addCallback(lambda _: self._begin())

    def stop(self) -> None:
        """Look no more."""
        if self._poll.running:
            self._poll.stop()

    def find(self, username: str) -> SipAccount | None:
        """The account of this username."""
        return self._accounts.get(username)

    def accounts(self) -> list[SipAccount]:
        """All of this domain."""
        return list(self._accounts.values())

    def _begin(self) -> None:
        self._poll.start(POLL_SECONDS, now=False)

    def _refresh(self) -> Deferred[None]:
        return self._store.read(_if_moved, self._version).addCallback(self._take)

    def _look(self) -> Deferred[None]:
        return self._refresh().addCallbacks(self._looked, self._could_not_look)

    def _looked(self, _: None) -> None:
        self._failing = False

    def _could_not_look(self, failure: object) -> None:
        # What is in memory stays in force; one line per outage, not one a second.
        if not self._failing:
            log.warning("sip_accounts_stale", error=str(failure))
        self._failing = True

    def _take(self, fresh: tuple[int, list[SipAccount]] | None) -> None:
        if fresh is not None:
            self._version, accounts = fresh
            self._accounts = {a.username: a for a in accounts if a.domain == self._domain}


def _if_moved(connection: Connection, version: int) -> tuple[int, list[SipAccount]] | None:
    moved = numbers.catalog_version(connection)
    return None if moved == version else (moved, sip_accounts.list_sip_accounts(connection))
