from twisted.internet.task import Clock

from edge.simulator.delay import DelayLine, Every


def test_functions_are_called_in_order_after_the_delay() -> None:
    clock, called = Clock(), list[str]()
    line = DelayLine(clock, 2.0)
    line.put(lambda: called.append("a"))
    clock.advance(1.0)
    line.put(lambda: called.append("b"))
    clock.advance(0.9)
    assert called == []
    clock.advance(0.1)
    assert called == ["a"]
    clock.advance(1.0)
    assert called == ["a", "b"]
    assert clock.getDelayedCalls() == []


def test_no_delay_calls_at_once() -> None:
    called: list[str] = []
    DelayLine(Clock(), 0).put(lambda: called.append("a"))
    assert called == ["a"]


def test_a_function_may_put_itself_again() -> None:
    clock, called = Clock(), list[float]()
    line = DelayLine(clock, 1.0)

    def again() -> None:
        called.append(clock.seconds())
        if len(called) < 3:
            line.put(again)

    line.put(again)
    clock.pump([1.0, 1.0, 1.0, 1.0])
    assert called == [1.0, 2.0, 3.0]
    assert clock.getDelayedCalls() == []


def test_clear_forgets_and_leaves_no_timer() -> None:
    clock, called = Clock(), list[str]()
    line = DelayLine(clock, 1.0)
    line.put(lambda: called.append("a"))
    line.clear()
    assert len(line) == 0
    assert clock.getDelayedCalls() == []


def test_every_third_is_hit() -> None:
    every = Every(3)
    assert [every.hit() for _ in range(6)] == [False, False, True, False, False, True]


def test_zero_hits_never() -> None:
    every = Every(0)
    assert not any(every.hit() for _ in range(10))
