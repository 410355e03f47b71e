"""The simulator alone, as `trunkline sim` runs it: SMPP and HTTP on real sockets."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
import treq
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from edge.config import Config, HTTPConfig, Secret, SimulatorConfig
from edge.simulator import make_service
from edge.simulator.service import SimulatorService
from protocols.smpp import events
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DeliverSm, SubmitSm
from tests.integration.simulator.esme import Esme

pytestmark = pytest.mark.integration

PHONE, DID = "+12025550150", "+12025550100"


def config(smpp_port: int = 0) -> Config:
    return Config(
        http=HTTPConfig(listen="127.0.0.1:0"),
        simulator=SimulatorConfig(
            system_id="trunk",
            password=Secret("secret"),
            smpp_listen=f"127.0.0.1:{smpp_port}",
            phones=(PHONE,),
            receipt_delay_seconds=0.01,
        ),
    )


class Alone:
    """A service that has started, and a browser for its page."""

    def __init__(self) -> None:
        self.service: SimulatorService = make_service(config(), reactor)
        self._pool = HTTPConnectionPool(reactor, persistent=False)
        self.client = treq.client.HTTPClient(Agent(reactor, pool=self._pool))

    @property
    def smpp_port(self) -> int:
        return self.service.simulator.port

    async def get(self, path: str = "") -> Any:
        response = await self.client.get(self.service.url + path)
        return response, await response.content()


@pytest_twisted.async_yield_fixture
async def alone() -> AsyncIterator[Alone]:
    running = Alone()
    running.service.privilegedStartService()
    running.service.startService()
    yield running
    await running.service.stopService()


@pytest_twisted.ensureDeferred
async def test_a_text_typed_on_the_page_reaches_a_bind_and_the_answer_is_shown(alone: Alone) -> None:
    esme = await Esme().bind(alone.smpp_port)
    form = {"phone": PHONE, "did": DID, "text": "h\u00e9llo\r\n\U0001f44d\U0001f3fd"}
    response = await alone.client.post(alone.service.url, data=form, allow_redirects=False)
    await response.content()
    assert response.code == 303
    (pdu,) = await esme.requests(DeliverSm)
    assert pdu.short_message.decode("utf-16-be") == "h\u00e9llo\n\U0001f44d\U0001f3fd"
    esme.protocol.request(
        SubmitSm(
            source_addr_ton=1,
            source_addr=DID,
            dest_addr_ton=1,
            destination_addr=PHONE,
            registered_delivery=1,
            short_message=b"the answer",
        )
    )
    (answer,) = await esme.until(events.ResponseReceived)
    assert answer.response.command_status == CommandStatus.ESME_ROK
    _, receipt = await esme.requests(DeliverSm, 2)
    assert answer.response.message_id.encode() in receipt.short_message
    _, page = await alone.get()
    assert "h\u00e9llo\n\U0001f44d\U0001f3fd" in page.decode()
    assert "the answer" in page.decode()


@pytest_twisted.ensureDeferred
async def test_a_program_sends_by_json_and_sees_the_state_change(alone: Alone) -> None:
    response = await alone.client.post(
        f"{alone.service.url}/messages", json={"phone": PHONE, "did": DID, "text": "x" * 300}
    )
    assert response.code == 202
    assert (await response.json())["state"] == "pending"
    esme = await Esme().bind(alone.smpp_port)
    await esme.requests(DeliverSm, 2)
    done = alone.service.simulator.inject(PHONE, DID, "one more")
    await done
    response, _ = await alone.get("/phones")
    (phone,) = await response.json()
    assert [(m["state"], m["parts_done"]) for m in phone["messages"]] == [("delivered", 2), ("delivered", 1)]


@pytest_twisted.ensureDeferred
async def test_another_origin_is_refused(alone: Alone) -> None:
    response = await alone.client.post(
        f"{alone.service.url}/messages", headers=Headers({"Origin": ["http://evil.example"]}), json={}
    )
    await response.content()
    assert response.code == 403


@pytest_twisted.ensureDeferred
async def test_the_root_leads_to_the_page(alone: Alone) -> None:
    response = await alone.client.get(alone.service.url.removesuffix("/simulator") + "/")
    assert b"Simulated phones" in await response.content()


@pytest_twisted.ensureDeferred
async def test_what_was_on_a_lost_link_comes_again(alone: Alone) -> None:
    silent = await Esme(status=None).bind(alone.smpp_port)
    done = alone.service.simulator.inject(PHONE, DID, "again")
    await silent.requests(DeliverSm)
    silent.abort()
    second = await Esme().bind(alone.smpp_port)
    await done
    assert len(await second.requests(DeliverSm)) == 1


@pytest_twisted.ensureDeferred
async def test_a_taken_port_fails_the_start(alone: Alone) -> None:
    other = make_service(config(alone.smpp_port), reactor)
    with pytest.raises(CannotListenError):
        other.privilegedStartService()


def test_without_its_table_there_is_no_service() -> None:
    with pytest.raises(ValueError, match="simulator"):
        make_service(Config(), reactor)
