"""Kannel's, Jasmin's and Acrobits' APIs: their parameters, their answers, and that they are off at first."""

import json
from typing import Any

import pytest

from edge.config import LookAlikesConfig
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.voipms.world import DID, FORM, NOW, PASSWORD, SILENT_DID, World
from tests.unit.edge.web.harness import Reply, request

KANNEL, JASMIN = "/cgi-bin/sendsms", "/send"
LOGIN = {"username": "demo", "password": PASSWORD}
TEXT = "Grüße 50 % + 1 👍🏽"


@pytest.fixture
def world(inline_store: InlineStore, time: Time) -> World:
    """With all of them."""
    return World(inline_store, time, lookalikes=LookAlikesConfig(kannel=True, jasmin=True, acrobits=True))


def sent(world: World) -> list[tuple[str, str, str, str]]:
    """Leg, DID, peer and text of what was sent, the oldest first."""
    with world.store.engine.snapshot() as conn:
        rows = conn.exec_driver_sql(
            "SELECT leg, did, peer, text FROM message WHERE leg != 'test' ORDER BY id"
        )
        return [tuple(row) for row in rows]


def said(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.text


def test_they_are_off_until_they_are_switched_on(inline_store: InlineStore, time: Time) -> None:
    plain = World(inline_store, time)
    for path in (KANNEL, JASMIN, "/acrobits/send", "/acrobits/fetch"):
        assert plain.get(path, **LOGIN, to="2025550199", text="x").status == 404
    assert plain.call("getIP")["status"] == "success"


@pytest.mark.parametrize("name", ["kannel", "jasmin", "acrobits"])
def test_each_is_switched_by_itself(inline_store: InlineStore, time: Time, name: str) -> None:
    world = World(inline_store, time, lookalikes=LookAlikesConfig(**{name: True}))
    paths = {"kannel": KANNEL, "jasmin": JASMIN, "acrobits": "/acrobits/send"}
    found = {key for key, path in paths.items() if world.get(path, **LOGIN).status != 404}
    assert found == {name}


# -- Kannel -------------------------------------------------------------------------------------------------


def test_kannel_takes_a_message(world: World) -> None:
    reply = world.get(KANNEL, **LOGIN, **{"from": DID, "to": "+12025550199", "text": TEXT})
    assert said(reply) == (202, "0: Accepted for delivery")
    reply = world.get(
        KANNEL, user="demo", **{"pass": PASSWORD, "from": "12025550100", "to": "447911123456", "text": "x"}
    )
    assert reply.status == 202
    assert sent(world) == [
        ("kannel", DID, "+12025550199", TEXT),
        ("kannel", DID, "+447911123456", "x"),
    ]


def test_kannel_with_several_receivers(world: World) -> None:
    reply = world.get(
        KANNEL, **LOGIN, **{"from": DID, "to": "12025550198 12025550199  +12025550198", "text": "x"}
    )
    assert said(reply) == (202, "0: Accepted for delivery")
    assert [row[2] for row in sent(world)] == ["+12025550198", "+12025550199"]
    world.access(per_day=3)
    reply = world.get(KANNEL, **LOGIN, **{"from": DID, "to": "12025550197 12025550196", "text": "x"})
    assert said(reply) == (202, "0: Accepted for delivery\nDenied receivers list: +12025550196")
    reply = world.get(KANNEL, **LOGIN, **{"from": DID, "to": "12025550197", "text": "x"})
    assert reply.status == 403


def test_kannel_names_the_receivers_that_are_none_and_sends_to_the_others(world: World) -> None:
    for to in ("12025550198 zz", "12025550198 zz 12025550199"):
        reply = world.get(KANNEL, **LOGIN, **{"from": DID, "to": to, "text": "x"})
        assert said(reply) == (202, "0: Accepted for delivery\nDenied receivers list: zz")
    assert [row[2] for row in sent(world)] == ["+12025550198", "+12025550198", "+12025550199"]


def test_kannel_by_post(world: World) -> None:
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Kannel-Username": "demo",
        "X-Kannel-Password": PASSWORD,
        "X-Kannel-From": DID,
        "X-Kannel-To": "+12025550199",
    }
    assert world.send(request("POST", KANNEL, TEXT.encode(), headers)).status == 202
    assert world.post(KANNEL, **LOGIN, **{"from": DID, "to": "12025550199", "text": TEXT}).status == 202
    assert [row[3] for row in sent(world)] == [TEXT, TEXT]


@pytest.mark.parametrize(
    ("kind", "more", "body"),
    [
        ("", {}, "Grüße & Küsse=2+2 %41".encode()),
        ("application/x-www-form-urlencoded", {}, "Grüße & Küsse=2+2 %41".encode()),
        ("text/plain; charset=ISO-8859-1", {}, "Grüße & Küsse=2+2 %41".encode("latin-1")),
        ('text/plain; Charset="ISO-8859-1"', {}, "Grüße & Küsse=2+2 %41".encode("latin-1")),
        ("text/plain; charset=UTF-8", {"X-Kannel-Coding": "2"}, "Grüße & Küsse=2+2 %41".encode()),
        ("text/plain; charset=ascii", {"X-Kannel-Charset": "UTF-8"}, "Grüße & Küsse=2+2 %41".encode()),
        ("application/octet-stream", {"X-Kannel-Coding": "2"}, "Grüße & Küsse=2+2 %41".encode("utf-16-be")),
    ],
)
def test_kannels_body_is_the_text_whatever_it_is_called(
    world: World, kind: str, more: dict[str, str], body: bytes
) -> None:
    headers = {
        "Content-Type": kind,
        "X-Kannel-Username": "demo",
        "X-Kannel-Password": PASSWORD,
        "X-Kannel-From": DID,
        "X-Kannel-To": "+12025550199",
        **more,
    }
    assert said(world.send(request("POST", KANNEL, body, headers))) == (202, "0: Accepted for delivery")
    assert [row[3] for row in sent(world)] == ["Grüße & Küsse=2+2 %41"]


def test_kannels_form_is_a_form_without_its_text_too(world: World) -> None:
    query = f"{KANNEL}?from=%2B12025550100&to=12025550199"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = world.send(request("POST", query, b"username=demo&password=api+password", form))
    assert said(reply) == (400, "Empty text not allowed, rejected."), "nobody is sent a password"
    reply = world.send(request("POST", f"{query}&text=hi", b"username=demo&password=api+password", form))
    assert reply.status == 202
    options = f"{query}&text=hi&username=demo&password=api+password"
    assert world.send(request("POST", options, b"dlr-mask=31&dlr-url=http%3A%2F%2Fx", form)).status == 202
    assert [row[3] for row in sent(world)] == ["hi", "hi"]
    unreadable = {**form, "Content-Type": "text/plain; charset=klingon"}
    reply = world.send(request("POST", f"{query}&username=demo&password=api+password", b"x", unreadable))
    assert said(reply) == (400, "Charset or body misformed, rejected")


@pytest.mark.parametrize(
    ("octets", "charset", "coding"),
    [
        ("Gr%FC%DFe", "ISO-8859-1", "0"),
        ("Gr%C3%BC%C3%9Fe", "UTF-8", "2"),
        ("%00G%00r%00%FC%00%DF%00e", "", "2"),
        ("%00G%00r%00%FC%00%DF%00e", "UTF-16BE", ""),
        ("Gr%C3%BC%C3%9Fe", "", ""),
    ],
)
def test_kannel_charsets(world: World, octets: str, charset: str, coding: str) -> None:
    query = f"username=demo&password=api+password&from=%2B12025550100&to=12025550199&text={octets}"
    reply = world.send(request("GET", f"{KANNEL}?{query}&charset={charset}&coding={coding}", b"", {}))
    assert reply.status == 202, reply.text
    assert sent(world)[0][3] == "Grüße"


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"password": "wrong"}, 403, "Authorization failed for sendsms"),
        ({"password": ""}, 403, "Authorization failed for sendsms"),
        ({"to": ""}, 400, "Missing receiver number, rejected"),
        ({"to": "abc"}, 400, "Number(s) has/have been denied by white- and/or black-lists."),
        ({"from": "12025550177"}, 403, "12025550177 is not a number of this account."),
        ({"from": ""}, 400, "Sender missing and no global set, rejected"),
        ({"from": SILENT_DID}, 403, "SMS is switched off for +12025550101."),
        ({"text": ""}, 400, "Empty text not allowed, rejected."),
        ({"udh": "\x05\x00\x03\x01\x02\x01"}, 400, "UDH field misformed, rejected"),
        ({"coding": "1"}, 400, "Coding field misformed, rejected"),
        ({"charset": "punycode"}, 400, "Charset or body misformed, rejected"),
        ({"charset": "klingon"}, 400, "Charset or body misformed, rejected"),
        ({"charset": "ascii"}, 400, "Charset or body misformed, rejected"),
        ({"validity": "soon"}, 400, "Validity field misformed, rejected"),
        ({"deferred": "10"}, 400, "Deferred field misformed, rejected"),
    ],
)
def test_kannel_refuses_in_its_own_words(
    world: World, changes: dict[str, str], status: int, words: str
) -> None:
    good = {**LOGIN, "from": DID, "to": "12025550199", "text": "é"}
    assert said(world.get(KANNEL, **{**good, **changes})) == (status, words)
    assert sent(world) == []


def test_kannel_options_that_change_nothing_here_are_taken(world: World) -> None:
    more = {
        "smsc": "x",
        "mclass": "1",
        "mwi": "",
        "pid": "0",
        "alt-dcs": "0",
        "account": "a",
        "binfo": "b",
        "priority": "1",
    }
    good = {**LOGIN, "from": DID, "to": "12025550199", "text": "x", "validity": "60", **more}
    assert world.get(KANNEL, **good).status == 202
    with world.store.engine.snapshot() as conn:
        (expires,) = conn.exec_driver_sql("SELECT expires_at FROM part").scalars()
    assert expires == NOW + 3_600_000


def test_the_only_number_of_an_account_need_not_be_named(world: World) -> None:
    reply = world.get(KANNEL, username="other", password=PASSWORD, to="12025550199", text="x")
    assert reply.status == 202
    assert sent(world)[0][1] == "+12025550177"


# -- Jasmin -------------------------------------------------------------------------------------------------


def test_jasmin_takes_a_message(world: World) -> None:
    good = {**LOGIN, "from": DID, "to": "12025550199", "content": TEXT}
    for reply in (
        world.get(JASMIN, **good),
        world.post(JASMIN, **good, coding="0", priority="2", tags="a,b"),
        world.send(request("POST", JASMIN, json.dumps(good).encode(), {"Content-Type": "application/json"})),
    ):
        assert reply.status == 200, reply.text
        word, _, identity = reply.text.partition(" ")
        assert word == "Success"
        assert identity.strip('"').isdigit()
    assert [row[0] for row in sent(world)] == ["jasmin"] * 3
    assert {row[3] for row in sent(world)} == {TEXT}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"hex-content": "0047007200fc", "coding": "8"}, "Grü"),
        ({"hex-content": "4772fc", "coding": "3"}, "Grü"),
        ({"hex-content": "47727e001b65"}, "Grü@€"),
        ({"hex-content": "47727e", "coding": "0"}, "Grü"),
        ({"content": "Gr", "coding": "3"}, "Gr"),
    ],
)
def test_jasmin_codings(world: World, arguments: dict[str, str], text: str) -> None:
    reply = world.get(JASMIN, **LOGIN, **{"from": DID, "to": "12025550199"}, **arguments)
    assert reply.status == 200, reply.text
    assert sent(world)[0][3] == text


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"password": "wrong"}, 403, "Authentication failure"),
        ({"username": None}, 400, "Mandatory argument [username] is not found."),
        ({"to": None}, 400, "Mandatory argument [to] is not found."),
        ({"to": "abc"}, 400, "Argument [to] has an invalid value: [abc]."),
        ({"content": None}, 400, "content or hex-content not present."),
        ({"hex-content": "00"}, 400, "content and hex-content cannot be used both in same request."),
        ({"content": None, "hex-content": "0g", "coding": "8"}, 400, "Invalid hex-content data: '0g'"),
        ({"content": None, "hex-content": "00", "coding": "8"}, 400, "The content is not utf-16-be."),
        ({"coding": "99"}, 400, "Argument [coding] has an invalid value: [99]."),
        ({"coding": "4"}, 400, "is no text here."),
        ({"color": "red"}, 400, "Argument [color] is unknown."),
        ({"dlr-level": "4"}, 400, "Argument [dlr-level] has an invalid value: [4]."),
        ({"sdt": "000000000100000R"}, 400, "Argument [sdt] is not supported"),
        ({"from": "12025550177"}, 403, "is not a number of this account."),
        ({"content": ""}, 400, "The message has no text."),
    ],
)
def test_jasmin_refuses_in_its_own_words(
    world: World, changes: dict[str, Any], status: int, words: str
) -> None:
    merged = {**LOGIN, "from": DID, "to": "12025550199", "content": "x", **changes}
    reply = world.get(JASMIN, **{name: value for name, value in merged.items() if value is not None})
    assert reply.status == status
    assert reply.text.startswith('Error "')
    assert words in reply.text
    assert reply.text.endswith('"')
    assert sent(world) == []


def test_jasmin_without_arguments(world: World) -> None:
    reply = world.send(request("GET", JASMIN, b"", {}))
    assert said(reply) == (
        400,
        'Error "Mandatory arguments not found, please refer to the HTTPAPI specifications."',
    )


# -- Acrobits -----------------------------------------------------------------------------------------------


def fetch(world: World, **more: str) -> dict[str, Any]:
    reply = world.get("/acrobits/fetch", **LOGIN, **more)
    assert reply.status == 200, reply.text
    found: dict[str, Any] = reply.json
    return found


def test_acrobits_sends(world: World) -> None:
    reply = world.get("/acrobits/send", **LOGIN, **{"from": DID, "to": "2025550199", "body": TEXT})
    assert reply.status == 200
    body = {**LOGIN, "from": "2025550100", "sms_to": "+12025550199", "sms_body": "two"}
    kind = {"Content-Type": "application/json"}
    second = world.send(request("POST", "/acrobits/send", json.dumps(body).encode(), kind))
    assert second.status == 200
    rows = fetch(world)["sent_smss"]
    assert rows == [], "what is that young may not be the last of its time"
    world.now_ms += 4_000
    rows = fetch(world)["sent_smss"]
    assert [(row["sms_id"], row["sms_text"]) for row in rows] == [
        (reply.json["message_id"], TEXT),
        (second.json["message_id"], "two"),
    ]


def test_acrobits_fetches_what_is_newer(world: World) -> None:
    first = world.message("mo", at_ms=NOW - 20_000, text="one")
    second = world.message("mo", at_ms=NOW - 10_000, text="two", peer="GOOGLE")
    mine = world.message("mt", at_ms=NOW - 9_000, text="three")
    world.message("mo", owner=world.other, at_ms=NOW - 9_000)
    found = fetch(world)
    assert found["date"] == "2026-11-18T11:06:40Z"
    assert [row["sms_text"] for row in found["unread_smss"]] == ["one", "two"]
    assert found["unread_smss"][0] == {
        "sms_id": str(first.id),
        "sending_date": "2026-11-18T11:06:20Z",
        "sender": "+12025550199",
        "sms_text": "one",
        "content_type": "text/plain",
        "stream_id": f"{DID}:+12025550199",
    }
    assert [row["recipient"] for row in found["sent_smss"]] == ["+12025550199"]
    newer = fetch(world, last_known_sms_id=str(first.id), last_sent_id=str(mine.id))
    assert [row["sender"] for row in newer["unread_smss"]] == ["GOOGLE"]
    assert newer["sent_smss"] == []
    assert fetch(world, last_id=str(second.id))["unread_smss"] == []
    assert fetch(world, **{"from": SILENT_DID})["unread_smss"] == []
    form = {"Content-Type": FORM}
    reply = world.send(request("POST", "/acrobits/fetch", b"username=demo&password=api+password", form))
    assert len(reply.json["unread_smss"]) == 2


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        ("send", {"password": "wrong"}, 403),
        ("send", {"to": ""}, 400),
        ("send", {"to": "abc"}, 400),
        ("send", {"body": " "}, 400),
        ("send", {"from": "2025550177"}, 403),
        ("fetch", {"password": "wrong"}, 403),
        ("fetch", {"from": "2025550177"}, 403),
    ],
)
def test_acrobits_says_what_is_wrong(world: World, path: str, changes: dict[str, str], status: int) -> None:
    good = {**LOGIN, "from": DID, "to": "2025550199", "body": "x"}
    reply = world.get(f"/acrobits/{path}", **{**good, **changes})
    assert reply.status == status
    assert len(reply.json["message"]) > 5
    assert sent(world) == []


# -- all of them --------------------------------------------------------------------------------------------

GOOD = {
    KANNEL: {"from": DID, "to": "12025550199", "text": "x"},
    JASMIN: {"from": DID, "to": "12025550199", "content": "x"},
    "/acrobits/send": {"from": DID, "to": "12025550199", "body": "x"},
}


@pytest.mark.parametrize("path", GOOD)
def test_who_may_call_and_how_often_is_asked_everywhere(world: World, path: str) -> None:
    def status() -> int:
        return world.get(path, **LOGIN, **GOOD[path]).status

    assert status() in (200, 202)
    for changes, expected in (
        ({"enabled": False}, 403),
        ({"allowed": "198.51.100.1"}, 403),
        ({"per_day": 1}, 403),
    ):
        world.access(**changes)
        assert status() == expected, changes
        world.access(enabled=True, allowed="0.0.0.0", per_day=0)
    world.access(per_minute=1)
    assert status() in (200, 202)
    assert status() in (403, 429)
    world.access(per_minute=0)
    world.store.writer.failing = True
    reply = world.get(path, **LOGIN, **GOOD[path])
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    world.store.writer.failing = False
    assert len(sent(world)) == 2


@pytest.mark.parametrize("path", [*GOOD, "/acrobits/fetch"])
def test_other_verbs_and_large_bodies(world: World, path: str) -> None:
    assert world.send(request("PUT", path, b"", {})).status == 405
    reply = world.send(f"POST {path} HTTP/1.1\r\nContent-Length: {(1 << 20) + 1}\r\n\r\n".encode())
    assert reply.status == 413
    assert "too large" in reply.text


# -- reports ------------------------------------------------------------------------------------------------


def told(world: World) -> list[str | None]:
    """Who is told of the states of what was sent."""
    with world.store.engine.snapshot() as conn:
        return list(conn.exec_driver_sql("SELECT status_callback FROM message ORDER BY id").scalars())


@pytest.mark.parametrize(
    ("path", "arguments", "reports"),
    [
        (
            KANNEL,
            {"dlr-url": "https://example.net/?t=%d", "dlr-mask": "31"},
            "kannel:27:https://example.net/?t=%d",
        ),
        (KANNEL, {"dlr-url": "https://example.net/", "dlr-mask": "4"}, None),
        (KANNEL, {"dlr-mask": "31"}, None),
        (KANNEL, {"dlr-url": "https://example.net/"}, None),
        (JASMIN, {"dlr": "yes", "dlr-url": "http://example.net/"}, "jasmin:1:post:http://example.net/"),
        (
            JASMIN,
            {"dlr-url": "http://example.net/", "dlr-level": "3", "dlr-method": "GET"},
            "jasmin:3:get:http://example.net/",
        ),
        (JASMIN, {"dlr": "no", "dlr-url": "http://example.net/"}, None),
    ],
)
def test_reports_are_asked_for(
    world: World, path: str, arguments: dict[str, str], reports: str | None
) -> None:
    assert world.get(path, **LOGIN, **GOOD[path], **arguments).status in (200, 202)
    assert told(world) == [reports]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dlr-url": "ftp://example.net", "dlr-mask": "1"}, "DLR-URL field misformed, rejected"),
        ({"dlr-url": "http://10.0.0.1/", "dlr-mask": "1"}, "DLR-URL field misformed, rejected"),
        ({"dlr-url": "http://example.net", "dlr-mask": "all"}, "DLR-Mask field misformed, rejected"),
    ],
)
def test_reports_that_cannot_be(world: World, arguments: dict[str, str], words: str) -> None:
    assert said(world.get(KANNEL, **LOGIN, **GOOD[KANNEL], **arguments)) == (400, words)


def test_kannel_and_jasmin_to_who_opted_out(world: World) -> None:
    world.opt_outs.added(world.account.id, DID, "+12025550199")
    status, words = said(world.get(KANNEL, **LOGIN, **{"from": DID, "to": "12025550199", "text": "x"}))
    assert (status, words) == (403, f"+12025550199 wants no messages from {DID}.")
    assert sent(world) == []


def test_kannels_many_receivers_are_one_transaction(world: World) -> None:
    many = {**LOGIN, "from": DID, "to": "12025550197 12025550198 12025550199", "text": "x"}
    world.get(KANNEL, **{**many, "to": "12025550196"})
    before = world.store.writer.units
    assert world.get(KANNEL, **many).status == 202
    assert world.store.writer.units == before + 1
    world.opt_outs.added(world.account.id, DID, "+12025550197")
    assert said(world.get(KANNEL, **many)) == (
        202,
        "0: Accepted for delivery\nDenied receivers list: +12025550197",
    )
    assert len(sent(world)) == 6


def test_an_outage_denies_no_receiver(world: World) -> None:
    many = {**LOGIN, "from": DID, "to": "12025550197 12025550198", "text": "x"}
    world.get(KANNEL, **{**many, "to": "12025550196"})
    world.access(per_day=3)
    world.store.writer.failing = True
    status, words = said(world.get(KANNEL, **many))
    assert (status, words) == (503, "Temporal failure, try again later.")
    world.store.writer.failing = False
    assert said(world.get(KANNEL, **many)) == (202, "0: Accepted for delivery")
    assert len(sent(world)) == 3, "what was not stored does not count"
    reply = said(world.get(KANNEL, **many))
    assert reply[0] == 403
