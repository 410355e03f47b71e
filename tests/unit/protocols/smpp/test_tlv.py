"""Optional parameters: raw in the PDU, tolerant when read, exact when written."""

import pytest

from protocols.smpp import tlv
from protocols.smpp.errors import EncodeError
from protocols.smpp.fields import BodyError
from protocols.smpp.tlv import KINDS, Kind, NetworkError, Sar, Tag


def test_raw_tlvs_survive_in_order_with_repeats_and_unknown_tags() -> None:
    tlvs = ((0x1403, b"vendor"), (0x0204, b"\0\1"), (0x0204, b"\0\2"), (0xFFFF, b""))
    octets = tlv.pack_tlvs(tlvs)
    assert octets == bytes.fromhex("14030006") + b"vendor" + bytes.fromhex(
        "020400020001 020400020002 ffff0000"
    )
    assert tlv.unpack_tlvs(b"xx" + octets, 2) == tlvs
    assert tlv.unpack_tlvs(octets, len(octets)) == ()


@pytest.mark.parametrize("octets", [b"\2", b"\2\4\0", b"\2\4\0\1", b"\2\4\xff\xff" + bytes(100)])
def test_what_is_not_whole_is_refused(octets: bytes) -> None:
    with pytest.raises(BodyError):
        tlv.unpack_tlvs(octets, 0)


def test_find_takes_the_first() -> None:
    assert tlv.find(((1, b"a"), (2, b"b"), (2, b"c")), 2) == b"b"
    assert tlv.find((), 2) is None


@pytest.mark.parametrize(
    ("tag", "value", "raw"),
    [
        (Tag.MESSAGE_STATE, 2, b"\2"),
        (Tag.SAR_MSG_REF_NUM, 0x1234, b"\x12\x34"),
        (Tag.QOS_TIME_TO_LIVE, 7, b"\0\0\0\7"),
        (Tag.RECEIPTED_MESSAGE_ID, "0a\xe9", b"0a\xe9\0"),
        (Tag.MESSAGE_PAYLOAD, b"\0\1", b"\0\1"),
        (0x1403, b"vendor", b"vendor"),
    ],
)
def test_typed_values_survive(tag: int, value: int | str | bytes, raw: bytes) -> None:
    assert tlv.encode(tag, value) == (tag, raw)
    assert tlv.decode(tag, raw) == value


def test_every_integer_kind_has_its_width() -> None:
    for tag, kind in KINDS.items():
        if kind is not Kind.C_STRING:
            assert len(tlv.encode(tag, 1)[1]) == kind.value


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (Tag.MESSAGE_STATE, 256),
        (Tag.MESSAGE_STATE, -1),
        (Tag.MESSAGE_STATE, "2"),
        (Tag.MESSAGE_PAYLOAD, "text"),
        (Tag.MESSAGE_PAYLOAD, 7),
        (Tag.RECEIPTED_MESSAGE_ID, "a\0b"),
        (Tag.RECEIPTED_MESSAGE_ID, "Ω"),
        (Tag.RECEIPTED_MESSAGE_ID, 7),
    ],
)
def test_what_a_tag_cannot_hold_is_refused(tag: int, value: int | str) -> None:
    with pytest.raises(EncodeError):
        tlv.encode(tag, value)


def test_raw_octets_are_written_as_they_are() -> None:
    assert tlv.encode(Tag.MESSAGE_STATE, b"\0\2") == (Tag.MESSAGE_STATE, b"\0\2")


def test_reading_is_tolerant() -> None:
    assert tlv.message_state(((Tag.MESSAGE_STATE, b"\0\2"),)) == 2
    assert tlv.message_state(((Tag.MESSAGE_STATE, b""),)) is None
    assert tlv.message_state(((Tag.MESSAGE_STATE, bytes(9)),)) is None
    assert tlv.message_state(()) is None
    assert tlv.receipted_message_id(((Tag.RECEIPTED_MESSAGE_ID, b"0aF"),)) == "0aF"
    assert tlv.receipted_message_id(((Tag.RECEIPTED_MESSAGE_ID, b"0aF\0\0"),)) == "0aF"
    assert tlv.receipted_message_id(((Tag.RECEIPTED_MESSAGE_ID, b"\0"),)) is None
    assert tlv.receipted_message_id(((Tag.RECEIPTED_MESSAGE_ID, b""),)) is None
    assert tlv.receipted_message_id(()) is None
    assert tlv.decode(Tag.RECEIPTED_MESSAGE_ID, b"no-nul") == "no-nul"


def test_payload_and_network_error() -> None:
    assert tlv.message_payload(((Tag.MESSAGE_PAYLOAD, b"x" * 300),)) == b"x" * 300
    assert tlv.network_error_code(((Tag.NETWORK_ERROR_CODE, b"\3\0\x08"),)) == NetworkError(3, 8)
    assert tlv.network_error_code(((Tag.NETWORK_ERROR_CODE, b"\3"),)) is None
    assert tlv.network_error_code(()) is None


def test_sar() -> None:
    assert tlv.sar_tlvs(0x1234, 3, 2) == ((0x20C, b"\x12\x34"), (0x20E, b"\3"), (0x20F, b"\2"))
    assert tlv.sar(tlv.sar_tlvs(0x1234, 3, 2)) == Sar(0x1234, 3, 2)
    assert tlv.sar(tlv.sar_tlvs(1, 3, 4)) is None
    assert tlv.sar(tlv.sar_tlvs(1, 3, 0)) is None
    for missing in range(3):
        tlvs = tlv.sar_tlvs(1, 3, 2)
        assert tlv.sar(tlvs[:missing] + tlvs[missing + 1 :]) is None
