"""Delivery reports as Kannel's and Jasmin's callers know them."""

from random import Random
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from edge import statuses
from edge.handlers import Delivered, Failed, Job, Outcome, Retry
from edge.handlers.posting import WAITS
from edge.handlers.reports import ReportHandler
from edge.http.answer import Answer
from edge.http.errors import NoAnswer
from storage import messages
from storage.records import DeliveryRecord, DeliveryState, Did, MessageRecord, PartState
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, Time, part_of, record

URL = "https://example.net/dlr?type=%d&to=%p&from=%P&at=%t&text=%a&id=%I&carrier=%F&smsc=%i&word=%A"


class Page:
    """Answers each request as it is told to."""

    def __init__(self) -> None:
        self.answer: Answer | NoAnswer = Answer(200, b"", cut=False)
        self.gets: list[str] = []
        self.posts: list[tuple[str, bytes]] = []

    def get(self, url: str) -> Deferred[Answer]:
        self.gets.append(url)
        return self._answered()

    def send(self, url: str, method: str, head: bytes, body: bytes) -> Deferred[Answer]:
        assert method == "POST"
        assert b"application/x-www-form-urlencoded" in head
        self.posts.append((url, body))
        return self._answered()

    def _answered(self) -> Deferred[Answer]:
        return fail(self.answer) if isinstance(self.answer, NoAnswer) else succeed(self.answer)


class Rig:
    """The handler on a store with a message that went out."""

    def __init__(self, store: InlineStore, time: Time, did: Did) -> None:
        self.store, self.time, self.did = store, time, did
        self.page = Page()
        self.handler = ReportHandler(cast(Any, self.page), cast(Store, store), Random(1), time.wall_ms)

    def message(self, **part: Any) -> MessageRecord:
        about = record(self.store, self.did, self.time.wall_ms(), "mt", text="Grüße & 50 %")
        made = part_of(about, self.store.ids.next(), 1, **{"smsc_message_id": "c-7", **part})
        success(self.store.writer.write(messages.insert(about, [made])))
        return about

    def tell(self, target: str, event: str, attempt: int = 1, **part: Any) -> Outcome:
        about = self.message(**part)
        now = self.time.wall_ms()
        owed = DeliveryRecord(
            self.store.ids.next(), about.id, self.did.account_id, self.did.id, "report", target,
            DeliveryState.PENDING, attempt - 1, now, now, now, event=event,
        )  # fmt: skip
        return success(self.handler.deliver(Job(owed, about, attempt, {})))


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    return Rig(inline_store, time, did)


def test_a_callers_address_says_who_tells_it(rig: Rig) -> None:
    about = rig.message()
    for address, handler in (
        ("https://example.net/", "status"),
        ("kannel:31:https://example.net/", "report"),
        ("jasmin:3:get:https://example.net/", "report"),
        ("imdn:{}", "imdn"),
        ("mailto:a@example.org", "email"),
    ):
        told = about._replace(status_callback=address)
        owed = statuses.queued(told, rig.store.ids.next, lambda due: due)
        # Mail, phones and gateways are told nothing of queued messages, so nothing is stored for them.
        expected = [(handler, address)] if handler == "status" else []
        assert [(item.handler, item.target) for item in owed] == expected
        assert statuses._teller(address) == handler


@pytest.mark.parametrize(
    ("event", "part", "kind", "word"),
    [
        ("sent", {}, "8", "ESME_ROK"),
        ("delivered", {"receipt_state": "DELIVERED"}, "1", "DELIVRD"),
        (
            "failed",
            {"state": PartState.FAILED, "receipt_state": "UNDELIVERABLE", "receipt_error": "017"},
            "2",
            "UNDELIV",
        ),
        (
            "failed",
            {"state": PartState.FAILED, "smsc_message_id": None, "command_status": 11},
            "16",
            "ESME_RINVDSTADR",
        ),
    ],
)
def test_kannel(rig: Rig, event: str, part: dict[str, Any], kind: str, word: str) -> None:
    assert rig.tell(f"kannel:27:{URL}", event, **part) == Delivered("accepted", 200, "")
    (url,) = rig.page.gets
    found = {
        name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()
    }
    assert (found["type"], found["to"], found["from"]) == (kind, PEER, DID)
    assert (found["text"], found["smsc"]) == ("Grüße & 50 %", "up")
    assert found["carrier"] == (part.get("smsc_message_id", "c-7") or "")
    assert found["id"].isdigit()
    assert word[:7] in found["word"] or "UNDELIVERABLE" in found["word"] or "DELIVERED" in found["word"]


def test_kannel_is_told_only_what_it_asked_for(rig: Rig) -> None:
    for mask, event in ((1, "sent"), (8, "delivered"), (1, "failed"), (31, "queued")):
        assert rig.tell(f"kannel:{mask}:{URL}", event) == Delivered("not_wanted")
    assert rig.page.gets == []


def test_escapes_in_a_url(rig: Rig) -> None:
    rig.tell("kannel:8:http://example.net/%C3%BC?a=%20&b=%%41&c=%d&e=%k", "sent")
    assert rig.page.gets == ["http://example.net/%C3%BC?a=%20&b=%41&c=8&e="]


@pytest.mark.parametrize(
    ("level", "event", "told"),
    [
        ("1", "sent", True),
        ("1", "delivered", False),
        ("2", "sent", False),
        ("2", "delivered", True),
        ("3", "sent", True),
    ],
)
def test_jasmins_levels(rig: Rig, level: str, event: str, told: bool) -> None:
    rig.page.answer = Answer(200, b"ACK/Jasmin\n", cut=False)
    outcome = rig.tell(f"jasmin:{level}:get:https://example.net/dlr?x=1", event)
    assert outcome == (Delivered("accepted", 200, "ACK/Jasmin\n") if told else Delivered("not_wanted"))
    assert len(rig.page.gets) == told


def test_jasmins_parameters(rig: Rig) -> None:
    rig.page.answer = Answer(200, b"ACK/Jasmin", cut=False)
    rig.tell("jasmin:3:post:https://example.net/dlr", "delivered", receipt_error="000")
    ((url, body),) = rig.page.posts
    found = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    assert url == "https://example.net/dlr"
    assert (found["message_status"], found["level"], found["connector"]) == ("DELIVRD", "3", "up")
    assert (found["id_smsc"], found["sub"], found["dlvrd"], found["err"]) == ("c-7", "001", "001", "000")
    assert found["text"] == "Grüße & 50 %"
    assert len(found["subdate"]) == len(found["donedate"]) == 10
    rig.tell("jasmin:1:get:https://example.net/dlr", "sent")
    query = parse_qs(urlsplit(rig.page.gets[0]).query)
    assert query.keys() == {"id", "message_status", "level", "connector"}


def test_without_an_acknowledgement_it_is_tried_again(rig: Rig) -> None:
    outcome = rig.tell("jasmin:1:get:https://example.net/", "sent")
    assert isinstance(outcome, Retry)
    assert outcome.outcome == "not_acknowledged"
    rig.page.answer = Answer(500, b"", cut=False)
    outcome = rig.tell(f"kannel:8:{URL}", "sent")
    assert isinstance(outcome, Retry)
    assert outcome.after == pytest.approx(WAITS[0], rel=0.21)
    rig.page.answer = NoAnswer("refused", "connection refused")
    assert isinstance(rig.tell(f"kannel:8:{URL}", "sent"), Retry)
    assert rig.tell(f"kannel:8:{URL}", "sent", attempt=len(WAITS) + 1) == Failed(
        "gave_up", None, "connection refused"
    )


def test_those_that_fail_together(rig: Rig) -> None:
    assert rig.handler.target_key("kannel:31:https://example.net/a?b=%d") == "https://example.net"
    assert rig.handler.target_key("jasmin:3:post:http://example.net:8080/a") == "http://example.net:8080"
