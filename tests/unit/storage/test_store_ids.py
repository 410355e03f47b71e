"""Ids sort by time, never repeat, never go back."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.ids import EPOCH_MS, IdSource, lowest_at, time_of

NOW = EPOCH_MS + 50_000_000_000


class Wall:
    """A clock that is set by hand."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def test_an_id_is_time_then_node_then_sequence() -> None:
    ids = IdSource(5, Wall())
    assert [ids.next(), ids.next()] == [(NOW - EPOCH_MS) << 12 | 5 << 8, (NOW - EPOCH_MS) << 12 | 5 << 8 | 1]


def test_ids_grow_with_time() -> None:
    wall = Wall()
    ids = IdSource(0, wall)
    first = ids.next()
    wall.now += 1
    assert ids.next() == first + (1 << 12)


def test_the_257th_of_a_millisecond_borrows_from_the_next() -> None:
    ids = IdSource(1, Wall())
    made = [ids.next() for _ in range(257)]
    assert time_of(made[255]) == NOW
    assert time_of(made[256]) == NOW + 1
    assert made == sorted(set(made))


def test_a_clock_that_goes_back_changes_nothing() -> None:
    wall = Wall()
    ids = IdSource(0, wall)
    before = ids.next()
    wall.now -= 3_600_000
    after = [ids.next() for _ in range(1_000)]
    assert min(after) > before
    assert len(set(after)) == 1_000


def test_every_id_is_above_the_floor() -> None:
    floor = IdSource(15, Wall(NOW + 86_400_000)).next()
    assert IdSource(0, Wall(), floor).next() > floor
    ids = IdSource(0, Wall())
    ids.next()
    ids.raise_floor(floor)
    assert ids.next() > floor


def test_a_floor_in_the_past_holds_nobody_up() -> None:
    ids = IdSource(0, Wall(), (NOW - 1_000 - EPOCH_MS) << 12)
    assert time_of(ids.next()) == NOW


def test_a_row_is_found_by_its_date_even_if_its_id_is_a_little_older() -> None:
    identity = IdSource(0, Wall()).next()
    assert lowest_at(NOW) < identity
    assert lowest_at(NOW + 5_000) < identity
    assert lowest_at(NOW + 120_000) > identity
    assert lowest_at(0) == 0


def test_no_id_is_zero_even_before_the_epoch() -> None:
    ids = IdSource(0, Wall(0))
    assert ids.next() > 0


def test_ids_stay_exact_in_json_readers() -> None:
    assert IdSource(15, Wall(EPOCH_MS + (1 << 41) - 2)).next() < 2**53


def test_ids_of_two_nodes_never_meet() -> None:
    here, there = IdSource(0, Wall()), IdSource(1, Wall())
    assert not {here.next() for _ in range(600)} & {there.next() for _ in range(600)}


@pytest.mark.parametrize("node", [-1, 16])
def test_a_node_outside_0_to_15_is_refused(node: int) -> None:
    with pytest.raises(ValueError, match="0 to 15"):
        IdSource(node, Wall())


@given(st.lists(st.tuples(st.integers(-5_000, 5_000), st.integers(1, 300)), max_size=20))
def test_whatever_the_clock_does_ids_grow(steps: list[tuple[int, int]]) -> None:
    wall = Wall()
    ids = IdSource(3, wall)
    made = []
    for step, count in steps:
        wall.now += step
        made += [ids.next() for _ in range(count)]
    assert all(earlier < later for earlier, later in pairwise(made))
