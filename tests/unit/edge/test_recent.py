"""A table that forgets the oldest."""

from edge.recent import Recent


def test_it_forgets_what_was_put_longest_ago() -> None:
    table = Recent[str, int](2)
    for number, key in enumerate("abac"):
        table.put(key, number)
    assert list(table.items()) == [("a", 2), ("c", 3)]
    assert len(table) == 2
    assert ("b" in table, table.get("b"), "c" in table) == (False, None, True)


def test_what_is_dropped_is_gone_and_what_is_not_there_may_be_dropped() -> None:
    table = Recent[str, int](2)
    table.put("a", 1)
    for key, _ in table.items():
        table.drop(key)
        table.drop(key)
    assert len(table) == 0
