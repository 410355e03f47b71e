"""Wall-clock time over steps of the machine's clock."""

from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from edge.wallclock import WallClock

START = 1_900_000_000_000
HOUR, DAY = 3_600, 86_400


class Machine:
    """Its clock may be set; the monotonic one may not."""

    def __init__(self) -> None:
        self.mono = 100.0
        self.stepped_ms = 0
        self.clock = WallClock(self.real, lambda: self.mono)

    def real(self) -> int:
        return START + round((self.mono - 100) * 1000) + self.stepped_ms

    def run(self, seconds: float, tick: float = 1.0) -> list[int]:
        """What the clock says at each tick."""
        said = []
        for _ in range(round(seconds / tick)):
            self.mono += tick
            said.append(self.clock())
        return said


def test_it_follows_the_machine() -> None:
    machine = Machine()
    assert machine.clock() == START
    machine.run(10)
    assert machine.clock() == START + 10_000
    machine.stepped_ms += 30  # as NTP does
    machine.run(1)
    assert machine.clock() == machine.real()
    machine.stepped_ms -= 30
    machine.run(1)
    assert machine.clock() == machine.real()


@pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY])
def test_a_step_is_no_jump_and_is_made_up_for(step: int) -> None:
    machine = Machine()
    machine.run(5)
    with capture_logs() as lines:
        before = machine.clock()
        machine.stepped_ms += step * 1000
        assert machine.clock() == before, "nothing is over because of it"
        said = [before, *machine.run(60)]
        steps = [later - earlier for earlier, later in pairwise(said)]
        assert all(500 <= each <= 2000 for each in steps), "time goes on, and no faster than it may"
        behind = (machine.real() - machine.clock()) / 1000
        assert behind == pytest.approx(step - 60 if step > 0 else step + 30, abs=1)
        machine.run(2.1 * abs(step), tick=60.0)
        assert machine.clock() == machine.real()
    assert [line["event"] for line in lines] == ["clock_stepped", "clock_caught_up"]
    assert lines[0]["seconds"] == step


def test_it_never_goes_back() -> None:
    machine = Machine()
    last = machine.clock()
    for step in (-5_000, 3_000, -1, 86_400_000, -172_800_000):
        machine.stepped_ms += step
        for now in machine.run(3, tick=0.1):
            assert now >= last
            last = now
