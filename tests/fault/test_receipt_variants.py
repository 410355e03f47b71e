"""Receipts as carriers send them: every one must close its part, or not close it."""

from typing import Any, NamedTuple

import pytest
import pytest_twisted

from edge.testing import FakeLink, FakeSMSC
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DataSm, DataSmResp, DeliverSm, DeliverSmResp, Pdu, SubmitSm
from protocols.smpp.tlv import Tag
from tests.fault.edge import Edge, bound

pytestmark = pytest.mark.fault

DATES = "submit date:2610221200 done date:2610221201"
USUAL = "id:{} sub:001 dlvrd:001 " + DATES + " stat:{} err:{} text:x"


class Variant(NamedTuple):
    """``sent`` is the id in submit_sm_resp; then the receipt, and what it must make of the part."""

    sent: str
    receipt: Pdu
    state: str = "delivered"
    error: str | None = "000"
    settings: dict[str, Any] = {}  # noqa: RUF012  # nobody changes it


def text(words: str, **more: Any) -> DeliverSm:
    return DeliverSm(**{"esm_class": 4, "short_message": words.encode("latin-1"), **more})


def usual(identity: str, stat: str = "DELIVRD", err: str = "000") -> DeliverSm:
    return text(USUAL.format(identity, stat, err))


def tlvs(identity: str, state: int | None = 2) -> tuple[tuple[int, bytes], ...]:
    found: tuple[tuple[int, bytes], ...] = ((Tag.RECEIPTED_MESSAGE_ID, identity.encode() + b"\0"),)
    return found if state is None else (*found, (Tag.MESSAGE_STATE, bytes([state])))


VARIANTS = {
    "as Appendix B has it": Variant("A1F", usual("A1F")),
    "id in other case": Variant("A1F", usual("a1f")),
    "id without its zeros": Variant("00000A1F", usual("A1F")),
    "id with zeros": Variant("A1F", usual("00000a1f")),
    "hexadecimal, then decimal": Variant("A1F", usual("2591")),
    "hexadecimal, then decimal with zeros": Variant("00000A1F", usual("0000002591")),
    "decimal, then hexadecimal": Variant("2591", usual("A1F")),
    "a UUID": Variant("0f8fad5b-d9cb-469f-a165-70867728950e", usual("0F8FAD5B-D9CB-469F-A165-70867728950E")),
    "TLV in hexadecimal, text in decimal": Variant(
        "00001001", usual("0000004097")._replace(tlvs=tlvs("00001001"))
    ),
    "TLV that nobody knows, text that fits": Variant("77", usual("77")._replace(tlvs=tlvs("zz"))),
    "TLV alone": Variant("77", DeliverSm(esm_class=4, tlvs=tlvs("77")), error=None),
    "TLV alone, without a flag in esm_class": Variant("77", DeliverSm(tlvs=tlvs("77", 5)), "failed", None),
    "TLV without its NUL": Variant(
        "77",
        DeliverSm(esm_class=4, tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"77"), (Tag.MESSAGE_STATE, b"\2"))),
        error=None,
    ),
    "message_state of two octets": Variant(
        "77", DeliverSm(esm_class=4, tlvs=(*tlvs("77", None), (Tag.MESSAGE_STATE, b"\0\2"))), error=None
    ),
    "network_error_code": Variant(
        "77",
        DeliverSm(esm_class=4, tlvs=(*tlvs("77", 5), (Tag.NETWORK_ERROR_CODE, b"\3\0\x1b"))),
        "failed",
        "27",
    ),
    "vendor TLVs": Variant(
        "77", usual("77")._replace(tlvs=((0x1400, b"x"), (Tag.DELIVERY_FAILURE_REASON, b"\0")))
    ),
    "data_sm": Variant("77", DataSm(esm_class=4, tlvs=tlvs("77")), error=None),
    "data_sm with the text in message_payload": Variant(
        "77",
        DataSm(esm_class=4, tlvs=((Tag.MESSAGE_PAYLOAD, USUAL.format("77", "DELIVRD", "000").encode()),)),
    ),
    "deliver_sm with the text in message_payload": Variant(
        "77",
        DeliverSm(esm_class=4, tlvs=((Tag.MESSAGE_PAYLOAD, USUAL.format("77", "DELIVRD", "000").encode()),)),
    ),
    "six letters: FAILED": Variant("77", usual("77", "FAILED", "0001"), "failed", "0001"),
    "six letters: DELIVD": Variant("77", usual("77", "DELIVD"), "delivered"),
    "UNDELIV": Variant("77", usual("77", "UNDELIV", "027"), "failed", "027"),
    "REJECTD": Variant("77", usual("77", "REJECTD", "8"), "failed", "8"),
    "EXPIRED": Variant("77", usual("77", "EXPIRED"), "expired"),
    "DELETED": Variant("77", usual("77", "DELETED"), "failed"),
    "four-digit err": Variant("77", usual("77", "DELIVRD", "0000"), error="0000"),
    "dates of zeros": Variant(
        "77", text("id:77 sub:001 dlvrd:001 submit date:0000000000 done date:0000000000 stat:DELIVRD err:000")
    ),
    "dates of twelve digits": Variant(
        "77", text("id:77 submit date:261022120000 done date:261022120100 stat:DELIVRD err:000 text:x")
    ),
    "without sub and dlvrd": Variant("77", text(f"id:77 {DATES} stat:DELIVRD err:000 text:x")),
    "the id and the state alone": Variant("77", text("id:77 stat:DELIVRD"), error=None),
    "blanks after the colons": Variant("77", text("id: 77 sub: 001 stat: DELIVRD err: 000 text: x")),
    "other capitals": Variant("77", text("ID:77 Stat:DELIVRD Err:000 Text:x")),
    "an ESC in the text": Variant("77", text("id:77 stat:DELIVRD err:000 text:\x1b\x1b id:78 stat:UNDELIV")),
    "what the text says last does not count": Variant(
        "77", text("id:77 stat:DELIVRD err:000 text:stat:UNDELIV id:99")
    ),
    "intermediate: ENROUTE": Variant("77", usual("77", "ENROUTE"), "sent", "000"),
    "intermediate: ACCEPTD": Variant("77", usual("77", "ACCEPTD"), "sent", "000"),
    "intermediate: BUFFERD": Variant("77", usual("77", "BUFFERD"), "sent", "000"),
    "intermediate by esm_class": Variant(
        "77", usual("77", "ENROUTE")._replace(esm_class=0x20), "sent", "000"
    ),
    "a text of the carrier's own": Variant(
        "77",
        text("MSG 77 -> DELIVRD (12)"),
        error="12",
        settings={"receipt_pattern": r"MSG (?P<id>\S+) -> (?P<stat>[A-Z]+) \((?P<err>\d+)\)"},
    ),
}


async def answer_to(link: FakeLink, pdu: Pdu) -> int:
    """The command_status with which a receipt is answered."""
    link.send_pdu(pdu)
    response = await link.await_pdu(DataSmResp if isinstance(pdu, DataSm) else DeliverSmResp)
    return int(response.command_status)


@pytest.mark.parametrize("name", VARIANTS)
@pytest_twisted.ensureDeferred
async def test_a_receipt_finds_its_part(smsc: FakeSMSC, store_url: str, name: str) -> None:
    variant = VARIANTS[name]
    edge = Edge(store_url, {"up": smsc}, **variant.settings)
    link = await bound(smsc)
    message = (await edge.submit("hello")).message_id
    link.respond(await link.await_pdu(SubmitSm), message_id=variant.sent)
    await edge.until(message, lambda parts: parts[0].state == "sent")
    assert await answer_to(link, variant.receipt) == CommandStatus.ESME_ROK
    (part,) = await edge.parts(message)
    assert (part.state, part.receipt_error, part.smsc_message_id) == (
        variant.state,
        variant.error,
        variant.sent,
    )
    assert part.receipt_state is not None
    await edge.stop()


@pytest.mark.parametrize(("sent", "told"), [("A1F", "a1f"), ("A1F", "2591"), ("00A1F", "A1F")])
@pytest_twisted.ensureDeferred
async def test_where_ids_are_exact_nothing_else_fits(
    smsc: FakeSMSC, store_url: str, sent: str, told: str
) -> None:
    edge = Edge(store_url, {"up": smsc}, message_id_match="exact")
    link = await bound(smsc)
    message = (await edge.submit("hello")).message_id
    link.respond(await link.await_pdu(SubmitSm), message_id=sent)
    await edge.until(message, lambda parts: parts[0].state == "sent")
    await answer_to(link, usual(told))
    assert (await edge.parts(message))[0].state == "sent"
    await answer_to(link, usual(sent))
    assert (await edge.parts(message))[0].state == "delivered"
    await edge.stop()


@pytest.mark.parametrize("restart", [False, True])
@pytest_twisted.ensureDeferred
async def test_before_the_response_on_another_bind_ten_times_and_after_a_restart(
    smsc: FakeSMSC, store_url: str, restart: bool
) -> None:
    edge = Edge(store_url, {"up": smsc}, binds=2, in_doubt="hold")
    links = [await bound(smsc), await bound(smsc)]
    message = (await edge.submit("hello")).message_id
    await edge.until(message, lambda parts: parts[0].state == "sending")
    link, other = sorted(links, key=lambda each: not any(isinstance(p, SubmitSm) for p in each.received))
    request = await link.await_pdu(SubmitSm)
    for _ in range(10):
        assert await answer_to(other, usual("2591")) == CommandStatus.ESME_ROK
    await answer_to(other, usual("2591", "ENROUTE"))
    assert (await edge.parts(message))[0].state == "sending"
    if restart:
        link.respond(request, CommandStatus.ESME_ROK, message_id="A1F")
        await edge.until(message, lambda parts: parts[0].state == "delivered")
        await edge.stop()
        edge.start()
        link = await bound(smsc)
        assert await answer_to(link, usual("2591")) == CommandStatus.ESME_ROK
    else:
        link.respond(request, message_id="A1F")
    (part,) = await edge.until(message, lambda parts: parts[0].state == "delivered")
    assert part.receipt_state == "DELIVERED"
    await edge.stop()


@pytest.mark.parametrize("told", [0, 2])
@pytest_twisted.ensureDeferred
async def test_one_receipt_for_all_parts_of_a_message(smsc: FakeSMSC, store_url: str, told: int) -> None:
    edge = Edge(store_url, {"up": smsc}, receipt_per="message")
    link = await bound(smsc)
    message = (await edge.submit("word " * 80)).message_id
    for number in range(3):
        link.respond(await link.await_pdu(SubmitSm), message_id=f"id{number}")
    await edge.until(message, lambda parts: {part.state for part in parts} == {"sent"})
    await answer_to(link, usual(f"id{told}", "ENROUTE"))
    assert {part.state for part in await edge.parts(message)} == {"sent"}
    await answer_to(link, usual(f"id{told}"))
    assert [part.state for part in await edge.parts(message)] == ["delivered"] * 3
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_a_receipt_for_each_part(smsc: FakeSMSC, store_url: str) -> None:
    edge = Edge(store_url, {"up": smsc})
    link = await bound(smsc)
    message = (await edge.submit("word " * 80)).message_id
    for number in range(3):
        link.respond(await link.await_pdu(SubmitSm), message_id=f"id{number}")
    await edge.until(message, lambda parts: {part.state for part in parts} == {"sent"})
    for number, stat in ((2, "DELIVRD"), (0, "UNDELIV"), (1, "DELIVRD")):
        await answer_to(link, usual(f"id{number}", stat))
    assert [part.state for part in await edge.parts(message)] == ["failed", "delivered", "delivered"]
    await edge.stop()
