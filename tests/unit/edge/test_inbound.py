"""MO: nothing is answered before its commit, and what is answered is stored, once, whole."""

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from edge import inbound as inbound_module
from edge.assembly import Assembly
from edge.config import Secret, UpstreamConfig
from edge.dialect import Dialect
from edge.inbound import Inbound, Policy
from edge.policy.optout import OptOuts, Words
from edge.repeats import Repeats
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DataSm, DeliverSm
from protocols.smpp.tlv import Tag
from protocols.sms.reassembly import MISSING
from storage import inbound_parts, messages, opt_outs
from storage.deliveries import DueDelivery
from storage.records import Did, MessageFlag, MessageRecord
from storage.tables import message
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, Numbers, Time

LINK = "up/transceiver"
CONFIG = UpstreamConfig(name="up", port=2775, system_id="us", password=Secret("x"))


class Box:
    """An outbox that only remembers."""

    def __init__(self) -> None:
        self.expected: set[int] = set()
        self.offered: list[DueDelivery] = []
        self.looks = 0

    def expect(self, due: list[DueDelivery]) -> list[DueDelivery]:
        self.expected.update(item.delivery.id for item in due)
        return due

    def stamp(self, due: DueDelivery) -> DueDelivery:
        return due

    def offer(self, due: list[DueDelivery]) -> None:
        self.offered += due

    def look(self, changed: Sequence[int]) -> None:
        """There is something in the table."""
        self.looks += 1

    def abandon(self, due: list[DueDelivery]) -> None:
        self.expected.difference_update(item.delivery.id for item in due)


class Catalog(Numbers):
    """The directory, whose fresh look-up finds what memory has."""

    def find(self, number: str) -> Deferred[Did | None]:
        return succeed(self.did(number))


class Rig:
    """An `Inbound` on a store; ``answers`` is what the SMSC was told."""

    def __init__(
        self,
        store: InlineStore,
        time: Time,
        *,
        quarantine: bool = True,
        merge: bool = True,
        upstream: str = "up",
        assembly: Assembly | None = None,
    ) -> None:
        self.store, self.time, self.box = store, time, Box()
        self.answers: list[int] = []
        words = Words.of(("STOP", "ARRÊT"), ("START",), every_did=False)
        self.opt_outs = OptOuts(store, time, time.wall_ms, words)  # type: ignore[arg-type]
        self.inbound = Inbound(
            Policy(upstream, quarantine, merge, 60.0),
            Dialect(CONFIG, "US"),
            Catalog(store),  # type: ignore[arg-type]
            store,  # type: ignore[arg-type]
            self.box,  # type: ignore[arg-type]
            assembly or Assembly(),
            Repeats(),
            time.wall_ms,
            self.opt_outs,
        )
        success(self.inbound.start())

    def receive(self, text: bytes, **fields: Any) -> None:
        pdu = DeliverSm(
            **{
                "source_addr_ton": 1,
                "source_addr": PEER[1:],
                "dest_addr_ton": 1,
                "destination_addr": DID[1:],
                "short_message": text,
                **fields,
            }
        )
        self.inbound.receive(pdu, self.answers.append, LINK)

    def part(self, number: int, total: int, text: bytes, reference: int = 9, **fields: Any) -> None:
        header = bytes([5, 0, 3, reference, total, number])
        self.receive(header + text, esm_class=0x40, **fields)

    def stored(self) -> list[MessageRecord]:
        with self.store.engine.snapshot() as conn:
            return [MessageRecord._make(row) for row in conn.execute(message.select().order_by(message.c.id))]


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    return Rig(inline_store, time)


def test_a_message_and_its_delivery_are_committed_before_the_answer(rig: Rig) -> None:
    rig.store.writer.held = True
    rig.receive(b"hello")
    assert rig.answers == []
    assert rig.box.offered == []
    assert rig.box.expected
    rig.store.writer.release()
    assert rig.answers == [CommandStatus.ESME_ROK]
    (stored,) = rig.stored()
    assert (stored.text, stored.did, stored.peer, stored.raw, stored.encoding) == (
        "hello",
        DID,
        PEER,
        b"hello",
        "GSM7",
    )
    view = success(rig.store.read(messages.get, stored.account_id or 0, stored.id))
    assert view is not None
    assert [item.delivery for item in view.deliveries] == [item.delivery for item in rig.box.offered]
    assert view.deliveries[0].delivery.handler == "callback"


def test_when_the_store_fails_the_smsc_is_asked_to_try_again(rig: Rig) -> None:
    rig.store.writer.failing = True
    rig.receive(b"hello")
    assert rig.answers == [CommandStatus.ESME_RX_T_APPN]
    assert rig.box.expected == set()
    rig.store.writer.failing = False
    rig.receive(b"hello")
    assert rig.answers == [CommandStatus.ESME_RX_T_APPN, CommandStatus.ESME_ROK]
    assert len(rig.stored()) == 1


def test_an_unknown_did_is_quarantined(rig: Rig) -> None:
    rig.receive(b"lost", destination_addr="12025559999")
    assert rig.answers == [CommandStatus.ESME_ROK]
    (stored,) = rig.stored()
    assert (stored.account_id, stored.did, stored.text) == (None, "+12025559999", "lost")
    assert rig.box.offered == []


def test_or_refused_where_the_upstream_is_set_so(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, quarantine=False)
    rig.receive(b"lost", destination_addr="12025559999")
    assert rig.answers == [CommandStatus.ESME_RINVDSTADR]
    assert rig.stored() == []


def test_message_payload_and_data_sm(rig: Rig) -> None:
    rig.receive(b"", tlvs=((Tag.MESSAGE_PAYLOAD, b"in the payload"),))
    pdu = DataSm(source_addr="12345", destination_addr=DID[1:], tlvs=((Tag.MESSAGE_PAYLOAD, b"by data sm"),))
    rig.inbound.receive(pdu, rig.answers.append, LINK)
    assert [(item.text, item.peer) for item in rig.stored()] == [
        ("in the payload", PEER),
        ("by data sm", "12345"),
    ]


def test_parts_wait_in_the_store_and_the_last_to_come_commits_the_message(rig: Rig) -> None:
    rig.part(3, 3, b"end")
    rig.part(1, 3, b"begin ")
    assert rig.answers == [CommandStatus.ESME_ROK] * 2
    assert rig.stored() == []
    assert len(success(rig.store.read(inbound_parts.open_parts, "up"))) == 2
    rig.part(2, 3, b"middle ")
    (stored,) = rig.stored()
    assert (stored.text, stored.parts_total, stored.flags) == ("begin middle end", 3, 0)
    assert success(rig.store.read(inbound_parts.open_parts, "up")) == []
    assert len(rig.box.offered) == 1


@pytest.mark.parametrize("reference", [b"", b"\xff" * 4, b"\1" * 9])
def test_a_sar_reference_of_another_length_is_none(rig: Rig, reference: bytes) -> None:
    sar = ((Tag.SAR_MSG_REF_NUM, reference), (Tag.SAR_TOTAL_SEGMENTS, b"\2"), (Tag.SAR_SEGMENT_SEQNUM, b"\1"))
    rig.receive(b"hello", tlvs=sar)
    assert rig.answers == [CommandStatus.ESME_ROK]
    assert [record.text for record in rig.stored()] == ["hello"]


def test_parts_by_sar_tlvs(rig: Rig) -> None:
    for number, text in ((2, b"two"), (1, b"one ")):
        tlvs = (
            (Tag.SAR_MSG_REF_NUM, b"\0\7"),
            (Tag.SAR_TOTAL_SEGMENTS, b"\2"),
            (Tag.SAR_SEGMENT_SEQNUM, bytes([number])),
        )
        rig.receive(text, tlvs=tlvs)
    assert [item.text for item in rig.stored()] == ["one two"]


def test_a_repeated_part_is_answered_after_the_first_ones_commit(rig: Rig) -> None:
    rig.store.writer.held = True
    rig.part(1, 2, b"one ")
    rig.part(1, 2, b"one ")
    assert rig.answers == []
    rig.store.writer.release()
    assert rig.answers == [CommandStatus.ESME_ROK] * 2
    rig.part(2, 2, b"two")
    assert [item.text for item in rig.stored()] == ["one two"]


def test_a_copy_of_the_last_part_while_the_message_is_stored_waits_for_that(rig: Rig) -> None:
    rig.part(1, 2, b"one ")
    rig.store.writer.held = True
    rig.part(2, 2, b"two")
    rig.part(2, 2, b"two")
    rig.store.writer.release()
    assert rig.answers == [CommandStatus.ESME_ROK] * 3
    rig.time.advance(1_000_000)
    rig.inbound.flush_overdue()
    assert [item.text for item in rig.stored()] == ["one two"]


def test_the_next_message_under_a_reference_may_have_the_same_parts(rig: Rig) -> None:
    for _ in range(2):
        rig.part(1, 2, b"one ")
        rig.part(2, 2, b"two")
    rig.part(1, 2, b"ONE ")
    rig.part(2, 2, b"two")
    assert rig.answers == [CommandStatus.ESME_ROK] * 6
    assert [item.text for item in rig.stored()] == ["one two", "one two", "ONE two"]


def test_a_late_copy_of_a_part_becomes_no_message(rig: Rig, inline_store: InlineStore) -> None:
    rig.part(1, 2, b"one ")
    rig.part(2, 2, b"two")
    rig.time.advance(60)
    rig.part(2, 2, b"two")
    rig.time.advance(1_000_000)
    rig.store.writer.failing = True
    rig.inbound.flush_overdue()
    rig.store.writer.failing = False
    rig.inbound.flush_overdue()
    assert [item.text for item in rig.stored()] == ["one two"]
    with inline_store.engine.snapshot() as conn:
        assert inbound_parts.open_parts(conn, "up") == []


def test_a_part_that_could_not_be_stored_comes_again(rig: Rig) -> None:
    rig.part(1, 2, b"one ")
    rig.store.writer.failing = True
    rig.part(2, 2, b"two")
    assert rig.answers == [CommandStatus.ESME_ROK, CommandStatus.ESME_RX_T_APPN]
    rig.store.writer.failing = False
    rig.part(2, 2, b"two")
    assert [item.text for item in rig.stored()] == ["one two"]


def test_after_a_restart_the_missing_part_completes_the_message(
    rig: Rig, inline_store: InlineStore, time: Time
) -> None:
    rig.part(1, 2, b"before ")
    again = Rig(inline_store, time)
    again.part(2, 2, b"after")
    assert [item.text for item in again.stored()] == ["before after"]


def test_what_stays_incomplete_is_delivered_marked_and_flagged(rig: Rig) -> None:
    rig.part(1, 3, b"one ")
    rig.part(3, 3, b" three")
    rig.time.advance(59.0)
    success(rig.inbound.flush_overdue())
    assert rig.stored() == []
    rig.time.advance(1.0)
    success(rig.inbound.flush_overdue())
    (stored,) = rig.stored()
    assert stored.text == f"one {MISSING} three"
    assert stored.flags == MessageFlag.INCOMPLETE
    assert len(rig.box.offered) == 1
    assert success(rig.store.read(inbound_parts.open_parts, "up")) == []


def test_an_incomplete_message_that_cannot_be_stored_is_tried_again(rig: Rig) -> None:
    rig.part(1, 2, b"one")
    rig.time.advance(60.0)
    rig.store.writer.failing = True
    success(rig.inbound.flush_overdue())
    rig.store.writer.failing = False
    success(rig.inbound.flush_overdue())
    assert len(rig.stored()) == 1


def test_a_surrogate_pair_that_was_cut_between_parts_is_whole_again(rig: Rig) -> None:
    octets = "ab😀cd".encode("utf-16-be")
    rig.part(1, 2, octets[:6], data_coding=8)
    rig.part(2, 2, octets[6:], data_coding=8)
    assert [item.text for item in rig.stored()] == ["ab😀cd"]


def test_the_same_text_twice_is_two_messages(rig: Rig) -> None:
    rig.receive(b"yes")
    rig.receive(b"yes")
    assert [item.duplicate_of for item in rig.stored()] == [None, None]


@pytest.mark.parametrize("merge", [True, False])
def test_after_a_restart_an_equal_pdu_is_the_smscs_second_try(
    inline_store: InlineStore, time: Time, did: Did, merge: bool
) -> None:
    Rig(inline_store, time).receive(b"yes")
    time.advance(5.0)
    again = Rig(inline_store, time, merge=merge)
    again.receive(b"yes")
    again.receive(b"yes")
    first, repeat, second = again.stored()
    assert (first.duplicate_of, repeat.duplicate_of, second.duplicate_of) == (None, first.id, None)
    assert repeat.flags == MessageFlag.POSSIBLE_DUPLICATE
    assert len(again.box.offered) == (1 if merge else 2)
    assert success(again.store.read(messages.get, did.account_id, second.id)) is not None


def test_after_an_orderly_end_the_next_yes_is_a_new_one(inline_store: InlineStore, time: Time) -> None:
    rig = Rig(inline_store, time)
    rig.receive(b"yes")
    rig.part(1, 2, b"half ")
    time.advance(0.001)
    success(rig.inbound.ended())
    time.advance(20.0)
    again = Rig(inline_store, time)
    again.receive(b"yes")
    first, second = again.stored()
    assert (first.duplicate_of, second.duplicate_of) == (None, None)
    time.advance(1.0)
    third = Rig(inline_store, time)  # this time the server died
    third.receive(b"yes")
    assert third.stored()[-1].duplicate_of == second.id


def test_an_orderly_end_soon_after_a_lost_link_leaves_its_doubts(
    inline_store: InlineStore, time: Time
) -> None:
    rig = Rig(inline_store, time)
    rig.receive(b"yes")
    cut(rig)
    time.advance(1.0)
    success(rig.inbound.ended())
    time.advance(1.0)
    again = Rig(inline_store, time)
    again.receive(b"yes")
    first, repeat = again.stored()
    assert repeat.duplicate_of == first.id


def test_a_part_of_a_finished_message_that_comes_again_after_a_restart_starts_nothing(
    rig: Rig, inline_store: InlineStore, time: Time
) -> None:
    rig.part(1, 2, b"one ")
    rig.part(2, 2, b"two")
    again = Rig(inline_store, time)
    again.part(2, 2, b"two")
    assert again.answers == [CommandStatus.ESME_ROK]
    time.advance(60.0)
    success(again.inbound.flush_overdue())
    assert [item.text for item in again.stored()] == ["one two"]


def test_nor_does_one_of_a_message_that_two_upstreams_of_a_group_brought(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    shared = Assembly()
    Rig(inline_store, time, assembly=shared).part(1, 2, b"one ")
    Rig(inline_store, time, assembly=shared, upstream="other").part(2, 2, b"two")
    time.advance(20.0)
    again = Rig(inline_store, time)
    again.part(1, 2, b"one ")
    time.advance(60.0)
    success(again.inbound.flush_overdue())
    assert [item.text for item in again.stored()] == ["one two"]


@pytest.mark.parametrize("waited", [False, True])
def test_nor_does_one_that_came_minutes_before_whether_it_waited_then_or_comes_now(
    rig: Rig, inline_store: InlineStore, time: Time, waited: bool
) -> None:
    rig.part(1, 2, b"one ")
    rig.part(2, 2, b"two")
    time.advance(60.0)
    rig.receive(b"later")
    if waited:
        rig.part(2, 2, b"two")
    time.advance(30.0)
    again = Rig(inline_store, time)
    if not waited:
        again.part(2, 2, b"two")
    time.advance(60.0)
    success(again.inbound.flush_overdue())
    assert [item.text for item in again.stored()] == ["one two", "later"]
    assert success(again.store.read(inbound_parts.open_parts, "up")) == []


def cut(rig: Rig) -> None:
    """The link goes, and is bound again."""
    rig.inbound.repeats.link_lost(LINK, rig.time.wall_ms())
    rig.inbound.repeats.bind_up(rig.time.wall_ms())


def test_what_the_store_refused_before_the_link_went_is_no_repeat_when_it_comes_again(rig: Rig) -> None:
    rig.store.writer.failing = True
    rig.receive(b"whole")
    rig.part(1, 2, b"one ")
    rig.store.writer.failing = False
    cut(rig)
    rig.receive(b"whole")
    rig.part(1, 2, b"one ")
    rig.part(2, 2, b"two")
    not_now, good = CommandStatus.ESME_RX_T_APPN, CommandStatus.ESME_ROK
    assert rig.answers == [not_now, not_now, good, good, good]
    assert [(item.text, item.duplicate_of, item.flags) for item in rig.stored()] == [
        ("whole", None, 0),
        ("one two", None, 0),
    ]
    assert [item.message.text for item in rig.box.offered] == ["whole", "one two"]


def test_a_second_try_is_not_answered_before_the_fate_of_the_first_is_known(rig: Rig) -> None:
    for failing, duplicates in ((False, [None, "first"]), (True, [])):
        rig.store.writer.held = True
        text = b"again, failing: %d" % failing
        rig.receive(text)
        rig.part(1, 2, text)
        cut(rig)
        rig.answers.clear()
        rig.receive(text)
        rig.part(1, 2, text)
        assert rig.answers == []
        rig.store.writer.failing = failing
        rig.store.writer.release()
        rig.store.writer.failing = False
        stored = [item for item in rig.stored() if item.text == text.decode()]
        assert [item.duplicate_of and "first" for item in stored] == duplicates
        status = CommandStatus.ESME_RX_T_APPN if failing else CommandStatus.ESME_ROK
        assert rig.answers == [status] * 4


def test_parts_of_equal_octets_are_different_parts(rig: Rig) -> None:
    def part(number: int) -> None:
        sar = ((Tag.SAR_MSG_REF_NUM, b"\0\7"), (Tag.SAR_TOTAL_SEGMENTS, b"\3"))
        rig.receive(b"a" * 150, tlvs=(*sar, (Tag.SAR_SEGMENT_SEQNUM, bytes((number,)))))

    part(1)
    cut(rig)
    part(2)
    part(3)
    assert [item.text for item in rig.stored()] == ["a" * 450]


def test_a_part_that_comes_again_after_the_message_is_out_starts_nothing(rig: Rig) -> None:
    rig.part(1, 2, b"one ")
    rig.part(2, 2, b"two")
    rig.part(2, 2, b"two")
    assert rig.answers == [CommandStatus.ESME_ROK] * 3
    rig.time.advance(10_000)
    success(rig.inbound.flush_overdue())
    assert [item.text for item in rig.stored()] == ["one two"]


def test_more_than_memory_should_hold_is_refused_for_now(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound_module, "MAX_UNANSWERED", 2)
    rig.store.writer.held = True
    for _ in range(3):
        rig.receive(b"hello")
    assert rig.answers == [CommandStatus.ESME_RMSGQFUL]
    rig.store.writer.release()
    rig.receive(b"hello")
    assert rig.answers[1:] == [CommandStatus.ESME_ROK] * 3


@pytest.mark.parametrize(
    ("fields", "octets", "text", "encoding", "flags"),
    [
        ({"data_coding": 0x10}, b"now", "now", "GSM7", MessageFlag.FLASH),
        ({"data_coding": 0xF0}, b"now", "now", "GSM7", MessageFlag.FLASH),
        ({"data_coding": 0xF1}, b"later", "later", "GSM7", MessageFlag(0)),
        ({"data_coding": 0xC8}, b"mail", "mail", "GSM7", MessageFlag.INDICATION),
        ({"data_coding": 0xE8}, b"\0m", "m", "UCS2", MessageFlag.INDICATION),
        ({"data_coding": 4}, b"\0\xff", "00ff", "BINARY", MessageFlag(0)),
        ({"data_coding": 0xF5}, b"\0\xff", "00ff", "BINARY", MessageFlag(0)),
        ({"data_coding": 0xF4}, b"\1", "01", "BINARY", MessageFlag.FLASH),
        ({"esm_class": 0x40}, b"\6\5\4\x0b\x84\0\0push", "push", "GSM7", MessageFlag.HEADER),
        ({"esm_class": 0x40}, b"\3\x24\1\1\x1b\x53", "Ş", "GSM7", MessageFlag(0)),
        ({"esm_class": 0x40}, b"\x7fno header", None, "GSM7", MessageFlag.UNDECODABLE),
    ],
)
def test_messages_that_are_no_plain_texts_are_stored_and_say_so(
    rig: Rig, fields: dict[str, int], octets: bytes, text: str | None, encoding: str, flags: MessageFlag
) -> None:
    rig.receive(octets, **fields)
    (stored,) = rig.stored()
    assert (stored.encoding, stored.flags, stored.raw) == (encoding, flags, octets)
    assert text is None or stored.text == text


def test_ports_of_a_long_message_are_kept_and_seen(rig: Rig) -> None:
    for number in (2, 1):
        header = bytes([11, 5, 4, 0x0B, 0x84, 0, 0, 0, 3, 9, 2, number])
        rig.receive(header + bytes([number, 0xFF]), esm_class=0x40, data_coding=4)
    (stored,) = rig.stored()
    assert (stored.text, stored.encoding, stored.flags) == ("01ff02ff", "BINARY", MessageFlag.HEADER)
    kept = success(rig.store.read(inbound_parts.recent, "up", 0, 10))
    assert {part.user_data[:7] for part in kept} == {bytes([11, 5, 4, 0x0B, 0x84, 0, 0])}
    assert {part.message_id for part in kept} == {stored.id}


def test_an_escape_that_was_cut_from_its_code_is_whole_again(rig: Rig) -> None:
    rig.part(1, 2, b"1\x1b")
    rig.part(2, 2, b"\x65 2")
    assert [item.text for item in rig.stored()] == ["1€ 2"]


def test_a_lost_link_puts_only_its_own_answers_at_risk(rig: Rig) -> None:
    rig.receive(b"yes")
    rig.inbound.repeats.link_lost("up/another", rig.time.wall_ms())
    rig.inbound.repeats.bind_up(rig.time.wall_ms())
    rig.receive(b"yes")
    rig.inbound.repeats.link_lost(LINK, rig.time.wall_ms())
    rig.receive(b"yes")
    first, second, third = rig.stored()
    assert (second.duplicate_of, third.duplicate_of) == (None, first.id)


def forbidden(rig: Rig, account_id: int) -> bool:
    return rig.opt_outs.forbids(account_id, DID, PEER)


def test_a_word_opts_out_in_the_transaction_of_its_message(rig: Rig, did: Did) -> None:
    rig.store.writer.held = True
    rig.receive(b"Stop!")
    assert not forbidden(rig, did.account_id)
    rig.store.writer.release()
    assert rig.answers == [CommandStatus.ESME_ROK]
    assert rig.store.writer.units == 1
    assert forbidden(rig, did.account_id)
    (wish,) = success(rig.store.read(opt_outs.of_peer, did.account_id, PEER))
    assert (wish.did, wish.source) == (DID, "message")
    assert [(item.text, item.direction) for item in rig.stored()] == [("Stop!", "mo")]
    assert len(rig.box.offered) == 1, "the handlers get it as every other"
    rig.receive(b"STOP")
    assert rig.answers == [CommandStatus.ESME_ROK] * 2, "a wish that is there is no contradiction"
    rig.receive(b"start")
    assert not forbidden(rig, did.account_id)
    assert success(rig.store.read(opt_outs.of_peer, did.account_id, PEER)) == []


def test_a_wish_that_is_not_stored_is_none(rig: Rig, did: Did) -> None:
    rig.store.writer.failing = True
    rig.receive(b"STOP")
    assert rig.answers == [CommandStatus.ESME_RX_T_APPN]
    assert not forbidden(rig, did.account_id)
    assert rig.box.expected == set()


def test_a_word_to_nobodys_number_is_no_wish(rig: Rig, did: Did) -> None:
    rig.receive(b"STOP", destination_addr="12025559999")
    assert not forbidden(rig, did.account_id)


def test_a_word_in_parts_is_a_wish_too(rig: Rig, did: Did) -> None:
    rig.part(1, 2, b"ST")
    rig.part(2, 2, b"OP")
    assert rig.answers == [CommandStatus.ESME_ROK] * 2
    assert forbidden(rig, did.account_id)
    assert success(rig.store.read(inbound_parts.open_parts, "up")) == []
