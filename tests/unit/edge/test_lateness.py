"""How late the reactor is: a mean that one pause does not move far, and that goes down again."""

from twisted.internet.task import Clock

from edge.lateness import INTERVAL, Lateness


def late_by(clock: Clock, seconds: float, times: int) -> None:
    for _ in range(times):
        clock.advance(INTERVAL + seconds)


def test_it_follows_what_lasts() -> None:
    clock = Clock()
    lateness = Lateness(clock)
    lateness.start()
    late_by(clock, 0.0, 10)
    assert lateness.seconds < 0.001
    late_by(clock, 3_600.0, 1)
    assert lateness.seconds < 0.025
    late_by(clock, 0.08, 20)
    assert 0.07 < lateness.seconds < 0.09
    late_by(clock, 0.0, 20)
    assert lateness.seconds < 0.002


def test_it_ends() -> None:
    clock = Clock()
    lateness = Lateness(clock)
    lateness.start()
    late_by(clock, 0.08, 20)
    lateness.stop()
    assert (lateness.seconds, clock.getDelayedCalls()) == (0.0, [])
