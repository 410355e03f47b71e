"""The directory: every DID, API key and API access in memory, as the store has them.

The message path asks it for each message, so it never waits for a read. A change made by this or
another process bumps the catalog's version in the same transaction; the directory looks at the
version each second and reloads when it moved. A number that it does not know is looked up afresh
(`find`), so that a DID works from the moment it was added.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import structlog
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from storage import numbers
from storage.records import ApiAccess, ApiKey, Catalog, Did
from storage.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0


class Directory:
    """I hold the catalog for one server, from `start` to `stop`. When it has changed I call ``watchers``."""

    def __init__(self, store: Store, clock: IReactorTime) -> None:
        self._store = store
        self._version = -1
        self._dids: Mapping[str, Did] = {}
        self._dids_of: Mapping[int, list[Did]] = {}
        self._keys: Mapping[str, ApiKey] = {}
        self._accesses: Mapping[str, ApiAccess] = {}
        self.watchers: set[Callable[[], None]] = set()
        self._poll = LoopingCall(self._look)
        self._poll.clock = clock
        self._failing = False

    def start(self) -> Deferred[None]:
        """Load the catalog, then keep it fresh."""
        return self.refresh().addCallback(lambda _: self._begin())

    def stop(self) -> None:
        """Look no more."""
        if self._poll.running:
            self._poll.stop()

    @property
    def version(self) -> int:
        """Of the catalog that is in memory."""
        return self._version

    @property
    def loaded(self) -> bool:
        """Before that nobody can be told whether a key is good."""
        return self._version >= 0

    def did(self, number: str) -> Did | None:
        """The DID with this E.164 number, of whichever account."""
        return self._dids.get(number)

    def known_numbers(self) -> list[str]:
        """Every DID, in order."""
        return sorted(self._dids)

    def dids_of(self, account_id: int) -> list[Did]:
        """The DIDs of an account."""
        return list(self._dids_of.get(account_id, ()))

    def find(self, number: str) -> Deferred[Did | None]:
        """The same, after a fresh look at the store when memory does not have it."""
        return self.refresh().addCallback(lambda _: self._dids.get(number))

    def key(self, token: str) -> ApiKey | None:
        """The key that a bearer token stands for. The look-up is by hash, so its time tells nothing."""
        return self.key_of(hashlib.sha256(token.encode("utf-8", "replace")).hexdigest())

    def key_of(self, key_hash: str) -> ApiKey | None:
        """The key whose token has this hash. Whether it has expired the caller looks."""
        return self._keys.get(key_hash)

    def access(self, username: str) -> ApiAccess | None:
        """The API access of this user name, compared in lower case."""
        return self._accesses.get(username.strip().lower())

    def refresh(self) -> Deferred[None]:
        """Reload if the catalog has moved."""
        return self._store.read(_if_moved, self._version).addCallback(self._take)

    def _begin(self) -> None:
        self._poll.start(POLL_SECONDS, now=False)

    def _look(self) -> Deferred[None]:
        return self.refresh().addCallbacks(self._looked, self._could_not_look)

    def _looked(self, _: None) -> None:
        if self._failing:
            log.info("directory_fresh_again")
        self._failing = False

    def _could_not_look(self, failure: Failure) -> None:
        # What is in memory stays in force; one line per outage, not one a second.
        if not self._failing:
            log.warning("directory_stale", error=failure.getErrorMessage())
        self._failing = True

    def _take(self, catalog: Catalog | None) -> None:
        if catalog is None:
            return
        self._version = catalog.version
        self._dids = {did.number: did for did in catalog.dids}
        owned: dict[int, list[Did]] = {}
        for did in catalog.dids:
            owned.setdefault(did.account_id, []).append(did)
        self._dids_of = owned
        self._keys = {form.key_hash: form for key in catalog.keys for form in _forms(key)}
        self._accesses = {access.username: access for access in catalog.accesses}
        for changed in tuple(self.watchers):
            changed()


def _forms(key: ApiKey) -> Iterator[ApiKey]:
    """The key; and after a rotation the same with the token before, which ends sooner."""
    if key.previous_hash is not None and key.previous_until is not None:
        ends = [at for at in (key.previous_until, key.expires_at) if at is not None]
        yield replace(key, key_hash=key.previous_hash, expires_at=min(ends))
    yield key


def _if_moved(conn: Connection, version: int) -> Catalog | None:
    """The catalog, or None when it is still the one of ``version``."""
    if numbers.catalog_version(conn) == version:
        return None
    return numbers.load_catalog(conn)
