"""SIP accounts in memory, as the store has them: the message path never waits for a read.

A command that changes one bumps the catalog's version in the same transaction; a look each second sees it.
"""

import hmac
from collections import Counter
from collections.abc import Iterable

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from storage import numbers, sip_accounts
from storage.sip_accounts import Digest, SipAccount
from storage.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
DIGITS = 10
"""So many last digits tell a number in every spelling from the others."""

_EASIEST_FIRST: tuple[Digest, ...] = ("md5", "both", "sha-256")


class SipDirectory:
    """I hold the accounts of one domain, from `start` to `stop`. ``key`` is secret, and of this process."""

    def __init__(self, store: Store, clock: IReactorTime, domain: str, key: bytes) -> None:
        self._key = key
        self._kinds: dict[Digest, int] = {}
        self._by_number: dict[str, Digest] = {}
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

    def digest(self, username: str) -> Digest:
        """How whoever says to be this user, or to send as this number, is challenged.

        A name that is not there is challenged as one of those that are, always as the same one, so that a
        challenge does not tell who is there.
        """
        account = self._accounts.get(username)
        if account is not None:
            return account.digest
        if len(self._kinds) < 2:
            return next(iter(self._kinds), "md5")
        return self._by_number.get(_last_digits(username)) or self._as_others(username)

    def _as_others(self, name: str) -> Digest:
        drawn = int.from_bytes(hmac.digest(self._key, name.encode("utf-8", "surrogateescape"), "sha256"))
        place = drawn % len(self._accounts)
        for kind, many in self._kinds.items():
            if place < many:
                return kind
            place -= many
        raise AssertionError("every account has a kind")

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

    def _could_not_look(self, failure: Failure) -> None:
        # What is in memory stays in force; one line per outage, not one a second.
        if not self._failing:
            log.warning("sip_accounts_stale", error=failure.getErrorMessage())
        self._failing = True

    def _take(self, fresh: tuple[int, list[SipAccount]] | None) -> None:
        if fresh is not None:
            self._version, accounts = fresh
            self._accounts = {a.username: a for a in accounts if a.domain == self._domain}
            kinds = Counter(account.digest for account in self._accounts.values())
            self._kinds = {kind: kinds[kind] for kind in _EASIEST_FIRST if kinds[kind]}
            self._by_number = _by_number(self._accounts.values()) if len(kinds) > 1 else {}


def _by_number(accounts: Iterable[SipAccount]) -> dict[str, Digest]:
    """How the holder of a number is challenged; where phones share one, as the easiest."""
    found: dict[str, Digest] = {}
    for account in sorted(accounts, key=lambda account: _EASIEST_FIRST.index(account.digest)):
        for number in account.dids:
            found.setdefault(_last_digits(number), account.digest)
    return found


def _last_digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))[-DIGITS:]


def _if_moved(connection: Connection, version: int) -> tuple[int, list[SipAccount]] | None:
    moved = numbers.catalog_version(connection)
    return None if moved == version else (moved, sip_accounts.list_sip_accounts(connection))
