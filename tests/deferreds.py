"""Deferreds looked at without a reactor: each of these fails the test at once when the state is another."""

from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


def success(deferred: Deferred[T]) -> T:
    """The result of a Deferred that has fired with one."""
    results: list[T] = []
    failures: list[Failure] = []
    deferred.addCallbacks(results.append, failures.append)
    if failures:
        raise AssertionError(f"it failed: {failures[0].getErrorMessage()}") from failures[0].value
    assert results, "it has not fired"
    return results[0]


def failure(deferred: Deferred[Any], *expected: type[E]) -> E:
    """The exception of a Deferred that has failed with one of these."""
    results: list[object] = []
    failures: list[Failure] = []
    deferred.addCallbacks(results.append, failures.append)
    assert not results, f"it succeeded with {results[0]!r}"
    assert failures, "it has not fired"
    error = failures[0].value
    assert isinstance(error, expected), f"it failed with {error!r}"
    return error


def pending(deferred: Deferred[Any]) -> None:
    """Nothing has come of it yet."""
    assert not deferred.called or deferred.paused, f"it has fired: {deferred!r}"
