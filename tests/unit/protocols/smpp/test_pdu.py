"""PDUs as values: immutable, told apart by class, silent about passwords."""

import pytest

from protocols.smpp.commands import RESPONSE
from protocols.smpp.errors import CommandStatus, RecoverableError, status_name
from protocols.smpp.pdu import (
    PDU_CLASSES,
    BindTransceiver,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    Notification,
    Outbind,
    Pdu,
    Request,
    Response,
    SubmitSm,
    SubmitSmResp,
)
from tests.unit.protocols.smpp.samples import SAMPLES


def test_the_samples_cover_every_class() -> None:
    assert {type(sample) for sample in SAMPLES} == set(PDU_CLASSES)


@pytest.mark.parametrize("pdu", SAMPLES, ids=lambda pdu: type(pdu).__name__)
def test_pdus_are_immutable_and_have_no_dictionary(pdu: Pdu) -> None:
    with pytest.raises(AttributeError):
        pdu.sequence_number = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        pdu.anything = 5  # type: ignore[attr-defined]


def test_pdus_of_one_shape_and_different_class_differ() -> None:
    submit, deliver = SubmitSm(source_addr="1"), DeliverSm(source_addr="1")
    assert submit != deliver
    assert submit == SubmitSm(source_addr="1")
    assert hash(submit) == hash(SubmitSm(source_addr="1"))
    assert submit != submit.fields()


def test_numbered_changes_the_sequence_number_alone() -> None:
    submit = SubmitSm(source_addr="1", short_message=b"x")
    assert submit.numbered(7) == SubmitSm(sequence_number=7, source_addr="1", short_message=b"x")
    assert type(submit.numbered(7)) is SubmitSm


def test_repr_shows_what_was_set_and_no_password() -> None:
    assert repr(SubmitSm(sequence_number=3, source_addr="12")) == (
        "SubmitSm(sequence_number=3, source_addr='12')"
    )
    for pdu in (BindTransceiver(system_id="me", password="hunter2"), Outbind(password="hunter2")):
        assert "hunter2" not in repr(pdu)
        assert "hunter2" not in str(pdu)
        assert "password=***" in repr(pdu)


def test_every_request_knows_its_response() -> None:
    for pdu_class in PDU_CLASSES:
        if issubclass(pdu_class, Request):
            assert pdu_class.response_class.command_id == pdu_class.command_id | RESPONSE
        else:
            assert issubclass(pdu_class, Response | Notification)
            assert issubclass(pdu_class, Response) == bool(pdu_class.command_id & RESPONSE)


def test_a_refusal_has_the_status_and_no_body() -> None:
    refusal = SubmitSm(sequence_number=8).refuse(CommandStatus.ESME_RTHROTTLED)
    assert refusal == SubmitSmResp(sequence_number=8, command_status=0x58, message_id=None)
    assert EnquireLink(sequence_number=8).refuse(4) == EnquireLinkResp(sequence_number=8, command_status=4)


def test_statuses_have_names() -> None:
    assert status_name(0x58) == "ESME_RTHROTTLED"
    assert status_name(0x410) == "0x00000410"
    assert "0x00000777" in str(RecoverableError(3, "why", command_id=0x777, sequence_number=1))
