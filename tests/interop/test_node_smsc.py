"""The npm package `smpp` as SMSC against the project's own SMPP session, without the rest of the server."""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from protocols.smpp import events, receipt
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DeliverSm, SubmitSm
from protocols.smpp.receipt import MessageState
from protocols.smpp.session import SessionSettings
from protocols.sms import decode, segment
from tests.integration.simulator.esme import Esme
from tests.interop import node_smsc
from tests.interop.jsonlines import Event
from tests.interop.node_smsc import NodeSMSC

pytestmark = pytest.mark.interop

PHONE, DID = "12025550150", "12025550100"
TEXTS = [
    "Hello",
    "é€^{}[]~|\\",
    "+ & # % =",
    "line one\nline two",
    "مرحبا",
    "👨‍👩‍👧‍👦 👍🏽",
    "x" * 400,
    "é👍🏽" * 100,
]
UDHI = 0x40


@pytest.fixture
def smsc() -> Iterator[NodeSMSC]:
    node_smsc.require()
    with NodeSMSC(system_id="trunk", password="secret") as running:
        yield running


async def until(smsc: NodeSMSC, event: str, **wanted: Any) -> list[Event]:
    found: list[Event] = await deferToThread(smsc.wait_for, event, **wanted)
    return found


def submit(esme: Esme, text: str, reference: int = 7) -> int:
    """A text to the phone, in as many parts as it takes."""
    parts = segment(text, reference).segments
    for part in parts:
        esme.protocol.request(
            SubmitSm(
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr=DID,
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=PHONE,
                registered_delivery=1,
                esm_class=part.esm_class,
                data_coding=part.data_coding,
                short_message=part.user_data,
                tlvs=part.tlvs,
            )
        )
    return len(parts)


@pytest_twisted.ensureDeferred
async def test_it_accepts_our_bind_and_refuses_a_wrong_password(smsc: NodeSMSC) -> None:
    esme = await Esme().bind(smsc.port)
    (bound,) = await esme.until(events.Bound)
    assert bound.pdu.system_id == "npm-smpp"
    refused = await Esme().bind(smsc.port, password="wrong")
    (event,) = await refused.until(events.BindRefused)
    assert event.command_status == CommandStatus.ESME_RINVPASWD
    binds = await until(smsc, "bind", count=2)
    assert [found["status"] for found in binds] == [0, CommandStatus.ESME_RINVPASWD]
    await esme.protocol.unbind()
    await until(smsc, "unbind")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("text", TEXTS)
async def test_it_reads_our_texts_as_they_were_written(smsc: NodeSMSC, text: str) -> None:
    esme = await Esme().bind(smsc.port)
    count = submit(esme, text)
    submits = await until(smsc, "submit", count=count)
    assert "".join(found["text"] for found in submits) == text
    answers = await esme.until(events.ResponseReceived, count)
    assert [answer.response.message_id for answer in answers] == [found["message_id"] for found in submits]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("text", TEXTS)
async def test_we_read_its_texts_as_they_were_written(smsc: NodeSMSC, text: str, reverse: bool) -> None:
    esme = await Esme().bind(smsc.port)
    smsc.mo(PHONE, DID, text, ref="mo", reverse=reverse)
    (first,) = (await esme.requests(DeliverSm))[:1]
    total = first.short_message[4] if first.esm_class & UDHI else 1
    pdus = await esme.requests(DeliverSm, total)
    decoded = [decode(p.short_message, p.data_coding, udhi=bool(p.esm_class & UDHI)) for p in pdus]
    if reverse:
        decoded.reverse()
    assert "".join(part.text for part in decoded) == text
    assert {(pdu.source_addr, pdu.destination_addr) for pdu in pdus} == {(PHONE, DID)}
    await until(smsc, "answered", ref="mo", count=total, status=0)


@pytest_twisted.ensureDeferred
async def test_a_refusal_of_ours_is_understood(smsc: NodeSMSC) -> None:
    await Esme(status=CommandStatus.ESME_RX_T_APPN).bind(smsc.port)
    smsc.mo(PHONE, DID, "not now", ref="mo")
    (answered,) = await until(smsc, "answered", ref="mo")
    assert answered["status"] == CommandStatus.ESME_RX_T_APPN


@pytest_twisted.ensureDeferred
async def test_its_receipts_are_read(smsc: NodeSMSC) -> None:
    smsc.settings(receipts=True)
    esme = await Esme().bind(smsc.port)
    submit(esme, "Hello")
    (answer,) = await esme.until(events.ResponseReceived)
    message_id = answer.response.message_id
    smsc.receipt(message_id, PHONE, DID, text_id=str(int(message_id, 16)), stat="UNDELIV", state=5)
    smsc.receipt(message_id, PHONE, DID, stat="EXPIRED", tlv=False)
    read = [receipt.parse(pdu) for pdu in await esme.requests(DeliverSm, 3)]
    found = [(one.message_ids, one.state) for one in read if one is not None]
    assert found == [
        ((message_id,), MessageState.DELIVERED),
        ((message_id, str(int(message_id, 16))), MessageState.UNDELIVERABLE),
        ((message_id,), MessageState.EXPIRED),
    ]


@pytest_twisted.ensureDeferred
async def test_it_throttles_holds_and_cuts_when_told(smsc: NodeSMSC) -> None:
    smsc.settings(throttle_every=2, hold_submits=True)
    esme = await Esme().bind(smsc.port)
    for text in ("one", "two"):
        submit(esme, text)
    await until(smsc, "submit", count=2)
    smsc.send("release")
    answers = await esme.until(events.ResponseReceived, 2)
    assert [answer.response.command_status for answer in answers] == [0, CommandStatus.ESME_RTHROTTLED]
    submit(esme, "three")
    await until(smsc, "submit", count=3)
    smsc.send("cut")
    (lost,) = await esme.until(events.RequestLost)
    assert lost.request.short_message == b"three"


@pytest_twisted.ensureDeferred
async def test_both_sides_answer_enquire_link(smsc: NodeSMSC) -> None:
    await Esme(settings=SessionSettings(enquire_link=0.05)).bind(smsc.port)
    await until(smsc, "enquire_link", count=2)
    smsc.send("enquire", ref="alive")
    await until(smsc, "answered", ref="alive", status=0)
