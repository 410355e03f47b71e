import pytest

from edge.simulator.smsc import BindView
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import (
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    Pdu,
    QuerySm,
    Response,
    Unbind,
    UnbindResp,
)
from tests.deferreds import success
from tests.unit.edge.simulator.esme import DID, PHONE, Scene, submit_sm

BINDS = [
    (BindTransceiver, BindTransceiverResp, "transceiver"),
    (BindTransmitter, BindTransmitterResp, "transmitter"),
    (BindReceiver, BindReceiverResp, "receiver"),
]


@pytest.mark.parametrize(("request_class", "response_class", "kind"), BINDS)
def test_each_kind_of_bind_is_accepted(request_class: type, response_class: type, kind: str) -> None:
    scene = Scene()
    link = scene.connect()
    (answer,) = link.send(request_class(sequence_number=7, system_id="trunk", password="secret"))
    assert type(answer) is response_class
    assert (answer.sequence_number, answer.command_status) == (7, 0)
    assert scene.simulator.binds() == [BindView("trunk", kind)]


@pytest.mark.parametrize(
    ("system_id", "password", "status"),
    [
        ("other", "secret", CommandStatus.ESME_RINVSYSID),
        ("trunk", "wrong", CommandStatus.ESME_RINVPASWD),
        ("trunk", "", CommandStatus.ESME_RINVPASWD),
    ],
)
def test_wrong_credentials_are_refused_by_name(system_id: str, password: str, status: int) -> None:
    scene = Scene()
    link = scene.connect()
    (answer,) = link.send(BindTransceiver(sequence_number=7, system_id=system_id, password=password))
    assert isinstance(answer, BindTransceiverResp)
    assert (answer.sequence_number, answer.command_status) == (7, status)
    assert link.transport.disconnecting
    assert scene.simulator.binds() == []


def test_a_submit_without_a_bind_is_refused() -> None:
    scene = Scene()
    (answer,) = scene.connect().send(submit_sm(3))
    assert answer.command_status == CommandStatus.ESME_RINVBNDSTS
    assert scene.bubbles() == []


def test_a_receiver_may_not_submit() -> None:
    scene = Scene()
    receiver = scene.bind(BindReceiver(sequence_number=1, system_id="trunk", password="secret"))
    (answer,) = receiver.send(submit_sm(3))
    assert answer.command_status == CommandStatus.ESME_RINVBNDSTS
    assert scene.bubbles() == []


def test_a_transmitter_gets_no_texts() -> None:
    scene = Scene()
    transmitter = scene.bind(BindTransmitter(sequence_number=1, system_id="trunk", password="secret"))
    done = scene.simulator.inject(PHONE, DID, "hello")
    receiver = scene.connect()
    answers = receiver.send(BindReceiver(sequence_number=1, system_id="trunk", password="secret"))
    pdus = [pdu for pdu in answers if isinstance(pdu, DeliverSm)]
    assert [pdu.short_message for pdu in pdus] == [b"hello"]
    receiver.answer(*pdus)
    success(done)
    assert transmitter.only(DeliverSm) == []


def test_enquire_link_and_unbind_are_answered() -> None:
    scene = Scene()
    link = scene.bind()
    answers: list[Pdu] = link.send(EnquireLink(sequence_number=2), Unbind(sequence_number=3))
    assert answers == [EnquireLinkResp(sequence_number=2), UnbindResp(sequence_number=3)]
    assert link.transport.disconnecting
    link.lose()
    assert scene.simulator.binds() == []


def test_what_the_simulator_does_not_know_is_refused_and_the_bind_lives() -> None:
    scene = Scene()
    link = scene.bind()
    (answer,) = link.send(QuerySm(sequence_number=9, message_id="1"))
    assert isinstance(answer, Response)
    assert (answer.sequence_number, answer.command_status) == (9, CommandStatus.ESME_RINVCMDID)
    (answer,) = link.send(submit_sm(10))
    assert answer.command_status == CommandStatus.ESME_ROK


def test_a_cut_resets_every_connection_and_leaves_what_waits() -> None:
    scene = Scene()
    link, idle = scene.bind(), scene.connect()
    scene.simulator.inject(PHONE, DID, "on its way")
    assert scene.simulator.cut() == 2
    assert link.transport.disconnecting
    assert idle.transport.disconnecting
    link.lose()
    idle.lose()
    assert scene.simulator.binds() == []
    assert scene.simulator.cut() == 0
    _, again = scene.bind_again()
    assert [pdu.short_message for pdu in again] == [b"on its way"]


def test_binds_show_as_a_change() -> None:
    scene = Scene()
    before = scene.simulator.version
    link = scene.bind()
    assert scene.simulator.version > before
    before = scene.simulator.version
    link.lose()
    assert scene.simulator.version > before
