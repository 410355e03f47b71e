from urllib.parse import quote

from edge.simulator.callbacks import KEPT_CALLBACKS, CallbackAnswer, CallbackLog


def log(changes: list[int] | None = None) -> CallbackLog:
    return CallbackLog(lambda: 5, lambda: None if changes is None else changes.append(1))


def test_a_call_is_kept_decoded_and_answered_ok() -> None:
    calls = log()
    text = "é€^{}[]~|\\ + & # % =\n👩🏽‍👧 مرحبا"
    assert calls.record(f"from=%2B12025550150&text={quote(text, safe='')}&empty=".encode()) == (200, b"ok")
    (call,) = calls.all()
    assert call.query == (("from", "+12025550150"), ("text", text), ("empty", ""))
    assert (call.number, call.at_ms, call.answered) == (1, 5, CallbackAnswer.OK)


def test_the_switch_changes_the_answer() -> None:
    changes: list[int] = []
    calls = log(changes)
    calls.answer = CallbackAnswer.NO
    status, body = calls.record(b"")
    assert status == 200
    assert body.strip().lower() != b"ok"
    calls.answer = CallbackAnswer.ERROR
    assert calls.record(b"")[0] == 500
    assert [call.answered for call in calls.all()] == [CallbackAnswer.ERROR, CallbackAnswer.NO]
    assert len(changes) == 4


def test_only_the_last_calls_are_kept_newest_first() -> None:
    calls = log()
    for number in range(KEPT_CALLBACKS + 5):
        calls.record(f"n={number}".encode())
    kept = calls.all()
    assert len(kept) == KEPT_CALLBACKS
    assert kept[0].query == (("n", str(KEPT_CALLBACKS + 4)),)


def test_octets_that_are_no_utf8_do_no_harm() -> None:
    calls = log()
    calls.record(b"text=%ff%fe&raw=\xff")
    assert [name for name, _ in calls.all()[0].query] == ["text", "raw"]
