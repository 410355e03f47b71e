"""Receipts as carriers really write them."""

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.smpp.pdu import DataSm, DeliverSm, EnquireLink, SubmitSm
from protocols.smpp.receipt import MessageState, Receipt, format_text, parse
from protocols.smpp.tlv import Tag, encode
from protocols.sms import packing

S = MessageState
STANDARD = (
    "id:0123 sub:001 dlvrd:001 submit date:2610221200 done date:2610221201 stat:DELIVRD err:000 text:hello"
)


def receipt_of(text: str, **fields: object) -> Receipt:
    pdu = DeliverSm(**{"esm_class": 4, "short_message": text.encode("latin-1"), **fields})  # type: ignore[arg-type]
    receipt = parse(pdu)
    assert receipt is not None
    return receipt


def test_the_text_of_appendix_b() -> None:
    assert receipt_of(STANDARD) == Receipt(
        ("0123",), S.DELIVERED, "000", datetime(2026, 10, 22, 12, 0), datetime(2026, 10, 22, 12, 1)
    )
    assert receipt_of(STANDARD).final


@pytest.mark.parametrize(
    ("word", "state", "final"),
    [
        ("DELIVRD", S.DELIVERED, True),
        ("DELIVERED", S.DELIVERED, True),
        ("delivrd", S.DELIVERED, True),
        ("EXPIRED", S.EXPIRED, True),
        ("DELETED", S.DELETED, True),
        ("UNDELIV", S.UNDELIVERABLE, True),
        ("UNDELIVERABLE", S.UNDELIVERABLE, True),
        ("FAILED", S.UNDELIVERABLE, True),
        ("REJECTD", S.REJECTED, True),
        ("REJECTED", S.REJECTED, True),
        ("ACCEPTD", S.ACCEPTED, False),
        ("ENROUTE", S.ENROUTE, False),
        ("BUFFERD", S.ENROUTE, False),
        ("BUFFERED", S.ENROUTE, False),
        ("UNKNOWN", S.UNKNOWN, False),
        ("NONSENSE", S.UNKNOWN, False),
        ("2", S.DELIVERED, True),
        ("005", S.UNDELIVERABLE, True),
        ("99", S.UNKNOWN, False),
        ("9" * 200, S.UNKNOWN, False),
    ],
)
def test_states(word: str, state: MessageState, final: bool) -> None:
    receipt = receipt_of(f"id:7 stat:{word} err:000")
    assert (receipt.state, receipt.final) == (state, final)


@pytest.mark.parametrize(
    ("text", "ids", "state", "error"),
    [
        ("id:7 submit date:2610221200 done date:2610221201 stat:DELIVRD err:0", ("7",), S.DELIVERED, "0"),
        ("id:7 stat:DELIVRD", ("7",), S.DELIVERED, None),
        ("id: 7 sub: 001 dlvrd: 001 stat: DELIVRD err: 0000 Text: x", ("7",), S.DELIVERED, "0000"),
        ("ID:7 STAT:EXPIRED ERR:a1b", ("7",), S.EXPIRED, "a1b"),
        ("id:5f1c-7e, stat:UNDELIV, err:027,", ("5f1c-7e",), S.UNDELIVERABLE, "027"),
        ("id: sub:001 stat:DELIVRD err:", (), S.DELIVERED, None),
        ("id:7\r\nstat:DELIVRD\r\nerr:1", ("7",), S.DELIVERED, "1"),
        ("id:7 stat:UNDELIV err:1 text:id:8 stat:DELIVRD", ("7",), S.UNDELIVERABLE, "1"),
        ("id:7 id:8 stat:DELIVRD stat:EXPIRED", ("7",), S.DELIVERED, None),
        ("stat:DELIVRD err:000", (), S.DELIVERED, "000"),
        ("message delivered", (), S.UNKNOWN, None),
        ("", (), S.UNKNOWN, None),
    ],
)
def test_texts(text: str, ids: tuple[str, ...], state: MessageState, error: str | None) -> None:
    receipt = receipt_of(text)
    assert (receipt.message_ids, receipt.state, receipt.error) == (ids, state, error)


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("2610221201", datetime(2026, 10, 22, 12, 1)),
        ("261022120130", datetime(2026, 10, 22, 12, 1, 30)),
        ("202610221201", datetime(2026, 10, 22, 12, 1)),
        ("20261022120130", datetime(2026, 10, 22, 12, 1, 30)),
        ("0000000000", None),
        ("2699991201", None),
        ("yesterday!", None),
        ("26", None),
    ],
)
def test_dates(digits: str, expected: datetime | None) -> None:
    assert receipt_of(f"id:7 done date:{digits} stat:DELIVRD").done_date == expected
    assert receipt_of(f"id:7 done_date:{digits} stat:DELIVRD").done_date == expected
    assert receipt_of(f"id:7 donedate:{digits} submitdate:{digits}").submit_date == expected


def test_both_ids_are_kept_as_sent() -> None:
    tlvs = (encode(Tag.RECEIPTED_MESSAGE_ID, "00AbC"), encode(Tag.MESSAGE_STATE, 2))
    assert receipt_of("id:43708 stat:DELIVRD", tlvs=tlvs).message_ids == ("00AbC", "43708")
    assert receipt_of("id:00AbC stat:DELIVRD", tlvs=tlvs).message_ids == ("00AbC",)


def test_tlvs_come_before_text() -> None:
    tlvs = (
        (Tag.RECEIPTED_MESSAGE_ID, b"x1"),
        (Tag.MESSAGE_STATE, b"\5"),
        (Tag.NETWORK_ERROR_CODE, b"\3\0\x1b"),
    )
    receipt = receipt_of("", tlvs=tlvs)
    assert receipt == Receipt(("x1",), S.UNDELIVERABLE, "27")
    assert receipt_of("id:2 stat:DELIVRD err:013", tlvs=tlvs).state is S.UNDELIVERABLE
    assert receipt_of("id:2 stat:DELIVRD err:013", tlvs=tlvs).error == "013"


@pytest.mark.parametrize("number", range(10))
def test_every_message_state_of_the_tlv_is_known(number: int) -> None:
    receipt = receipt_of("", tlvs=(encode(Tag.MESSAGE_STATE, number),))
    assert receipt.state is not S.UNKNOWN or number == 7


def test_a_state_that_no_one_knows_falls_back_on_the_word() -> None:
    assert receipt_of("stat:EXPIRED", tlvs=((Tag.MESSAGE_STATE, b"\xee"),)).state is S.EXPIRED


@pytest.mark.parametrize("esm_class", [0x04, 0x05, 0x84, 0x20, 0x24 & 0x20])
def test_flags_that_make_a_receipt(esm_class: int) -> None:
    assert receipt_of("id:7 stat:DELIVRD", esm_class=esm_class).message_ids == ("7",)


@pytest.mark.parametrize(("esm_class", "final"), [(0x24, True), (0x0C, True), (0x14, True), (0x28, False)])
def test_reserved_flags_with_the_bit_of_a_receipt_are_one_if_it_reads_so(esm_class: int, final: bool) -> None:
    receipt = receipt_of("id:7 stat:DELIVRD", esm_class=esm_class)
    assert (receipt.message_ids, receipt.final) == (("7",), final)
    assert parse(DeliverSm(esm_class=esm_class, short_message=b"call me, id: 7")) is None


@pytest.mark.parametrize("octets", [b"77 \0", b"77\0\0", b" 77\0"])
def test_blanks_around_an_id_are_not_of_it(octets: bytes) -> None:
    tlvs = ((Tag.RECEIPTED_MESSAGE_ID, octets), (Tag.MESSAGE_STATE, b"\2"))
    receipt = parse(DeliverSm(esm_class=4, tlvs=tlvs))
    assert receipt is not None
    assert receipt.message_ids == ("77",)


def test_a_text_that_is_packed_is_unpacked_where_carriers_pack() -> None:
    pdu = DeliverSm(esm_class=4, short_message=packing.pack(STANDARD.encode()))
    plain = parse(pdu)
    assert plain is not None
    assert plain.message_ids == ()
    assert parse(pdu, None, packing.unpack) == receipt_of(STANDARD)
    assert parse(DeliverSm(esm_class=4, short_message=STANDARD.encode()), None, packing.unpack) == receipt_of(
        STANDARD
    )


@pytest.mark.parametrize("esm_class", [0x00, 0x01, 0x08, 0x10, 0x18, 0x40, 0xC3])
def test_what_a_person_writes_is_no_receipt(esm_class: int) -> None:
    assert parse(DeliverSm(esm_class=esm_class, short_message=STANDARD.encode())) is None


def test_an_id_in_a_tlv_makes_a_receipt_without_flags() -> None:
    receipt = receipt_of(STANDARD, esm_class=0, tlvs=(encode(Tag.RECEIPTED_MESSAGE_ID, "0123"),))
    assert receipt.message_ids == ("0123",)


@pytest.mark.parametrize("esm_class", [0x08, 0x10, 0x18])
def test_what_the_receiving_sme_acknowledges_is_no_receipt_whatever_it_names(esm_class: int) -> None:
    tlvs = (encode(Tag.RECEIPTED_MESSAGE_ID, "0123"), encode(Tag.MESSAGE_STATE, 2))
    assert parse(DeliverSm(esm_class=esm_class, short_message=STANDARD.encode(), tlvs=tlvs)) is None


def test_a_state_in_a_tlv_and_a_receipt_text_make_a_receipt_without_flags() -> None:
    state = (encode(Tag.MESSAGE_STATE, 5),)
    receipt = receipt_of(STANDARD, esm_class=0, tlvs=state)
    assert (receipt.message_ids, receipt.state) == (("0123",), S.UNDELIVERABLE)
    for text in (b"hello", b"id:7", b"stat:DELIVRD"):
        assert parse(DeliverSm(short_message=text, tlvs=state)) is None


def test_what_is_flagged_as_intermediate_is_not_the_last_word() -> None:
    receipt = receipt_of("id:7 stat:DELIVRD", esm_class=0x20)
    assert (receipt.state, receipt.intermediate, receipt.final) == (S.DELIVERED, True, False)
    assert receipt_of("id:7 stat:DELIVRD", esm_class=4).final


def test_the_reference_comes_back() -> None:
    assert receipt_of("id:7", tlvs=(encode(Tag.USER_MESSAGE_REFERENCE, 513),)).reference == 513
    assert receipt_of("id:7", tlvs=((Tag.USER_MESSAGE_REFERENCE, b"\1"),)).reference is None
    assert receipt_of("id:7").reference is None


def test_other_pdus_are_no_receipts() -> None:
    assert parse(SubmitSm(esm_class=4, short_message=STANDARD.encode())) is None
    assert parse(EnquireLink()) is None


def test_receipts_come_in_data_sm_and_in_message_payload() -> None:
    payload = (encode(Tag.MESSAGE_PAYLOAD, STANDARD.encode()),)
    for pdu in (DataSm(esm_class=4, tlvs=payload), DeliverSm(esm_class=4, tlvs=payload)):
        receipt = parse(pdu)
        assert receipt is not None
        assert receipt.message_ids == ("0123",)
    only_tlvs = parse(
        DataSm(esm_class=4, tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"9"), (Tag.MESSAGE_STATE, b"\2")))
    )
    assert only_tlvs == Receipt(("9",), S.DELIVERED)


def test_texts_in_ucs2_and_behind_a_header() -> None:
    wide = STANDARD.encode("utf-16-be")
    for pdu in (
        DeliverSm(esm_class=4, data_coding=8, short_message=wide),
        DeliverSm(esm_class=4, data_coding=0, short_message=wide),
        DeliverSm(esm_class=0x44, short_message=b"\5\0\3\1\1\1" + STANDARD.encode()),
    ):
        receipt = parse(pdu)
        assert receipt is not None
        assert receipt.message_ids == ("0123",)


def test_a_pattern_for_a_carrier_of_its_own() -> None:
    pattern = re.compile(r"msg (?P<id>\w+) is (?P<stat>\w+)(?: since (?P<done_date>\d+))?")
    text = DeliverSm(esm_class=4, short_message=b"msg a1 is EXPIRED since 2610221201")
    assert parse(text, pattern) == Receipt(("a1",), S.EXPIRED, done_date=datetime(2026, 10, 22, 12, 1))
    without_date = DeliverSm(esm_class=4, short_message=b"msg a1 is EXPIRED")
    assert parse(without_date, pattern) == Receipt(("a1",), S.EXPIRED)
    usual = parse(DeliverSm(esm_class=4, short_message=STANDARD.encode()), pattern)
    assert usual is not None
    assert usual.message_ids == ("0123",)


@pytest.mark.parametrize("state", list(MessageState))
def test_what_we_write_we_read(state: MessageState) -> None:
    at = datetime(2026, 10, 22, 12, 1)
    text = format_text("abc", state, submit_date=at, done_date=at, error="027", text="hello Ω " + "x" * 40)
    assert parse(DeliverSm(esm_class=4, short_message=text)) == Receipt(("abc",), state, "027", at, at)
    assert (b"dlvrd:001" in text) == (state is S.DELIVERED)
    assert len(text) < 140


@given(st.binary(max_size=254), st.integers(0, 255), st.integers(0, 255))
def test_no_text_raises(octets: bytes, esm_class: int, data_coding: int) -> None:
    receipt = parse(DeliverSm(esm_class=esm_class, data_coding=data_coding, short_message=octets))
    assert (receipt is not None) == (esm_class & 0x3C in (0x04, 0x20))
