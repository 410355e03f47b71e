"""Long MO messages: any order, repetitions, two senders, a reference used again, parts that never come."""

import itertools
import random

from edge.assembly import Assembly, Whole
from storage.records import InboundPartRecord

IDS = itertools.count(1)


def part(
    number: int,
    total: int = 3,
    *,
    source: str = "+1",
    reference: int = 7,
    text: bytes | None = None,
    at: int = 0,
) -> InboundPartRecord:
    octets = b"%d/%d" % (number, total) if text is None else text
    return InboundPartRecord(
        next(IDS), "up", source, "+2", "udh8", reference, total, number, 0x40, 0, octets, at
    )


def numbers(whole: Whole | None) -> list[int]:
    assert whole is not None
    return [item.number for item in whole.parts]


def test_every_order_completes_with_the_last_part_whichever_it_is() -> None:
    for order in itertools.permutations([1, 2, 3]):
        assembly = Assembly()
        added = [assembly.add(part(number)) for number in order]
        assert [item.whole for item in added[:2]] == [None, None]
        assert numbers(added[2].whole) == [1, 2, 3]
        assert not assembly.overdue(10**12, 60)


def test_an_equal_part_again_is_a_repetition() -> None:
    assembly = Assembly()
    assembly.add(part(1))
    assert assembly.add(part(1)).repeated
    assembly.add(part(2))
    assert numbers(assembly.add(part(3)).whole) == [1, 2, 3]


def test_a_different_part_in_a_taken_place_starts_another_message() -> None:
    assembly = Assembly()
    assembly.add(part(1, 2, text=b"old 1"))
    assembly.add(part(1, 2, text=b"new 1"))
    first = assembly.add(part(2, 2, text=b"new 2")).whole
    second = assembly.add(part(2, 2, text=b"old 2")).whole
    assert first is not None
    assert second is not None
    assert [item.user_data for item in first.parts] == [b"new 1", b"new 2"]
    assert [item.user_data for item in second.parts] == [b"old 1", b"old 2"]


def test_senders_totals_and_kinds_do_not_mix() -> None:
    assembly = Assembly()
    others = [part(1, 2, source="+9"), part(1, 3), part(1, 2, reference=8), part(1, 2)._replace(kind="sar")]
    for other in others:
        assert assembly.add(other).whole is None
    assert assembly.add(part(1, 2)).whole is None
    assert numbers(assembly.add(part(2, 2)).whole) == [1, 2]


def test_what_waits_too_long_comes_out_as_it_is_once() -> None:
    assembly = Assembly()
    assembly.add(part(3, at=1_000))
    assembly.add(part(1, at=50_000))
    assert assembly.overdue(60_999, 60) == []
    (late,) = assembly.overdue(61_000, 60)
    assert numbers(late) == [1, 3]
    assert not late.complete
    assert assembly.overdue(10**12, 60) == []
    assembly.put_back(late)
    assert numbers(assembly.overdue(61_000, 60)[0]) == [1, 3]


def test_a_part_that_was_not_stored_is_as_if_it_had_not_come() -> None:
    assembly = Assembly()
    first, second = part(1, 2), part(2, 2)
    assembly.add(first)
    assembly.forget(first)
    assert assembly.add(second).whole is None
    again = part(1, 2)
    whole = assembly.add(again).whole
    assert numbers(whole) == [1, 2]
    assembly.forget(again, whole)
    assert numbers(assembly.add(part(1, 2)).whole) == [1, 2]


def test_a_single_part_that_calls_itself_one_of_one_is_whole_and_forgotten_without_trace() -> None:
    assembly = Assembly()
    only = part(1, 1)
    whole = assembly.add(only).whole
    assert numbers(whole) == [1]
    assembly.forget(only, whole)
    assert assembly.overdue(10**12, 60) == []


def test_after_a_restart_the_parts_of_the_store_wait_again() -> None:
    assembly = Assembly()
    assert assembly.restore([part(2), part(3)]) == []
    assert numbers(assembly.add(part(1)).whole) == [1, 2, 3]


def test_many_messages_at_once_in_any_order_with_repetitions_all_come_out_whole() -> None:
    chance = random.Random(1)
    assembly = Assembly()
    parts = [
        part(number, 4, reference=reference, text=b"%d-%d" % (reference, number))
        for reference in range(50)
        for number in (1, 2, 3, 4, *chance.choices([1, 2, 3, 4], k=2))
    ]
    chance.shuffle(parts)
    wholes = [added.whole for item in parts if (added := assembly.add(item)).whole is not None]
    assert {whole.parts[0].reference for whole in wholes} == set(range(50))
    for whole in wholes:
        assert [item.user_data for item in whole.parts] == [
            b"%d-%d" % (whole.parts[0].reference, n) for n in (1, 2, 3, 4)
        ]
