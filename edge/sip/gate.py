"""Who somebody is: digest against the accounts (RFC 3261 §22, RFC 7616, RFC 8760).

An unknown user and a wrong password get the same answer after the same work. One MD5 challenge is the
default: most phones fail when there is a second (docs/sip.md says which).
"""

from collections.abc import Callable
from dataclasses import dataclass

from edge.sip.guard import Guard
from protocols.sip.digest import (
    Algorithm,
    Challenge,
    Credentials,
    Freshness,
    Nonces,
    is_digest,
    is_right,
    parse_credentials,
)
from protocols.sip.errors import BadValue
from protocols.sip.message import Request
from protocols.sip.uri import parse_uri, unescape
from storage.sip_accounts import SipAccount

NOBODYS_HA1 = "0" * 32
_OFFERS = {
    "md5": (Algorithm.MD5,),
    "sha-256": (Algorithm.SHA256,),
    "both": (Algorithm.SHA256, Algorithm.MD5),  # the better first: RFC 8760 §2.4
}


@dataclass(frozen=True, slots=True)
class Denied:
    """What to answer somebody who is not let in."""

    status: int
    reason: str | None = None
    fields: tuple[tuple[str, str], ...] = ()


class Gate:
    """I know the accounts by username and say whose request it is."""

    def __init__(
        self,
        realm: str,
        find: Callable[[str], SipAccount | None],
        nonces: Nonces,
        guard: Guard,
        legacy: bool,
    ) -> None:
        self._realm = realm
        self._find = find
        self._nonces = nonces
        self._guard = guard
        self._legacy = legacy

    def identify(self, request: Request, host: str, now: float) -> SipAccount | Denied:
        """The account that a request of this address is made by. ``now`` is monotonic seconds."""
        credentials = self._presented(request)
        if isinstance(credentials, Denied):
            return credentials
        if credentials is None:
            return self._challenge(self._find(_claimed(request)), now)
        if self._guard.is_banned(host, credentials.username, now):
            return Denied(403, "Too many wrong passwords; try again later")
        account = self._find(credentials.username)
        if not is_right(credentials, request.method, _ha1(account, credentials)) or account is None:
            self._guard.wrong(host, credentials.username, now)
            return Denied(403, "Wrong user or password")
        return self._fresh(account, credentials, host, now)

    def _fresh(
        self, account: SipAccount, credentials: Credentials, host: str, now: float
    ) -> SipAccount | Denied:
        if credentials.qop is None and not self._legacy:
            return self._challenge(account, now)
        if credentials.algorithm not in _OFFERS[account.digest]:
            return self._challenge(account, now)
        if self._nonces.use(credentials, now) is not Freshness.FRESH:
            return self._challenge(account, now, stale=True)
        self._guard.right(host, credentials.username)
        return account

    def _presented(self, request: Request) -> Credentials | Denied | None:
        """The credentials for our realm; those of other schemes and realms do not concern us."""
        for field in ("Authorization", "Proxy-Authorization"):
            for value in request.headers.all(field):
                if not is_digest(value):
                    continue
                try:
                    credentials = parse_credentials(value, field)
                except BadValue as error:
                    return Denied(400, f"Bad {error.field}")
                if credentials.realm == self._realm:
                    return credentials
        return None

    def _challenge(self, account: SipAccount | None, now: float, stale: bool = False) -> Denied:
        nonce = self._nonces.make(now)
        offers = _OFFERS["md5" if account is None else account.digest]
        challenges = [str(Challenge(self._realm, nonce, algorithm, stale=stale)) for algorithm in offers]
        return Denied(401, None, tuple(("WWW-Authenticate", challenge) for challenge in challenges))


def _claimed(request: Request) -> str:
    """Whom a request without credentials says to be from, which decides the algorithms that it is offered."""
    try:
        return unescape(parse_uri(request.from_.uri).user)
    except BadValue:
        return ""


def _ha1(account: SipAccount | None, credentials: Credentials) -> str:
    if account is None:
        return NOBODYS_HA1
    return account.ha1_md5 if credentials.algorithm is Algorithm.MD5 else account.ha1_sha256
