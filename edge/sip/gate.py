"""Who somebody is: digest against the accounts (RFC 3261 §22, RFC 7616, RFC 8760).

An unknown user and a wrong password get the same answer after the same work, and before that a challenge as
the users have that are there. One MD5 challenge is the default: most phones fail when there is a second
(docs/sip.md says which).
"""

from edge.sip.agent import Reply
from edge.sip.directory import SipDirectory
from edge.sip.guard import Guard
from protocols.sip.answers import reason_phrase
from protocols.sip.digest import (
    Algorithm,
    Challenge,
    Credentials,
    Nonces,
    credentials_for,
    is_digest,
    is_right,
    short,
)
from protocols.sip.errors import BadValue
from protocols.sip.message import Request
from protocols.sip.uri import parse_uri, unescape
from storage.sip_accounts import SipAccount

_CHALLENGE = "WWW-Authenticate"
NOBODYS_HA1 = "0" * 32
_OFFERS = {
    "md5": (Algorithm.MD5,),
    "sha-256": (Algorithm.SHA256,),
    "both": (Algorithm.SHA256, Algorithm.MD5),  # the better first: RFC 8760 §2.4
}


class Gate:
    """I know the accounts and say whose request it is."""

    def __init__(
        self, realm: str, directory: SipDirectory, nonces: Nonces, guard: Guard, legacy: bool
    ) -> None:
        self._realm = realm
        self._directory = directory
        self._nonces = nonces
        self._guard = guard
        self._legacy = legacy

    def identify(self, request: Request, host: str, now: float) -> SipAccount | Reply:
        """The account that a request of this address is made by, or what to answer. ``now`` is monotonic
        seconds."""
        credentials = self._presented(request)
        if isinstance(credentials, Reply):
            return credentials
        if credentials is None:
            return self._challenge(_claimed(request), host, now)
        if not self._nonces.is_good(credentials.nonce, host, now):
            # Not even looked at, nor counted: whoever forges an address has no nonce for it.
            return self._challenge(credentials.username, host, now, stale=True)
        if self._guard.is_banned(host, credentials.username, now):
            return Reply(403, "Too many wrong passwords; try again later")
        account = self._directory.find(credentials.username)
        if not is_right(credentials, request.method, _ha1(account, credentials)) or account is None:
            self._guard.wrong(host, credentials.username, now)
            return Reply(403, "Wrong user or password")
        return self._fresh(account, credentials, host, now)

    def _fresh(
        self, account: SipAccount, credentials: Credentials, host: str, now: float
    ) -> SipAccount | Reply:
        if credentials.qop is None and not self._legacy:
            return self._challenge(account.username, host, now)
        if credentials.algorithm not in _OFFERS[account.digest]:
            return self._challenge(account.username, host, now)
        if not self._nonces.use(credentials):
            return self._challenge(account.username, host, now, stale=True)
        self._guard.right(host, credentials.username)
        return account

    def _presented(self, request: Request) -> Credentials | Reply | None:
        """The credentials for our realm; those of other schemes and realms do not concern us."""
        for field in ("Authorization", "Proxy-Authorization"):
            for value in request.headers.all(field):
                if not is_digest(value):
                    continue
                try:
                    credentials = credentials_for(self._realm, value, field)
                except BadValue as error:
                    return Reply(400, reason_phrase(f"Bad {error.field} ({error.problem})"))
                if credentials is not None:
                    return credentials
        return None

    def _challenge(self, username: str, host: str, now: float, stale: bool = False) -> Reply:
        """401. Where two challenges are larger than the answer may be: the one that every phone knows, and
        where that is, in fewer octets."""
        nonce = self._nonces.make(host, now)
        offers = [
            Challenge(self._realm, nonce, algorithm, stale=stale)
            for algorithm in _OFFERS[self._directory.digest(username)]
        ]
        fields = tuple((_CHALLENGE, str(offer)) for offer in offers)
        reply = Reply(401, None, ((_CHALLENGE, short(offers[-1])),), short=True)
        if len(fields) > 1:
            reply = Reply(401, None, fields[-1:], reply)
        return Reply(401, None, fields, reply)


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
