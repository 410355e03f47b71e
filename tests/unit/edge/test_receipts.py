"""Receipts: stored, then answered; matched early, late and repeated; and the sender is told once."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from edge import receipts as edge_receipts
from edge.config import Secret, UpstreamConfig
from edge.dialect import Dialect
from edge.groups import Group
from edge.receipts import Receipts
from edge.recorder import Along, Recorder
from protocols.smpp import receipt as receipt_text
from protocols.smpp import tlv
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DeliverSm
from protocols.smpp.tlv import Tag, encode
from storage import messages, parts, receipts
from storage.deliveries import DueDelivery
from storage.parts import QueuedPart
from storage.progress import Change
from storage.receipt_parts import reference_of
from storage.records import Did, PartRecord, PartState
from storage.statements import Write, execute_all
from storage.store import Store
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, Time, part_of, record
from tests.unit.edge.test_inbound import Box

TEXT = "id:{id} sub:001 dlvrd:001 submit date:2601011200 done date:2601011201 stat:{stat} err:{err} text:"


class Rig:
    """A `Receipts` on a store with messages whose parts are sent."""

    def __init__(self, store: InlineStore, time: Time, did: Did, **changes: Any) -> None:
        self.store, self.time, self.did, self.box = store, time, did, Box()
        self.answers: list[int] = []
        config = UpstreamConfig(name="up", port=1, system_id="x", password=Secret("x"), **changes)
        self.settled: list[int] = []
        self.dialect = Dialect(config, "US")
        self.group = Group(("up",))
        self.receipts = Receipts(
            config,
            self.dialect,
            self.group,
            cast(Store, store),
            cast(Any, self.box),
            time.wall_ms,
            lambda part_ids, guessed: self.settled.extend(part_ids),
        )
        success(self.receipts.start())

    def message(self, *smsc_ids: str | None, status_callback: str | None = None) -> int:
        """A message with a part for each id; None: not answered yet."""
        now = self.time.wall_ms()
        more = {"parts_total": len(smsc_ids), "status_callback": status_callback}
        about = record(self.store, self.did, now, "mt", **more)
        rows = [
            part_of(
                about,
                self.store.ids.next(),
                number,
                state=PartState.SENDING if name is None else PartState.SENT,
                smsc_message_id=name,
            )
            for number, name in enumerate(smsc_ids, 1)
        ]
        success(self.store.writer.write(messages.insert(about, rows)))
        return about.id

    def report(self, name: str, stat: str = "DELIVRD", err: str = "000", **more: Any) -> None:
        text = TEXT.format(id=name, stat=stat, err=err).encode()
        pdu = DeliverSm(**{"esm_class": 4, "short_message": text, **more})
        found = receipt_text.parse(pdu)
        assert found is not None
        self.receipts.receive(pdu, found, self.answers.append)

    def part(self, message_id: int, number: int = 1) -> PartRecord:
        found: PartRecord = self.view(message_id).parts[number - 1]
        return found

    def taking(self, message_id: int, number: int = 1) -> Along:
        """What goes along when it is stored that the SMSC took this part."""
        along = self.receipts.taking(QueuedPart(self.part(message_id, number), 1, DID, PEER, told=True))
        assert along is not None
        return along

    def settle(self, writes: Sequence[Write], along: Along) -> None:
        """Store an outcome as an upstream does."""
        Recorder("up", cast(Store, self.store), self.time, lambda: None, lambda: None).persist(
            Change(writes), along=along
        )

    def view(self, message_id: int) -> Any:
        return success(self.store.read(messages.get, self.did.account_id, message_id))

    def status(self, message_id: int) -> str:
        view = self.view(message_id)
        return messages.status_of(view.message, view.parts)


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    return Rig(inline_store, time, did)


def test_a_receipt_is_answered_after_its_commit_and_closes_the_part(rig: Rig) -> None:
    identity = rig.message("a1")
    rig.store.writer.held = True
    rig.report("a1")
    assert rig.answers == []
    rig.store.writer.release()
    assert rig.answers == [CommandStatus.ESME_ROK]
    assert rig.status(identity) == "delivered"


def test_when_the_store_fails_it_must_come_again(rig: Rig) -> None:
    rig.store.writer.failing = True
    rig.report("a1")
    assert rig.answers == [CommandStatus.ESME_RX_T_APPN]


@pytest.mark.parametrize(
    ("stat", "state"),
    [("UNDELIV", "failed"), ("EXPIRED", "expired"), ("REJECTD", "failed"), ("DELETED", "failed")],
)
def test_final_states(rig: Rig, stat: str, state: str) -> None:
    identity = rig.message("a1")
    rig.report("a1", stat, "042")
    assert (rig.part(identity).state, rig.part(identity).receipt_error) == (state, "042")


@pytest.mark.parametrize("stat", ["ENROUTE", "ACCEPTD", "UNKNOWN"])
def test_intermediate_states_close_nothing_and_never_undo_a_final_one(rig: Rig, stat: str) -> None:
    identity = rig.message("a1")
    rig.report("a1", stat)
    assert rig.part(identity).state == "sent"
    rig.report("a1")
    rig.report("a1", stat)
    assert rig.part(identity).state == "delivered"


def test_ten_times_the_same_is_one(rig: Rig) -> None:
    identity = rig.message("a1", status_callback="http://x/")
    for _ in range(10):
        rig.report("a1")
    assert rig.answers == [CommandStatus.ESME_ROK] * 10
    assert rig.status(identity) == "delivered"
    assert len(rig.box.offered) == 1


def test_before_the_response_it_waits_and_is_matched_when_the_id_is_known(rig: Rig) -> None:
    identity = rig.message(None, status_callback="http://x/")
    rig.report("00000A1F")
    assert rig.answers == [CommandStatus.ESME_ROK]
    assert len(success(rig.store.read(receipts.unmatched, "up", 10))) == 1
    success(rig.store.writer.write(parts.record_sent(rig.part(identity).id, "a1f", rig.time.wall_ms())))
    rig.receipts.accepted("a1f")
    assert rig.status(identity) == "delivered"
    assert success(rig.store.read(receipts.unmatched, "up", 10)) == []
    assert [item.delivery.event for item in rig.box.offered] == ["delivered"]


def test_so_too_after_a_restart(rig: Rig, inline_store: InlineStore, time: Time, did: Did) -> None:
    identity = rig.message(None)
    rig.report("b2")
    again = Rig(inline_store, time, did)
    success(again.store.writer.write(parts.record_sent(again.part(identity).id, "b2", time.wall_ms())))
    again.receipts.accepted("b2")
    assert again.status(identity) == "delivered"


def test_a_message_is_delivered_when_all_its_parts_are(rig: Rig) -> None:
    identity = rig.message("a1", "a2", "a3", status_callback="http://x/")
    for name in ("a2", "a1"):
        rig.report(name)
        assert rig.status(identity) == "sent"
        assert [item.delivery.event for item in rig.box.offered] == ["sent"]
    rig.report("a3")
    assert rig.status(identity) == "delivered"
    _, told = rig.box.offered
    assert (told.delivery.handler, told.delivery.target, told.delivery.event) == (
        "status",
        "http://x/",
        "delivered",
    )


def test_failed_when_one_part_is_is_told_as_soon_as_no_part_is_still_to_be_sent(rig: Rig) -> None:
    """Of a part that was sent no receipt need ever come."""
    identity = rig.message("a1", "a2", None, status_callback="http://x/")
    rig.report("a1", "UNDELIV")
    assert rig.status(identity) == "failed"
    assert rig.box.offered == [], "the last part is on its way"
    rig.settle(parts.record_sent(rig.part(identity, 3).id, "a3", rig.time.wall_ms()), rig.taking(identity, 3))
    told: list[DueDelivery] = rig.box.offered
    assert [item.delivery.event for item in told] == ["failed"]
    rig.report("a2")
    rig.report("a3")
    assert [item.delivery.event for item in told] == ["failed"]


def test_a_message_whose_later_part_the_smsc_refuses_has_failed_and_that_is_told(rig: Rig) -> None:
    identity = rig.message("a1", None, status_callback="http://x/")
    refused = rig.part(identity, 2).id
    rig.settle(parts.record_failed(refused, 0x0B, rig.time.wall_ms()), rig.receipts.failing([refused]))
    assert rig.status(identity) == "failed"
    assert [item.delivery.event for item in rig.box.offered] == ["failed"]


def test_what_is_told_is_planned_with_the_change_of_the_part_or_not_at_all(rig: Rig) -> None:
    identity = rig.message(None, status_callback="http://x/")
    along = rig.taking(identity)

    def dies(conn: Connection) -> Callable[[], None]:
        along(conn)
        raise RuntimeError("the server dies")

    rig.settle(parts.record_sent(rig.part(identity).id, "a1", rig.time.wall_ms()), dies)
    assert (rig.status(identity), rig.box.offered) == ("sending", [])
    with rig.store.engine.transaction() as conn:  # as the writer does, and then nobody is there any more
        execute_all(conn, parts.record_sent(rig.part(identity).id, "a1", rig.time.wall_ms()))
        along(conn)
    assert [each.delivery.event for each in rig.view(identity).deliveries] == ["sent"]


def test_a_message_whose_sender_wants_to_know_nothing_costs_nothing(rig: Rig) -> None:
    identity = rig.message(None)
    assert rig.receipts.taking(QueuedPart(rig.part(identity), 1, DID, PEER, told=False)) is None


def test_a_refusal_by_the_smsc_is_told_too(rig: Rig) -> None:
    identity = rig.message(None, status_callback="http://x/")
    part_id = rig.part(identity).id
    rig.settle(parts.record_failed(part_id, 0x0B, rig.time.wall_ms()), rig.receipts.failing([part_id]))
    assert [item.delivery.event for item in rig.box.offered] == ["failed"]


def test_a_receipt_for_which_there_is_no_part_is_forgotten_after_its_time(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, unmatched_receipt_hours=72.0)
    rig.report("nobody's")
    time.advance(72 * 3600.0)
    success(rig.receipts.purge())
    assert len(success(rig.store.read(receipts.unmatched, "up", 10))) == 1
    time.advance(0.001)
    success(rig.receipts.purge())
    assert success(rig.store.read(receipts.unmatched, "up", 10)) == []


def test_until_then_it_is_tried_again_with_every_new_id(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did)
    identity = rig.message(None)
    rig.report("c3")
    time.advance(71 * 3600.0)
    success(rig.receipts.purge())
    success(rig.store.writer.write(parts.record_sent(rig.part(identity).id, "c3", time.wall_ms())))
    rig.receipts.accepted("other")
    assert rig.status(identity) == "sent"
    rig.receipts.accepted("c3")
    assert rig.status(identity) == "delivered"


def test_one_receipt_for_the_whole_message_early_or_not(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, receipt_per="message")
    identity = rig.message("a1", "a2", "a3", status_callback="http://x/")
    rig.report("a3")
    assert rig.status(identity) == "delivered"
    assert [item.delivery.event for item in rig.box.offered] == ["delivered"]


@pytest.mark.parametrize(("stat", "end"), [("DELIVRD", "delivered"), ("UNDELIV", "failed")])
def test_a_receipt_for_the_whole_message_is_for_what_leaves_after_it_too(
    inline_store: InlineStore, time: Time, did: Did, stat: str, end: str
) -> None:
    rig = Rig(inline_store, time, did, receipt_per="message")
    identity = rig.message("a1", None, status_callback="http://x/")
    last = rig.part(identity, 2)
    success(rig.store.writer.write(parts.requeue(last.id, last.due_at, 0, None, last.due_at)))
    rig.report("a1", stat)
    rig.settle(parts.record_sent(last.id, "a2", time.wall_ms()), rig.taking(identity, 2))
    rig.receipts.accepted("a2")
    assert [part.state for part in rig.view(identity).parts] == [end, end]
    assert [item.delivery.event for item in rig.box.offered] == [end]


def test_without_a_receipt_for_the_whole_each_part_has_its_own_end(rig: Rig) -> None:
    identity = rig.message("a1", "a2")
    rig.report("a1")
    rig.settle([], rig.taking(identity, 2))
    assert rig.part(identity, 2).state == "sent"


def test_an_intermediate_notification_closes_nothing_whatever_its_state_and_the_receipt_does(
    rig: Rig,
) -> None:
    identity = rig.message("a1")
    rig.report("a1", esm_class=0x20)
    assert rig.part(identity).state == "sent"
    rig.report("a1")
    assert rig.part(identity).state == "delivered"


def test_an_id_in_the_text_that_is_exact_comes_before_another_base_of_the_one_in_the_tlv(rig: Rig) -> None:
    exact, other = rig.message("77"), rig.message("a1f")
    rig.report("77", tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"2591\0"),))
    assert (rig.part(exact).state, rig.part(other).state) == ("delivered", "sent")


def test_a_stray_receipt_of_digits_is_not_taken_for_a_part_with_that_number_in_hexadecimal(rig: Rig) -> None:
    identity = rig.message("10")
    rig.report("16")
    for _ in range(5):
        rig.time.advance(1.0)
        rig.receipts.read_again()
    assert rig.part(identity).state == "sent"


def test_an_early_receipt_waits_for_its_own_part_and_for_no_longer_than_an_answer_may_take(rig: Rig) -> None:
    other, its = rig.message("a1f"), rig.message(None)
    rig.report("2591")
    rig.receipts.read_again()
    assert rig.part(other).state == "sent"
    success(rig.store.writer.write(parts.record_sent(rig.part(its).id, "2591", rig.time.wall_ms())))
    rig.receipts.accepted("2591")
    rig.receipts.read_again()
    assert (rig.part(other).state, rig.part(its).state) == ("sent", "delivered")


def test_an_smsc_that_changes_the_base_is_found_out_by_an_id_with_a_letter(rig: Rig) -> None:
    one, other, third = rig.message("a1f"), rig.message("10"), rig.message("11")
    rig.report("16")
    assert rig.part(other).state == "sent"
    rig.report("2591")
    assert rig.part(one).state == "delivered"
    rig.report("17")
    assert rig.part(third).state == "delivered"
    rig.receipts.read_again()
    assert rig.part(other).state == "delivered"


def test_what_waited_longer_than_an_answer_takes_is_read_again_when_the_base_is_found_out(
    rig: Rig,
) -> None:
    waits = rig.message("10")
    rig.report("16")
    rig.time.advance(3600.0)
    rig.receipts.read_again()
    assert rig.part(waits).state == "sent"
    rig.message("a1f")
    rig.report("2591")
    rig.receipts.read_again()
    assert rig.part(waits).state == "delivered"


def early(rig: Rig, count: int) -> list[int]:
    """Messages whose receipts came before their ids were known, and wait."""
    messages_ = [rig.message(None) for _ in range(count)]
    for number in range(count):
        rig.report(f"e{number}")
    for number, message_id in enumerate(messages_):
        write = parts.record_sent(rig.part(message_id).id, f"e{number}", rig.time.wall_ms())
        success(rig.store.writer.write(write))
    return messages_


def test_after_a_restart_all_that_waits_is_read_again_a_page_in_a_transaction(
    rig: Rig, inline_store: InlineStore, time: Time, did: Did, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_receipts, "READ_AT_ONCE", 2)
    monkeypatch.setattr(edge_receipts, "PAGES_A_TIME", 2)
    waiting = early(rig, 5)
    time.advance(3600.0)
    again = Rig(inline_store, time, did)
    units = inline_store.writer.units
    success(again.receipts.read_again())
    assert inline_store.writer.units == units + 2
    assert [again.status(one) for one in waiting] == ["delivered"] * 4 + ["sent"]
    success(again.receipts.read_again())
    assert again.status(waiting[4]) == "delivered"


def test_what_a_failing_store_kept_from_being_read_again_is_read_when_it_is_back(
    rig: Rig, inline_store: InlineStore, time: Time, did: Did
) -> None:
    (waits,) = early(rig, 1)
    time.advance(3600.0)
    again = Rig(inline_store, time, did)
    inline_store.writer.failing = True
    success(again.receipts.read_again())
    inline_store.writer.failing = False
    time.advance(3600.0)
    success(again.receipts.read_again())
    assert again.status(waits) == "delivered"


def test_a_receipt_that_was_wrongly_guessed_about_a_part_finds_its_own(rig: Rig) -> None:
    """Its part was answered while it was taken for the other's."""
    doubtful = rig.message(None)
    part_id, now_ms = rig.part(doubtful).id, rig.time.wall_ms()
    success(rig.store.writer.write(parts.requeue(part_id, now_ms, 0, None, now_ms)))
    success(rig.store.writer.write(parts.mark_sending(part_id, 1, now_ms)))
    success(rig.store.writer.write(parts.mark_in_doubt(part_id)))
    minute = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%y%m%d%H%M")
    text = f"id:0a1f submit date:{minute} done date:{minute} stat:DELIVRD err:000 text:"
    rig.report("", short_message=text.encode(), source_addr=PEER, source_addr_ton=1, destination_addr=DID)
    assert rig.settled == [part_id]
    its = rig.message("A1F")
    rig.receipts.accepted("A1F")
    rig.time.advance(3600.0)
    assert success(rig.receipts.refute(part_id)) is True
    assert rig.part(doubtful).state == "in_doubt"
    success(rig.receipts.read_again())
    assert rig.part(its).state == "delivered"


def test_what_an_answer_tells_is_no_guess(rig: Rig) -> None:
    identity = rig.message(None)
    success(rig.store.writer.write(parts.record_sent(rig.part(identity).id, "a1", rig.time.wall_ms())))
    rig.report("a1")
    assert success(rig.receipts.refute(rig.part(identity).id)) is False
    assert rig.part(identity).state == "delivered"


def test_a_base_that_was_found_out_is_known_after_a_restart(
    rig: Rig, inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig.message("a1f")
    rig.report("2591")
    again = Rig(inline_store, time, did)
    identity = again.message("10")
    again.report("16")
    assert again.part(identity).state == "delivered"
    assert Rig(inline_store, time, did, message_id_base="as_sent").group.converts is False


def test_a_base_that_is_configured_is_the_meaning(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, message_id_base="hex")
    ten, sixteen = rig.message("10"), rig.message("16")
    rig.report("16")
    assert (rig.part(ten).state, rig.part(sixteen).state) == ("delivered", "sent")


@pytest.mark.parametrize("on", [True, False])
def test_a_part_whose_answer_was_lost_is_found_by_our_reference(
    inline_store: InlineStore, time: Time, did: Did, on: bool
) -> None:
    rig = Rig(inline_store, time, did, user_message_reference=on)
    identity = rig.message(None, status_callback="http://x/")
    part = rig.part(identity)
    success(rig.store.writer.write(parts.mark_in_doubt(part.id)))
    pdu = rig.dialect.submit_sm(QueuedPart(part, 1, DID, PEER), time.wall_ms())
    given = tlv.user_message_reference(pdu.tlvs)
    assert (given is not None) is on
    reference = encode(Tag.USER_MESSAGE_REFERENCE, reference_of(part.id) if given is None else given)
    rig.report(
        "never told", "ENROUTE", source_addr=PEER, destination_addr=DID, tlvs=(reference,), source_addr_ton=1
    )
    assert rig.part(identity).state == ("sent" if on else "in_doubt")
    assert rig.settled == [part.id] * on
    assert [item.delivery.event for item in rig.box.offered] == ["sent"] * on
