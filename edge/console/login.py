"""Operators' passwords: hashes in the configuration, wrong ones wait longer and longer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool

from edge.passwords import NOBODY, verify
from edge.web.pages.backoff import Backoff

log = structlog.get_logger(__name__)

FREE_TRIES = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Was it the right password; if nobody looked, how long until somebody will."""

    right: bool
    wait_seconds: float = 0.0


class Login:
    """I know ``operators``: name → argon2 hash. I am for all connections: a new one forgets nothing."""

    def __init__(self, operators: Callable[[], Mapping[str, str]], reactor: Any) -> None:
        self._operators = operators
        self._reactor = reactor
        self._backoff = Backoff(FREE_TRIES, reactor.seconds)

    def check(self, name: str, password: str, where: str) -> Deferred[Verdict]:
        """Is it his password? Who has guessed wrong too often is refused for a while without a look.

        ``where`` ends with the port of the connection.
        """
        keys = (name, where.rpartition(":")[0])  # the port is another each time
        wait = max(map(self._backoff.wait, keys))
        if wait > 0:
            self._tell(name, where, "too many wrong passwords: wait")
            return succeed(Verdict(False, wait))
        for key in keys:
            self._backoff.failed(key)  # before the look, so that tries at the same moment count too
        hashed = self._operators().get(name, NOBODY)
        pool = self._reactor.getThreadPool()
        looked: Deferred[bool] = deferToThreadPool(self._reactor, pool, verify, hashed, password)
        return looked.addCallback(self._looked, name, where, keys)

    def _looked(self, right: bool, name: str, where: str, keys: tuple[str, str]) -> Verdict:
        if right:
            for key in keys:
                self._backoff.forget(key)
            log.info("console_login", operator=name, where=where)
        else:
            self._tell(name, where, "wrong password")
        return Verdict(right)

    def _tell(self, name: str, where: str, why: str) -> None:
        log.warning("console_login_refused", operator=name[:64], where=where, reason=why)
