"""Signatures: known answers, and a foreign implementation that verifies ours."""

import hashlib
import hmac
import json
import time
from random import Random
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from twisted.internet.defer import Deferred, succeed

from edge.handlers import Delivered, Job
from edge.handlers.callback import variables
from edge.handlers.endpoints import Endpoints
from edge.handlers.posting import Poster
from edge.handlers.signing import callback_signature, key_octets, new_key, webhook_signature
from edge.handlers.template import parse
from edge.handlers.webhook import WebhookHandler
from edge.http.answer import Answer
from storage.records import DeliveryRecord, DeliveryState, MessageRecord
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success

AT = 1_769_860_800_000  # 2026-01-31T12:00:00Z
SECRET = "a secret of the DID"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TEMPLATE = (
    "https://example.net/in?id={ID}&at={TIMESTAMP_UTC}&from={FROM_E164}&to={TO_E164}&media={MEDIA}"
    "&text={MESSAGE}&try={ATTEMPT}&sig={SIGNATURE}"
)


def message(text: str = "hi\nthere") -> MessageRecord:
    return MessageRecord(77, 1, 2, "mo", "smpp", "+12025550100", "+447911123456", text, "up", AT, 1)


def test_a_known_answer_of_standard_webhooks() -> None:
    """The example of the specification's reference implementations."""
    body = b'{"test": 2432232314}'
    signature = webhook_signature([KEY], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.text(st.characters(codec="utf-8")))
def test_a_receiver_verifies_the_callback_from_what_arrives(text: str) -> None:
    """As docs/handlers.md tells him to."""
    template = parse(TEMPLATE)
    url = template.fill(variables(template, message(text), 3, {"secret": SECRET}, ZoneInfo("UTC")))
    got = {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}
    canonical = "\n".join(["v1", got["id"], got["at"], got["from"], got["to"], got["media"], got["text"]])
    expected = hmac.new(SECRET.encode(), canonical.encode(), hashlib.sha256).hexdigest()
    assert got["sig"] == expected
    assert (got["id"], got["at"], got["try"], got["text"]) == ("77", "2026-01-31T12:00:00Z", "3", text)
    assert (got["from"], got["to"], got["media"]) == ("+447911123456", "+12025550100", "")


def test_the_signature_depends_on_every_signed_value_and_not_on_the_attempt() -> None:
    names = ("ID", "TIMESTAMP_UTC", "FROM_E164", "TO_E164", "MEDIA", "MESSAGE")
    values = dict.fromkeys(names, "x")
    signatures = {callback_signature(SECRET, {**values, name: "y"}) for name in names}
    assert len(signatures) == len(names)
    assert callback_signature(SECRET, values) not in signatures
    assert callback_signature("another secret", values) not in signatures


@pytest.mark.parametrize(
    "key", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!", "whsec_c2hvcnQ="]
)
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="webhook key"):
        key_octets(key)
    assert key_octets(new_key(b"x" * 32)) == b"x" * 32


class Hook:
    """Takes every POST."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, bytes, dict[str, str]]] = []

    def post_json(self, url: str, body: bytes, headers: dict[str, str]) -> Deferred[Answer]:
        self.posts.append((url, body, headers))
        return succeed(Answer(200, b"", cut=False))


@pytest.mark.parametrize("form", ["standard", "voipms"])
def test_the_standard_package_verifies_both_active_keys(inline_store: InlineStore, form: str) -> None:
    now_ms = int(time.time() * 1000)
    hook, old = Hook(), new_key(b"o" * 24)
    poster = Poster(
        cast(Any, hook), Endpoints(cast(Store, inline_store), lambda: now_ms), Random(1), lambda: now_ms
    )
    delivery = DeliveryRecord(5, 77, 1, 2, "webhook", "http://x/", DeliveryState.PENDING, 0, AT, AT, AT)
    settings = {"format": form, "secrets": [KEY, old]}
    outcome = success(WebhookHandler(poster).deliver(Job(delivery, message("é€😀"), 1, settings)))
    assert isinstance(outcome, Delivered)
    ((_, body, headers),) = hook.posts
    for key in (KEY, old):
        assert Webhook(key).verify(body, headers) == json.loads(body)
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_key(b"z" * 24)).verify(body, headers)
    assert headers["webhook-id"] == "evt_5"
