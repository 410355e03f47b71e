"""How one upstream speaks: every setting of its table that shows on the wire."""

from typing import Any

import pytest

from edge.config import Secret, UpstreamConfig
from edge.dialect import Dialect, relative_time
from protocols.smpp.pdu import DataSm, DeliverSm, SubmitSm
from protocols.smpp.tlv import Tag
from protocols.sms import Encoding, segment
from storage.parts import QueuedPart
from storage.records import PartFlag, PartRecord, PartState
from tests.samples import NOW

DID, PEER = "+12025550100", "+447911123456"


def dialect(**changes: Any) -> Dialect:
    return Dialect(UpstreamConfig(name="up", port=1, system_id="x", password=Secret("x"), **changes), "US")


def submitted(
    did: str = DID, peer: str = PEER, part: dict[str, Any] | None = None, **changes: Any
) -> SubmitSm:
    record = PartRecord(1, 2, "up", 1, 1, 0, 0, b"hi", None, PartState.SENDING)._replace(**(part or {}))
    return dialect(**changes).submit_sm(QueuedPart(record, 1, did, peer), NOW)


def source(pdu: SubmitSm) -> tuple[int, int, str]:
    return pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr


def destination(pdu: SubmitSm) -> tuple[int, int, str]:
    return pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr


def test_numbers_by_the_usual_rule() -> None:
    assert source(submitted()) == (1, 1, DID)
    assert source(submitted(number_format="e164")) == (1, 1, DID[1:])
    assert source(submitted(number_format="national")) == (2, 1, "2025550100")
    assert destination(submitted(number_format="national")) == (1, 1, PEER[1:])
    assert source(submitted(did="My-Shop_1. x")) == (5, 0, "My-Shop_1. x")
    assert destination(submitted(peer="12345")) == (3, 0, "12345")


def test_numbers_by_the_carriers_rule() -> None:
    rule = {"short_code": "0/0", "alphanumeric": "5/1", "international": "1/0"}
    assert destination(submitted(peer="12345", ton_npi=rule)) == (0, 0, "12345")
    assert source(submitted(did="Shop", ton_npi=rule)) == (5, 1, "Shop")
    assert source(submitted(ton_npi=rule)) == (1, 0, DID)
    assert source(submitted(ton_npi=rule, number_format="national")) == (2, 1, "2025550100")
    assert source(submitted(ton_npi=rule, source_ton=3, source_npi=8)) == (3, 8, DID)


def test_what_goes_with_every_part() -> None:
    pdu = submitted(service_type="CMT", priority_flag=2, registered_delivery=False)
    assert (pdu.service_type, pdu.priority_flag, pdu.registered_delivery) == ("CMT", 2, 0)
    assert submitted().registered_delivery == 1


def test_only_a_second_send_may_replace() -> None:
    again = {"flags": int(PartFlag.POSSIBLE_DUPLICATE | PartFlag.HOLD)}
    assert submitted(part=again, replace_if_present=True).replace_if_present_flag == 1
    assert submitted(part={"flags": int(PartFlag.HOLD)}, replace_if_present=True).replace_if_present_flag == 0
    assert submitted(part=again).replace_if_present_flag == 0


def test_the_rest_of_its_time_is_the_validity_period() -> None:
    fixed = "000007000000000R"
    assert submitted(validity_period=fixed).validity_period == fixed
    assert submitted().validity_period == ""
    part = {"expires_at": NOW + 90_061_000}
    assert submitted(part=part, validity_period=fixed).validity_period == "000001010101000R"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "000000000001000R"),
        (0.2, "000000000001000R"),
        (59.6, "000000000100000R"),
        (86_400, "000001000000000R"),
        (1e9, "000031000000000R"),
    ],
)
def test_relative_times(seconds: float, said: str) -> None:
    assert relative_time(seconds) == said


def test_the_text_settings_reach_the_segments() -> None:
    turkish = dialect(languages=("turkish",))
    assert segment("ş" * 80, 1, turkish.segmentation).encoding is Encoding.GSM7
    assert segment("ş" * 80, 1, dialect().segmentation).encoding is Encoding.UCS2
    assert (
        segment("“q”", 1, dialect(transliterate="punctuation").segmentation).segments[0].user_data == b'"q"'
    )
    parts = segment("a" * 200, 1, dialect(long_messages="separate").segmentation).segments
    assert [part.user_data[:4] for part in parts] == [b"1/2 ", b"2/2 "]
    assert dialect(strict_clusters=True).segmentation.strict_clusters


@pytest.mark.parametrize(
    ("coding", "octets", "settings", "text", "encoding"),
    [
        (0, b"\x00caf\x05", {}, "@café", Encoding.GSM7),
        (0, b"caf\xe9", {"default_alphabet": "latin1"}, "café", Encoding.LATIN1),
        (0, b"caf\xe9", {"charsets": {"0": "latin1"}}, "café", Encoding.LATIN1),
        (3, b"\x00caf\x05", {"charsets": {"3": "gsm7"}}, "@café", Encoding.GSM7),
        (
            3,
            b"\x00caf\x05",
            {"charsets": {"3": "gsm7"}, "default_alphabet": "latin1"},
            "@café",
            Encoding.GSM7,
        ),
        (0, b"\x04\x1f", {"charsets": {"0": "ucs2"}}, "П", Encoding.UCS2),
        (240, b"\xcf", {"charsets": {"240": "cyrillic"}}, "Я", Encoding.CYRILLIC),
        (4, b"\x01\xff", {}, "01ff", Encoding.BINARY),
        (1, b"hi", {"charsets": {"3": "gsm7"}}, "hi", Encoding.ASCII),
    ],
)
def test_what_data_coding_means_is_the_carriers(
    coding: int, octets: bytes, settings: dict[str, Any], text: str, encoding: Encoding
) -> None:
    received = dialect(**settings).inbound(DeliverSm(data_coding=coding, short_message=octets))
    assert (received.decoded.text, received.decoded.encoding) == (text, encoding)


def test_a_header_in_message_payload() -> None:
    octets = bytes([5, 0, 3, 7, 2, 1]) + b"half"
    payload = ((Tag.MESSAGE_PAYLOAD, octets),)
    for pdu in (DataSm(esm_class=0x40, tlvs=payload), DeliverSm(esm_class=0x40, tlvs=payload)):
        received = dialect().inbound(pdu)
        assert received.decoded.text == "half"
        assert received.concatenation is not None
        assert (received.concatenation.number, received.concatenation.total) == (1, 2)
