"""Equal octets are a repeat only when an answer may have been lost."""

from edge.repeats import (
    ANSWER_AT_RISK_MS,
    MAX_DOUBTS,
    REMEMBERED,
    RESEND_WITHIN_MS,
    Repeats,
    Seen,
    fingerprint,
)
from protocols.sms import Concatenation
from tests.deferreds import success

YES = fingerprint("+1", "+2", 0, 0, b"yes")
HOURS_MS = 10 * 3_600_000


def stored(repeats: Repeats, seen: Seen) -> Seen:
    """An MO that came and was committed."""
    repeats.expect(seen)
    repeats.committed(seen)
    return seen


def original(repeats: Repeats, now_ms: int, mark: bytes = YES) -> int | None:
    found = repeats.original(mark, now_ms)
    return None if found is None else found.message_id


def test_the_same_text_twice_is_two_texts_while_the_link_lives() -> None:
    repeats = Repeats()
    stored(repeats, Seen(1, YES, 1000))
    assert original(repeats, 1001) is None


def test_after_a_lost_link_each_copy_answers_for_one_repeat() -> None:
    repeats = Repeats()
    stored(repeats, Seen(1, YES, 1000))
    repeats.link_lost("", 1500)
    repeats.bind_up(2000)
    assert original(repeats, 2001) == 1
    assert original(repeats, 2002) is None
    assert len(repeats) == 0


def test_only_what_came_on_the_lost_link_is_at_risk() -> None:
    repeats = Repeats()
    stored(repeats, Seen(1, YES, 1000, "a"))
    repeats.link_lost("b", 1500)
    assert original(repeats, 2001) is None
    repeats.link_lost("a", 1500)
    assert original(repeats, 2001) == 1


def test_a_link_that_ended_in_order_leaves_nothing_in_doubt() -> None:
    repeats = Repeats()
    stored(repeats, Seen(1, YES, 1000, "a"))
    stored(repeats, Seen(2, YES, 1000, "b"))
    assert [seen.message_id for seen in repeats.link_ended("a")] == [1]
    repeats.link_lost("a", 1500)
    assert original(repeats, 1501) is None
    repeats.link_lost("b", 1500)
    assert original(repeats, 1501) == 2


def test_an_answer_that_was_old_when_the_link_went_had_arrived() -> None:
    repeats = Repeats()
    stored(repeats, Seen(1, YES, 1000))
    repeats.link_lost("", 1001 + ANSWER_AT_RISK_MS)
    assert original(repeats, 1002 + ANSWER_AT_RISK_MS) is None


def test_the_smscs_second_try_may_come_after_a_long_outage_but_not_long_after_the_bind() -> None:
    repeats = Repeats()
    stored(repeats, Seen(1, YES, 0))
    stored(repeats, Seen(2, YES, 0))
    repeats.link_lost("", 1)
    repeats.bind_up(HOURS_MS)
    assert original(repeats, HOURS_MS + RESEND_WITHIN_MS) == 1
    assert original(repeats, HOURS_MS + RESEND_WITHIN_MS + 1) is None


def test_another_lost_link_does_not_make_an_old_doubt_young() -> None:
    repeats = Repeats()
    stored(repeats, Seen(1, YES, 0))
    repeats.link_lost("", 1)
    repeats.bind_up(2)
    repeats.link_lost("", HOURS_MS)
    repeats.bind_up(HOURS_MS)
    assert original(repeats, HOURS_MS + 1) is None
    assert len(repeats) == 0


def test_a_copy_that_was_not_stored_is_nobodys_original() -> None:
    repeats = Repeats()
    before, after = Seen(1, YES, 0), Seen(2, YES, 0)
    repeats.expect(before)
    repeats.failed(before)
    repeats.expect(after)
    repeats.link_lost("", 1)
    repeats.failed(after)
    assert original(repeats, 2) is None


def test_the_fate_of_a_copy_that_is_on_its_way_is_awaited() -> None:
    for ending, answer in (("committed", True), ("failed", False)):
        repeats = Repeats()
        seen = Seen(1, YES, 0)
        repeats.expect(seen)
        repeats.link_lost("", 1)
        found = repeats.original(YES, 2)
        assert found == seen
        known = repeats.settled(seen)
        assert not known.called
        getattr(repeats, ending)(seen)
        assert success(known) is answer
    assert success(repeats.settled(stored(repeats, Seen(3, YES, 0)))) is True


def test_after_a_restart_the_store_says_what_was_at_risk() -> None:
    repeats = Repeats()
    repeats.restarted([Seen(5, YES, 0)])
    assert original(repeats, 10) == 5


def test_any_difference_makes_another_fingerprint() -> None:
    base = ("+1", "+2", 0, 0, b"yes", Concatenation(7, 3, 1, "sar"))
    variants = [
        ("+3", *base[1:]),
        ("+1", "+3", *base[2:]),
        (*base[:2], 1, *base[3:]),
        (*base[:3], 8, *base[4:]),
        (*base[:4], b"no", base[5]),
        (*base[:5], Concatenation(9, 3, 1, "sar")),
        (*base[:5], Concatenation(7, 9, 1, "sar")),
        (*base[:5], Concatenation(7, 3, 9, "sar")),
        (*base[:5], base[5]._replace(kind="udh8")),
        (*base[:5], None),
    ]
    marks = {fingerprint(*variant) for variant in [base, *variants]}
    assert len(marks) == len(variants) + 1
    assert all(len(mark) == 16 for mark in marks)


def test_memory_is_bounded() -> None:
    repeats = Repeats()
    for number in range(REMEMBERED + 5):
        stored(repeats, Seen(number, number.to_bytes(16, "big"), 0))
    repeats.link_lost("", 0)
    assert original(repeats, 1, (4).to_bytes(16, "big")) is None
    assert original(repeats, 1, (5).to_bytes(16, "big")) == 5
    repeats.restarted(Seen(number, YES, 0) for number in range(10_000, 10_000 + MAX_DOUBTS + 5))
    assert len(repeats) == MAX_DOUBTS
