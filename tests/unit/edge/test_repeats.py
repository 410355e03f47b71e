"""Equal octets are a repeat only when an answer may have been lost."""

from edge.repeats import ANSWER_AT_RISK_MS, REMEMBERED, RESEND_WITHIN_MS, Repeats, Seen, fingerprint

YES = fingerprint("+1", "+2", 0, 0, b"yes")


def test_the_same_text_twice_is_two_texts_while_the_link_lives() -> None:
    repeats = Repeats()
    repeats.remember(Seen(1, YES, 1000))
    assert repeats.original(YES, 1001) is None


def test_after_a_lost_link_each_copy_answers_for_one_repeat() -> None:
    repeats = Repeats()
    repeats.remember(Seen(1, YES, 1000))
    repeats.link_lost("", 1500)
    repeats.bind_up(2000)
    assert repeats.original(YES, 2001) == 1
    assert repeats.original(YES, 2002) is None


def test_an_answer_that_was_old_when_the_link_went_had_arrived() -> None:
    repeats = Repeats()
    repeats.remember(Seen(1, YES, 1000))
    repeats.link_lost("", 1001 + ANSWER_AT_RISK_MS)
    assert repeats.original(YES, 1002 + ANSWER_AT_RISK_MS) is None


def test_the_smscs_second_try_may_come_after_a_long_outage_but_not_long_after_the_bind() -> None:
    repeats = Repeats()
    repeats.remember(Seen(1, YES, 0))
    repeats.remember(Seen(2, YES, 0))
    repeats.link_lost("", 1)
    hours = 10 * 3_600_000
    repeats.bind_up(hours)
    assert repeats.original(YES, hours + RESEND_WITHIN_MS) == 1
    assert repeats.original(YES, hours + RESEND_WITHIN_MS + 1) is None


def test_after_a_restart_the_store_says_what_was_at_risk() -> None:
    repeats = Repeats()
    repeats.restarted([Seen(5, YES, 0)])
    assert repeats.original(YES, 10) == 5


def test_any_difference_makes_another_fingerprint() -> None:
    base = ("+1", "+2", 0, 0, b"yes")
    variants = [
        ("+3", *base[1:]),
        ("+1", "+3", *base[2:]),
        (*base[:2], 1, 0, b"yes"),
        (*base[:3], 8, b"yes"),
        (*base[:4], b"no"),
    ]
    marks = {fingerprint(*variant) for variant in [base, *variants]}
    assert len(marks) == 6
    assert all(len(mark) == 16 for mark in marks)


def test_memory_is_bounded() -> None:
    repeats = Repeats()
    for number in range(REMEMBERED + 5):
        repeats.remember(Seen(number, number.to_bytes(16, "big"), 0))
    repeats.link_lost("", 0)
    assert repeats.original((4).to_bytes(16, "big"), 1) is None
    assert repeats.original((5).to_bytes(16, "big"), 1) == 5
