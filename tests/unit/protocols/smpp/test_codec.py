"""The codec: what is read writes back to the same octets; what is wrong is named."""

from struct import pack as struct_pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.smpp import fields
from protocols.smpp.codec import pack, unpack
from protocols.smpp.errors import CommandStatus, EncodeError, RecoverableError, UnrecoverableError
from protocols.smpp.layouts import LAYOUTS
from protocols.smpp.pdu import (
    PDU_CLASSES,
    BindTransceiver,
    BindTransceiverResp,
    DataSmResp,
    DeliverSm,
    EnquireLink,
    GenericNack,
    Pdu,
    QuerySmResp,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    make,
)
from protocols.smpp.shapes import DistributionList, SmeAddress, UnsuccessSme
from tests.unit.protocols.smpp.samples import SAMPLES, TIME

# Strategies

octet = st.integers(0, 255)
word = st.integers(0, 0xFFFFFFFF)
tlvs = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20)), max_size=4).map(tuple)
times = st.sampled_from(["", TIME, "000001000000000R", "991231235959948-"])


def text(size: int) -> st.SearchStrategy[str]:
    """A C-octet string that fits `size` octets with its NUL."""
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=size - 1)


address = st.builds(SmeAddress, octet, octet, text(21))


def values_of(field: fields.Field) -> st.SearchStrategy[object]:
    """Values that fit one field."""
    match field:
        case fields.Octet():
            return octet
        case fields.Time():
            return times
        case fields.CString():
            return text(field.size)
        case fields.ShortMessage():
            return st.binary(max_size=254)
        case fields.Destinations():
            return st.lists(address | st.builds(DistributionList, text(21)), max_size=4).map(tuple)
        case fields.Failures():
            return st.lists(st.builds(UnsuccessSme, octet, octet, text(21), word), max_size=4).map(tuple)
    raise AssertionError(field)


def pdus_of(pdu_class: type[Pdu]) -> st.SearchStrategy[Pdu]:
    """Well-formed PDUs of one class."""
    body = [values_of(field) for field in LAYOUTS.get(pdu_class, ())]
    return st.tuples(word, word, *body, tlvs).map(lambda values: make(pdu_class, values))


pdus = st.sampled_from(PDU_CLASSES).flatmap(pdus_of)


# Round trips


@pytest.mark.parametrize("pdu", SAMPLES, ids=lambda pdu: type(pdu).__name__)
def test_samples_survive(pdu: Pdu) -> None:
    octets = pack(pdu)
    assert int.from_bytes(octets[:4]) == len(octets)
    assert unpack(octets) == pdu
    assert unpack(memoryview(octets)) == pdu
    assert pack(unpack(octets)) == octets


@given(pdus)
def test_every_well_formed_pdu_survives(pdu: Pdu) -> None:
    octets = pack(pdu)
    assert unpack(octets) == pdu
    assert pack(unpack(octets)) == octets


@given(st.sampled_from(PDU_CLASSES), st.binary(max_size=120))
def test_any_body_is_refused_or_survives(pdu_class: type[Pdu], body: bytes) -> None:
    octets = struct_pack(">IIII", 16 + len(body), pdu_class.command_id, 0, 7) + body
    outcome: Pdu | RecoverableError
    try:
        outcome = unpack(octets)
    except RecoverableError as error:
        outcome = error
    if isinstance(outcome, Pdu):
        assert type(outcome) is pdu_class
        assert pack(outcome) == octets
    else:
        assert outcome.command_id == pdu_class.command_id
        assert outcome.sequence_number == 7
        assert outcome.command_status != 0


@given(pdus, st.data())
def test_mutations_are_refused_or_survive(pdu: Pdu, data: st.DataObject) -> None:
    octets = bytearray(pack(pdu))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(4, len(octets) - 1))] = data.draw(octet)
    try:
        again = unpack(bytes(octets))
    except RecoverableError:
        return
    assert pack(again) == octets


def test_the_layouts_have_the_fields_of_the_pdus() -> None:
    for pdu_class in PDU_CLASSES:
        names = [field.name for field in LAYOUTS.get(pdu_class, ())]
        assert list(pdu_class._field_defaults) == ["sequence_number", "command_status", *names, "tlvs"]


def test_octets_of_a_submit_sm() -> None:
    submit = SubmitSm(
        sequence_number=2,
        service_type="AB",
        source_addr_ton=5,
        source_addr="ACME",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="44",
        registered_delivery=1,
        short_message=b"hi",
        tlvs=((0x0204, b"\0\1"),),
    )
    expected = (
        "00000031 00000004 00000000 00000002 414200 05 00 41434d4500 01 01 343400 00 00 00 00 00 01 00 00 00"
    )
    assert pack(submit) == bytes.fromhex(expected + "02 6869 0204 0002 0001")


# What a peer gets wrong

HEAD = b"\0\1\1" + b"1202\0" + b"\1\1" + b"4477\0"  # service_type, source, destination
FLAGS = b"\0\0\0"  # esm_class, protocol_id, priority_flag
REST = b"\0\0" + b"\0\0\0\0" + b"\2hi"  # times, flags, short_message


def wire(pdu_class: type[Pdu], body: bytes, status: int = 0) -> bytes:
    return struct_pack(">IIII", 16 + len(body), pdu_class.command_id, status, 77) + body


def test_the_bodies_below_are_well_formed_but_for_their_fault() -> None:
    assert unpack(wire(SubmitSm, HEAD + FLAGS + REST)) == SubmitSm(
        sequence_number=77,
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="1202",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="4477",
        short_message=b"hi",
    )


FAULTS = [
    ("service_type too long", SubmitSm, b"ABCDEF\0" + HEAD[1:] + FLAGS + REST, "ESME_RINVSERTYP"),
    ("service_type without NUL", SubmitSm, b"ABC", "ESME_RINVSERTYP"),
    ("nothing at all", SubmitSm, b"", "ESME_RINVSERTYP"),
    ("source_addr too long", DeliverSm, b"\0\1\1" + b"1" * 21 + b"\0" + HEAD[8:], "ESME_RINVSRCADR"),
    ("source_addr without NUL", DeliverSm, b"\0\1\1" + b"1" * 9, "ESME_RINVSRCADR"),
    ("source_addr_npi missing", DeliverSm, b"\0\1", "ESME_RINVCMDLEN"),
    ("destination_addr too long", SubmitSm, HEAD[:10] + b"4" * 30 + b"\0", "ESME_RINVDSTADR"),
    ("destination_addr without NUL", SubmitSm, HEAD[:-1], "ESME_RINVDSTADR"),
    ("schedule too long", SubmitSm, HEAD + FLAGS + b"1" * 17 + b"\0", "ESME_RINVSCHED"),
    ("schedule no time", SubmitSm, HEAD + FLAGS + b"tomorrow\0" + REST[1:], "ESME_RINVSCHED"),
    ("validity no time", SubmitSm, HEAD + FLAGS + b"\x00261022120000000x\0" + REST[2:], "ESME_RINVEXPIRY"),
    ("schedule in month 13", SubmitSm, HEAD + FLAGS + b"261322120000000+\0" + REST[1:], "ESME_RINVSCHED"),
    ("validity too long in a deliver_sm", DeliverSm, HEAD + FLAGS + b"\0" + b"9" * 40, "ESME_RINVEXPIRY"),
    ("sm_length missing", SubmitSm, HEAD + FLAGS + REST[:-3], "ESME_RINVMSGLEN"),
    ("sm_length too long", SubmitSm, HEAD + FLAGS + REST[:-3] + b"\3hi", "ESME_RINVMSGLEN"),
    ("sm_length 255", SubmitSm, HEAD + FLAGS + REST[:-3] + b"\xff" + bytes(255), "ESME_RINVMSGLEN"),
    ("sm_length too short", SubmitSm, HEAD + FLAGS + REST[:-3] + b"\1hi", "ESME_RINVOPTPARSTREAM"),
    ("TLV overrun", DeliverSm, HEAD + FLAGS + REST + b"\x02\x04\0\3ab", "ESME_RINVOPTPARSTREAM"),
    ("TLV header cut", DeliverSm, HEAD + FLAGS + REST + b"\x02\x04\0", "ESME_RINVOPTPARSTREAM"),
    ("octets after an enquire_link", EnquireLink, b"\0", "ESME_RINVOPTPARSTREAM"),
    ("system_id too long", BindTransceiver, b"x" * 65 + b"\0", "ESME_RINVSYSID"),
    ("password without NUL", BindTransceiver, b"me\0secret", "ESME_RINVPASWD"),
    ("system_type too long", BindTransceiver, b"me\0secret\0" + b"t" * 13 + b"\0", "ESME_RINVSYSTYP"),
    ("number_of_dests missing", SubmitMulti, HEAD[:8], "ESME_RINVNUMDESTS"),
    ("number_of_dests 255", SubmitMulti, HEAD[:8] + b"\xff" + b"\2list\0" * 255, "ESME_RINVNUMDESTS"),
    ("destination missing", SubmitMulti, HEAD[:8] + b"\1", "ESME_RINVDESTFLAG"),
    ("dest_flag 3", SubmitMulti, HEAD[:8] + b"\1\3", "ESME_RINVDESTFLAG"),
    ("dl_name without NUL", SubmitMulti, HEAD[:8] + b"\1\2list", "ESME_RINVDLNAME"),
    ("address without NUL", SubmitMulti, HEAD[:8] + b"\1\1\1\x0144", "ESME_RINVDSTADR"),
]


@pytest.mark.parametrize(
    ("pdu_class", "body", "status"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_faults_are_named(pdu_class: type[Pdu], body: bytes, status: str) -> None:
    with pytest.raises(RecoverableError) as caught:
        unpack(wire(pdu_class, body))
    assert CommandStatus(caught.value.command_status).name == status
    assert caught.value.sequence_number == 77
    assert caught.value.salvaged is None


@pytest.mark.parametrize(
    ("time", "good"),
    [
        ("", True),
        ("261022120000000+", True),
        ("261231235959948-", True),
        ("000007000000000R", True),
        ("999999999999999R", True),
        ("280229120000000+", True),
        ("000229120000000+", True),
        ("270229120000000+", False),
        ("280230120000000+", False),
        ("260431120000000-", False),
        ("260430120000000-", True),
        ("260022120000000+", False),
        ("261300120000000+", False),
        ("261232120000000+", False),
        ("261022240000000+", False),
        ("261022126000000+", False),
        ("261022120060000+", False),
        ("261022120000049+", False),
        ("26102212000000+", False),
        ("261022120000000", False),
        ("261022120000000Z", False),
        ("٢61022120000000+", False),
    ],
)
def test_times_that_can_be(time: str, good: bool) -> None:
    assert fields.is_time(time) is good


@pytest.mark.parametrize("command_id", [0, 0x0A, 0x777, 0x10001, 0x80000777, 0x8000000B])
def test_unknown_commands(command_id: int) -> None:
    with pytest.raises(RecoverableError) as caught:
        unpack(struct_pack(">IIII", 16, command_id, 0, 5))
    assert caught.value.command_status == CommandStatus.ESME_RINVCMDID
    assert (caught.value.command_id, caught.value.sequence_number) == (command_id, 5)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x10", struct_pack(">IIII", 17, 4, 0, 5)])
def test_what_is_not_one_pdu_is_unrecoverable(data: bytes) -> None:
    with pytest.raises(UnrecoverableError):
        unpack(data)


def test_a_bad_response_is_salvaged() -> None:
    for pdu_class, body, expected in (
        (SubmitSmResp, b"no-nul", SubmitSmResp(sequence_number=77, command_status=8, message_id="no-nul")),
        (SubmitSmResp, b"id\0\1", SubmitSmResp(sequence_number=77, command_status=8, message_id="id")),
        (GenericNack, b"\1", GenericNack(sequence_number=77, command_status=8)),
        (QuerySmResp, b"id\0\0\2", QuerySmResp(77, 8, "id", "", 2, 0)),
        (BindTransceiverResp, b"x" * 70 + b"\0", BindTransceiverResp(77, 8, "x" * 70)),
        (SubmitMultiResp, b"id\0\1\1\1a\0\0\0", SubmitMultiResp(77, 8, "id", ())),
        (SubmitMultiResp, b"id\0", SubmitMultiResp(77, 8, "id", ())),
    ):
        with pytest.raises(RecoverableError) as caught:
            unpack(wire(pdu_class, body, 8))
        assert caught.value.salvaged == expected


def test_a_response_may_leave_its_body_out() -> None:
    assert unpack(wire(SubmitSmResp, b"", 0x58)) == SubmitSmResp(77, 0x58, None)
    assert unpack(wire(SubmitSmResp, b"\0", 0x58)) == SubmitSmResp(77, 0x58, "")
    assert unpack(wire(DataSmResp, b"", 0)) == DataSmResp(77, 0, None)


# What we get wrong

LONG = "1" * 65


@pytest.mark.parametrize(
    ("pdu", "field"),
    [
        (SubmitSm(service_type="ABCDEF"), "service_type"),
        (SubmitSm(service_type="A\0"), "service_type"),
        (SubmitSm(source_addr="1" * 21), "source_addr"),
        (SubmitSm(source_addr="1\0"), "source_addr"),
        (SubmitSm(source_addr="Ω"), "source_addr"),
        (SubmitSm(source_addr=5), "source_addr"),  # type: ignore[arg-type]
        (SubmitSm(destination_addr="1" * 21), "destination_addr"),
        (SubmitSm(destination_addr="\0"), "destination_addr"),
        (SubmitSm(esm_class=256), "esm_class"),
        (SubmitSm(data_coding=-1), "data_coding"),
        (SubmitSm(schedule_delivery_time="tomorrow"), "schedule_delivery_time"),
        (SubmitSm(validity_period="1"), "validity_period"),
        (SubmitSm(short_message=bytes(255)), "short_message"),
        (SubmitSm(short_message="text"), "short_message"),  # type: ignore[arg-type]
        (SubmitSm(tlvs=((0x10000, b""),)), "tlvs"),
        (SubmitSm(tlvs=((1, bytes(0x10000)),)), "tlvs"),
        (SubmitSm(sequence_number=-1), "sequence_number"),
        (SubmitSm(sequence_number=1 << 32), "sequence_number"),
        (SubmitSmResp(message_id=LONG), "message_id"),
        (SubmitSmResp(message_id="a\0"), "message_id"),
        (SubmitSmResp(message_id="Ω"), "message_id"),
        (DeliverSm(validity_period="1" * 17), "validity_period"),
        (BindTransceiver(password=LONG), "password"),
        (SubmitMulti(dest_address=(DistributionList("x" * 21),)), "dl_name"),
        (SubmitMulti(dest_address=(SmeAddress(1, 1, "1" * 21),)), "destination_addr"),
        (SubmitMulti(dest_address=(DistributionList("x"),) * 255), "dest_address"),
        (SubmitMultiResp(unsuccess_sme=(UnsuccessSme(1, 1, "1", 1),) * 256), "unsuccess_sme"),
        (SubmitMultiResp(unsuccess_sme=(UnsuccessSme(1, 1, "1", -1),)), "error_status_code"),
        (QuerySmResp(final_date=None), "final_date"),  # type: ignore[arg-type]
        (EnquireLink(command_status=1 << 40), "command_status"),
    ],
)
def test_what_does_not_fit_is_named_and_not_written(pdu: Pdu, field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        pack(pdu)
    assert field in caught.value.field


def test_errors_never_show_a_password() -> None:
    with pytest.raises(EncodeError) as caught:
        pack(BindTransceiver(password="hunter2" * 20))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(RecoverableError) as refused:
        unpack(wire(BindTransceiver, b"me\0hunter2"))
    assert "hunter2" not in str(refused.value)
