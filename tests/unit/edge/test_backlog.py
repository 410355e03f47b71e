"""The part of a queue that is in memory: nothing twice, nothing forgotten, never more than the limit."""

import random

from edge.backlog import Backlog


def backlog(limit: int = 4) -> Backlog[int]:
    queue: Backlog[int] = Backlog(limit, lambda work: work)
    assert queue.begin_look()
    queue.end_look((), complete=True)
    return queue


def put(queue: Backlog[int], *work: int) -> None:
    queue.expect(work)
    for item in work:
        queue.put(item)


def test_the_oldest_leaves_first_and_what_comes_back_goes_to_its_place() -> None:
    queue = backlog()
    put(queue, 3, 1, 2)
    first = queue.take()
    assert first == 1
    queue.put(first)
    assert [queue.take() for _ in range(3)] == [1, 2, 3]


def test_at_the_start_the_table_may_hold_more() -> None:
    queue: Backlog[int] = Backlog(4, lambda work: work)
    assert queue.overflowed
    assert queue.begin_look()
    queue.end_look([1, 2], complete=False)
    assert queue.begin_look()
    queue.end_look([1, 2], complete=True)
    assert (queue.overflowed, len(queue)) == (False, 2)


def test_more_than_the_limit_is_left_to_the_table_and_found_there() -> None:
    queue = backlog(2)
    put(queue, 1, 2, 3)
    assert len(queue) == 2
    assert queue.overflowed
    assert [queue.take(), queue.take()] == [1, 2]
    assert queue.begin_look()
    queue.end_look([1, 2, 3], complete=True)
    assert queue.take() == 3
    assert len(queue) == 0


def test_a_look_never_takes_what_is_expected() -> None:
    queue = backlog()
    queue.expect([7])
    assert queue.begin_look()
    queue.end_look([7], complete=True)
    assert len(queue) == 0


def test_what_ends_during_a_look_is_not_taken_from_its_stale_answer() -> None:
    queue = backlog()
    put(queue, 1)
    assert queue.begin_look()
    queue.done(queue.take())
    queue.end_look([1], complete=True)
    assert len(queue) == 0


def test_what_ended_before_a_look_and_is_in_the_table_again_is_taken() -> None:
    queue = backlog()
    put(queue, 1)
    queue.done(queue.take())
    assert queue.begin_look()
    queue.end_look([1], complete=True)
    assert queue.take() == 1


def test_one_look_at_a_time_and_none_while_memory_is_well_filled() -> None:
    queue = backlog(4)
    assert queue.begin_look()
    assert not queue.begin_look()
    queue.end_look((), complete=True)
    put(queue, 1, 2, 3)
    assert not queue.begin_look()


def test_any_order_of_events_hands_out_each_thing_once() -> None:
    """A table, commits, looks whose answers are late, and workers, in random order."""
    for seed in range(200):
        chance = random.Random(seed)
        queue: Backlog[int] = Backlog(3, lambda work: work)
        table: set[int] = set()
        worked: list[int] = []
        busy: list[int] = []
        answer: list[int] | None = None
        fresh = iter(range(1, 30))
        for _ in range(400):
            match chance.randrange(5):
                case 0:
                    for item in [next(fresh, 0)]:
                        if item:
                            queue.expect([item])
                            table.add(item)
                            queue.put(item)
                case 1 if answer is None and queue.begin_look():
                    answer = sorted(table)
                case 2 if answer is not None:
                    queue.end_look(answer, complete=True)
                    answer = None
                case 3 if len(queue):
                    busy.append(queue.take())
                    worked.append(busy[-1])
                case 4 if busy:
                    done = busy.pop()
                    table.discard(done)
                    queue.done(done)
        assert len(worked) == len(set(worked)), seed
