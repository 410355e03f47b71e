"""Records, their columns, and what is put together from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Table

from storage import tables
from storage.messages import status_of
from storage.records import (
    AttemptRecord,
    DeliveryRecord,
    InboundPartRecord,
    MessageRecord,
    MessageStatus,
    PartRecord,
    PartState,
    ReceiptRecord,
    User,
    pack_tlvs,
    unpack_tlvs,
)
from storage.text import clean, clean_attempt, storable

MT = MessageRecord(1, 1, 1, "mt", "api", "+12025550100", "+12025550199", "hello", "carrier", 0, 2)


@pytest.mark.parametrize(
    ("record", "table"),
    [
        (MessageRecord, tables.message),
        (PartRecord, tables.part),
        (InboundPartRecord, tables.inbound_part),
        (DeliveryRecord, tables.delivery),
        (AttemptRecord, tables.attempt),
        (ReceiptRecord, tables.receipt),
    ],
)
def test_a_record_has_the_columns_of_its_table_in_their_order(record: type, table: Table) -> None:
    assert record._fields == tuple(column.name for column in table.columns)  # type: ignore[attr-defined]


def part(state: str) -> PartRecord:
    return PartRecord(1, 1, "carrier", 1, 1, 0, 0, b"", None, PartState(state))


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ("queued", "queued"),
        ("queued queued", "queued"),
        ("sending queued", "sending"),
        ("sent queued", "sending"),
        ("sent sending", "sending"),
        ("delivered queued", "queued"),
        ("sent sent", "sent"),
        ("sent delivered", "sent"),
        ("delivered delivered", "delivered"),
        ("in_doubt sent", "sending"),
        ("in_doubt delivered", "in_doubt"),
        ("held queued", "in_doubt"),
        ("held", "in_doubt"),
        ("sending in_doubt", "sending"),
        ("failed delivered", "failed"),
        ("failed queued", "failed"),
        ("expired sent", "failed"),
        ("", "queued"),
    ],
)
def test_the_status_of_a_message_comes_from_its_parts(states: str, status: str) -> None:
    assert status_of(MT, [part(state) for state in states.split()]) == MessageStatus(status)


def test_an_mo_message_was_received() -> None:
    assert status_of(MT._replace(direction="mo"), []) == MessageStatus.RECEIVED


def test_three_states_are_final() -> None:
    assert {state for state in PartState if state.final} == {
        PartState.DELIVERED,
        PartState.FAILED,
        PartState.EXPIRED,
    }
    assert PartState.SENT not in PartState.FINAL
    assert PartState.FAILED in PartState.FINAL


def test_secrets_do_not_show() -> None:
    assert "argon" not in repr(User(1, 1, "ann", "$argon2id$", 0))


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=8))
def test_tlvs_come_back_as_they_were(tlvs: list[tuple[int, bytes]]) -> None:
    assert list(unpack_tlvs(pack_tlvs(tlvs))) == tlvs


def test_no_tlvs_are_none() -> None:
    assert pack_tlvs(()) is None
    assert unpack_tlvs(None) == ()


@pytest.mark.parametrize("text", ["", "hello", "é€^{}", "مرحبا", "👩🏽‍👩🏽‍👧", "line\nline", "\ufffd"])
def test_text_that_can_be_stored_stays_the_same_object(text: str) -> None:
    assert storable(text) is text
    record = MT._replace(text=text)
    assert clean(record) is record


@pytest.mark.parametrize(
    ("text", "stored"),
    [("a\0b", "a␀b"), ("\ud83d", "\ufffd"), ("x\udc00\ud800y", "x\ufffd\ufffdy"), ("\0\ud800", "␀\ufffd")],
)
def test_what_no_engine_can_hold_is_shown_instead(text: str, stored: str) -> None:
    assert storable(text) == stored
    assert clean(MT._replace(text=text)).text == stored


def test_an_excerpt_of_a_reply_is_stored_whatever_the_reply_was() -> None:
    attempt = AttemptRecord(1, 1, 0, 0, "refused", 200, "bin\0ary")
    assert clean_attempt(attempt).excerpt == "bin␀ary"
    assert clean_attempt(attempt._replace(excerpt=None)).excerpt is None
