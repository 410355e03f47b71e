"""Who asks, and how much he may: keys, their scopes and ends, their last use, their limits."""

import base64
import binascii
import math
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from edge.directory import Directory
from edge.errors import Unavailable
from edge.keys import EVERYTHING
from edge.rate import TokenBucket
from edge.web.api.problems import Problem
from edge.web.headers import Header
from edge.web.request import EdgeRequest
from storage import accounts
from storage.records import ApiKey
from storage.store import Store

WWW_AUTHENTICATE = ((b"WWW-Authenticate", b'Bearer realm="trunkline"'),)
NOTED_EACH_MS = 60_000
WINDOW_SECONDS = 60


@dataclass(slots=True)
class _Limit:
    """What is left to a key: ``quota`` requests a minute, kept as a bucket that fills evenly."""

    quota: int
    bucket: TokenBucket

    def lines(self, now: float) -> bytes:
        """RateLimit headers (draft-ietf-httpapi-ratelimit-headers)."""
        left = max(self.bucket.available(now), 0)
        seconds = math.ceil((self.quota - left) * WINDOW_SECONDS / self.quota)
        return b'RateLimit-Policy: "key";q=%d;w=%d\r\nRateLimit: "key";r=%d;t=%d\r\n' % (
            self.quota,
            WINDOW_SECONDS,
            left,
            seconds,
        )


class Access:
    """I let keys in. ``default_quota``: requests a minute of a key that says nothing; 0 for no limit."""

    def __init__(
        self,
        directory: Directory,
        store: Store,
        wall_ms: Callable[[], int],
        clock: IReactorTime,
        default_quota: int = 0,
    ) -> None:
        self._directory = directory
        self._store = store
        self._wall_ms = wall_ms
        self._clock = clock
        self._default_quota = default_quota
        self._noted: dict[int, int] = {}
        self._limits: dict[int, _Limit] = {}

    def key(self, request: EdgeRequest, scope: str) -> ApiKey:
        """The key of a request, which must be good for this scope. Raises Problem, or Unavailable."""
        header = request.requestHeaders.getRawHeaders(b"authorization")
        if not header:
            raise _unauthorized("key_missing", "Send a key: Authorization: Bearer <key>.")
        key = self._directory.key(token(header[-1]))
        if key is None:
            if not self._directory.loaded:
                raise Unavailable("The server is starting; send again in a moment.", 1.0)
            raise _unauthorized("key_invalid", "This key is not known, or it was revoked.")
        now_ms = self._wall_ms()
        if key.expires_at is not None and key.expires_at <= now_ms:
            raise _unauthorized("key_expired", "This key has expired, or was replaced by a newer one.")
        if key.scopes != EVERYTHING and scope not in key.scopes.split():
            detail = f"This key is not good for {scope}; it is for {key.scopes or 'nothing'}."
            raise Problem(403, "scope_missing", detail, "Authorization")
        if now_ms - self._noted.get(key.id, key.last_used_at or 0) >= NOTED_EACH_MS:
            self._note(key, now_ms)
        return key

    def still_good(self, key: ApiKey) -> bool:
        """For streams, which outlive the moment in which their key was looked at."""
        now_ms = self._wall_ms()
        known = self._directory.key_of(key.key_hash)
        return known is not None and (known.expires_at is None or known.expires_at > now_ms)

    def charge(self, key: ApiKey, cost: int) -> None:
        """As `charged`, for what a request costs beyond the one that it is; raises the Problem."""
        over = self.charged(key, cost, counted=1)
        if over is not None:
            raise over

    def charged(self, key: ApiKey, cost: int, counted: int = 0) -> Problem | None:
        """Count against the key's limit; the problem when that is used up. So many of the request are
        ``counted`` already.

        What costs more than a whole minute's quota goes through once all of that is there.
        """
        limit = self._limit(key)
        if limit is None:
            return None
        now = self._clock.seconds()
        wanted = min(counted + cost, limit.quota) - counted
        if limit.bucket.available(now) < wanted:
            missing = wanted - limit.bucket.available(now)
            wait = max(1, math.ceil(missing * WINDOW_SECONDS / limit.quota))
            detail = f"This key may make {limit.quota} requests a minute; go on in {wait} s."
            return Problem(429, "rate_limited", detail, headers=((b"Retry-After", b"%d" % wait),))
        limit.bucket.take(cost, now)
        return None

    def lines(self, key: ApiKey) -> bytes:
        """The header lines that say what is left; none without a limit."""
        limit = self._limit(key)
        return b"" if limit is None else limit.lines(self._clock.seconds())

    def _limit(self, key: ApiKey) -> _Limit | None:
        quota = self._default_quota if key.requests_per_minute is None else key.requests_per_minute
        if not quota:
            return None
        limit = self._limits.get(key.id)
        if limit is None or limit.quota != quota:
            bucket = TokenBucket(quota / WINDOW_SECONDS, quota, self._clock.seconds())
            limit = self._limits[key.id] = _Limit(quota, bucket)
        return limit

    def _note(self, key: ApiKey, now_ms: int) -> None:
        self._noted[key.id] = now_ms
        self._store.writer.run("key used", lambda conn: accounts.note_use(conn, key.id, now_ms)).addErrback(
            lambda _: None
        )  # the next use says it again


def _unauthorized(code: str, detail: str) -> Problem:
    return Problem(401, code, detail, "Authorization", WWW_AUTHENTICATE)


def token(header: bytes) -> str:
    """The key in an Authorization header: the bearer token, or the user name of Basic. Raises Problem."""
    scheme, _, credentials = header.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return credentials.strip().decode("latin-1")
        case b"basic":
            try:
                return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
            except (binascii.Error, ValueError):
                detail = "The Basic credentials are not base64 of UTF-8 text."
                raise _unauthorized("credentials_malformed", detail) from None
    detail = "Use the scheme Bearer with the key (or Basic, with the key as the user name)."
    raise _unauthorized("scheme_unknown", detail)


def origin_lines(allowed: tuple[str, ...], request: EdgeRequest) -> tuple[Header, ...]:
    """What lets a page of another origin read the answer (CORS); nothing unless its origin is allowed."""
    if not allowed:
        return ()
    origin = request.requestHeaders.getRawHeaders(b"origin", [b""])[0]
    vary = (b"Vary", b"Origin")
    if origin.decode("latin-1") not in allowed:
        return (vary,)
    exposed = b"RateLimit, RateLimit-Policy, Retry-After, Idempotent-Replayed, Location"
    return (vary, (b"Access-Control-Allow-Origin", origin), (b"Access-Control-Expose-Headers", exposed))
