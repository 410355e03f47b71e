"""Webhooks and status callbacks: what is posted, when it is tried again, when an endpoint is paused."""

import json
from dataclasses import replace
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred, fail, succeed

from edge.handlers import EXCERPT_CHARACTERS, Delivered, Failed, Job, Retry
from edge.handlers.endpoints import Endpoints
from edge.handlers.posting import WAITS, Poster, retry_after
from edge.handlers.status import StatusHandler
from edge.handlers.webhook import WebhookHandler
from edge.http.answer import Answer
from edge.http.connection import MAX_BODY_OCTETS
from edge.http.errors import NoAnswer
from storage import endpoints, events, messages
from storage.endpoints import Endpoint, EndpointRecord
from storage.records import DeliveryRecord, DeliveryState, Did, HandlerSetting, PartState
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import PEER, Time, part_of, record

URL = "https://example.net/hook?token=x"
DAY = 86_400.0


class Hook:
    """Answers each POST as it is told to."""

    def __init__(self) -> None:
        self.answer: Answer | NoAnswer = Answer(200, b"", cut=False)
        self.posts: list[tuple[str, Any, dict[str, str]]] = []

    def post_json(self, url: str, body: bytes, headers: dict[str, str]) -> Deferred[Answer]:
        self.posts.append((url, json.loads(body), headers))
        return fail(self.answer) if isinstance(self.answer, NoAnswer) else succeed(self.answer)


class Rig:
    """Both handlers on a store with a clock that stands still."""

    def __init__(self, store: InlineStore, time: Time, did: Did) -> None:
        self.store, self.time, self.did = store, time, did
        self.hook = Hook()
        self.endpoints = Endpoints(cast(Store, store), time.wall_ms)
        self.poster = Poster(cast(Any, self.hook), self.endpoints, Random(1), time.wall_ms)
        self.webhook = WebhookHandler(self.poster)

    def job(self, attempt: int = 1, before: int = 0, **settings: object) -> Job:
        """A message to the DID; ``before``: so many attempts when it was replayed."""
        now = self.time.wall_ms()
        about = record(self.store, self.did, now, "mo", text="Grüße")
        delivery = DeliveryRecord(
            self.store.ids.next(), about.id, self.did.account_id, self.did.id, "webhook", URL,
            DeliveryState.PENDING, attempt - 1, now, now, now, tries_before=before,
        )  # fmt: skip
        return Job(delivery, about, attempt, settings)

    def deliver(self, attempt: int = 1, before: int = 0, **settings: object) -> Any:
        """One attempt."""
        return success(self.webhook.deliver(self.job(attempt, before, **settings)))

    def says(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        """What the endpoint answers from now on."""
        self.hook.answer = Answer(status, b"no", cut=False, headers=headers)


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    """Nothing has failed yet."""
    return Rig(inline_store, time, did)


def test_the_shape_of_voipms(rig: Rig) -> None:
    job = rig.job()
    job = replace(
        job,
        message=job.message._replace(
            peer="+18457231213", did="+18455577768", id=110997718, created_at=1788790846000
        ),
    )
    assert success(rig.webhook.deliver(job)) == Delivered("accepted", 200, "")
    ((url, document, headers),) = rig.hook.posts
    assert url == URL
    assert document == {
        "data": {
            "id": 110997718,
            "event_type": "message.received",
            "record_type": "event",
            "payload": {
                "id": 110997718,
                "record_type": "message",
                "type": "SMS",
                "from": {"phone_number": "8457231213"},
                "to": [{"phone_number": "8455577768", "status": "webhook_delivered"}],
                "text": "Grüße",
                "media": [],
                "received_at": "2026-09-07T14:20:46.000000+00:00",
            },
        }
    }
    assert "webhook-signature" not in headers


def test_the_standard_form(rig: Rig) -> None:
    rig.deliver(format="standard", secrets=["whsec_" + "eHh4" * 8])
    ((_, document, headers),) = rig.hook.posts
    assert document["type"] == "message.received"
    assert document["timestamp"] == document["data"]["received_at"]
    assert (document["data"]["from"], document["data"]["to"]) == (PEER, rig.did.number)
    assert document["data"]["text"] == "Grüße"
    assert headers["webhook-signature"].startswith("v1,")
    assert headers["webhook-timestamp"] == str(rig.time.wall_ms() // 1000)


def test_the_schedule_and_its_end(rig: Rig) -> None:
    rig.says(500)
    for attempt, wait in enumerate(WAITS, 1):
        waits = {rig.deliver(attempt).after for _ in range(20)}
        assert all(0.8 * wait <= after <= 1.2 * wait for after in waits)
        assert len(waits) > 10
    assert rig.deliver(len(WAITS) + 1) == Failed("gave_up", 500, "no")


def test_a_replay_begins_the_schedule_anew(rig: Rig) -> None:
    rig.says(500)
    before = len(WAITS) + 1
    for attempt, wait in enumerate(WAITS, before + 1):
        assert 0.8 * wait <= rig.deliver(attempt, before).after <= 1.2 * wait
    assert rig.deliver(before + len(WAITS) + 1, before) == Failed("gave_up", 500, "no")
    assert rig.hook.posts[-1][2]["webhook-attempt"] == str(before + len(WAITS) + 1)


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 429, 500, 503])
def test_whatever_is_no_2xx_is_tried_again(rig: Rig, status: int) -> None:
    rig.says(status)
    outcome = rig.deliver()
    assert isinstance(outcome, Retry)
    assert (outcome.outcome, outcome.status_code, outcome.excerpt) == ("http_error", status, "no")


def test_gone_is_the_end_and_silence_is_not(rig: Rig) -> None:
    rig.says(410)
    assert rig.deliver() == Failed("gone", 410, "no")
    rig.hook.answer = NoAnswer("timeout", "no complete answer in time")
    outcome = rig.deliver()
    assert isinstance(outcome, Retry)
    assert outcome.outcome == "timeout"


@pytest.mark.parametrize(
    ("asked", "attempt", "low", "high"),
    [
        (b"0", 1, 4, 6),
        (b"60", 1, 60, 60),
        (b"99999999", 1, 3600, 3600),
        (b"1", 2, 240, 360),
        (b"99999999", 6, 2 * 28800, 2 * 43200),
        (b"soon", 1, 4, 6),
        (b"-5", 1, 4, 6),
        (b"Sat, 31 Jan 1976 12:00:00 GMT", 1, 4, 6),
        (b"1 Jan 99999999999 00:00:00 GMT", 1, 4, 6),
        (b"1 Jan 9999 00:00:00 -9999999999", 1, 4, 6),
        (b"Fri, 31 Dec 9999 23:59:59 GMT", 1, 3600, 3600),
    ],
)
def test_retry_after_puts_off_within_bounds(
    rig: Rig, asked: bytes, attempt: int, low: float, high: float
) -> None:
    rig.says(503, (b"retry-after", asked))
    assert low <= rig.deliver(attempt).after <= high


def test_retry_after_as_a_date() -> None:
    answer = Answer(503, b"", cut=False, headers=((b"retry-after", b"Sat, 31 Jan 2026 12:01:30 GMT"),))
    assert retry_after(answer, 1_769_860_800) == 90


@given(
    st.text(st.characters(max_codepoint=0xFF))
    | st.from_regex(r"\A([A-Z][a-z]{2}, )?[0-9]+ [A-Z][a-z]{2} [0-9]+ [0-9:]+ ([+-][0-9]+|GMT)\Z")
)
def test_no_retry_after_is_an_error_or_brings_the_next_try_forward(written: str) -> None:
    answer = Answer(503, b"", cut=False, headers=((b"retry-after", written.encode("latin-1")),))
    assert 0 <= retry_after(answer, 1_769_860_800) < 1e12


def test_a_2xx_counts_whatever_its_body(rig: Rig) -> None:
    rig.hook.answer = Answer(200, b"x" * MAX_BODY_OCTETS, cut=True)
    assert rig.deliver() == Delivered("accepted", 200, "x" * EXCERPT_CHARACTERS)


# -- endpoints ------------------------------------------------------------------------------------


def test_an_endpoint_is_paused_after_five_days_of_nothing_but_failure(rig: Rig) -> None:
    rig.says(500)
    for _ in range(5):
        assert isinstance(rig.deliver(), Retry)
        rig.time.advance(DAY)
    assert isinstance(rig.deliver(), Retry)
    asked = len(rig.hook.posts)
    assert rig.deliver() == Failed("endpoint_paused")
    assert len(rig.hook.posts) == asked
    with rig.store.engine.snapshot() as conn:
        (row,) = endpoints.failing(conn)
    assert (row.account_id, row.handler, row.url) == (
        rig.did.account_id,
        "webhook",
        "https://example.net/hook",
    )
    assert (row.paused_at, row.last_outcome) == (rig.time.wall_ms(), "http_error")


def test_two_failures_with_days_of_silence_between_them_are_no_days_of_failure(rig: Rig) -> None:
    """Nobody knows what it would have answered meanwhile."""
    rig.says(500)
    for _ in range(3):
        for _ in range(3):
            assert isinstance(rig.deliver(), Retry)
        rig.time.advance(5.1 * DAY)
    with rig.store.engine.snapshot() as conn:
        (row,) = endpoints.failing(conn)
    assert row.paused_at is None
    assert rig.time.wall_ms() - row.failing_since == round(5.1 * DAY * 1000)


def test_the_count_goes_on_over_a_restart(rig: Rig) -> None:
    rig.says(500)
    for _ in range(5):
        rig.deliver()
        rig.time.advance(DAY)
    again = Rig(rig.store, rig.time, rig.did)
    success(again.endpoints.start())
    again.says(500)
    assert isinstance(again.deliver(), Retry)
    assert again.deliver() == Failed("endpoint_paused")


def test_its_owner_is_told_of_a_pause(rig: Rig) -> None:
    rig.says(500)
    with rig.store.engine.snapshot() as conn:
        before = events.head(conn)
    with capture_logs() as lines:
        for _ in range(7):
            rig.deliver()
            rig.time.advance(DAY)
    with rig.store.engine.snapshot() as conn:
        (notice,) = events.read_after(conn, before, rig.did.account_id).events
    assert (notice.kind, notice.at) == ("endpoint.paused", rig.time.wall_ms() - 2 * round(DAY * 1000))
    assert [line["failing_days"] for line in lines if line["event"] == "endpoint_paused"] == [5.0]


def test_failures_are_written_once_an_hour(rig: Rig) -> None:
    rig.says(500)
    before = rig.store.writer.units
    for _ in range(50):
        rig.deliver()
    assert rig.store.writer.units == before + 1
    rig.time.advance(3600)
    rig.deliver()
    assert rig.store.writer.units == before + 2


def test_what_failed_once_and_is_asked_no_more_is_forgotten(rig: Rig) -> None:
    gone = Endpoint(rig.did.account_id, "webhook", "https://example.net/gone")
    paused = Endpoint(rig.did.account_id, "webhook", "https://example.net/paused")
    now_ms = rig.time.wall_ms()
    with rig.store.engine.transaction() as conn:
        endpoints.put(conn, EndpointRecord(*gone, now_ms, None, "timeout", now_ms))
        endpoints.put(conn, EndpointRecord(*paused, now_ms, now_ms, "timeout", now_ms))
    success(rig.endpoints.start())
    rig.time.advance(36 * 3600)
    rig.says(500)
    rig.deliver()
    with rig.store.engine.snapshot() as conn:
        assert gone in [row.endpoint for row in endpoints.failing(conn)]
    rig.time.advance(3601)
    rig.deliver()
    with rig.store.engine.snapshot() as conn:
        assert {row.url for row in endpoints.failing(conn)} == {paused.url, "https://example.net/hook"}
    assert gone not in rig.endpoints._failing


def test_one_success_starts_the_days_anew(rig: Rig) -> None:
    rig.says(500)
    for _ in range(4):
        rig.deliver()
        rig.time.advance(DAY)
    rig.says(204)
    assert isinstance(rig.deliver(), Delivered)
    with rig.store.engine.snapshot() as conn:
        assert endpoints.failing(conn) == []
    rig.says(500)
    rig.time.advance(4 * DAY)
    for _ in range(4):
        rig.deliver()
        rig.time.advance(DAY)
    assert isinstance(rig.deliver(), Retry)
    assert isinstance(rig.deliver(), Retry)


def test_a_pause_lasts_over_a_restart_and_ends_when_somebody_says_so(rig: Rig) -> None:
    rig.says(500)
    for _ in range(6):
        rig.deliver()
        rig.time.advance(DAY)
    again = Rig(rig.store, rig.time, rig.did)
    success(again.endpoints.start())
    assert again.deliver() == Failed("endpoint_paused")
    which = Endpoint(rig.did.account_id, "webhook", "https://example.net/hook")
    with rig.store.engine.transaction() as conn:
        assert endpoints.forget(conn, which)
    assert isinstance(again.deliver(), Delivered)


def test_nothing_is_written_while_all_is_well(rig: Rig) -> None:
    before = rig.store.writer.units
    rig.deliver()
    assert rig.store.writer.units == before


# -- status callbacks -----------------------------------------------------------------------------


def told(rig: Rig, event: str, command_status: int | None = None, did: Did | None = None) -> dict[str, Any]:
    """What the sender of a message with one part is told."""
    now = rig.time.wall_ms()
    about = record(rig.store, rig.did, now, "mt", status_callback=URL)
    state = PartState.FAILED if command_status else PartState.SENT
    part = part_of(about, rig.store.ids.next(), 1, state=state, command_status=command_status)
    success(rig.store.writer.write(messages.insert(about, [part])))
    delivery = DeliveryRecord(
        9, about.id, rig.did.account_id, rig.did.id, "status", URL, DeliveryState.PENDING, 0, now, now, now,
        event=event,
    )  # fmt: skip
    handler = StatusHandler(rig.poster, cast(Store, rig.store), lambda _: did or rig.did)
    assert isinstance(success(handler.deliver(Job(delivery, about, 1, {}))), Delivered)
    document: dict[str, Any] = rig.hook.posts[-1][1]
    assert (document["type"], document["id"], document["event_id"]) == ("message.status", about.id, 9)
    assert (document["from"], document["to"], document["attempt"]) == (rig.did.number, PEER, 1)
    return document


@pytest.mark.parametrize("event", ["queued", "sent", "delivered"])
def test_each_state_is_told(rig: Rig, event: str) -> None:
    document = told(rig, event)
    assert document["status"] == event
    assert "error" not in document


def test_a_failure_is_told_with_the_carriers_code(rig: Rig) -> None:
    assert told(rig, "failed", 0x0B)["error"] == "ESME_RINVDSTADR (0x0000000B)"
    assert told(rig, "failed", 0x04FF)["error"] == "command_status (0x000004FF)"


def test_statuses_are_signed_with_the_dids_webhook_keys(rig: Rig) -> None:
    told(rig, "sent")
    assert "webhook-signature" not in rig.hook.posts[-1][2]
    setting = HandlerSetting("webhook", False, {"secrets": ["whsec_" + "eHh4" * 8]})
    told(rig, "sent", did=replace(rig.did, handlers={"webhook": setting}))
    assert "webhook-signature" in rig.hook.posts[-1][2]
