"""The length of a turn: it counts work, not waiting, and begins anew with each turn."""

from twisted.internet.task import Clock

from edge.turn import Turn


def test_work_counts_until_the_turn_is_over() -> None:
    clock, worked = Clock(), [5.0]
    turn = Turn(clock, lambda: worked[0])
    assert turn.spent() == 0.0
    worked[0] += 0.25
    assert turn.spent() == 0.25
    worked[0] += 0.25
    assert turn.spent() == 0.5
    clock.advance(0)
    worked[0] += 1.0
    assert turn.spent() == 0.0
    worked[0] += 0.125
    assert turn.spent() == 0.125
