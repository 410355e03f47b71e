"""Concatenation references count per pair of numbers."""

from edge.references import REMEMBERED_PAIRS, References


def test_each_pair_counts_on_from_its_own_start_and_wraps() -> None:
    starts = iter([0xFFFE, 7])
    references = References(lambda: next(starts))
    assert [references.next("a", "b") for _ in range(3)] == [0xFFFE, 0xFFFF, 0]
    assert references.next("a", "c") == 7
    assert references.next("a", "b") == 1


def test_only_so_many_pairs_are_remembered_the_least_used_go() -> None:
    references = References(lambda: 0)
    for number in range(REMEMBERED_PAIRS):
        references.next("a", str(number))
    assert references.next("a", "0") == 1
    references.next("a", "one more")
    assert references.next("a", "0") == 2
    assert references.next("a", "1") == 0
