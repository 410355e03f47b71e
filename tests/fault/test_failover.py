"""Several upstreams: load-sharing, failover, and messages that go from one to another, whole and once."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from edge.config import RouteConfig
from edge.testing import FakeSMSC, accept_all
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DeliverSm, DeliverSmResp, Request, Response, SubmitSm
from storage import messages
from storage.records import PartFlag
from tests.fault.edge import DID, PHONE, Edge, bound

pytestmark = pytest.mark.fault

LONG = "word " * 80


@pytest_twisted.async_yield_fixture
async def pair() -> AsyncIterator[dict[str, FakeSMSC]]:
    running = {name: FakeSMSC(reactor, accept_all) for name in ("one", "two")}
    for smsc in running.values():
        smsc.start()
    yield running
    for smsc in running.values():
        await smsc.stop()


def refusing(status: int) -> Callable[[Request], Response | None]:
    def answer(request: Request) -> Response | None:
        return request.refuse(status) if isinstance(request, SubmitSm) else accept_all(request)

    return answer


def received(smsc: FakeSMSC) -> list[SubmitSm]:
    return [pdu for link in smsc.links for pdu in link.received if isinstance(pdu, SubmitSm)]


@pytest_twisted.ensureDeferred
async def test_the_load_is_shared_and_a_message_is_never_split(
    pair: dict[str, FakeSMSC], store_url: str
) -> None:
    shared = RouteConfig(name="r", upstreams=("one", "two"), weights={"one": 3})
    edge = Edge(store_url, pair, (shared,))
    for smsc in pair.values():
        await bound(smsc)
    accepted = await edge.submit_all([f"{number:03d} {LONG}" for number in range(120)])
    await edge.all_in(accepted, "sent")
    upstreams = Counter[str]()
    for one in accepted:
        (upstream,) = {part.upstream for part in await edge.parts(one.message_id)}
        assert (await edge.view(one.message_id)).message.upstream == upstream
        upstreams[upstream] += 1
    assert 70 <= upstreams["one"] <= 110
    assert len(received(pair["one"])) == 3 * upstreams["one"]
    assert len(received(pair["two"])) == 3 * upstreams["two"]
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_what_waits_for_an_upstream_that_is_down_goes_to_the_next_in_its_alphabet(
    pair: dict[str, FakeSMSC], store_url: str
) -> None:
    pair["one"].bind_status = None
    backed = RouteConfig(name="r", upstreams=("one",), failover=("two",))
    latin = {"default_alphabet": "latin1", "long_messages": "sar"}
    edge = Edge(store_url, pair, (backed,), {"two": latin}, bind_timeout_seconds=60.0)
    await bound(pair["one"])
    await bound(pair["two"])
    accepted = [await edge.submit(f"{number} ç {LONG}") for number in range(30)]
    assert {each.encoding for each in accepted} == {"UCS2"}
    before = {part.id for each in accepted for part in await edge.parts(each.message_id)}
    assert received(pair["two"]) == []
    edge.service.lines["one"].upstream._down_since = -1e9
    await edge.service.mover.look()
    await edge.all_in(accepted, "sent")
    for number, each in enumerate(accepted):
        view = await edge.view(each.message_id)
        assert (view.message.upstream, view.message.encoding, view.message.parts_total) == (
            "two",
            "LATIN1",
            4,
        )
        assert view.message.text == f"{number} ç {LONG}"
        assert before.isdisjoint(part.id for part in view.parts)
        assert b"".join(part.user_data for part in view.parts).decode("latin-1") == view.message.text
    assert len(received(pair["two"])) == 4 * 30
    assert edge.service.lines["one"].upstream.counters.moved == 30
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_what_may_have_left_does_not_go_to_another_upstream(
    pair: dict[str, FakeSMSC], store_url: str
) -> None:
    pair["one"].answer = lambda request: None
    backed = RouteConfig(name="r", upstreams=("one",), failover=("two",), in_doubt="hold")
    edge = Edge(store_url, pair, (backed,), window=1)
    link = await bound(pair["one"])
    await bound(pair["two"])
    left, waits = await edge.submit(f"left {LONG}"), await edge.submit("waits")
    await link.await_pdu(SubmitSm)
    pair["one"].bind_status = None
    link.cut()
    await edge.until(left.message_id, lambda parts: parts[0].state == "held")
    edge.service.lines["one"].upstream._down_since = -1e9
    await edge.service.mover.look()
    await edge.all_in([waits], "sent")
    assert [pdu.short_message for pdu in received(pair["two"])] == [b"waits"]
    assert [part.state for part in await edge.parts(left.message_id)] == ["held", "queued", "queued"]
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_a_refusal_that_may_be_the_carriers_alone_is_asked_of_the_next(
    pair: dict[str, FakeSMSC], store_url: str
) -> None:
    pair["one"].answer = refusing(CommandStatus.ESME_RSUBMITFAIL)
    backed = RouteConfig(name="r", upstreams=("one",), failover=("two",))
    edge = Edge(store_url, pair, (backed,))
    for smsc in pair.values():
        await bound(smsc)
    accepted = await edge.submit_all([f"{number} {LONG}" for number in range(20)])
    await edge.all_in(accepted, "sent")
    assert len(received(pair["one"])) == 20
    assert len(received(pair["two"])) == 60
    parts = await edge.parts(accepted[0].message_id)
    assert {(part.upstream, part.refused_by) for part in parts} == {("two", "one")}
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_a_message_that_nobody_takes_has_failed_and_goes_round_once(
    pair: dict[str, FakeSMSC], store_url: str
) -> None:
    for smsc in pair.values():
        smsc.answer = refusing(CommandStatus.ESME_RSUBMITFAIL)
    edge = Edge(store_url, pair, (RouteConfig(name="r", upstreams=("one", "two")),))
    for smsc in pair.values():
        await bound(smsc)
    accepted = await edge.submit_all([f"{number} {LONG}" for number in range(10)])
    await edge.all_in(accepted, "failed")
    assert len(received(pair["one"])) == len(received(pair["two"])) == 10
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_receipts_and_parts_of_a_long_message_may_come_on_another_upstream_of_the_group(
    pair: dict[str, FakeSMSC], store_url: str
) -> None:
    edge = Edge(store_url, pair, (RouteConfig(name="r", upstreams=("one",)),), group="carrier")
    link, other = await bound(pair["one"]), await bound(pair["two"])
    accepted = await edge.submit("hello")
    (part,) = await edge.until(accepted.message_id, lambda parts: parts[0].state == "sent")
    other.send_pdu(DeliverSm(esm_class=4, short_message=f"id:{part.smsc_message_id} stat:DELIVRD".encode()))
    await edge.until(accepted.message_id, lambda parts: parts[0].state == "delivered")
    await other.await_pdu(DeliverSmResp)
    for number, (on, text) in enumerate([(other, b"one "), (link, b"two "), (other, b"three")], 1):
        header = bytes([5, 0, 3, 77, 3, number])
        on.send_pdu(
            DeliverSm(
                esm_class=0x40,
                source_addr=PHONE[1:],
                source_addr_ton=1,
                destination_addr=DID[1:],
                dest_addr_ton=1,
                short_message=header + text,
            )
        )
        await on.await_pdu(DeliverSmResp)
    (view,) = await edge.service.store.read(messages.search, edge.account_id, direction="mo")
    assert view.message.text == "one two three"
    await edge.stop()


def segment(number: int, text: bytes, reference: int = 77) -> DeliverSm:
    """One of two parts of an MO message."""
    return DeliverSm(
        esm_class=0x40,
        source_addr=PHONE[1:],
        source_addr_ton=1,
        destination_addr=DID[1:],
        dest_addr_ton=1,
        short_message=bytes([5, 0, 3, reference, 2, number]) + text,
    )


async def inbound_texts(edge: Edge) -> list[str]:
    views = await edge.service.store.read(messages.search, edge.account_id, direction="mo")
    return sorted(view.message.text for view in views)


@pytest.mark.parametrize("restarted", [True, False], ids=["restart", "reload"])
@pytest_twisted.ensureDeferred
async def test_an_upstream_that_is_taken_out_leaves_nothing_behind(
    restarted: bool, pair: dict[str, FakeSMSC], store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.gone.SHARED_SECONDS", 0.05)  # on PostgreSQL another server may have it
    both = RouteConfig(name="r", upstreams=("one",), failover=("two",))
    edge = Edge(store_url, pair, (both,), reassembly_timeout_seconds=0.1)
    link = await bound(pair["one"])
    await bound(pair["two"])
    link.send_pdu(segment(1, b"first half "))
    await link.await_pdu(DeliverSmResp)
    edge.service.lines["one"].upstream.hold(True)
    accepted = [await edge.submit(f"{number} {LONG}") for number in range(3)]
    fresh = replace(edge.config, upstreams=edge.config.upstreams[1:], routes=())
    if restarted:
        await edge.stop()
        edge.config = fresh
        edge.start()
        await bound(pair["two"])
        await edge.submit("the start is over")
    else:
        await edge.service.reloading.apply(fresh)
    await deferLater(reactor, 0.1)
    await edge.service.gone.look()
    await deferLater(reactor, 0.1)
    await edge.service.gone.look()
    await edge.all_in(accepted, "sent")
    assert {(await edge.view(each.message_id)).message.upstream for each in accepted} == {"two"}
    await edge.service.gone.look()
    (text,) = await inbound_texts(edge)
    assert text.startswith("first half ")
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_half_a_message_waits_for_the_rest_on_another_upstream_of_the_group(
    pair: dict[str, FakeSMSC], store_url: str
) -> None:
    """Also when the upstream that it came on is taken out."""
    edge = Edge(store_url, pair, group="carrier")
    link, other = await bound(pair["one"]), await bound(pair["two"])
    link.send_pdu(segment(1, b"one "))
    await link.await_pdu(DeliverSmResp)
    await edge.service.reloading.apply(replace(edge.config, upstreams=edge.config.upstreams[1:]))
    await edge.service.gone.look()
    other.send_pdu(segment(2, b"two"))
    await other.await_pdu(DeliverSmResp)
    assert await inbound_texts(edge) == ["one two"]
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_a_message_may_say_how_long_it_is_worth_sending(
    pair: dict[str, FakeSMSC], store_url: str
) -> None:
    edge = Edge(store_url, pair, (RouteConfig(name="r", upstreams=("one",), validity_seconds=3600.0),))
    await bound(pair["one"])
    accepted = [await edge.submit("by route"), await edge.submit("by itself", validity_seconds=86_400.0)]
    await edge.all_in(accepted, "sent")
    times = [pdu.validity_period for pdu in received(pair["one"])]
    assert times[0] in ("000000010000000R", "000000005959000R")
    assert times[1] in ("000001000000000R", "000000235959000R")
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_a_reload_touches_only_what_changed_and_loses_nothing(
    pair: dict[str, FakeSMSC], store_url: str
) -> None:
    """The queue of an upstream that is taken out stays in the store, and is there when it comes back."""
    pair["two"].answer = lambda request: None
    routes = tuple(RouteConfig(name=name, upstreams=(name,), prefixes=()) for name in ("two", "one"))
    edge = Edge(store_url, pair, routes[:1], window=1)
    await bound(pair["one"])
    link = await bound(pair["two"])
    accepted = await edge.submit_all(["first", "second", "third"])
    await link.await_pdu(SubmitSm)
    edge.service.config = replace(edge.service.config, server=replace(edge.config.server, drain_seconds=0.1))
    await edge.service.reloading.apply(
        replace(edge.service.config, upstreams=edge.config.upstreams[:1], routes=routes[1:])
    )
    assert list(edge.service.lines) == ["one"]
    parts = [(await edge.parts(each.message_id))[0] for each in accepted]
    assert [part.state for part in parts] == ["queued"] * 3
    assert sum(part.flags for part in parts) == PartFlag.POSSIBLE_DUPLICATE  # the one that had left
    assert (await edge.submit("now by one")).parts == 1
    pair["two"].answer = accept_all
    changed = replace(edge.config.upstreams[1], window=5)
    await edge.service.reloading.apply(
        replace(edge.service.config, upstreams=(edge.config.upstreams[0], changed), routes=routes[:1])
    )
    await bound(pair["two"])
    await edge.all_in(accepted, "sent")
    assert (len(pair["one"].links), len(pair["two"].links)) == (1, 2)
    await edge.stop()
