"""Several ways, begun one after the other: which wins, and what becomes of the others."""

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from edge.http.racing import Race
from tests.deferreds import failure, pending, success


class Course:
    """Three ways that the test ends; a `KeyError` is final."""

    def __init__(self, ways: int = 3) -> None:
        self.clock = Clock()
        self.begun: list[Deferred[str]] = []
        self.cancelled: list[int] = []
        self.unwanted: list[str] = []
        race = Race(
            [self.way] * ways,
            2.5,
            self.clock,
            self.unwanted.append,
            lambda failure: failure.check(KeyError) is not None,
        )
        self.result = race.run()

    def way(self) -> Deferred[str]:
        number = len(self.begun)
        self.begun.append(Deferred(lambda _: self.cancelled.append(number)))
        return self.begun[-1]


def test_the_next_begins_when_the_one_before_is_silent_and_the_first_that_succeeds_wins() -> None:
    course = Course()
    course.clock.advance(2.4)
    assert len(course.begun) == 1
    course.clock.advance(0.1)
    assert len(course.begun) == 2
    course.begun[1].callback("second")
    assert success(course.result) == "second"
    assert course.cancelled == [0]
    course.clock.advance(10.0)
    assert len(course.begun) == 2


def test_the_next_begins_at_once_when_all_before_have_failed() -> None:
    course = Course()
    course.begun[0].errback(OSError("refused"))
    assert len(course.begun) == 2
    course.clock.advance(2.5)
    assert len(course.begun) == 3
    course.begun[1].errback(OSError("refused"))
    pending(course.result)
    course.begun[2].callback("third")
    assert success(course.result) == "third"


def test_when_all_fail_it_is_the_last_ones_failure() -> None:
    course = Course(2)
    course.begun[0].errback(OSError("the first"))
    course.begun[1].errback(OSError("the last"))
    assert str(failure(course.result, OSError)) == "the last"


def test_a_final_failure_ends_it() -> None:
    course = Course()
    course.begun[0].errback(KeyError("refused by us"))
    failure(course.result, KeyError)
    course.clock.advance(10.0)
    assert len(course.begun) == 1


def test_what_comes_of_a_loser_all_the_same_is_given_up() -> None:
    course = Course()
    course.clock.advance(2.5)
    first = course.begun[0]
    first._canceller = lambda _: None if first.called else first.callback("late")
    course.begun[1].callback("second")
    assert (success(course.result), course.unwanted) == ("second", ["late"])


def test_who_waits_for_it_can_cancel_it_all() -> None:
    course = Course()
    course.clock.advance(2.5)
    course.result.cancel()
    failure(course.result, CancelledError)
    assert course.cancelled == [0, 1]
    course.clock.advance(10.0)
    assert len(course.begun) == 2
    assert course.clock.getDelayedCalls() == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_failures_in_any_order(order: tuple[int, int]) -> None:
    course = Course(2)
    course.clock.advance(2.5)
    for number in order:
        course.begun[number].errback(Failure(OSError(str(number))))
    assert str(failure(course.result, OSError)) == str(order[-1])
