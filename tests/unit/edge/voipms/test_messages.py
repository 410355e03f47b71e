"""Sending and reading: texts as they were written, rows as the strictest readers want them, media."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from edge.config import HTTPConfig
from edge.web.voipms.history import PAGE
from edge.web.voipms.rows import STALLED_SECONDS
from storage import deletion, messages, removal
from storage.ids import EPOCH_MS, time_of
from storage.records import MessageFlag, MessageRecord, PartState
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import Time
from tests.unit.edge.voipms.world import DID, NOW, PASSWORD, SILENT_DID, World
from tests.unit.edge.web.harness import Link, request

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
SEND = {"did": "2025550100", "dst": "2025550199"}


def ms(written: str) -> int:
    """A UTC time."""
    return round(datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp() * 1000)


# -- sending ------------------------------------------------------------------------------------------------


def test_what_is_sent_is_stored_with_its_parts(world: World) -> None:
    answer = world.call("sendSMS", **SEND, message="hello")
    identity = int(answer["sms"])
    assert answer == {"status": "success", "sms": str(identity)}
    assert 0 < identity < 1 << 53
    with world.store.engine.snapshot() as conn:
        found = conn.exec_driver_sql(
            "SELECT m.account_id, m.did, m.peer, m.leg, p.state FROM message m"
            f" JOIN part p ON p.message_id = m.id WHERE m.id = {identity}"
        ).all()
    assert found == [(world.account.id, DID, "+12025550199", "voipms", "queued")]


def test_the_byte_rule_holds_while_the_account_is_strict(world: World) -> None:
    long = "é" * 81 + "👍" * 100
    answer = world.call("sendSMS", **SEND, message=long)
    assert answer["status"] == "sms_toolong"
    assert "562 octets" in answer["message"]
    world.access(strict=False)
    assert world.call("sendSMS", **SEND, message=long)["status"] == "success"
    (row,) = world.call("getSMS")["sms"]
    assert row["message"] == long
    login = {"api_username": "demo", "api_password": PASSWORD, "method": "sendSMS"}
    reply = world.post("/api/v1/rest.php", **login, **SEND, message="x" * 40_001)
    assert reply.json["status"] == "sms_toolong"


@pytest.mark.parametrize(
    "text", ["don't", "50% off & more + <b>", "=10=24", "&amp;", "ΑΒΓ ß ñ", "مرحبا", "👩‍👩‍👧‍👦", "a\nb\tc"]
)
def test_every_character_comes_back_as_it_was(world: World, text: str) -> None:
    assert world.call("sendSMS", **SEND, message=text)["status"] == "success"
    assert world.call("sendMMS", **SEND, message=text)["status"] == "success"
    (sms,) = world.call("getSMS")["sms"]
    (mms,) = world.call("getMMS")["sms"]
    assert (sms["message"], mms["message"]) == (text, text)


# -- rows ---------------------------------------------------------------------------------------------------


def test_rows_are_what_the_strictest_readers_want(world: World) -> None:
    world.message("mo", peer="GOOGLE")
    world.message("mo", peer="12345")
    world.message("mo", peer="+447911123456")
    world.message("mo", peer="+6591234567")
    world.message("mt", state=PartState.DELIVERED)
    world.message("mo", text="")  # nobody could show it
    world.message("mo", peer="erased", text="", flags=int(MessageFlag.ERASED))
    rows = world.call("getSMS")["sms"]
    assert len(rows) == 5
    for row in rows:
        assert list(row) == ["id", "date", "type", "did", "contact", "message", "carrier_status"]
        assert all(isinstance(value, str) for value in row.values())
        assert (row["did"] + row["contact"] + row["id"]).isdigit()
        assert row["type"] in ("0", "1")
        datetime.strptime(row["date"], "%Y-%m-%d %H:%M:%S")
    contacts = {"0466453", "12345", "447911123456", "0116591234567", "2025550199"}
    assert {row["contact"] for row in rows} == contacts
    assert {row["carrier_status"] for row in rows} == {"Information not available", "Delivered"}
    for contact in contacts:
        (row,) = world.call("getSMS", contact=contact)["sms"]
        assert row["contact"] == contact


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (PartState.QUEUED, "Queued"),
        (PartState.SENDING, "Sending"),
        (PartState.SENT, "Sent"),
        (PartState.IN_DOUBT, "In doubt"),
        (PartState.HELD, "In doubt"),
        (PartState.DELIVERED, "Delivered"),
        (PartState.EXPIRED, "Failed"),
        (PartState.FAILED, "Failed"),
    ],
)
def test_what_the_carrier_said(world: World, state: PartState, shown: str) -> None:
    world.message("mt", state=state)
    (row,) = world.call("getSMS")["sms"]
    assert row["carrier_status"] == shown


def test_filters_and_order(world: World) -> None:
    first = world.message("mo", at_ms=NOW - 3000, text="first")
    second = world.message("mt", at_ms=NOW - 2000, text="second", peer="+12025550150")
    third = world.message("mo", at_ms=NOW - 1000, text="third", did=SILENT_DID)
    world.message("mo", at_ms=NOW - 1000, owner=world.other)

    def ids(**parameters: str) -> list[int]:
        return [int(row["id"]) for row in world.call("getSMS", **parameters).get("sms", [])]

    assert ids() == [third.id, second.id, first.id]
    assert ids(limit="2") == [third.id, second.id]
    assert ids(limit="0") == ids(limit="-1") == ids(limit="many") == ids()
    assert ids(type="1") == [third.id, first.id]
    assert ids(type="0") == [second.id]
    assert ids(did="2025550100") == [second.id, first.id]
    assert ids(contact="+1 202-555-0199") == [third.id, first.id]
    assert ids(did="2025550101", contact="2025550199", type="1") == [third.id]
    assert ids(sms=str(second.id)) == [second.id]


def test_fifty_rows_unless_more_are_asked_for(world: World) -> None:
    records = [
        MessageRecord(
            ((NOW - 10_000_000 - EPOCH_MS + number) << 12),
            world.account.id,
            1,
            "mo",
            "test",
            DID,
            "+12025550199",
            f"text {number}",
            "up",
            NOW - 10_000_000 + number,
            1,
        )
        for number in range(6_001)
    ]
    success(world.store.writer.write([write for item in records for write in messages.insert(item)]))
    assert len(world.call("getSMS")["sms"]) == 50
    assert len(world.call("getSMS", limit="5001")["sms"]) == 5_001
    rows = world.call("getSMS", limit="1000000")["sms"]
    assert [row["message"] for row in rows] == [f"text {number}" for number in reversed(range(6_001))]
    assert world.call("getMMS", limit="1000000", all_messages="1", timezone="-5")["sms"][0]["media"] == []


@pytest.mark.parametrize(
    ("at", "shown", "day"),
    [
        ("2026-03-08T06:59:59", "2026-03-08 01:59:59", "2026-03-08"),
        ("2026-03-08T07:00:00", "2026-03-08 03:00:00", "2026-03-08"),
        ("2026-03-09T03:59:59", "2026-03-08 23:59:59", "2026-03-08"),
        ("2026-11-01T05:59:59", "2026-11-01 01:59:59", "2026-11-01"),
        ("2026-11-01T06:00:00", "2026-11-01 01:00:00", "2026-11-01"),
        ("2026-11-02T04:59:59", "2026-11-01 23:59:59", "2026-11-01"),
    ],
)
def test_both_daylight_nights(world: World, at: str, shown: str, day: str) -> None:
    world.message("mo", at_ms=ms(at))
    for parameters in ({}, {"timezone": "-5"}):
        (row,) = world.call("getSMS", from_=day, to=day, **parameters)["sms"]
        assert row["date"] == shown
    (row,) = world.call("getSMS", from_=shown, to=shown)["sms"]
    assert row["date"] == shown
    before, after = (f"{day[:8]}{int(day[8:]) + step:02d}" for step in (-1, 1))
    if before.endswith("00"):
        before = "2026-10-31"
    assert world.call("getSMS", from_=before, to=before)["status"] == "no_sms"
    assert world.call("getSMS", from_=after, to=after)["status"] == "no_sms"


def test_a_sync_in_windows_of_ninety_days_finds_each_message_once(world: World) -> None:
    made = [
        world.message("mo", at_ms=ms(f"2026-{month:02d}-{day:02d}T04:30:00"), text=f"{month}-{day}")
        for month in range(1, 11)
        for day in (1, 15, 28)
    ]
    windows = [
        ("2026-01-01", "2026-04-01"),
        ("2026-04-02", "2026-07-01"),
        ("2026-07-02", "2026-09-29"),
        ("2026-09-30", "2026-11-18"),
    ]
    found: list[str] = []
    for since, until in windows:
        parameters = {"did": "2025550100", "from_": since, "to": until, "all_messages": "1", "timezone": "-5"}
        answer = world.call("getMMS", limit="1000000", **parameters)
        found += [row["message"] for row in answer["sms"]]
    # The first one is of 31 December in New York.
    assert sorted(found) == sorted(record.text for record in made[1:])


# -- media --------------------------------------------------------------------------------------------------


def media_of(world: World, identity: str) -> list[str]:
    found: list[str] = world.call("getMediaMMS", id=identity, media_as_array="1")["media"]
    return found


def test_media_are_kept_and_served_and_the_text_has_links_to_them(
    inline_store: InlineStore, time: Time
) -> None:
    world = World(inline_store, time, http=HTTPConfig(public_url="https://sms.example.net/"))
    page = "data:text/html;base64,PHNjcmlwdD4="
    answer = world.call(
        "sendMMS", **SEND, message="look", media1=PNG, media2=page, media3="https://example.net/cat.jpg"
    )
    first, second, third = media_of(world, answer["mms"])
    assert first.startswith("https://sms.example.net/media/")
    assert third == "https://example.net/cat.jpg"
    (row,) = world.call("getMMS")["sms"]
    assert row["message"] == "look"
    assert (row["col_media1"], row["col_media2"], row["col_media3"]) == (first, second, third)
    assert row["media"] == [first, second, third]
    with world.store.engine.snapshot() as conn:
        (sent,) = conn.exec_driver_sql("SELECT text FROM message").scalars()
    assert sent == f"look\n{first}\n{second}\n{third}"

    reply = world.send(request("GET", urlsplit(first).path, b"", {}))
    assert (reply.status, reply.headers["content-type"]) == (200, "image/png")
    assert reply.body.startswith(b"\x89PNG")
    reply = world.send(request("GET", urlsplit(second).path, b"", {}))
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"] == "attachment"
    assert "sandbox" in reply.headers["content-security-policy"]
    for path in (
        "/media/nothing",
        "/media",
        "/media/",
        "/media/%00",
        "/media/%ff",
        f"{urlsplit(first).path}/x",
    ):
        assert world.send(request("GET", path, b"", {})).status == 404


def test_media_come_in_the_ways_that_programs_send_them(world: World) -> None:
    line_broken = "\r\n".join(PNG[start : start + 20] for start in range(0, len(PNG), 20))
    for written in (PNG, f"data:image/png;base64,{PNG}", f"data:;base64,{PNG}", line_broken, PNG.rstrip("=")):
        answer = world.call("sendMMS", **SEND, message="x", media1=written)
        assert answer["status"] == "success", written
        (link,) = media_of(world, answer["mms"])
        reply = world.send(request("GET", urlsplit(link).path, b"", {}))
        assert (reply.headers["content-type"], reply.body[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    login = {"api_username": "demo", "api_password": PASSWORD, "method": "sendMMS"}
    fields = "".join(
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**login, **SEND, "message": "a file"}.items()
    )
    head = 'Content-Disposition: form-data; name="media1"; filename="a.gif"\r\nContent-Type: image/gif'
    body = f"{fields}--xyz\r\n{head}\r\n\r\nGIF89a\r\n--xyz--\r\n".encode()
    kind = {"Content-Type": "multipart/form-data; boundary=xyz"}
    reply = world.send(request("POST", "/api/v1/rest.php", body, kind))
    (link,) = media_of(world, reply.json["mms"])
    reply = world.send(request("GET", urlsplit(link).path, b"", {}))
    assert (reply.headers["content-type"], reply.body) == ("image/gif", b"GIF89a")


def test_media_that_are_too_large(world: World) -> None:
    login = {"api_username": "demo", "api_password": PASSWORD, "method": "sendMMS"}
    large = {**login, **SEND, "message": "x", "media1": "AAAA" * 419_431}
    reply = world.post("/api/v1/rest.php", **large)
    assert reply.json["status"] == "sms_failed"
    assert "1258293 octets" in reply.json["message"]
    fits = world.post("/api/v1/rest.php", **{**large, "media1": "AAAA" * 419_430})
    assert fits.json["status"] == "success"


def test_a_message_with_media_and_no_text(world: World) -> None:
    answer = world.call("sendMMS", **SEND, message="", media1="https://example.net/1.jpg")
    (row,) = world.call("getMMS")["sms"]
    assert (row["id"], row["message"], row["media"]) == (answer["mms"], "", ["https://example.net/1.jpg"])
    assert world.call("getSMS")["status"] == "no_sms"
    (row,) = world.call("getSMS", all_messages="1")["sms"]
    assert row["col_media1"] == "https://example.net/1.jpg"


# -- deleting -----------------------------------------------------------------------------------------------


def test_what_was_deleted_is_gone_from_every_list_and_its_media_with_it(world: World) -> None:
    answer = world.call("sendMMS", **SEND, message="x", media1=PNG)
    (link,) = media_of(world, answer["mms"])
    assert world.call("deleteMMS", id=answer["mms"])["status"] == "success"
    assert world.call("getMMS")["status"] == "no_sms"
    assert world.call("getMMS", mms=answer["mms"])["status"] == "no_sms"
    assert world.call("getMediaMMS", id=answer["mms"])["status"] == "invalid_id"
    assert world.send(request("GET", urlsplit(link).path, b"", {})).status == 404, "before it is purged, too"
    with world.store.engine.transaction() as conn:
        (taken,) = conn.exec_driver_sql("SELECT deletion_id FROM message").scalars()
        assert deletion.undo(conn, world.account.id, taken, time_of(taken)) == 1
    assert world.send(request("GET", urlsplit(link).path, b"", {})).status == 200
    assert world.call("deleteMMS", id=answer["mms"])["status"] == "success"
    with world.store.engine.transaction() as conn:
        conn.exec_driver_sql("UPDATE part SET state = 'delivered'")
        assert deletion.purge(conn, NOW + 10 * 365 * 86_400_000) == 1
    assert world.send(request("GET", urlsplit(link).path, b"", {})).status == 404


def test_what_is_missing_is_named(world: World) -> None:
    assert world.call("deleteSMS") == {"status": "missing_sms", "message": "id is missing."}
    assert world.call("deleteMMS") == {"status": "missing_id", "message": "id is missing."}
    told = {"status": "missing_sms", "message": "The message is missing."}
    assert world.call("sendSMS", **SEND) == told


def test_who_is_erased_has_no_media_either(world: World) -> None:
    answer = world.call("sendMMS", **SEND, message="x", media1=PNG)
    (link,) = media_of(world, answer["mms"])
    with world.store.engine.transaction() as conn:
        assert removal.erase(conn, world.account.id, "+12025550199", "erased", 10) == 1
    assert world.send(request("GET", urlsplit(link).path, b"", {})).status == 404
    assert world.call("getMMS", all_messages="1")["status"] == "no_sms"


def test_who_opted_out_gets_nothing(world: World) -> None:
    world.opt_outs.added(world.account.id, DID, "+12025550199")
    answer = world.call("sendSMS", **SEND, message="x")
    assert answer["status"] == "sms_failed"
    assert "wants no messages" in answer["message"]


def test_media_while_the_store_is_away(world: World) -> None:
    world.store.writer.failing = True
    reply = world.send(request("GET", "/media/some-token", b"", {}))
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")


# -- very many rows -----------------------------------------------------------------------------------------


def asked(world: World, **more: str) -> Link:
    """A connection on which getSMS was called."""
    link = Link(world.site)
    query = urlencode({"api_username": "demo", "api_password": PASSWORD, "method": "getSMS", **more})
    link.send(request("GET", f"/api/v1/rest.php?{query}", b"", {}))
    return link


def whole(link: Link) -> bytes:
    """The body of the one answer."""
    (reply,) = link.replies()
    return reply.body


def many(world: World, count: int) -> None:
    first = world.message(text="0")
    writes: list[Any] = []
    for number in range(1, count):
        another = first._replace(id=world.store.ids.next(), text=str(number), created_at=first.created_at)
        writes += messages.insert(another)
    success(world.store.writer.write(writes))


def test_many_rows_are_written_page_by_page_as_they_are_taken(world: World) -> None:
    many(world, 2 * PAGE + 10)
    link = asked(world, limit="1000000")
    rows = json.loads(whole(link))["sms"]
    assert [row["message"] for row in rows] == [str(number) for number in reversed(range(2 * PAGE + 10))]
    assert len(json.loads(whole(asked(world, limit=str(PAGE + 1))))["sms"]) == PAGE + 1
    (short,) = asked(world, limit=str(PAGE)).replies()
    assert "content-length" in short.headers
    assert len(short.json["sms"]) == PAGE, "what is one page has its length"
    assert asked(world, limit="1000000", contact="2025550177").replies()[0].json["status"] == "no_sms"


def test_a_client_that_takes_nothing_is_waited_for_and_then_left(world: World) -> None:
    many(world, 3 * PAGE)
    reads, read = [], world.store.read
    taken: list[int] = []

    def counting(fn: Any, *args: Any, **kwargs: Any) -> Any:
        reads.append(fn.__name__)
        if reads.count("render") == 2:
            taken.append(len(link.transport.value()))
            link.transport.producer.pauseProducing()
        return read(fn, *args, **kwargs)

    world.store.read = counting  # type: ignore[method-assign]
    link = Link(world.site)
    query = urlencode(
        {"api_username": "demo", "api_password": PASSWORD, "method": "getSMS", "limit": "1000000"}
    )
    link.send(request("GET", f"/api/v1/rest.php?{query}", b"", {}))
    assert reads.count("render") == 2, "nothing more is read while nothing is taken"
    link.transport.producer.resumeProducing()
    assert reads.count("render") > 2
    assert len(json.loads(whole(link))["sms"]) == 3 * PAGE
    reads.clear()
    link.transport.clear()
    link.send(request("GET", f"/api/v1/rest.php?{query}", b"", {}))
    assert not link.closing()
    world.time.advance(STALLED_SECONDS)
    assert link.closing()
