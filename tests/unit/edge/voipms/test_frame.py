"""The frame of /api/v1/rest.php: how a call arrives, who may make it, how it is answered."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from twisted.internet.defer import Deferred

from edge.config import HTTPConfig
from edge.web.pages.passwords import PasswordChecker
from edge.web.program import READ_AT_ONCE
from edge.web.site import make_site
from edge.web.voipms.statuses import Rejected
from storage import accesses, accounts
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.voipms.world import CHEAP, FORM, PASSWORD, World
from tests.unit.edge.web.harness import Link, Reply, request

REST = "/api/v1/rest.php"
LOGIN = {"api_username": "demo", "api_password": PASSWORD}
SEND = {**LOGIN, "method": "sendSMS", "did": "2025550100", "dst": "2025550199"}


def multipart(**fields: str) -> tuple[bytes, str]:
    parts = "".join(
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return f"{parts}--xyz--\r\n".encode(), "multipart/form-data; boundary=xyz"


def texts(world: World) -> list[str]:
    """What was sent, the newest first."""
    answer = world.call("getSMS", type="0")
    return [row["message"] for row in answer.get("sms", [])]


def status(reply: Reply) -> str:
    assert reply.status == 200
    found: str = json.loads(reply.body)["status"]
    return found


# -- how it arrives -----------------------------------------------------------------------------------------

TEXT = "50 % + 1 = é👍🏽 <&> \"'\r\n/\\ hello+john"


def test_the_three_ways_to_call(world: World) -> None:
    assert status(world.get(REST, **SEND, message=TEXT)) == "success"
    assert status(world.post(REST, **SEND, message=TEXT)) == "success"
    body, kind = multipart(**SEND, message=TEXT)
    assert status(world.send(request("POST", REST, body, {"Content-Type": kind}))) == "success"
    assert texts(world) == [TEXT, TEXT, TEXT]


def test_a_blank_arrives_as_plus_and_as_percent_twenty(world: World) -> None:
    query = "&".join(f"{name}={quote(value)}" for name, value in SEND.items())
    for message in ("a+b", "a%20b", "a%2Bb"):
        reply = world.send(request("GET", f"{REST}?{query}&message={message}", b"", {}))
        assert status(reply) == "success"
    assert texts(world) == ["a+b", "a b", "a b"]


def test_query_and_body_may_be_mixed_and_the_last_counts(world: World) -> None:
    query = f"{REST}?api_username=demo&method=getIP&method=sendSMS&message=first&dst=1"
    body = "&".join(f"{name}={quote(value)}" for name, value in {**SEND, "message": "last"}.items())
    reply = world.send(request("POST", query, body.encode(), {"Content-Type": FORM}))
    assert status(reply) == "success"
    assert texts(world) == ["last"]


def test_parameters_that_are_not_known_change_nothing(world: World) -> None:
    assert world.call("getIP", content_type="json", whatever="x")["status"] == "success"


def test_nothing_at_all_lacks_a_method(world: World) -> None:
    assert status(world.send(request("GET", REST, b"", {}))) == "missing_method"
    assert status(world.send(request("POST", REST, b"", {}))) == "missing_method"
    assert status(world.get(REST, **LOGIN, method=" ")) == "missing_method"


@pytest.mark.parametrize("method", ["getsms", "sendsms", "getFax", "__init__", "<b>"])
def test_an_unknown_method(world: World, method: str) -> None:
    assert world.call(method)["status"] == "invalid_method"


def test_head_reads_and_changes_nothing(world: World) -> None:
    query = f"{REST}?api_username=demo&api_password=api%20password&method="
    reply = world.send(request("HEAD", f"{query}getIP", b"", {}), head_only=True)
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) == len(world.get(REST, **LOGIN, method="getIP").body)
    world.send(
        request("HEAD", f"{query}sendSMS&did=2025550100&dst=2025550199&message=x", b"", {}), head_only=True
    )
    assert texts(world) == []


@pytest.mark.parametrize("verb", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_verbs(world: World, verb: str) -> None:
    assert status(world.send(request(verb, REST, b"", {}))) == "invalid_method"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=xyz", b"not a form"),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nx"),
        (FORM, b"&".join(b"a%d=1" % number for number in range(101))),
    ],
)
def test_forms_that_cannot_be_read(world: World, kind: str, body: bytes) -> None:
    assert status(world.send(request("POST", REST, body, {"Content-Type": kind}))) == "missing_params"


def test_a_body_that_is_too_large_is_refused_in_the_same_tongue(world: World) -> None:
    head = f"POST {REST}?x=1 HTTP/1.1\r\nContent-Length: {(6 << 20) + 1}\r\n\r\n".encode()
    reply = world.send(head)
    assert reply.status == 413
    assert reply.json["status"] == "missing_params"


def test_octets_that_are_no_utf8(world: World) -> None:
    query = "&".join(f"{name}={quote(value)}" for name, value in SEND.items())
    reply = world.send(request("GET", f"{REST}?{query}&message=%ff%fe", b"", {}))
    assert status(reply) == "invalid_sms"
    assert status(world.send(request("GET", f"{REST}?{query}&message=x&dst=%ff", b"", {}))) == "invalid_dst"


# -- how it is answered -------------------------------------------------------------------------------------


def test_an_answer_is_written_as_php_writes_it(world: World) -> None:
    message = world.message("mo", text='Zoë/"👍"\n\\')
    reply = world.get(REST, **LOGIN, method="getSMS")
    assert reply.body == (
        b'{"status":"success","sms":[{"id":"%d","date":"2026-11-18 06:06:39","type":"1","did":"2025550100",'
        b'"contact":"2025550199","message":"Zo\\u00eb\\/\\"\\ud83d\\udc4d\\"\\n\\\\",'
        b'"carrier_status":"Information not available"}]}' % message.id
    )


def test_the_store_is_away(world: World) -> None:
    world.store.writer.failing = True
    for parameters in ({**SEND, "message": "x"}, {**LOGIN, "method": "getSMS"}):
        reply = world.get(REST, **parameters)
        assert (reply.status, reply.json["status"]) == (503, "method_maintenance")
        assert reply.headers["retry-after"] == "5"


def test_a_server_that_stops_takes_nothing(world: World) -> None:
    world.outbound.draining = True
    reply = world.get(REST, **SEND, message="x")
    assert (reply.status, reply.json["status"]) == (503, "method_maintenance")


def test_our_own_mistakes_are_not_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.texts.page", lambda *_, **__: 1 / 0)
    reply = world.get(REST, **LOGIN, method="getSMS")
    assert (reply.status, reply.json["status"]) == (500, "method_maintenance")
    assert b"Zero" not in reply.body


def test_a_message_is_acknowledged_after_its_commit(world: World) -> None:
    world.call("getIP")
    world.store.writer.held = True
    link = Link(world.site)
    query = "&".join(f"{name}={quote(value)}" for name, value in {**SEND, "message": "x"}.items())
    link.send(request("GET", f"{REST}?{query}", b"", {}))
    assert link.replies() == []
    world.store.writer.release()
    (reply,) = link.replies()
    assert status(reply) == "success"


# -- who may call -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ({}, "missing_credentials"),
        ({"api_username": "demo"}, "missing_credentials"),
        ({"api_username": "demo", "api_password": ""}, "missing_credentials"),
        ({"api_password": PASSWORD}, "missing_credentials"),
        ({"api_username": "demo", "api_password": "wrong"}, "invalid_credentials"),
        ({"api_username": "nobody", "api_password": PASSWORD}, "invalid_credentials"),
        ({"api_username": "other", "api_password": PASSWORD}, "success"),
        ({"api_username": " DEMO ", "api_password": PASSWORD}, "success"),
    ],
)
def test_credentials(world: World, login: dict[str, str], expected: str) -> None:
    assert status(world.get(REST, **login, method="getBalance")) == expected


def test_the_portals_password_is_another(world: World) -> None:
    with world.store.engine.transaction() as conn:
        accounts.add_user(conn, world.store.ids.next, world.account.id, "demo", CHEAP.hash("portal"), 0)
    assert status(world.get(REST, api_username="demo", api_password="portal", method="getIP")) == (
        "invalid_credentials"
    )
    browser_login = world.post("/login", login="demo", password=PASSWORD)
    assert browser_login.status == 403


def test_access_that_is_switched_off(world: World) -> None:
    world.access(enabled=False)
    assert world.call("getIP")["status"] == "api_not_enabled"
    assert world.call("getBalance")["status"] == "api_not_enabled"


@pytest.mark.parametrize(
    ("allowed", "address", "expected"),
    [
        ("", "192.0.2.1", "ip_not_enabled"),
        ("0.0.0.0", "203.0.113.9", "success"),
        ("192.0.2.1", "192.0.2.1", "success"),
        ("192.0.2.1", "192.0.2.2", "ip_not_enabled"),
        ("198.51.100.7, 192.0.2.1", "192.0.2.1", "success"),
        ("192.0.2.0/24", "192.0.2.200", "success"),
        ("192.0.2.0/24", "192.0.3.1", "ip_not_enabled"),
        ("192.0.2.*", "192.0.2.77", "success"),
        ("192.0.*.*", "192.1.2.77", "ip_not_enabled"),
        ("home.example.net", "192.0.2.5", "success"),
        ("home.example.net", "192.0.2.6", "ip_not_enabled"),
        ("gone.example.net", "192.0.2.5", "ip_not_enabled"),
    ],
)
def test_addresses(world: World, allowed: str, address: str, expected: str) -> None:
    world.access(allowed=allowed)
    world.names.addresses_of["home.example.net"] = ["192.0.2.5"]
    assert status(world.get(REST, peer=address, **LOGIN, method="getBalance")) == expected
    reply = world.get(REST, peer=address, **LOGIN, method="getIP")
    assert reply.json == {"status": "success", "ip": address}, "getIP answers from anywhere"


def test_a_name_is_looked_up_once_a_minute(world: World) -> None:
    world.access(allowed="home.example.net")
    world.names.addresses_of["home.example.net"] = ["192.0.2.1"]
    for _ in range(3):
        assert world.call("getBalance")["status"] == "success"
    assert world.names.asked == ["home.example.net"]
    world.names.addresses_of["home.example.net"] = ["192.0.2.99"]
    world.time.advance(61)
    assert world.call("getBalance")["status"] == "ip_not_enabled"


def test_behind_a_proxy_the_address_is_the_one_that_it_names(inline_store: InlineStore, time: Time) -> None:
    world = World(inline_store, time, http=HTTPConfig(public_url="https://sms.example.net"))
    world.access(allowed="203.0.113.9")
    target = f"{REST}?api_username=demo&api_password=api%20password&method=getBalance"
    forwarded = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9"}
    reply = world.send(request("GET", target, b"", forwarded), peer="127.0.0.1")
    assert status(reply) == "success"
    assert status(world.send(request("GET", target, b"", forwarded), peer="192.0.2.8")) == "ip_not_enabled"


# -- how much -----------------------------------------------------------------------------------------------


def test_calls_a_minute(world: World) -> None:
    world.access(per_minute=3)
    found = [world.call("getBalance")["status"] for _ in range(4)]
    assert found == ["success"] * 3 + ["api_limit_exceeded"]
    assert world.call("getBalance", login="other")["status"] == "success"
    world.time.advance(20.1)
    assert world.call("getBalance")["status"] == "success"
    world.access(per_minute=0)
    assert world.call("getBalance")["status"] == "success"


def test_messages_a_day(world: World) -> None:
    world.access(per_day=3)
    world.message("mt", leg="kannel")
    world.message("mt", leg="portal")
    world.message("mt", leg="voipms", at_ms=world.now_ms - 7 * 3_600_000)  # yesterday, in New York
    parameters = {"did": "2025550100", "dst": "2025550199", "message": "x"}
    assert world.call("sendSMS", **{**parameters, "dst": "x"})["status"] == "invalid_dst"
    found = [world.call("sendSMS", **parameters)["status"] for _ in range(3)]
    assert found == ["success", "success", "limit_reached"]
    assert world.call("sendMMS", **parameters)["status"] == "limit_reached"
    world.now_ms += 18 * 3_600_000  # tomorrow
    assert world.call("sendSMS", **parameters)["status"] == "success"


def test_what_is_sent_while_there_is_no_limit_counts_when_there_is_one_again(world: World) -> None:
    parameters = {"did": "2025550100", "dst": "2025550199", "message": "x"}

    def sends(per_day: int, times: int) -> list[str]:
        world.access(per_day=per_day)
        return [world.call("sendSMS", **parameters)["status"] for _ in range(times)]

    assert sends(2, 1) == ["success"]
    assert sends(0, 3) == ["success"] * 3
    assert sends(5, 2) == ["success", "limit_reached"]


def test_what_was_not_sent_does_not_count(world: World) -> None:
    world.access(per_day=1)
    parameters: dict[str, Any] = {"did": "2025550100", "dst": "2025550199", "message": "x"}
    world.call("getIP")
    world.outbound.draining = True
    world.get(REST, **LOGIN, method="sendSMS", **parameters)
    world.outbound.draining = False
    assert world.call("sendSMS", **parameters)["status"] == "success"
    assert world.call("sendSMS", **parameters)["status"] == "limit_reached"


# -- passwords ----------------------------------------------------------------------------------------------


def test_a_password_is_verified_once_until_it_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    real = PasswordChecker.check

    def check(checker: PasswordChecker, password_hash: str | None, password: str) -> Any:
        verified.append(password)
        return real(checker, password_hash, password)

    monkeypatch.setattr(PasswordChecker, "check", check)
    for _ in range(3):
        assert world.call("getBalance")["status"] == "success"
    assert len(verified) == 1
    world.access(password_hash=CHEAP.hash("another one"))
    assert world.call("getBalance")["status"] == "invalid_credentials"
    with world.store.engine.snapshot() as conn:
        access = accesses.access_of(conn, world.account.id)
    assert access is not None
    assert PASSWORD not in repr(access)
    assert "argon2" not in repr(access)


def test_who_guesses_waits_and_who_knows_does_not(world: World) -> None:
    wrong = {"api_username": "demo", "api_password": "wrong", "method": "getIP"}
    assert world.call("getIP")["status"] == "success"
    for _ in range(6):
        assert status(world.get(REST, **wrong)) == "invalid_credentials"
    reply = world.get(REST, **wrong)
    assert "too many" in reply.json["message"]
    assert world.call("getIP")["status"] == "success", "a program that was let in is let in"
    assert status(world.get(REST, api_username="other", api_password=PASSWORD, method="getIP")) == "success"
    world.time.advance(1_000)
    assert "too many" not in world.get(REST, **wrong).json["message"]


def test_a_large_request_is_read_in_a_thread(inline_store: InlineStore, time: Time) -> None:
    """Whoever sends it has not logged in: nothing else waits while it is taken apart."""
    world = World(inline_store, time)
    waiting: list[Any] = []

    def in_thread(work: Any) -> Deferred[Any]:
        later: Deferred[Any] = Deferred()
        waiting.append((work, later))
        return later

    world.site = make_site(world.services, in_thread=in_thread)
    login = {"api_username": "demo", "api_password": "wrong", "method": "getBalance"}
    link = Link(world.site)
    body = urlencode({**login, "media1": "A" * READ_AT_ONCE}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    link.send(request("POST", "/api/v1/rest.php", body, kind))
    assert link.replies() == []
    ((work, reading),) = waiting
    assert work().text("method") == "getBalance"
    reading.callback(work())
    assert len(waiting) == 2, "and now the password"
    link = Link(world.site)
    link.send(request("POST", "/api/v1/rest.php", urlencode({"method": "nothing"}).encode(), kind))
    assert link.replies()[0].json["status"] == "invalid_method"
    assert len(waiting) == 2, "a small one is read at once"
    link.send(request("POST", "/api/v1/rest.php", b"&".join([b"a=b"] * 50_000), kind))
    with pytest.raises(Rejected) as too_many:
        waiting[2][0]()
    waiting[2][1].errback(too_many.value)
    assert link.replies()[0].json["status"] == "missing_params"
