import pytest

from edge.simulator import Behaviour, IdStyle
from edge.simulator.simulator import by_clock
from protocols.smpp import receipt, tlv
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import (
    BindReceiver,
    BindTransmitter,
    DataSm,
    DataSmResp,
    DeliverSm,
    SubmitSmResp,
)
from protocols.smpp.receipt import MessageState
from protocols.smpp.tlv import Tag
from protocols.sms import segment
from tests.unit.edge.simulator.esme import AT_MS, DID, PHONE, Scene, submit_sm

LONG = "The quick brown fox jumps over the lazy dog. " * 8


def test_a_restart_does_not_use_ids_again() -> None:
    first, second = (Scene(None).bind().send(submit_sm(2))[0] for _ in range(2))
    assert first == SubmitSmResp(sequence_number=2, message_id=f"{AT_MS // 100 % 2**32:08x}")
    assert first == second, "the same moment"
    assert by_clock(AT_MS + 60_000) == by_clock(AT_MS) + 600


def test_a_text_is_answered_with_an_id_and_shows_on_the_phone() -> None:
    scene = Scene()
    link = scene.bind()
    first, second = link.send(submit_sm(2), submit_sm(3, b"again"))
    assert first == SubmitSmResp(sequence_number=2, message_id="00001001")
    assert second == SubmitSmResp(sequence_number=3, message_id="00001002")
    assert scene.bubbles() == [("in", "hello", "arrived"), ("in", "again", "arrived")]
    phone = scene.simulator.phone(PHONE)
    assert phone is not None
    assert phone.messages[0].peer == DID


@pytest.mark.parametrize(
    ("addr", "ton"), [(PHONE, 1), (PHONE[1:], 1), (PHONE[2:], 2), (PHONE[1:], 0), (PHONE, 0)]
)
def test_numbers_are_understood_as_carriers_write_them(addr: str, ton: int) -> None:
    scene = Scene()
    scene.bind().send(submit_sm(2, destination_addr=addr, dest_addr_ton=ton))
    assert [phone.number for phone in scene.simulator.phones()] == [PHONE]
    assert len(scene.bubbles()) == 1


def test_a_long_text_shows_whole_in_whatever_order_its_parts_come() -> None:
    scene = Scene()
    link = scene.bind()
    parts = segment(LONG, 5).segments
    assert len(parts) == 3
    for sequence, part in enumerate(reversed(parts), 2):
        link.send(
            submit_sm(
                sequence,
                part.user_data,
                esm_class=part.esm_class,
                data_coding=part.data_coding,
                tlvs=part.tlvs,
            )
        )
    assert scene.bubbles() == [("in", LONG, "arrived")]


def test_parts_told_by_tlvs_are_joined_too() -> None:
    scene = Scene()
    link = scene.bind()
    for number, octets in ((2, b"world"), (1, b"hello ")):
        link.send(submit_sm(number + 1, octets, tlvs=tlv.sar_tlvs(9, 2, number)))
    assert scene.bubbles() == [("in", "hello world", "arrived")]


def test_a_surrogate_pair_cut_in_two_is_whole_on_the_phone() -> None:
    scene = Scene()
    link = scene.bind()
    octets = "a😀b".encode("utf-16-be")
    for number, piece in ((1, octets[:4]), (2, octets[4:])):
        header = bytes([5, 0, 3, 77, 2, number])
        link.send(submit_sm(number + 1, header + piece, esm_class=0x40, data_coding=8))
    assert scene.bubbles() == [("in", "a😀b", "arrived")]


def test_a_text_in_message_payload_and_one_in_data_sm() -> None:
    scene = Scene()
    link = scene.bind()
    payload = (tlv.encode(Tag.MESSAGE_PAYLOAD, b"payload"),)
    (answer,) = link.send(submit_sm(2, b"", tlvs=payload))
    assert isinstance(answer, SubmitSmResp)
    (answer,) = link.send(
        DataSm(
            sequence_number=3,
            source_addr_ton=1,
            source_addr=DID,
            dest_addr_ton=1,
            destination_addr=PHONE,
            tlvs=payload,
        )
    )
    assert answer == DataSmResp(sequence_number=3, message_id="00001002")
    assert [text for _, text, _ in scene.bubbles()] == ["payload", "payload"]


def test_a_receipt_comes_after_its_delay_with_text_and_tlvs() -> None:
    scene = Scene(receipt_delay_seconds=2.0)
    link = scene.bind()
    (answer,) = link.send(submit_sm(2, registered_delivery=1))
    assert isinstance(answer, SubmitSmResp)
    scene.reactor.advance(1.9)
    assert link.only(DeliverSm) == []
    scene.reactor.advance(0.1)
    (pdu,) = link.only(DeliverSm)
    assert (pdu.source_addr, pdu.destination_addr, pdu.esm_class) == (PHONE, DID, 0x04)
    assert tlv.receipted_message_id(pdu.tlvs) == answer.message_id
    assert tlv.message_state(pdu.tlvs) == 2
    assert pdu.short_message.startswith(f"id:{answer.message_id} ".encode())
    assert b"submit date:2311142213 done date:2311142213 stat:DELIVRD err:000" in pdu.short_message
    read = receipt.parse(pdu)
    assert read is not None
    assert (read.message_ids, read.state) == ((answer.message_id,), MessageState.DELIVERED)
    assert scene.simulator.waiting == 1
    link.answer(pdu)
    assert scene.simulator.waiting == 0


@pytest.mark.parametrize("registered_delivery", [0, 2])
def test_no_receipt_that_was_not_asked_for(registered_delivery: int) -> None:
    scene = Scene(receipt_delay_seconds=0.0)
    answers = scene.bind().send(submit_sm(2, registered_delivery=registered_delivery))
    assert [type(pdu) for pdu in answers] == [SubmitSmResp]


def test_a_receipt_without_delay_comes_after_the_answer() -> None:
    scene = Scene(receipt_delay_seconds=0.0)
    answers = scene.bind().send(submit_sm(2, registered_delivery=1))
    assert [type(pdu) for pdu in answers] == [SubmitSmResp, DeliverSm]


def test_a_receipt_goes_to_the_receiver_when_the_text_came_by_a_transmitter() -> None:
    scene = Scene(receipt_delay_seconds=0.0)
    receiver = scene.bind(BindReceiver(sequence_number=1, system_id="trunk", password="secret"))
    transmitter = scene.bind(BindTransmitter(sequence_number=1, system_id="trunk", password="secret"))
    receiver.read()
    answers = transmitter.send(submit_sm(2, registered_delivery=1))
    assert [type(pdu) for pdu in answers] == [SubmitSmResp]
    assert [type(pdu) for pdu in receiver.read()] == [DeliverSm]


def test_ids_may_be_decimal_in_the_receipts_text() -> None:
    scene = Scene(Behaviour(ids=IdStyle.HEX_THEN_DECIMAL), receipt_delay_seconds=0.0)
    answer, pdu = scene.bind().send(submit_sm(2, registered_delivery=1))
    assert isinstance(answer, SubmitSmResp)
    assert isinstance(pdu, DeliverSm)
    assert answer.message_id == tlv.receipted_message_id(pdu.tlvs) == "00001001"
    assert pdu.short_message.startswith(b"id:0000004097 ")


def test_every_third_is_throttled_and_shows_nowhere() -> None:
    scene = Scene(throttle_every=3)
    link = scene.bind()
    answers = link.send(*(submit_sm(number) for number in range(2, 8)))
    assert [pdu.command_status for pdu in answers] == [0, 0, CommandStatus.ESME_RTHROTTLED] * 2
    assert len(scene.bubbles()) == 4


def test_every_second_is_dropped_without_an_answer() -> None:
    scene = Scene(drop_every=2)
    answers = scene.bind().send(*(submit_sm(number) for number in range(2, 6)))
    assert [pdu.sequence_number for pdu in answers] == [2, 4]
    assert len(scene.bubbles()) == 2


def test_answers_may_be_late() -> None:
    scene = Scene(answer_delay_seconds=3.0)
    link = scene.bind()
    assert link.send(submit_sm(2)) == []
    scene.reactor.advance(3.0)
    assert link.read() == [SubmitSmResp(sequence_number=2, message_id="00001001")]


def test_a_late_answer_to_a_link_that_is_gone_does_no_harm() -> None:
    scene = Scene(answer_delay_seconds=3.0)
    link = scene.bind()
    link.send(submit_sm(2))
    link.lose()
    scene.reactor.advance(3.0)


def test_no_destination_is_refused() -> None:
    (answer,) = Scene().bind().send(submit_sm(2, destination_addr=""))
    assert answer.command_status == CommandStatus.ESME_RINVDSTADR


def test_when_too_much_waits_a_text_with_receipt_is_refused_for_now() -> None:
    scene = Scene(Behaviour(pending=2), receipt_delay_seconds=2.0)
    link = scene.bind()
    answers = link.send(*(submit_sm(number, registered_delivery=1) for number in (2, 3, 4)), submit_sm(5))
    statuses = [pdu.command_status for pdu in answers]
    assert statuses == [0, 0, CommandStatus.ESME_RMSGQFUL, 0]
    scene.reactor.advance(2.0)
    link.answer(*link.only(DeliverSm))
    (answer,) = link.send(submit_sm(6, registered_delivery=1))
    assert answer.command_status == CommandStatus.ESME_ROK


def test_octets_that_no_phone_can_read_do_no_harm() -> None:
    scene = Scene()
    link = scene.bind()
    answers = link.send(
        submit_sm(2, b"", esm_class=0x40),
        submit_sm(3, b"\xff\x00", esm_class=0x40),
        submit_sm(4, b"\x05\x00\x03\x01\x02\x00x", esm_class=0x40),
        submit_sm(5, b"\xd8", data_coding=8),
        submit_sm(6, b"\x00\xff", data_coding=4),
    )
    assert [pdu.command_status for pdu in answers] == [0] * 5
    assert len(scene.bubbles()) == 5
