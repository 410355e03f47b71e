"""The API on the real stores: one key at two servers, and the stream of events to readers fast and slow."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from sqlalchemy import func, select
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from storage import events, messages, parts, receipts
from storage.receipts import Report
from storage.store import Store
from storage.tables import message
from tests.integration.web.api_site import ApiSite, token
from tests.samples import NOW, PEER, mo, receipt_for

pytestmark = pytest.mark.integration

reactor: Any = global_reactor
PATIENCE_SECONDS = 30.0


@pytest_twisted.async_yield_fixture
async def site(store: Store) -> AsyncIterator[ApiSite]:
    running = ApiSite(store)
    await running.start()
    yield running
    await running.stop()


async def until(condition: Any) -> None:
    """As soon as it is so."""
    deadline = reactor.seconds() + PATIENCE_SECONDS
    while not condition():
        assert reactor.seconds() < deadline
        await deferLater(reactor, 0.01)


@pytest_twisted.ensureDeferred
async def test_one_key_at_two_servers_is_one_message(site: ApiSite) -> None:
    """Neither knows what the other has in hand: the store refuses the second one."""
    elsewhere = site.listen()
    body = {"from": site.mine.number, "to": "+447911123456", "text": "once"}
    for number in range(10):
        key = {"Idempotency-Key": f"k{number}"}
        asking = [
            Deferred.fromCoroutine(site.call(site.mine, "POST", "/v1/messages", body, base, **key))
            for base in (site.base, elsewhere)
        ]
        first, second = await gatherResults(asking)
        assert (first, first[0]) == (second, 202)
    count = await site.store.read(
        lambda conn: conn.scalar(select(func.count()).where(message.c.text == "once"))
    )
    assert count == 10


class Reader(Protocol):
    """An event stream as it comes; it may stop reading."""

    def __init__(self) -> None:
        self.octets = b""

    def dataReceived(self, data: bytes) -> None:
        self.octets += data

    def blocks(self) -> list[dict[str, str]]:
        """The events so far, each as its fields. Chunks' sizes stand on lines of their own."""
        found = []
        for block in self.octets.decode().replace("\r\n", "\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "event" in fields:
                found.append(fields)
        return found


async def listen(site: ApiSite, who: Any, query: str = "", last: str = "") -> Reader:
    endpoint = HostnameEndpoint(reactor, "127.0.0.1", int(site.base.rpartition(":")[2]))
    reader: Reader = await connectProtocol(endpoint, Reader())
    assert reader.transport is not None
    lines = [f"GET /v1/events{query} HTTP/1.1", "Host: x", f"Authorization: Bearer {token(who)}"]
    lines += [f"Last-Event-ID: {last}"] if last else []
    reader.transport.write("\r\n".join([*lines, "", ""]).encode())
    return reader


async def write(site: ApiSite, who: Any, count: int, text: str = "news") -> list[int]:
    """So many messages of a customer, in one transaction."""
    made = [
        mo(id=site.store.ids.next(), account_id=who.account.id, did_id=who.did.id, did=who.number, peer=PEER)
        for _ in range(count)
    ]
    writes = [write for record in made for write in messages.insert(record._replace(text=text))]
    await site.store.writer.write(writes)
    return [record.id for record in made]


@pytest_twisted.ensureDeferred
async def test_a_stream_has_what_is_ones_own_and_goes_on_where_it_was(site: ApiSite) -> None:
    start = str(await site.store.read(events.start))
    reader = await listen(site, site.mine, last=start)
    await until(lambda: b"delivery" in reader.octets or b"message.received" in reader.octets)
    first = await write(site, site.mine, 3)
    await write(site, site.theirs, 3)
    await until(lambda: str(first[-1]) in reader.octets.decode())
    text = reader.octets.decode()
    assert not [identity for identity in site.theirs.ids.given if str(identity) in text]
    assert f"of {site.theirs.name}" not in text
    seen = reader.blocks()
    data = json.loads(seen[-1]["data"])
    assert (seen[-1]["event"], data["type"]) == ("message.received", "message.received")
    assert (data["subject"], data["message"]["text"]) == (first[-1], "news")
    assert data["message"]["unread"] is True
    assert reader.transport is not None
    reader.transport.loseConnection()
    missed = await write(site, site.mine, 4)
    again = await listen(site, site.mine, query=f"?types=message.received&after={seen[-1]['id']}")
    await until(lambda: len(again.blocks()) >= 4)
    assert [json.loads(block["data"])["subject"] for block in again.blocks()] == missed
    assert again.transport is not None
    again.transport.loseConnection()


@pytest_twisted.ensureDeferred
async def test_a_stream_tells_what_becomes_of_a_message_and_only_its_owner(site: ApiSite) -> None:
    """Queued, sent, delivered; who comes back with the id of one of them gets the ones after it."""
    mine, theirs = await listen(site, site.mine), await listen(site, site.theirs)
    await until(lambda: b"retry" in mine.octets and b"retry" in theirs.octets)
    body = {"from": site.mine.number, "to": "+447911123456", "text": "on its way"}
    status, text = await site.call(site.mine, "POST", "/v1/messages", body)
    assert status == 202
    identity = json.loads(text)["id"]
    view = await site.store.read(messages.find, identity)
    assert view is not None
    (row,) = view.parts
    await site.store.writer.write(parts.record_sent(row.id, "carrier-id", NOW))
    await until(lambda: b"message.sent" in mine.octets)
    report = Report(receipt_for("carrier-id", upstream="up", part_state="delivered"), ["carrier-id"])
    await site.store.writer.run("receipt", lambda conn: receipts.store_and_match_all(conn, [report], NOW))
    await until(lambda: b"message.delivered" in mine.octets)
    blocks = [block for block in mine.blocks() if json.loads(block["data"])["subject"] == identity]
    assert [block["event"] for block in blocks] == ["message.queued", "message.sent", "message.delivered"]
    told = [json.loads(block["data"])["message"] for block in blocks]
    assert [one["status"] for one in told[1:]] == ["sent", "delivered"]
    again = await listen(site, site.mine, last=blocks[0]["id"])
    await until(lambda: b"message.delivered" in again.octets)
    assert [block["id"] for block in again.blocks()] == [block["id"] for block in blocks[1:]]
    only = await listen(site, site.mine, query=f"?types=message.delivered&after={blocks[0]['id']}")
    await until(only.blocks)
    assert [block["id"] for block in only.blocks()] == [blocks[2]["id"]]
    await write(site, site.theirs, 1)
    await until(theirs.blocks)
    assert [block["event"] for block in theirs.blocks()] == ["message.received"]
    for reader in (mine, theirs, again, only):
        assert reader.transport is not None
        reader.transport.loseConnection()


@pytest_twisted.ensureDeferred
async def test_a_paused_endpoint_comes_with_the_delivery_that_failed_last(site: ApiSite) -> None:
    reader = await listen(site, site.mine, "?types=endpoint.paused")
    await until(lambda: b"retry" in reader.octets)
    failed = site.mine.failed
    notice = (site.mine.account.id, events.Kind.ENDPOINT_PAUSED, failed.id, NOW)
    await site.store.writer.run("pause", lambda conn: events.write(conn, [notice]))
    await until(reader.blocks)
    (block,) = reader.blocks()
    data = json.loads(block["data"])
    assert (data["type"], data["subject"]) == ("endpoint.paused", failed.id)
    assert (data["delivery"]["id"], data["delivery"]["handler"]) == (failed.id, failed.handler)
    assert reader.transport is not None
    reader.transport.loseConnection()


@pytest_twisted.ensureDeferred
async def test_a_slow_reader_holds_no_memory(site: ApiSite) -> None:
    """It stops reading; 4,000 events of 2 kB come. Here a page waits for it, in the store the rest."""
    reader = await listen(site, site.mine, "?types=message.received")
    await until(lambda: b"retry" in reader.octets)
    connection: Any = reader.transport
    connection.pauseProducing()
    ids = []
    for _ in range(8):
        ids += await write(site, site.mine, 500, "x" * 2_000)
    await deferLater(reactor, 1.0)  # whatever would fill memory has the time to do so
    waiting = [waits for waits in map(pending, reactor.getReaders()) if waits]
    assert sum(waiting) < 3_000_000, waiting
    assert site.events.remembered <= site.events.kept
    connection.resumeProducing()
    await until(lambda: str(ids[-1]).encode() in reader.octets)
    assert [json.loads(block["data"])["subject"] for block in reader.blocks()] == ids
    connection.loseConnection()


def pending(transport: Any) -> int:
    """Octets that a transport has not handed to the system."""
    held = len(getattr(transport, "dataBuffer", b"")) - getattr(transport, "offset", 0)
    return held + sum(map(len, getattr(transport, "_tempDataBuffer", [])))


@pytest_twisted.ensureDeferred
async def test_a_cursor_from_before_what_is_kept_is_told_of_the_gap(site: ApiSite) -> None:
    start = str(await site.store.read(events.start))
    await site.store.writer.run("purge", lambda conn: events.purge(conn, NOW * 2, 100_000))
    reader = await listen(site, site.mine, last=start)
    await until(lambda: b"event: gap" in reader.octets)
    fresh = await write(site, site.mine, 1)
    await until(lambda: str(fresh[0]).encode() in reader.octets)
    assert reader.transport is not None
    reader.transport.loseConnection()
    status, text = await site.call(site.mine, "GET", "/v1/events", **{"Last-Event-ID": "yesterday"})
    assert (status, json.loads(text)["code"]) == (422, "cursor_invalid")
    status, _ = await site.call(site.mine, "HEAD", "/v1/events", **{"Last-Event-ID": "yesterday"})
    assert status == 422
    status, _ = await site.call(site.mine, "HEAD", "/v1/events", **{"Last-Event-ID": start})
    assert status == 200
