"""The URL callback: what counts as `ok`, when it is tried again, and what it tells."""

from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from edge.handlers import Delivered, Failed, Job, Retry
from edge.handlers.base import CallbackTimes
from edge.handlers.callback import OK_OCTETS, CallbackHandler, plain, says_ok, variables
from edge.handlers.template import parse
from edge.http.answer import Answer
from edge.http.errors import NoAnswer, URLRefused
from storage.records import DeliveryRecord, DeliveryState, MessageRecord
from tests.deferreds import success

AT = 1_769_860_800_000  # 2026-01-31T12:00:00Z
URL = "http://example.org/in?id={ID}&at={TIMESTAMP}&from={FROM}&to={TO}&text={MESSAGE}"


class Page:
    """Answers each GET from a list."""

    def __init__(self, *answers: Answer | NoAnswer) -> None:
        self.urls: list[str] = []
        self._answers = list(answers)

    def get(self, url: str) -> Deferred[Answer]:
        self.urls.append(url)
        answer = self._answers.pop(0)
        return fail(answer) if isinstance(answer, NoAnswer) else succeed(answer)


def message(text: str = "hi") -> MessageRecord:
    return MessageRecord(77, 1, 2, "mo", "smpp", "+12025550100", "+447911123456", text, "up", AT, 1)


def deliver(
    page: Page, *, retry: bool = True, url: str = URL, text: str = "hi", age: float = 0.0, attempt: int = 1
) -> Any:
    handler = CallbackHandler(page, CallbackTimes(), Random(1), lambda: AT + round(age * 1000))  # type: ignore[arg-type]
    delivery = DeliveryRecord(5, 77, 1, 2, "callback", url, DeliveryState.PENDING, attempt - 1, AT, AT, AT)
    return success(handler.deliver(Job(delivery, message(text), attempt, {"url": url, "retry": retry})))


def answer(body: bytes, status: int = 200) -> Answer:
    return Answer(status, body, cut=False)


@pytest.mark.parametrize("body", [b"ok", b"OK", b"Ok\n", b" ok \r\n", b"\tOK", b"\xef\xbb\xbfok\r\n"])
def test_ok_in_any_case_with_space_around_it(body: bytes) -> None:
    assert says_ok(answer(body))
    assert isinstance(deliver(Page(answer(body))), Delivered)


@pytest.mark.parametrize(
    "refused",
    [
        answer(b""),
        answer(b"okay"),
        answer(b"not ok"),
        answer(b"ok", 500),
        answer(b"ok", 302),
        answer(b" " * OK_OCTETS + b"ok"),
    ],
)
def test_anything_else_is_not(refused: Answer) -> None:
    outcome = deliver(Page(refused))
    assert isinstance(outcome, Retry)
    assert outcome.status_code == refused.status


def test_the_next_try_is_in_thirty_minutes_more_or_less() -> None:
    waits = [deliver(Page(NoAnswer("timeout", "…"))).after for _ in range(50)]
    assert all(0.9 * 1800 <= wait <= 1.1 * 1800 for wait in waits)
    handler = CallbackHandler(None, CallbackTimes(), Random(2), lambda: AT)  # type: ignore[arg-type]
    job = Job(
        DeliveryRecord(5, 77, 1, 2, "callback", URL, DeliveryState.PENDING, 0, AT, AT, AT),
        message(),
        1,
        {"retry": True},
    )
    spread = {round(handler._again(job, "x", None, "").after) for _ in range(50)}  # type: ignore[union-attr]
    assert len(spread) > 10


def test_without_retry_there_is_one_attempt() -> None:
    assert deliver(Page(answer(b"no")), retry=False) == Failed("not_ok", 200, "no")


def test_after_a_week_it_gives_up() -> None:
    week = 7 * 86400
    assert isinstance(deliver(Page(answer(b"no")), age=week - 3 * 1800), Retry)
    assert deliver(Page(answer(b"no")), age=week) == Failed("gave_up", 200, "no")


def test_the_reason_of_silence_is_kept() -> None:
    outcome = deliver(Page(NoAnswer("connection_refused", "nobody there")))
    assert (outcome.outcome, outcome.status_code, outcome.excerpt) == (
        "connection_refused",
        None,
        "nobody there",
    )


def test_two_hundred_characters_of_the_answer_are_kept_whatever_they_are() -> None:
    outcome = deliver(Page(answer("é".encode() * 300)))
    assert outcome.excerpt == "é" * 200
    assert deliver(Page(answer(b"\xff\xfe"))).excerpt == "\ufffd\ufffd"


def test_all_five_variables_arrive() -> None:
    page = Page(answer(b"ok"))
    deliver(page, text="+ & # % = é€\n😀")
    assert page.urls == [
        "http://example.org/in?id=77&at=2026-01-31%2012%3A00%3A00&from=447911123456&to=2025550100"
        "&text=%2B%20%26%20%23%20%25%20%3D%20%C3%A9%E2%82%AC%0A%F0%9F%98%80"
    ]


def test_time_is_the_wall_clock_of_the_configured_zone() -> None:
    assert (
        variables(parse(URL), message(), 1, {}, ZoneInfo("America/New_York"))["TIMESTAMP"]
        == "2026-01-31 07:00:00"
    )


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+12025550100", "2025550100"),
        ("+447911123456", "447911123456"),
        ("12345", "12345"),
        ("ACME", "ACME"),
        ("+1202", "1202"),
    ],
)
def test_numbers_are_shown_as_pages_know_them(number: str, shown: str) -> None:
    assert plain(number) == shown


def test_a_url_that_may_not_be_asked_is_the_end() -> None:
    assert deliver(Page(URLRefused("the port 25 is not one that may be called"))) == Failed(
        "url_refused", excerpt="the port 25 is not one that may be called"
    )
    assert isinstance(deliver(Page(NoAnswer("address_refused", "…"))), Retry)


def test_a_template_that_cannot_be_filled_fails_with_the_reason() -> None:
    outcome = deliver(Page(), url="http://example.org/{NOBODY}")
    assert isinstance(outcome, Failed)
    assert outcome.outcome == "bad_template"
