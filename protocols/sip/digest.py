"""Digest authentication (RFC 7616, RFC 8760, RFC 3261 §22; RFC 2069 where it is allowed).

The server keeps no password: HA1 = H(user:realm:password) for each algorithm is enough. Nonces carry their
own time, sealed with a key of this process, so nobody can make the server remember anything without a right
answer.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from protocols.sip.errors import BadValue
from protocols.sip.headers import TOKEN, quote, unquote

_PARAM = re.compile(
    rf"[ \t]*+({TOKEN}++)[ \t]*+=[ \t]*+(\"(?:[^\"\\]++|\\.)*+\"|[^\s,\"]++)[ \t]*+(?:,|$)", re.ASCII
)
_SCHEME = re.compile(r"[ \t]*+Digest[ \t]++", re.IGNORECASE)
_NC = re.compile(r"[0-9a-f]{8}", re.ASCII | re.IGNORECASE)

NC_WINDOW = 128
"""How far behind the highest nonce count of a nonce a count may come (UDP may turn requests round)."""

_MAC_OCTETS, _TIME_OCTETS, _SALT_OCTETS = 12, 6, 6


class Algorithm(Enum):
    """The hash; the value is its name on the wire."""

    MD5 = "MD5"
    SHA256 = "SHA-256"

    def hash(self, text: str) -> str:
        """The hash of a text in lower-case hexadecimal."""
        data = text.encode("utf-8", "surrogateescape")
        if self is Algorithm.MD5:
            return hashlib.md5(data, usedforsecurity=False).hexdigest()
        return hashlib.sha256(data).hexdigest()

    def ha1(self, username: str, realm: str, password: str) -> str:
        """What is kept in place of a password."""
        return self.hash(f"{username}:{realm}:{password}")


_ALGORITHMS = {algorithm.value.lower(): algorithm for algorithm in Algorithm}


@dataclass(frozen=True, slots=True)
class Credentials:
    """An Authorization header. ``qop`` None is the form of RFC 2069."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm
    qop: str | None = None
    nc: str = ""
    cnonce: str = ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A WWW-Authenticate or Proxy-Authenticate header."""

    realm: str
    nonce: str
    algorithm: Algorithm
    qop: str | None = "auth"
    stale: bool = False
    opaque: str | None = None

    def __str__(self) -> str:
        qop = "" if self.qop is None else f', qop="{self.qop}"'
        opaque = "" if self.opaque is None else f", opaque={quote(self.opaque)}"
        stale = ", stale=true" if self.stale else ""
        return (
            f"Digest realm={quote(self.realm)}, nonce={quote(self.nonce)}, "
            f"algorithm={self.algorithm.value}{qop}{opaque}{stale}"
        )


def short(challenge: Challenge) -> str:
    """A challenge of ours in fewer octets: without spaces, and MD5 as what no algorithm means."""
    algorithm = "" if challenge.algorithm is Algorithm.MD5 else f",algorithm={challenge.algorithm.value}"
    qop = "" if challenge.qop is None else f',qop="{challenge.qop}"'
    stale = ",stale=true" if challenge.stale else ""
    return f"Digest realm={quote(challenge.realm)},nonce={quote(challenge.nonce)}{algorithm}{qop}{stale}"


def is_digest(value: str) -> bool:
    """Whether an Authorization header is of this scheme."""
    return _SCHEME.match(value) is not None


def _params(value: str, field: str) -> dict[str, str]:
    scheme = _SCHEME.match(value)
    if scheme is None:
        raise BadValue(field, "is not Digest")
    found: dict[str, str] = {}
    position = scheme.end()
    while position < len(value):
        item = _PARAM.match(value, position)
        if item is None:
            raise BadValue(field, f"unexpected {value[position : position + 20]!r}")
        name, text = item.groups()
        found.setdefault(name.lower(), unquote(text) if text[0] == '"' else text)
        position = item.end()
    return found


def _algorithm(params: dict[str, str], field: str) -> Algorithm:
    algorithm = _ALGORITHMS.get(params.get("algorithm", "MD5").lower())
    if algorithm is None:
        raise BadValue(field, f"unknown algorithm {params['algorithm'][:20]!r}")
    return algorithm


def parse_credentials(value: str, field: str = "Authorization") -> Credentials:
    """An Authorization header. Raises BadValue."""
    return _credentials(_params(value, field), field)


def credentials_for(realm: str, value: str, field: str = "Authorization") -> Credentials | None:
    """An Authorization header; None when it is for another realm, in whatever form that is. Raises
    BadValue."""
    params = _params(value, field)
    return _credentials(params, field) if params.get("realm", realm) == realm else None


def _credentials(params: dict[str, str], field: str) -> Credentials:
    try:
        credentials = Credentials(
            params["username"],
            params["realm"],
            params["nonce"],
            params["uri"],
            params["response"].lower(),
            _algorithm(params, field),
            params.get("qop"),
            params.get("nc", ""),
            params.get("cnonce", ""),
        )
    except KeyError as error:
        raise BadValue(field, f"{error.args[0]} is missing") from error
    if credentials.qop is not None and (_NC.fullmatch(credentials.nc) is None or not credentials.cnonce):
        raise BadValue(field, "qop without nc or cnonce")
    if credentials.qop not in (None, "auth"):
        raise BadValue(field, f"qop {credentials.qop[:20]!r} was not offered")
    return credentials


def parse_challenge(value: str, field: str = "WWW-Authenticate") -> Challenge:
    """A challenge of a server that we are the client of. Raises BadValue."""
    params = _params(value, field)
    if "realm" not in params or "nonce" not in params:
        raise BadValue(field, "realm or nonce is missing")
    offered = [word.strip() for word in params["qop"].lower().split(",")] if "qop" in params else []
    if offered and "auth" not in offered:
        raise BadValue(field, "no qop that is known here")
    return Challenge(
        params["realm"],
        params["nonce"],
        _algorithm(params, field),
        "auth" if offered else None,
        params.get("stale", "").lower() == "true",
        params.get("opaque"),
    )


def response_of(credentials: Credentials, method: str, ha1: str) -> str:
    """What the response must be (RFC 7616 §3.4.1). The presented uri is hashed, whatever it is."""
    hashed = credentials.algorithm.hash
    ha2 = hashed(f"{method}:{credentials.uri}")
    if credentials.qop is None:
        return hashed(f"{ha1}:{credentials.nonce}:{ha2}")
    middle = f"{credentials.nonce}:{credentials.nc}:{credentials.cnonce}:{credentials.qop}"
    return hashed(f"{ha1}:{middle}:{ha2}")


def is_right(credentials: Credentials, method: str, ha1: str) -> bool:
    """Whether whoever made these credentials knows the password; compared in constant time."""
    if credentials.qop not in (None, "auth"):
        return False
    expected = response_of(credentials, method, ha1)
    return hmac.compare_digest(expected.encode(), credentials.response.encode("utf-8", "surrogateescape"))


def answer(
    challenge: Challenge, username: str, password: str, method: str, uri: str, cnonce: str, count: int = 1
) -> str:
    """The Authorization header of a client that was challenged; ``count`` numbers the uses of the nonce."""
    ha1 = challenge.algorithm.ha1(username, challenge.realm, password)
    credentials = Credentials(
        username,
        challenge.realm,
        challenge.nonce,
        uri,
        "",
        challenge.algorithm,
        challenge.qop,
        f"{count:08x}",
        cnonce,
    )
    parts = [
        f"Digest username={quote(username)}",
        f"realm={quote(challenge.realm)}",
        f"nonce={quote(challenge.nonce)}",
        f"uri={quote(uri)}",
        f'response="{response_of(credentials, method, ha1)}"',
        f"algorithm={challenge.algorithm.value}",
    ]
    if challenge.qop is not None:
        parts += [f"qop={challenge.qop}", f"nc={count:08x}", f"cnonce={quote(cnonce)}"]
    if challenge.opaque is not None:
        parts.append(f"opaque={quote(challenge.opaque)}")
    return ", ".join(parts)


class Nonces:
    """I make nonces and know which are still good.

    A nonce is its time and a salt, sealed by HMAC-SHA-256 under ``key`` for the address that it is given to.
    The key is of this process, as the counts are: a nonce that outlived them could be used twice. After a
    restart every nonce is stale, and phones ask again by themselves. A nonce is good for ``lifetime``
    seconds. Counts are remembered for nonces that were used with a right answer, ``limit`` at most.
    """

    def __init__(
        self, key: bytes, salt: Callable[[int], bytes], lifetime: float = 300.0, limit: int = 100_000
    ) -> None:
        self._key = key
        self._salt = salt
        self._lifetime = lifetime
        self._limit = limit
        self._used: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._floor = -1.0

    def make(self, host: str, now: float) -> str:
        """A new nonce for an address; ``now`` is monotonic seconds."""
        body = round(now * 10).to_bytes(_TIME_OCTETS) + self._salt(_SALT_OCTETS)
        return urlsafe_b64encode(body + self._seal(body, host)).decode()

    def use(self, credentials: Credentials) -> bool:
        """Count one use of a nonce that `is_good`, by credentials that are right; False when it was counted
        before. Without qop a nonce is good for one use."""
        count = int(credentials.nc, 16) if credentials.qop is not None else 1
        highest, seen = self._used.get(credentials.nonce, (0, 0))
        if count > highest:
            seen = (seen << (count - highest) | 1) if count - highest < NC_WINDOW else 1
            self._remember(credentials.nonce, count, seen & ((1 << NC_WINDOW) - 1))
            return True
        bit = 1 << (highest - count)
        if highest - count >= NC_WINDOW or seen & bit or count == 0 or credentials.qop is None:
            return False
        self._remember(credentials.nonce, highest, seen | bit)
        return True

    def _remember(self, nonce: str, highest: int, seen: int) -> None:
        self._used[nonce] = (highest, seen)
        if len(self._used) > self._limit:
            # What is forgotten must not be good again: nonces of its age are stale from now on.
            forgotten, _ = self._used.popitem(last=False)
            self._floor = max(self._floor, _made_at(urlsafe_b64decode(forgotten)))

    def is_good(self, nonce: str, host: str, now: float) -> bool:
        """Whether a nonce is one of ours for this address, and not too old."""
        try:
            raw = urlsafe_b64decode(nonce.encode("ascii"))
        except ValueError:
            return False
        body, seal = raw[:-_MAC_OCTETS], raw[-_MAC_OCTETS:]
        if len(body) != _TIME_OCTETS + _SALT_OCTETS or not hmac.compare_digest(self._seal(body, host), seal):
            return False
        made = _made_at(raw)
        return made > self._floor and now - made <= self._lifetime

    def _seal(self, body: bytes, host: str) -> bytes:
        return hmac.digest(self._key, body + host.encode(), "sha256")[:_MAC_OCTETS]


def _made_at(raw: bytes) -> float:
    return int.from_bytes(raw[:_TIME_OCTETS]) / 10
