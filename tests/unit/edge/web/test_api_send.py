"""POST /v1/messages, and what every endpoint does with keys, methods and bodies."""

import base64
import json
from urllib.parse import quote

import pytest

from edge.errors import Refused, Unavailable
from storage import accounts
from storage.errors import StoreUnavailable
from tests.deferreds import success
from tests.unit.edge.web.harness import OTHER_TOKEN, TOKEN, Scene

GOOD = {"from": "+12025550100", "to": "+447911123456", "text": "hi"}
MEMBERS = {"type", "title", "status", "code", "detail"}


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:x".encode()).decode()


def test_a_message_is_accepted_only_after_the_commit(scene: Scene) -> None:
    scene.outbox.hold = True
    link = scene.link()
    body = b'{"from":"+12025550100","to":"+447911123456","text":"h\xc3\xa9 \xf0\x9f\x91\x8d"}'
    link.send(
        b"POST /v1/messages HTTP/1.1\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
        % (TOKEN.encode(), len(body), body)
    )
    assert link.replies() == []
    scene.outbox.release()
    (reply,) = link.replies()
    assert reply.status == 202
    assert reply.headers["content-type"] == "application/json"
    created = reply.json["created_at"]
    assert created.endswith("Z")
    assert len(created) == len("2026-01-31T12:00:00.000Z")
    assert {**reply.json, "created_at": None} == {
        "id": 42,
        "status": "queued",
        "from": "+12025550100",
        "to": "+447911123456",
        "parts": 1,
        "encoding": "GSM7",
        "created_at": None,
    }
    (draft,) = scene.outbox.drafts
    assert (draft.account_id, draft.leg, draft.text) == (scene.account.id, "api", "hé 👍")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "text/plain", ""])
def test_json_under_any_name(scene: Scene, kind: str) -> None:
    assert scene.call("POST", "/v1/messages", GOOD, **{"Content-Type": kind}).status == 202


def test_json_under_the_name_that_curl_gives_it(scene: Scene) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert scene.call("POST", "/v1/messages", GOOD, **form).status == 202


def test_a_form_and_a_query(scene: Scene) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    text = quote("a;b & c+d\n%é")
    reply = scene.call("POST", f"/v1/messages?text={text}", b"from=%2B12025550100&to=%2B447911123456", **form)
    assert reply.status == 202
    assert scene.outbox.drafts[-1].text == "a;b & c+d\n%é"
    assert scene.outbox.drafts[-1].source == "+12025550100"


def test_a_semicolon_in_a_query_separates_nothing(scene: Scene) -> None:
    body = {key: GOOD[key] for key in ("from", "to")}
    assert scene.call("POST", "/v1/messages?text=one;to=two", body).status == 202
    assert scene.outbox.drafts[-1].text == "one;to=two"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "key_missing"),
        ("Bearer", "key_invalid"),
        ("Bearer nobody", "key_invalid"),
        (f"Bearer {TOKEN}x", "key_invalid"),
        ("Bearer \u00e9", "key_invalid"),
        (f"Digest {TOKEN}", "scheme_unknown"),
        (TOKEN, "scheme_unknown"),
        ("Basic !!!", "credentials_malformed"),
        ("Basic " + base64.b64encode(b"\xff\xfe:").decode(), "credentials_malformed"),
        (basic("nobody"), "key_invalid"),
    ],
)
def test_without_a_good_key(scene: Scene, authorization: str, code: str) -> None:
    reply = scene.call("POST", "/v1/messages", GOOD, Authorization=authorization)
    assert (reply.status, reply.json["code"], reply.json["field"]) == (401, code, "Authorization")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in reply.text
    assert scene.outbox.drafts == []


@pytest.mark.parametrize("header", [f"bearer {TOKEN}", f"BEARER  {TOKEN} ", basic(TOKEN)])
def test_a_good_key_in_other_dress(scene: Scene, header: str) -> None:
    assert scene.call("POST", "/v1/messages", GOOD, Authorization=header).status == 202


def test_the_key_says_whose_account_it_is(scene: Scene) -> None:
    scene.call("POST", "/v1/messages", GOOD, token=OTHER_TOKEN)
    assert scene.outbox.drafts[-1].account_id == scene.other.id


def test_a_revoked_key_is_no_key(scene: Scene) -> None:
    with scene.store.engine.transaction() as conn:
        accounts.revoke_key(conn, scene.account.id, "key", scene.time.wall_ms())
    success(scene.site.branches[b"v1"].services.directory.refresh())  # type: ignore[attr-defined]
    assert scene.call("POST", "/v1/messages", GOOD).json["code"] == "key_invalid"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "member_missing"),
        (b"{", 400, "bad_json"),
        (b"\xef\xbb\xbf{}", 400, "bad_json"),
        (b'{"text":"\xff"}', 400, "not_utf8"),
        (b'{"from":"a","to":"b","text":NaN}', 400, "bad_json"),
        (b"[" * 100_000, 400, "bad_json"),
        (b"[]", 400, "not_an_object"),
        (b'"text"', 400, "not_an_object"),
        (b"7", 400, "not_an_object"),
        (b"null", 400, "not_an_object"),
        (b'{"text":"\\ud83d"}', 400, "text_not_unicode"),
        (b'{"text":"\\ude00 x"}', 400, "text_not_unicode"),
        (b'{"text":"\xed\xa0\xbd"}', 400, "not_utf8"),
        (b'{"from":"+1","to":"+1"}', 422, "member_missing"),
        (b'{"from":"+1","to":"+1","text":null}', 422, "member_missing"),
        (b'{"from":"+1","to":"+1","text":7}', 422, "member_type"),
        (b'{"from":"+1","to":["+1"],"text":"x"}', 422, "member_type"),
        (b'{"from":{},"to":"+1","text":"x"}', 422, "member_type"),
        (b'{"from":"+1","to":true,"text":"x"}', 422, "member_type"),
        (b'{"from":"+1","to":"+1","text":"x","when":"now"}', 422, "member_unknown"),
        (b'{"from":"+1","to":"+1","text":"x","status_callback":"ftp://x/"}', 422, "url_invalid"),
        (b'{"from":"+1","to":"+1","text":"x","status_callback":"http://[::1"}', 422, "url_invalid"),
        (b'{"from":"+1","to":"+1","text":"x","status_callback":"http://a:99999/"}', 422, "url_invalid"),
        (b'{"from":"+1","to":"+1","text":"x","status_callback":7}', 422, "member_type"),
    ],
)
def test_a_body_that_cannot_be_taken(scene: Scene, body: bytes, status: int, code: str) -> None:
    reply = scene.call("POST", "/v1/messages", body)
    assert (reply.status, reply.json["status"], reply.json["code"]) == (status, status, code)
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json.keys() >= MEMBERS
    assert reply.json["detail"].endswith(".")
    assert scene.outbox.drafts == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://10.0.0.1/s",
        "http://[::ffff:169.254.169.254]/",
        "http://127.1/",
        "http://u:p@example.net/",
        "http://example.net:22/",
    ],
)
def test_a_status_callback_that_may_not_be_called_is_refused_as_a_dids_url_is(scene: Scene, url: str) -> None:
    reply = scene.call("POST", "/v1/messages", {**GOOD, "status_callback": url})
    assert (reply.status, reply.json["code"], reply.json["field"]) == (422, "url_refused", "status_callback")
    assert reply.json["detail"].endswith(".")
    assert scene.outbox.drafts == []


def test_a_status_callback_is_handed_on(scene: Scene) -> None:
    scene.call("POST", "/v1/messages", {**GOOD, "status_callback": "https://example.net/s?x=1"})
    assert scene.outbox.drafts[-1].status_callback == "https://example.net/s?x=1"


def test_the_field_at_fault_is_named(scene: Scene) -> None:
    reply = scene.call("POST", "/v1/messages", {**GOOD, "to": 7})
    assert (reply.json["field"], reply.json["detail"]) == ("to", "'to' must be a string, not a number.")


def test_a_long_unknown_name_is_not_given_back_whole(scene: Scene) -> None:
    reply = scene.call("POST", "/v1/messages", {"x" * 100_000: 1})
    assert len(reply.body) < 1000


@pytest.mark.parametrize("query", ["text=a&text=b", "text=a&from=%2B1"])
def test_a_member_that_is_there_twice(scene: Scene, query: str) -> None:
    reply = scene.call("POST", f"/v1/messages?{query}", {key: GOOD[key] for key in ("from", "to")})
    assert (reply.status, reply.json["code"]) == (400, "member_twice")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"from":"+12025550100","to":"+1","to":"+447911123456","text":"x"}', 400),
        (b'{"from":"+12025550100","to":"+447911123456","text":"\\"to\\": a:b"}', 202),
    ],
)
def test_a_member_of_json_that_is_there_twice(scene: Scene, body: bytes, status: int) -> None:
    reply = scene.call("POST", "/v1/messages", body)
    assert (reply.status, reply.json.get("code")) == (status, "member_twice" if status == 400 else None)


def test_a_query_that_is_not_utf_8(scene: Scene) -> None:
    assert scene.call("POST", "/v1/messages?text=%ED%A0%BD", GOOD).json["code"] == "not_utf8"


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("Content-Encoding", "gzip", "encoding_unsupported"),
        ("Content-Type", "multipart/form-data; boundary=x", "type_unsupported"),
    ],
)
def test_a_body_that_is_packed(scene: Scene, header: str, value: str, code: str) -> None:
    reply = scene.call("POST", "/v1/messages", b"\x1f\x8b\x08", **{header: value})
    assert (reply.status, reply.json["code"], reply.json["field"]) == (415, code, header)


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Content-Encoding", "gzip", 415),
        ("Content-Encoding", "identity", 202),
        ("Content-Type", "multipart/form-data; boundary=x", 415),
    ],
)
def test_what_is_said_of_the_body_counts_though_it_could_be_read(
    scene: Scene, header: str, value: str, status: int
) -> None:
    for body in (json.dumps(GOOD).encode(), b"from=%2B12025550100&to=%2B447911123456&text=hi"):
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if body.startswith(b"f") else {}
        reply = scene.call("POST", "/v1/messages", body, **{**kind, header: value})
        assert reply.status == (status if header == "Content-Encoding" or not kind else 415)


def test_what_the_pipeline_refuses(scene: Scene) -> None:
    scene.outbox.error = Refused("sms_disabled", "SMS is off.", "from", 403)
    reply = scene.call("POST", "/v1/messages", GOOD)
    assert reply.status == 403
    assert reply.json == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "code": "sms_disabled",
        "detail": "SMS is off.",
        "field": "from",
    }


@pytest.mark.parametrize("error", [Unavailable("Later.", 7.4), StoreUnavailable("disk full: /dev/x")])
def test_a_store_that_cannot_take_it(scene: Scene, error: Exception) -> None:
    scene.outbox.error = error
    reply = scene.call("POST", "/v1/messages", GOOD)
    assert (reply.status, reply.json["code"]) == (503, "unavailable")
    assert int(reply.headers["retry-after"]) >= 5
    assert "disk" not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/messages", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/messages", "GET, HEAD, POST"),
        ("TRACE", "/v1/messages", "GET, HEAD, POST"),
        ("POST", "/v1/messages/7", "DELETE, GET, HEAD"),
        ("DELETE", "/v1/messages", "GET, HEAD, POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("POST", "/startupz", "GET, HEAD"),
    ],
)
def test_methods_that_are_not_there(scene: Scene, method: str, path: str, allowed: str) -> None:
    reply = scene.call(method, path, GOOD)
    assert (reply.status, reply.json["code"]) == (405, "method_not_allowed")
    assert reply.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/messages/7/parts", "/v1/messages//7"])
def test_addresses_that_are_not_there(scene: Scene, path: str) -> None:
    reply = scene.call("GET", path)
    assert (reply.status, reply.json["code"]) == (404, "not_found")


def test_health(scene: Scene) -> None:
    assert scene.call("GET", "/startupz", token="").json == {"started": True, "doing": None, "steps": []}
    assert scene.call("GET", "/livez", token="").json == {"live": True}
    assert scene.call("GET", "/readyz", token="").status == 200
    scene.ready = (False, {"binds": {"up/transceiver": "connecting"}})
    reply = scene.call("GET", "/readyz", token="")
    assert (reply.status, reply.json) == (503, {"ready": False, "binds": {"up/transceiver": "connecting"}})
