"""Receipts: stored, then answered; matched early, late and repeated; and the sender is told once."""

from typing import Any

import pytest

from edge.config import Secret, UpstreamConfig
from edge.groups import Group
from edge.receipts import Receipts
from protocols.smpp import receipt as receipt_text
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import DeliverSm
from storage import messages, parts, receipts
from storage.deliveries import DueDelivery
from storage.records import Did, PartRecord, PartState
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import Time, part_of, record
from tests.unit.edge.test_inbound import Box

TEXT = "id:{id} sub:001 dlvrd:001 submit date:2601011200 done date:2601011201 stat:{stat} err:{err} text:"


class Rig:
    """A `Receipts` on a store with messages whose parts are sent."""

    def __init__(self, store: InlineStore, time: Time, did: Did, **changes: Any) -> None:
        self.store, self.time, self.did, self.box = store, time, did, Box()
        self.answers: list[int] = []
        config = UpstreamConfig(name="up", port=1, system_id="x", password=Secret("x"), **changes)
        self.receipts = Receipts(config, Group(("up",)), store, self.box, time.wall_ms)  # type: ignore[arg-type]
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

    def report(self, name: str, stat: str = "DELIVRD", err: str = "000") -> None:
        pdu = DeliverSm(esm_class=4, short_message=TEXT.format(id=name, stat=stat, err=err).encode())
        found = receipt_text.parse(pdu)
        assert found is not None
        self.receipts.receive(pdu, found, self.answers.append)

    def part(self, message_id: int, number: int = 1) -> PartRecord:
        found: PartRecord = self.view(message_id).parts[number - 1]
        return found

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


def test_failed_when_one_part_is_told_when_all_are_final(rig: Rig) -> None:
    identity = rig.message("a1", "a2", status_callback="http://x/")
    rig.report("a1", "UNDELIV")
    assert rig.status(identity) == "failed"
    assert rig.box.offered == []
    rig.report("a2")
    told: list[DueDelivery] = rig.box.offered
    assert [item.delivery.event for item in told] == ["failed"]


def test_a_refusal_by_the_smsc_is_told_too(rig: Rig) -> None:
    identity = rig.message(None, status_callback="http://x/")
    part_id = rig.part(identity).id
    success(rig.store.writer.write(parts.record_failed(part_id, 0x0B, rig.time.wall_ms())))
    rig.receipts.failed([part_id])
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
