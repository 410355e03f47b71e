"""What may take so long at the end is told when it took longer."""

from typing import Any

import pytest
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.internet.task import Clock

from edge.ending import at_most
from tests.deferreds import pending, success


def alone() -> tuple[Deferred[Any], Deferred[Any]]:
    never: Deferred[Any] = Deferred()
    return never, never


def in_a_list() -> tuple[Deferred[Any], Deferred[Any]]:
    """Which, cancelled, fires as if it were done."""
    never: Deferred[Any] = Deferred()
    return DeferredList([succeed(None), never], consumeErrors=True), never


@pytest.mark.parametrize("made", [alone, in_a_list])
def test_what_is_not_over_in_time_is_told(made: Any) -> None:
    clock = Clock()
    ended = at_most(made()[0], 20.0, clock)
    clock.advance(19.9)
    pending(ended)
    with capture_logs() as lines:
        clock.advance(0.2)
    success(ended)
    assert [(line["event"], line["error"]) for line in lines] == [("drain_incomplete", "not over after 20 s")]


@pytest.mark.parametrize("made", [alone, in_a_list])
def test_nothing_is_told_of_what_is_over_in_time(made: Any) -> None:
    clock = Clock()
    work, done = made()
    ended = at_most(work, 20.0, clock)
    with capture_logs() as lines:
        done.callback(None)
        clock.advance(30.0)
    success(ended)
    assert lines == []
    assert not clock.getDelayedCalls()


def test_what_fails_is_told_and_holds_nothing_up() -> None:
    with capture_logs() as lines:
        success(at_most(fail(ZeroDivisionError("by nothing")), 20.0, Clock()))
    assert [(line["event"], line["error"]) for line in lines] == [("drain_incomplete", "by nothing")]
