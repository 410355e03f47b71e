"""Programs that log in with a name and a password: may this one in, from here, and once more?

The password is verified in a thread; once it was right, a digest of it under a key of this process answers
for it, so that a program which calls a thousand times a second costs one verification. A changed password
has another hash, and is verified anew.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge.errors import Unavailable
from edge.http.resolving import Resolver
from edge.policy import allow_list
from edge.policy.allow_list import AllowList, NotAnAddress
from edge.rate import TokenBucket
from edge.web.origin import network_of
from edge.web.pages.backoff import Backoff
from edge.web.pages.passwords import PasswordChecker
from storage.records import ApiAccess

log = structlog.get_logger(__name__)

FREE_BY_NAME = 5
FREE_BY_ADDRESS = 30
NAME_SECONDS = 60.0
"""How long the addresses of a host name are believed."""


class Reason(Enum):
    """Why somebody is not let in."""

    MISSING = "missing"
    WRONG = "wrong"
    GUESSING = "guessing"
    DISABLED = "disabled"
    ADDRESS = "address"
    TOO_OFTEN = "too_often"


class Denied(Exception):
    """Not let in; ``sentence`` is for the person who set the program up."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


class Gate:
    """I let programs in. ``access`` finds who has a name, ``seconds`` is the monotonic clock."""

    def __init__(
        self,
        access: Callable[[str], ApiAccess | None],
        passwords: PasswordChecker,
        resolver: Resolver | None,
        seconds: Callable[[], float],
    ) -> None:
        self._access = access
        self._passwords = passwords
        self._seconds = seconds
        self._names = _Names(resolver, seconds)
        self._secret = secrets.token_bytes(32)
        self._verified: dict[int, tuple[str, bytes]] = {}
        self._asked: dict[tuple[str, bytes], list[Deferred[ApiAccess]]] = {}
        self._buckets: dict[int, tuple[int, TokenBucket]] = {}
        self._by_name = Backoff(FREE_BY_NAME, seconds)
        self._by_address = Backoff(FREE_BY_ADDRESS, seconds)

    def admit(
        self, username: str, password: str, address: str, *, anywhere: bool = False
    ) -> Deferred[ApiAccess]:
        """Who it is. ``anywhere``: whatever the address is.

        Errback Denied; Unavailable when too many passwords wait to be verified.
        """
        if not username or not password:
            return _denied(Reason.MISSING, "The user name or the API password is missing.")
        access = self._access(username)
        if access is not None and self._is_known(access, password):
            return self._enter(access, address, anywhere)
        return self._verify(access, username, password, address).addCallback(
            lambda found: self._enter(found, address, anywhere)
        )

    # -- the password -----------------------------------------------------------------------------

    def _is_known(self, access: ApiAccess, password: str) -> bool:
        known = self._verified.get(access.account_id)
        return (
            known is not None
            and known[0] == access.password_hash
            and hmac.compare_digest(known[1], self._digest(password))
        )

    def _digest(self, password: str) -> bytes:
        return hashlib.blake2b(password.encode("utf-8", "replace"), key=self._secret).digest()

    def _verify(
        self, access: ApiAccess | None, username: str, password: str, address: str
    ) -> Deferred[ApiAccess]:
        asked = (username.lower(), self._digest(password))
        same = self._asked.get(asked)
        if same is not None:  # a program that calls many times at once asks once
            waiting: Deferred[ApiAccess] = Deferred()
            same.append(waiting)
            return waiting
        network = network_of(address)
        by_name = (network, username[:100].lower())
        if max(self._by_name.wait(by_name), self._by_address.wait(network)) > 0:
            return _denied(
                Reason.GUESSING, "There were too many wrong passwords from this address; wait a while."
            )
        self._by_name.failed(by_name)
        self._by_address.failed(network)

        def verified(right: bool) -> ApiAccess:
            if access is None or not right:
                log.warning("api_password_wrong", client=network)
                raise Denied(Reason.WRONG, "This user name and API password do not belong together.")
            self._by_name.forget(by_name)
            self._by_address.undo(network)
            self._verified[access.account_id] = (access.password_hash, self._digest(password))
            return access

        def not_verified(failure: Failure) -> Failure:
            if failure.check(Unavailable):
                self._by_name.undo(by_name)
                self._by_address.undo(network)
            return failure

        self._asked[asked] = []
        checking = self._passwords.check(None if access is None else access.password_hash, password)
        return checking.addCallbacks(verified, not_verified).addBoth(self._answered, asked)

    def _answered(self, result: ApiAccess | Failure, asked: tuple[str, bytes]) -> ApiAccess | Failure:
        for waiting in self._asked.pop(asked):
            waiting.callback(result)
        return result

    # -- what comes after it ----------------------------------------------------------------------

    def _enter(self, access: ApiAccess, address: str, anywhere: bool) -> Deferred[ApiAccess]:
        if not access.enabled:
            return _denied(Reason.DISABLED, "API access is switched off for this account.")
        allowed = _list(access)
        if anywhere or allowed.allows(address):
            return self._count(access)
        if not allowed.names:
            return _not_from(address)
        return self._names.allow(allowed.names, address).addCallback(
            lambda found: self._count(access) if found else _not_from(address)
        )

    def _count(self, access: ApiAccess) -> Deferred[ApiAccess]:
        limit = access.per_minute
        if limit:
            now = self._seconds()
            known, bucket = self._buckets.get(access.account_id, (0, None))
            if bucket is None or known != limit:
                bucket = TokenBucket(limit / 60, limit, now)
                self._buckets[access.account_id] = (limit, bucket)
            if not bucket.available(now):
                return _denied(Reason.TOO_OFTEN, f"This account may call {limit} times a minute.")
            bucket.take(1, now)
        return succeed(access)


class _Names:
    """The addresses of host names, asked for once a minute."""

    def __init__(self, resolver: Resolver | None, seconds: Callable[[], float]) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._known: dict[str, tuple[float, list[str]]] = {}

    def allow(self, names: tuple[str, ...], address: str) -> Deferred[bool]:
        """Has one of the names this address?"""
        wanted = allow_list.canonical(address)

        async def look() -> bool:
            for name in names:
                if wanted in map(allow_list.canonical, await self._addresses(name)):
                    return wanted is not None
            return False

        return Deferred.fromCoroutine(look())

    def _addresses(self, name: str) -> Deferred[list[str]]:
        since, addresses = self._known.get(name, (None, []))
        if self._resolver is None or (since is not None and self._seconds() - since < NAME_SECONDS):
            return succeed(addresses)
        return (
            self._resolver.addresses(name)
            .addErrback(_no_addresses, name)
            .addCallback(partial(self._keep, name))
        )

    def _keep(self, name: str, addresses: list[str]) -> list[str]:
        self._known[name] = (self._seconds(), addresses)
        return addresses


def _list(access: ApiAccess) -> AllowList:
    try:
        return allow_list.read(access.allowed)
    except NotAnAddress:  # what the commands would not have written
        return allow_list.NOBODY


def _no_addresses(failure: Failure, name: str) -> list[str]:
    log.warning("allowed_name_unknown", name=name, error=failure.getErrorMessage())
    return []


def _not_from(address: str) -> Deferred[Any]:
    return _denied(Reason.ADDRESS, f"Calls from {address} are not allowed for this account.")


def _denied(reason: Reason, sentence: str) -> Deferred[Any]:
    denied: Deferred[Any] = Deferred()
    denied.errback(Failure(Denied(reason, sentence)))
    return denied
