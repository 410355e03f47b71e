"""Who is heard at all: token buckets, bans for wrong answers, scanners (RFC 3261 §26 leaves this to us).

Only a wrong answer counts against anybody: a first request without credentials is how digest begins, and a
stale nonce is nobody's fault. A ban is on an address together with the user it tried, so that one bad phone
does not silence an office; an address that tries many users is banned whole. Bans double each time and
expire; in a quiet time the next one shrinks again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from math import exp2

from edge.recent import Recent

SCANNERS = re.compile(
    r"friendly-scanner|sipvicious|sipcli|sundayddr|sip-?scan|vaxsipuseragent|pplsip|iwar|sipsak-scan",
    re.IGNORECASE,
)
REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests a second and burst, for an address and for an account; wrong answers until a ban."""

    address_rate: float = 50.0
    address_burst: float = 200.0
    account_rate: float = 10.0
    account_burst: float = 60.0
    wrong_answers: int = 5
    wrong_answers_address: int = 50
    ban_seconds: float = 60.0
    ban_max_seconds: float = 3_600.0


@dataclass(slots=True)
class Counters:
    """What was refused since the start, for operators."""

    too_many: int = 0
    wrong: int = 0
    bans: int = 0
    banned: int = 0
    scanners: int = 0


@dataclass(slots=True)
class _Mischief:
    """``count`` wrong answers, fading; banned until ``until``, the next ban for ``seconds``."""

    count: float
    at: float
    until: float
    seconds: float


class Guard:
    """I keep the measures of every address and account. ``now`` is monotonic seconds.

    ``befriended`` knows addresses that are trusted beside the networks.
    """

    FADE_SECONDS = 120.0  # in which one wrong answer is forgotten
    QUIET_SECONDS = 3_600.0  # without a ban and a wrong answer, in which the next ban is halved

    def __init__(
        self,
        limits: Limits,
        trusted: tuple[str, ...] = (),
        befriended: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self.counters = Counters()
        self._befriended = befriended
        self.configure(limits, trusted)
        self._buckets: Recent[tuple[str, str], tuple[float, float]] = Recent(REMEMBERED)
        self._mischief: Recent[tuple[str, str], _Mischief] = Recent(REMEMBERED)

    def configure(self, limits: Limits, trusted: tuple[str, ...]) -> None:
        """Other limits, from now on; who is banned stays so until his time is over."""
        self._limits = limits
        self._trusted = tuple(ip_network(network) for network in trusted)
        self._known: dict[str, bool] = {}

    def trusts(self, host: str) -> bool:
        """Whether an address is in a trusted network, or a trunk's: never banned, and believed when it
        asserts an identity."""
        if self._befriended(host):
            return True
        if not self._trusted:
            return False
        known = self._known.get(host)
        if known is None:
            if len(self._known) > REMEMBERED:
                self._known.clear()
            known = self._known[host] = _inside(host, self._trusted)
        return known

    def admits(self, host: str, user_agent: str | None, now: float) -> bool:
        """Whether a request of this address is looked at; if not it gets no answer."""
        if user_agent is not None and _is_scanner(user_agent):
            self.counters.scanners += 1
            return False
        if self.trusts(host):
            return True
        if self._is_banned((host, ""), now):
            return False
        return self._take(("address", host), self._limits.address_rate, self._limits.address_burst, now)

    def admits_account(self, username: str, now: float) -> bool:
        """Whether an account may send one more message now; if not: 503 + Retry-After."""
        return self._take(("account", username), self._limits.account_rate, self._limits.account_burst, now)

    def is_banned(self, host: str, username: str, now: float) -> bool:
        """Whether this address may not even try as this user."""
        return not self.trusts(host) and self._is_banned((host, username), now)

    def wrong(self, host: str, username: str, now: float) -> bool:
        """A wrong answer was given. Whether that made a ban."""
        self.counters.wrong += 1
        if self.trusts(host):
            return False
        pair = self._count((host, username), self._limits.wrong_answers, now)
        whole = self._count((host, ""), self._limits.wrong_answers_address, now)
        return pair or whole

    def right(self, host: str, username: str) -> None:
        """A right answer: what this address did wrong as this user is forgotten, and counts no more against
        the address. What it did as others stays: who has one account may not guess the rest."""
        found, whole = self._mischief.get((host, username)), self._mischief.get((host, ""))
        if found is not None and whole is not None:
            whole.count = max(0.0, whole.count - self._faded(found, whole.at))
        self._mischief.drop((host, username))

    def bans(self, now: float) -> list[tuple[str, str, float]]:
        """Who is banned: address, user ("" for any), seconds left; the longest first."""
        found = [(*key, mischief.until - now) for key, mischief in self._mischief.items()]
        return sorted((ban for ban in found if ban[2] > 0), key=lambda ban: -ban[2])

    def forgive(self, host: str) -> int:
        """Forget what an address did wrong; how many measures of it there were."""
        keys = [key for key, _ in self._mischief.items() if key[0] == host]
        for key in keys:
            self._mischief.drop(key)
        return len(keys)

    def _is_banned(self, key: tuple[str, str], now: float) -> bool:
        found = self._mischief.get(key)
        if found is None or now >= found.until:
            return False
        self.counters.banned += 1
        return True

    def _count(self, key: tuple[str, str], limit: int, now: float) -> bool:
        found = self._mischief.get(key) or _Mischief(0.0, now, 0.0, self._limits.ban_seconds)
        found.count = self._faded(found, now) + 1
        found.seconds = self._shrunk(found, now)
        found.at = now
        self._mischief.put(key, found)
        if found.count < limit:
            return False
        self.counters.bans += 1
        found.until, found.count = now + found.seconds, 0.0
        found.seconds = min(2 * found.seconds, self._limits.ban_max_seconds)
        return True

    def _faded(self, found: _Mischief, now: float) -> float:
        return max(0.0, found.count - (now - found.at) / self.FADE_SECONDS)

    def _shrunk(self, found: _Mischief, now: float) -> float:
        """How long the next ban will be."""
        quiet = max(0.0, now - max(found.at, found.until))
        seconds = found.seconds * exp2(-quiet / self.QUIET_SECONDS)
        return min(max(seconds, self._limits.ban_seconds), self._limits.ban_max_seconds)

    def _take(self, key: tuple[str, str], rate: float, burst: float, now: float) -> bool:
        tokens, at = self._buckets.get(key) or (burst, now)
        tokens = min(burst, tokens + (now - at) * rate)
        good = tokens >= 1
        self._buckets.put(key, (tokens - 1 if good else tokens, now))
        self.counters.too_many += not good
        return good


@lru_cache(1_024)
def _is_scanner(user_agent: str) -> bool:
    return SCANNERS.search(user_agent) is not None


def _inside(host: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return any(address in network for network in networks)
