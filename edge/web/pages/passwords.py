"""Passwords are verified off the reactor, a few at a time; whoever comes when many wait is sent away."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, fail
from twisted.internet.threads import deferToThreadPool

from edge.errors import Unavailable
from edge.passwords import MAX_CHARACTERS, NOBODY, hash_password, verify

AT_ONCE = 2
WAITING = 16
RETRY_SECONDS = 5.0

InThread = Callable[[Callable[[], Any]], Deferred[Any]]
Verify = Callable[[str, str], bool]


def in_reactor_threads(reactor: Any) -> InThread:
    """Run in the reactor's own pool."""

    def run(fn: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), fn)

    return run


class PasswordChecker:
    """I verify at most AT_ONCE passwords at a time and let WAITING more wait.

    ``verify(hash, password)`` is called in a thread.
    """

    def __init__(self, in_thread: InThread, verify: Verify = verify) -> None:
        self._in_thread = in_thread
        self._verify = verify
        self._turns = DeferredSemaphore(AT_ONCE)

    def check(self, password_hash: str | None, password: str) -> Deferred[bool]:
        """Is it the password? Without a hash (nobody has this login) it takes as long, and is not.

        Errback Unavailable when too many wait.
        """
        candidate = password if len(password) <= MAX_CHARACTERS else ""
        return self._turn(lambda: self._verify(password_hash or NOBODY, candidate))

    def hash(self, password: str) -> Deferred[str]:
        """What is to be kept of a new password. Errback Unavailable, ValueError (see `edge.passwords`)."""
        return self._turn(lambda: hash_password(password))

    def _turn(self, fn: Callable[[], Any]) -> Deferred[Any]:
        if len(self._turns.waiting) >= WAITING:
            return fail(Unavailable("Many people are logging in just now; try again.", RETRY_SECONDS))
        return self._turns.run(self._in_thread, fn)
