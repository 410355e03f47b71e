"""Keys: scopes, ends, rotation, last use, limits; pages of other origins; the access line."""

import io
import json
from typing import Any

import pytest
import structlog

from edge import log as logging
from edge.config import HTTPConfig, LogConfig
from edge.web.api.views import iso
from storage import accounts, audit
from storage.testing import InlineStore
from tests.deferreds import success
from tests.logs import own_log
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import TOKEN, Scene, request

GOOD = {"from": "+12025550100", "to": "+447911123456", "text": "hi"}


def made(scene: Scene, **more: Any) -> Any:
    reply = scene.call("POST", "/v1/keys", {"name": "app", "scopes": ["messages:read"], **more})
    assert reply.status == 201, reply.text
    return reply.json


def test_a_key_is_good_for_its_scopes_at_once(scene: Scene) -> None:
    key = made(scene)
    assert key["token"].startswith(f"tk_{key['prefix']}_")
    assert scene.call("GET", "/v1/messages", token=key["token"]).status == 200
    reply = scene.call("POST", "/v1/messages", GOOD, token=key["token"])
    assert (reply.status, reply.json["code"], reply.json["field"]) == (403, "scope_missing", "Authorization")
    (_, listed) = sorted(scene.call("GET", "/v1/keys").json["keys"], key=lambda item: item["name"] == "app")
    assert (listed["scopes"], "token" in listed) == (["messages:read"], False)
    assert key["token"] not in scene.call("GET", "/v1/keys").text


def test_nobody_makes_a_key_that_may_do_more(scene: Scene) -> None:
    clerk = made(scene, name="clerk", scopes=["keys:write", "messages:read"], requests_per_minute=600)[
        "token"
    ]
    ask = {"name": "x", "scopes": ["messages:send"]}
    assert scene.call("POST", "/v1/keys", ask, token=clerk).json["code"] == "scope_missing"
    assert scene.call("POST", "/v1/keys", {"name": "x", "scopes": ["*"]}, token=clerk).status == 403
    ask = {"name": "x", "scopes": ["messages:read"], "requests_per_minute": 0}  # type: ignore[dict-item]
    reply = scene.call("POST", "/v1/keys", ask, token=clerk)
    assert (reply.status, reply.json["requests_per_minute"]) == (201, 600)
    whole = next(key for key in scene.call("GET", "/v1/keys").json["keys"] if key["scopes"] == ["*"])
    assert scene.call("POST", f"/v1/keys/{whole['id']}/rotate", {}, token=clerk).status == 403
    assert scene.call("DELETE", f"/v1/keys/{whole['id']}", token=clerk).json["code"] == "scope_missing"
    assert scene.call("GET", "/v1/messages").status == 200, "the key that is good for everything still is"
    assert scene.call("DELETE", f"/v1/keys/{reply.json['id']}", token=clerk).status == 204
    assert scene.call("DELETE", f"/v1/keys/{whole['id']}").status == 204


def test_nobody_makes_a_key_that_is_good_for_longer(scene: Scene) -> None:
    soon, later = (iso(scene.time.wall_ms() + hours * 3_600_000) for hours in (1, 2))
    ending = made(scene, name="ending", scopes=["keys:write", "messages:read"], expires_at=later)["token"]
    for number, (wanted, end) in enumerate([(None, later), ("2099-01-01T00:00:00Z", later), (soon, soon)]):
        ask = {"name": f"x{number}", "scopes": ["messages:read"], "expires_at": wanted}
        assert scene.call("POST", "/v1/keys", ask, token=ending).json["expires_at"] == end


def test_nor_one_without_the_limit_that_the_server_sets(inline_store: InlineStore, time: Time) -> None:
    scene = Scene(inline_store, time, http=HTTPConfig(requests_per_minute=30))
    clerk = made(scene, name="clerk", scopes=["keys:write", "messages:read"])["token"]
    for number, (wanted, limit) in enumerate([(0, 30), (None, None), (500, 30), (5, 5)]):
        ask = {"name": f"x{number}", "scopes": ["messages:read"], "requests_per_minute": wanted}
        assert scene.call("POST", "/v1/keys", ask, token=clerk).json["requests_per_minute"] == limit


def test_a_key_ends(scene: Scene) -> None:
    soon = scene.time.wall_ms() + 60_000
    token = made(scene, expires_at=iso(soon))["token"]
    assert scene.call("GET", "/v1/messages", token=token).status == 200
    scene.time.advance(60)
    reply = scene.call("GET", "/v1/messages", token=token)
    assert (reply.status, reply.json["code"]) == (401, "key_expired")
    past = scene.call("POST", "/v1/keys", {"name": "y", "scopes": ["*"], "expires_at": "2020-01-01"})
    assert past.json["code"] == "time_invalid"


def test_after_a_rotation_both_tokens_are_good_for_a_while(scene: Scene) -> None:
    key = made(scene)
    fresh = scene.call("POST", f"/v1/keys/{key['id']}/rotate", {"keep_hours": 1}).json
    assert (fresh["id"], fresh["scopes"]) == (key["id"], key["scopes"])
    for token in (key["token"], fresh["token"]):
        assert scene.call("GET", "/v1/messages", token=token).status == 200
    scene.time.advance(3600)
    assert scene.call("GET", "/v1/messages", token=key["token"]).json["code"] == "key_expired"
    assert scene.call("GET", "/v1/messages", token=fresh["token"]).status == 200
    assert scene.call("DELETE", f"/v1/keys/{key['id']}").status == 204
    assert scene.call("GET", "/v1/messages", token=fresh["token"]).json["code"] == "key_invalid"
    assert scene.call("POST", f"/v1/keys/{key['id']}/rotate", {}).status == 409


def test_a_token_that_was_replaced_rotates_nothing(scene: Scene) -> None:
    key = made(scene, scopes=["*"])
    rotate, old = f"/v1/keys/{key['id']}/rotate", key["token"]
    fresh = scene.call("POST", rotate, {"keep_hours": 1}, token=old).json["token"]
    lasting = f"/v1/keys/{made(scene, name='lasting')['id']}/rotate"
    for asked, code in ((rotate, "token_replaced"), (lasting, "key_exceeds")):
        reply = scene.call("POST", asked, {"keep_hours": 0}, token=old)
        assert (reply.status, reply.json["code"]) == (403, code)
    assert scene.call("DELETE", f"/v1/keys/{key['id']}", token=old).status == 403
    for token in (old, fresh):
        assert scene.call("GET", "/v1/messages", token=token).status == 200
    assert scene.call("POST", rotate, {}, token=fresh).status == 200


def test_nobody_rotates_or_revokes_a_key_that_may_do_more(inline_store: InlineStore, time: Time) -> None:
    scene = Scene(inline_store, time, http=HTTPConfig(requests_per_minute=60))
    soon, later = (iso(time.wall_ms() + hours * 3_600_000) for hours in (1, 2))
    keys: dict[str, Any] = {"scopes": ["keys:write"]}
    clerk = made(scene, name="clerk", **keys, requests_per_minute=50, expires_at=later)
    limits: dict[str, Any] = {"requests_per_minute": 50, "expires_at": later}
    others = {
        "reads": ("scope_missing", {"scopes": ["messages:read"], **limits}),
        "whole": ("scope_missing", {"scopes": ["*"], **limits}),
        "often": ("key_exceeds", {**keys, **limits, "requests_per_minute": 51}),
        "usual": ("key_exceeds", {**keys, "expires_at": later}),
        "free": ("key_exceeds", {**keys, **limits, "requests_per_minute": 0}),
        "lasts": ("key_exceeds", {**keys, "requests_per_minute": 50}),
    }
    for name, (code, more) in others.items():
        path = f"/v1/keys/{made(scene, name=name, **more)['id']}"
        for method, asked in (("POST", f"{path}/rotate"), ("DELETE", path)):
            reply = scene.call(method, asked, {} if method == "POST" else None, token=clerk["token"])
            assert (reply.status, reply.json["code"]) == (403, code), (name, method)
    less: dict[str, Any] = {"name": "less", **keys, "requests_per_minute": 5, "expires_at": soon}
    for path in (f"/v1/keys/{made(scene, **less)['id']}", f"/v1/keys/{clerk['id']}"):
        token = scene.call("POST", f"{path}/rotate", {}, token=clerk["token"]).json["token"]
        assert scene.call("DELETE", path, token=token).status == 204


def test_its_last_use_is_noted_once_a_minute(scene: Scene) -> None:
    def last() -> int | None:
        with scene.store.engine.snapshot() as conn:
            return accounts.list_keys(conn, scene.account.id)[0].last_used_at

    assert last() is None
    scene.call("GET", "/v1/messages")
    first = last()
    scene.time.advance(59)
    scene.call("GET", "/v1/messages")
    assert last() == first
    scene.time.advance(1)
    scene.call("GET", "/v1/messages")
    assert last() == (first or 0) + 60_000


def test_a_name_is_taken_until_its_key_is_revoked(scene: Scene) -> None:
    key = made(scene)
    again = scene.call("POST", "/v1/keys", {"name": "app", "scopes": ["*"]})
    assert (again.status, again.json["code"]) == (409, "key_exists")
    scene.call("DELETE", f"/v1/keys/{key['id']}")
    assert made(scene, scopes=["*"])["scopes"] == ["*"]


def test_a_key_made_anew_is_another(scene: Scene) -> None:
    def send(token: str) -> int:
        reply = scene.call("POST", "/v1/messages", GOOD, token=token, **{"Idempotency-Key": "order-1"})
        assert (reply.status, "idempotent-replayed" in reply.headers) == (202, False)
        return len(scene.outbox.drafts)

    first = made(scene, scopes=["messages:send"])
    assert send(first["token"]) == 1
    scene.call("DELETE", f"/v1/keys/{first['id']}")
    second = made(scene, scopes=["messages:send"])
    assert send(second["token"]) == 2, "what the key before was answered is not its"
    assert scene.call("DELETE", f"/v1/keys/{first['id']}").status == 404
    ids = {key["id"] for key in scene.call("GET", "/v1/keys").json["keys"]}
    assert ids & {first["id"], second["id"]} == {second["id"]}


# -- limits -------------------------------------------------------------------------------------------------


def test_a_key_with_a_limit_is_told_what_is_left(scene: Scene) -> None:
    token = made(scene, requests_per_minute=3)["token"]
    left = []
    for _ in range(3):
        reply = scene.call("GET", "/v1/messages", token=token)
        assert reply.headers["ratelimit-policy"] == '"key";q=3;w=60'
        left.append(reply.headers["ratelimit"])
    assert left == ['"key";r=2;t=20', '"key";r=1;t=40', '"key";r=0;t=60']
    over = scene.call("GET", "/v1/messages", token=token)
    assert (over.status, over.json["code"]) == (429, "rate_limited")
    assert (over.headers["retry-after"], over.headers["ratelimit"]) == ("20", '"key";r=0;t=60')
    scene.time.advance(20)
    assert scene.call("GET", "/v1/messages", token=token).status == 200
    assert "ratelimit" not in scene.call("GET", "/v1/messages").headers


def test_a_batch_counts_as_its_messages(scene: Scene) -> None:
    token = made(scene, requests_per_minute=10, scopes=["messages:send"])["token"]
    first = scene.call("POST", "/v1/messages/batch", {"messages": [GOOD] * 8}, token=token)
    assert (first.status, first.headers["ratelimit"]) == (202, '"key";r=2;t=48'), "as it is at the answer"
    over = scene.call("POST", "/v1/messages/batch", {"messages": [GOOD] * 8}, token=token)
    assert (over.status, over.json["code"]) == (429, "rate_limited")
    scene.time.advance(120)
    more = scene.call("POST", "/v1/messages/batch", {"messages": [GOOD] * 25}, token=token)
    assert more.status == 202, "more than a minute's quota: it goes once all of that is there"
    assert len(scene.outbox.drafts) == 8 + 25
    over = scene.call("POST", "/v1/messages/batch", {"messages": [GOOD]}, token=token)
    assert (over.status, int(over.headers["retry-after"])) == (429, 6 * 16), "and leaves a debt"


def test_the_servers_own_limit(inline_store: InlineStore, time: Time) -> None:
    scene = Scene(inline_store, time, http=HTTPConfig(requests_per_minute=1))
    assert scene.call("GET", "/v1/messages").status == 200
    assert scene.call("GET", "/v1/messages").status == 429


def test_a_key_that_nobody_can_know_yet_is_not_called_bad(scene: Scene) -> None:
    directory = scene.site.branches[b"v1"].services.directory  # type: ignore[attr-defined]
    version, directory._version = directory._version, -1
    assert scene.call("GET", "/v1/messages", token="tk_new").status == 503
    directory._version = version
    success(directory.refresh())
    assert scene.call("GET", "/v1/messages", token="tk_new").status == 401


# -- pages of other origins ---------------------------------------------------------------------------------

APP = "https://app.example.net"


def test_without_a_word_no_other_origin_may(scene: Scene) -> None:
    reply = scene.call("GET", "/v1/messages", Origin=APP)
    assert not [name for name in reply.headers if name.startswith("access-control")]
    asked = scene.call("OPTIONS", "/v1/messages", Origin=APP, **{"Access-Control-Request-Method": "POST"})
    assert asked.status == 405


def test_an_origin_that_is_named_may(inline_store: InlineStore, time: Time) -> None:
    scene = Scene(inline_store, time, http=HTTPConfig(cors_origins=(APP,)))
    reply = scene.call("GET", "/v1/messages", Origin=APP)
    assert (reply.headers["access-control-allow-origin"], reply.headers["vary"]) == (APP, "Origin")
    bad = scene.call("GET", "/v1/messages", token="x", Origin=APP)
    assert (bad.status, bad.headers["access-control-allow-origin"]) == (401, APP)
    asked = scene.call(
        "OPTIONS", "/v1/messages", token="", Origin=APP, **{"Access-Control-Request-Method": "POST"}
    )
    assert (asked.status, asked.headers["access-control-allow-methods"]) == (204, "GET, HEAD, POST")
    assert "Idempotency-Key" in asked.headers["access-control-allow-headers"]
    assert "content-length" not in asked.headers
    other = scene.call("GET", "/v1/messages", Origin="https://evil.example.net")
    assert "access-control-allow-origin" not in other.headers


# -- the access line ----------------------------------------------------------------------------------------


def said(scene: Scene, *requests: tuple[str, str]) -> list[dict[str, Any]]:
    stream = io.BytesIO()
    with own_log(lambda: 0):
        logging.configure(LogConfig(level="info"), stream)
        structlog.configure(cache_logger_on_first_use=False)  # the modules' loggers outlive this test
        for method, path in requests:
            scene.call(method, path, {"text": "secret"} if method == "POST" else None)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "http_request"]


@pytest.mark.parametrize(
    ("which", "statuses"), [("all", [200, 404, 422]), ("errors", [404, 422]), ("off", [])]
)
def test_the_lines_that_are_wanted(
    inline_store: InlineStore, time: Time, which: Any, statuses: list[int]
) -> None:
    scene = Scene(inline_store, time, http=HTTPConfig(access_log=which))
    requests = (
        ("GET", "/v1/messages?did=%2B12025550100"),
        ("GET", "/v1/conversations/+12025550100/+447911123456"),
        ("POST", "/v1/messages"),
    )
    lines = said(scene, *requests)
    assert [line["status"] for line in lines] == statuses
    for line in lines:
        assert (line["key"], line["address"]) == (TOKEN[:8], "192.0.2.1")
        assert "secret" not in str(line)
        assert "5550100" not in str(line)
        assert line["ms"] >= 0


# -- connections --------------------------------------------------------------------------------------------


def test_more_connections_than_there_may_be(inline_store: InlineStore, time: Time) -> None:
    scene = Scene(inline_store, time, http=HTTPConfig(max_connections=2))
    first, second = scene.link(), scene.link()
    third = scene.link()
    (reply,) = third.replies()
    assert (reply.status, reply.headers["retry-after"], third.closing()) == (503, "5", True)
    third.leave()
    first.leave()
    fourth = scene.link()
    assert (fourth.replies(), fourth.closing(), second.closing()) == ([], False, False)


@pytest.mark.parametrize("socket", ["", "::ffff:"])  # of IPv4, and one of both
def test_the_line_names_the_client_behind_the_proxy_and_no_token(
    inline_store: InlineStore, time: Time, socket: str
) -> None:
    http = HTTPConfig(access_log="all", public_url="https://sms.example.net")
    scene = Scene(inline_store, time, http=http)
    stream = io.BytesIO()
    forwarded = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    with own_log(lambda: 0):
        logging.configure(LogConfig(level="info"), stream)
        structlog.configure(cache_logger_on_first_use=False)
        for peer in ("127.0.0.1", "192.0.2.1"):
            peer = f"{socket}{peer}"
            scene.link(peer).send(request("GET", "/media/a-secret-token", b"", forwarded))
            with_key = {**forwarded, "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            body = json.dumps({"peer": f"+1202555017{len(peer)}"[:12]}).encode()
            scene.link(peer).send(request("POST", "/v1/opt-outs", body, with_key))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    requests = [line for line in lines if line["event"] == "http_request"]
    assert [line["address"] for line in requests] == ["198.51.100.7"] * 2 + ["192.0.2.1"] * 2
    assert requests[0]["path"] == "/media/***"
    assert b"a-secret-token" not in stream.getvalue()
    with scene.store.engine.snapshot() as conn:
        noted = audit.listed(conn, scene.account.id)
    assert {entry.address for entry in noted} == {"198.51.100.7", "192.0.2.1"}
