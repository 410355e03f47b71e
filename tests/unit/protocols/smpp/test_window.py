"""The window: a slot for every request, and a way out for every slot."""

import pytest

from protocols.smpp.errors import WindowFull
from protocols.smpp.pdu import DeliverSmResp, GenericNack, SubmitSm, SubmitSmResp
from protocols.smpp.window import Window


def filled(window: Window, *sequences: int, now: float = 0.0) -> Window:
    for sequence in sequences:
        window.add(SubmitSm(sequence_number=sequence), f"context {sequence}", now)
    return window


def test_a_full_window_takes_no_more() -> None:
    window = filled(Window(2, 10.0, 5), 1, 2)
    assert (window.size, window.in_use, window.free) == (2, 2, 0)
    with pytest.raises(WindowFull):
        window.add(SubmitSm(sequence_number=3), None, 0.0)
    assert window.in_use == 2


@pytest.mark.parametrize("answer", [SubmitSmResp(sequence_number=1), GenericNack(sequence_number=1)])
def test_answers_free_their_slot(answer: SubmitSmResp | GenericNack) -> None:
    window = filled(Window(2, 10.0, 5), 1, 2)
    taken = window.take(answer)
    assert taken is not None
    assert (taken.context, taken.late, window.in_use) == ("context 1", False, 1)
    assert window.take(answer) is None


def test_answers_to_nothing_and_of_another_command() -> None:
    window = filled(Window(2, 10.0, 5), 1)
    assert window.take(SubmitSmResp(sequence_number=9)) is None
    assert window.take(DeliverSmResp(sequence_number=1)) is None
    assert window.in_use == 1


def test_expiry_frees_in_order_and_remembers() -> None:
    window = filled(Window(9, 10.0, 5), 1, 2)
    filled(window, 3, now=4.0)
    assert window.next_deadline() == 10.0
    assert list(window.expire(9.9)) == []
    assert [gone.request.sequence_number for gone in window.expire(10.0)] == [1, 2]
    assert window.next_deadline() == 14.0
    assert window.in_use == 1
    late = window.take(SubmitSmResp(sequence_number=2))
    assert late is not None
    assert late.late
    assert late.context == "context 2"
    assert window.take(SubmitSmResp(sequence_number=2)) is None


def test_the_memory_of_expired_requests_is_bounded() -> None:
    window = filled(Window(100, 1.0, 3), *range(1, 11))
    assert len(list(window.expire(1.0))) == 10
    answers = [window.take(SubmitSmResp(sequence_number=number)) for number in range(1, 11)]
    assert [answer is not None for answer in answers] == [False] * 7 + [True] * 3


def test_a_number_in_use_anew_forgets_its_old_request() -> None:
    window = filled(Window(2, 1.0, 5), 7)
    assert len(list(window.expire(1.0))) == 1
    window.add(SubmitSm(sequence_number=7), "new", 2.0)
    taken = window.take(SubmitSmResp(sequence_number=7))
    assert taken is not None
    assert (taken.context, taken.late) == ("new", False)
    assert window.take(SubmitSmResp(sequence_number=7)) is None


def test_postponed_deadlines() -> None:
    window = filled(Window(2, 10.0, 5), 1)
    window.postpone(5.0)
    assert window.next_deadline() == 15.0


def test_clear_gives_back_what_is_outstanding_and_forgets_the_rest() -> None:
    window = filled(Window(5, 10.0, 5), 1)
    list(window.expire(10.0))
    filled(window, 2, 3, now=11.0)
    assert [lost.context for lost in window.clear()] == ["context 2", "context 3"]
    assert (window.in_use, window.next_deadline()) == (0, None)
    assert window.take(SubmitSmResp(sequence_number=1)) is None
