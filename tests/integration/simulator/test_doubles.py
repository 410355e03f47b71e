"""The public test doubles on real sockets: they must do what a script says, and say what did not come."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.web.client import Agent, HTTPConnectionPool, ResponseNeverReceived
from twisted.web.http_headers import Headers

from edge.testing import FakeLink, FakeSMSC, SinkAnswer, StubSink, accept_all
from protocols.smpp import events
from protocols.smpp.errors import CommandStatus, SMPPError
from protocols.smpp.pdu import (
    BindTransceiver,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    SubmitSm,
    SubmitSmResp,
    Unbind,
)
from protocols.smpp.session import SessionSettings
from tests.integration.simulator.esme import Esme

pytestmark = pytest.mark.integration


@pytest_twisted.async_yield_fixture
async def smsc() -> AsyncIterator[FakeSMSC]:
    running = FakeSMSC(reactor)
    running.start()
    yield running
    await running.stop()


async def bound(smsc: FakeSMSC) -> tuple[Esme, FakeLink]:
    esme = await Esme().bind(smsc.port)
    return esme, await smsc.await_bind()


@pytest_twisted.ensureDeferred
async def test_a_bind_can_be_awaited_and_seen(smsc: FakeSMSC) -> None:
    _, link = await bound(smsc)
    assert isinstance(link.bind, BindTransceiver)
    assert (link.bind.system_id, link.bind.password) == ("trunk", "secret")


@pytest_twisted.ensureDeferred
async def test_a_bind_can_be_refused(smsc: FakeSMSC) -> None:
    smsc.bind_status = CommandStatus.ESME_RALYBND
    esme, _ = await bound(smsc)
    (refused,) = await esme.until(events.BindRefused)
    assert refused.command_status == CommandStatus.ESME_RALYBND


@pytest_twisted.ensureDeferred
async def test_requests_are_held_until_the_script_answers(smsc: FakeSMSC) -> None:
    esme, link = await bound(smsc)
    for text in (b"one", b"two"):
        esme.protocol.request(SubmitSm(short_message=text))
    one = await link.await_pdu(SubmitSm)
    two = await link.await_pdu(SubmitSm)
    assert (one.short_message, two.short_message) == (b"one", b"two")
    link.respond(two, message_id="22")
    link.respond(one, CommandStatus.ESME_RTHROTTLED)
    second, first = await esme.until(events.ResponseReceived, 2)
    assert (second.request.short_message, second.response.message_id) == (b"two", "22")
    assert first.response.command_status == CommandStatus.ESME_RTHROTTLED


@pytest_twisted.ensureDeferred
async def test_answers_may_come_twice_and_to_nothing(smsc: FakeSMSC) -> None:
    esme, link = await bound(smsc)
    esme.protocol.request(SubmitSm(short_message=b"one"))
    one = await link.await_pdu(SubmitSm)
    link.respond(one, message_id="1")
    link.respond(one, message_id="1")
    link.send_pdu(SubmitSmResp(sequence_number=4711, message_id="9"))
    unknown = await esme.until(events.UnknownResponse, 2)
    assert [event.pdu.sequence_number for event in unknown] == [one.sequence_number, 4711]


@pytest_twisted.ensureDeferred
async def test_it_can_accept_everything(smsc: FakeSMSC) -> None:
    smsc.answer = accept_all
    esme, link = await bound(smsc)
    for _ in range(3):
        esme.protocol.request(SubmitSm())
    answers = await esme.until(events.ResponseReceived, 3)
    assert len({event.response.message_id for event in answers}) == 3
    assert len(await link.await_pdus(SubmitSm, 3)) == 3


@pytest_twisted.ensureDeferred
async def test_it_sends_requests_and_sees_the_answers(smsc: FakeSMSC) -> None:
    _, link = await bound(smsc)
    sequence = link.send_pdu(DeliverSm(short_message=b"hello"))
    answer = await link.await_pdu(DeliverSmResp)
    assert answer.sequence_number == sequence


@pytest_twisted.ensureDeferred
async def test_it_can_cut_the_link_and_wait_for_the_next(smsc: FakeSMSC) -> None:
    esme, link = await bound(smsc)
    link.cut()
    await esme.until(events.Closed)
    await link.await_closed()
    _, second = await bound(smsc)
    assert second is not link


@pytest_twisted.ensureDeferred
async def test_octets_that_are_no_pdu_can_be_sent(smsc: FakeSMSC) -> None:
    esme, link = await bound(smsc)
    link.send_octets(b"\0\0\0\x0f" + bytes(11))
    (closed,) = await esme.until(events.Closed)
    assert isinstance(closed.error, SMPPError)


@pytest_twisted.ensureDeferred
async def test_enquire_link_and_unbind_are_answered_unless_switched_off(smsc: FakeSMSC) -> None:
    esme = await Esme(settings=SessionSettings(enquire_link=0.01)).bind(smsc.port)
    link = await smsc.await_bind()
    await link.await_pdus(EnquireLink, 3)
    smsc.answer_unbind = False
    gone = esme.protocol.unbind()
    await link.await_pdu(Unbind)
    assert not gone.called
    link.close()
    await gone


@pytest_twisted.ensureDeferred
async def test_what_does_not_come_is_named(smsc: FakeSMSC) -> None:
    _, link = await bound(smsc)
    with pytest.raises(TimeoutError, match=r"a SubmitSm: not within 0\.01 s"):
        await link.await_pdu(SubmitSm, seconds=0.01)
    with pytest.raises(TimeoutError, match="bind 2"):
        await smsc.await_bind(seconds=0.01)


@pytest_twisted.ensureDeferred
async def test_it_stops_and_starts_on_the_same_port(smsc: FakeSMSC) -> None:
    await bound(smsc)
    port = smsc.port
    await smsc.stop()
    assert smsc.start() == port
    await bound(smsc)


class Client:
    def __init__(self, sink: StubSink) -> None:
        self._sink = sink
        pool = HTTPConnectionPool(reactor, persistent=False)
        self._client = treq.client.HTTPClient(Agent(reactor, pool=pool))

    async def get(self, target: str) -> tuple[int, bytes]:
        response = await self._client.get(f"http://127.0.0.1:{self._sink.port}{target}")
        return response.code, await response.content()

    async def post(self, target: str, body: bytes) -> int:
        url = f"http://127.0.0.1:{self._sink.port}{target}"
        response = await self._client.post(url, data=body, headers=Headers({"X-Kind": ["test"]}))
        await response.content()
        return int(response.code)


@pytest_twisted.async_yield_fixture
async def sink() -> AsyncIterator[StubSink]:
    running = StubSink(reactor)
    running.start()
    yield running
    await running.stop()


@pytest_twisted.ensureDeferred
async def test_the_sink_records_requests_octet_by_octet(sink: StubSink) -> None:
    client = Client(sink)
    assert await client.get("/cb?text=%C3%A9%20%2B&from=1") == (200, b"ok")
    assert await client.post("/hook", b'{"a": 1}') == 200
    get, post = await sink.await_requests(2)
    assert (get.method, get.path, get.target) == ("GET", b"/cb", b"/cb?text=%C3%A9%20%2B&from=1")
    assert get.query == {"text": "é +", "from": "1"}
    assert (post.method, post.body, post.header("x-kind")) == ("POST", b'{"a": 1}', "test")
    assert post.header("missing") is None


@pytest_twisted.ensureDeferred
async def test_the_sink_follows_its_script_and_then_says_ok(sink: StubSink) -> None:
    sink.script.extend([SinkAnswer(b"no"), SinkAnswer(b"broken", 500)])
    client = Client(sink)
    assert [await client.get("/") for _ in range(3)] == [(200, b"no"), (500, b"broken"), (200, b"ok")]


@pytest_twisted.ensureDeferred
async def test_the_sink_holds_until_released(sink: StubSink) -> None:
    sink.then = SinkAnswer(b"late", hold=True)
    client = Client(sink)
    waiting = [Deferred.fromCoroutine(client.get("/")) for _ in range(2)]
    await sink.await_requests(2)
    assert not any(one.called for one in waiting)
    assert sink.held == 2
    assert sink.release() == 2
    assert await gatherResults(waiting) == [(200, b"late")] * 2


@pytest_twisted.ensureDeferred
async def test_the_sink_cuts_the_connection(sink: StubSink) -> None:
    sink.then = SinkAnswer(cut=True)
    with pytest.raises(ResponseNeverReceived):
        await Client(sink).get("/")
    assert len(sink.requests) == 1


@pytest_twisted.ensureDeferred
async def test_a_fitting_request_can_be_awaited(sink: StubSink) -> None:
    found = sink.await_match(lambda request: request.query.get("n") == "2")
    client = Client(sink)
    for number in range(3):
        await client.get(f"/?n={number}")
    assert (await found).target == b"/?n=2"
    with pytest.raises(TimeoutError, match="4 HTTP requests"):
        await sink.await_requests(4, seconds=0.01)
