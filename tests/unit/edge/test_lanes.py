"""The order within a message."""

import pytest

from edge import lanes as module
from edge.lanes import Lanes
from storage.parts import QueuedPart
from tests.samples import DID, PEER, mt, part_of


def queued(total: int) -> list[QueuedPart]:
    message = mt(parts_total=total)
    return [
        QueuedPart(part_of(message, number=number, total=total), 1, DID, PEER)
        for number in range(1, total + 1)
    ]


def test_one_part_of_a_message_at_a_time() -> None:
    lanes = Lanes()
    one, other = queued(3), queued(2)
    assert lanes.enter(one[0])
    assert not lanes.enter(one[1])
    assert not lanes.enter(one[2])
    assert lanes.enter(other[0])
    assert lanes.leave(one[0]) == one[1:]
    assert lanes.enter(one[1])
    assert lanes.leave(other[0]) == []


def test_a_message_of_one_part_has_no_lane() -> None:
    lanes = Lanes()
    (only,) = queued(1)
    assert lanes.enter(only)
    assert lanes.enter(only)
    assert lanes.leave(only) == []


def test_what_is_held_can_be_left_to_others_while_the_part_ahead_is_on_its_way() -> None:
    lanes = Lanes()
    parts = queued(2)
    lanes.enter(parts[0])
    lanes.enter(parts[1])
    assert lanes.clear() == [parts[1]]
    assert not lanes.enter(parts[1])
    assert lanes.leave(parts[0]) == [parts[1]]


def test_messages_and_parts_can_be_barred_and_the_oldest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    lanes = Lanes()
    one, other, third = queued(2), queued(2), queued(2)
    assert not lanes.barred(one[0])
    lanes.bar(one[0].part.message_id)
    lanes.bar(other[1].part.id)
    assert [lanes.barred(item) for item in (*one, *other)] == [True, True, False, True]
    lanes.bar(third[0].part.id)
    assert [lanes.barred(item) for item in (*one, *other)] == [False, False, False, True]
