"""Receipts find their parts: early, late, repeated, in another spelling; on both engines."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select

from storage import messages, receipts
from storage.engines import Engine
from storage.receipts import Report
from storage.records import PartRecord, PartState, ReceiptRecord
from storage.statements import execute
from storage.tables import part, receipt, receipt_candidate
from tests.samples import NOW, UPSTREAM, mt, part_of, receipt_for


def sent(engine: Engine, smsc_message_id: str | None = "77", **fields: Any) -> PartRecord:
    """A stored part that the upstream took under this id."""
    message = mt()
    record = part_of(message, smsc_message_id=smsc_message_id, **({"state": PartState.SENT} | fields))
    with engine.transaction() as connection:
        for statement, row in messages.insert(message, [record]):
            execute(connection, statement, [row])
    return record


def report(
    engine: Engine,
    record: ReceiptRecord,
    candidates: Sequence[str] = (),
    state: str | None = "delivered",
    now: int = NOW,
) -> int | None:
    with engine.transaction() as connection:
        return receipts.store_and_match(
            connection, record, candidates or [record.smsc_message_id], state and PartState(state), now
        )


def now_of(engine: Engine, record: PartRecord) -> PartRecord:
    with engine.snapshot() as connection:
        return messages.part_record(connection.execute(select(part).where(part.c.id == record.id)).one())


def stored(engine: Engine) -> list[ReceiptRecord]:
    with engine.snapshot() as connection:
        return [
            ReceiptRecord._make(row) for row in connection.execute(select(receipt).order_by(receipt.c.id))
        ]


def waiting(engine: Engine) -> int | None:
    with engine.snapshot() as connection:
        return connection.scalar(select(func.count()).select_from(receipt_candidate))


def test_a_receipt_gives_its_state_to_its_part(engine: Engine) -> None:
    record, other = sent(engine), sent(engine, "78")
    told = receipt_for("77", error="000")
    assert report(engine, told, now=NOW + 5) == record.id
    assert now_of(engine, record) == record._replace(
        state=PartState.DELIVERED, receipt_state="DELIVERED", receipt_error="000", final_at=NOW + 5
    )
    assert now_of(engine, other) == other
    assert stored(engine) == [told._replace(part_id=record.id, matched_at=NOW + 5, part_state="delivered")]
    assert waiting(engine) == 0


def test_what_no_store_can_hold_is_kept_as_what_it_can(engine: Engine) -> None:
    record = sent(engine)
    assert report(engine, receipt_for("77", error="0\x000")) == record.id
    assert report(engine, receipt_for("A\x00B"), ["A\x00B", "a\x00b"]) is None
    assert [(item.smsc_message_id, item.error) for item in stored(engine)][:1] == [("77", "0␀0")]
    assert stored(engine)[1].smsc_message_id == "A␀B"


def test_a_state_that_is_not_final_leaves_the_part_open(engine: Engine) -> None:
    record = sent(engine)
    assert report(engine, receipt_for("77", state="ENROUTE"), state=None) == record.id
    assert now_of(engine, record) == record._replace(receipt_state="ENROUTE")


def test_a_repeated_receipt_changes_nothing(engine: Engine) -> None:
    record = sent(engine)
    assert report(engine, receipt_for("77"), now=NOW + 1) == record.id
    after = now_of(engine, record)
    assert [report(engine, receipt_for("77"), now=NOW + 9) for _ in range(3)] == [record.id] * 3
    assert now_of(engine, record) == after
    assert len(stored(engine)) == 1


@pytest.mark.parametrize(
    ("first", "then", "result"),
    [
        ("delivered", None, "delivered"),
        ("failed", None, "failed"),
        ("delivered", "failed", "delivered"),
        ("failed", "expired", "failed"),
        ("expired", "delivered", "delivered"),
        (None, "failed", "failed"),
    ],
)
def test_a_final_state_is_kept(engine: Engine, first: str | None, then: str | None, result: str) -> None:
    record = sent(engine)
    report(engine, receipt_for("77", state="FIRST"), state=first)
    report(engine, receipt_for("77", state="THEN"), state=then)
    after = now_of(engine, record)
    assert after.state == result
    assert after.receipt_state == ("THEN" if result == then else "FIRST")
    assert len(stored(engine)) == 2


def test_the_best_candidate_wins(engine: Engine) -> None:
    decimal, hexadecimal = sent(engine, "119"), sent(engine, "77")
    assert report(engine, receipt_for("77"), ["77", "119"]) == hexadecimal.id
    assert report(engine, receipt_for("0119"), ["0119", "119", "77"]) == decimal.id


def test_an_id_that_is_used_again_means_the_open_part_then_the_newest(engine: Engine) -> None:
    old = sent(engine, state=PartState.DELIVERED)
    still_open = sent(engine)
    newest = sent(engine, state=PartState.FAILED)
    assert report(engine, receipt_for("77")) == still_open.id
    assert report(engine, receipt_for("77", state="EXPIRED"), state="expired") == newest.id
    assert now_of(engine, old).receipt_state is None


def test_an_id_of_another_upstream_is_another_id(engine: Engine) -> None:
    record = sent(engine, upstream="other")
    assert report(engine, receipt_for("77")) is None
    assert now_of(engine, record) == record


def test_an_early_receipt_waits_for_its_part(engine: Engine) -> None:
    assert report(engine, receipt_for("0077"), ["0077", "77", "4d"]) is None
    assert waiting(engine) == 3
    with engine.snapshot() as connection:
        assert [item.smsc_message_id for item in receipts.unmatched(connection, UPSTREAM, 10)] == ["0077"]
    record = sent(engine, "4d")
    with engine.transaction() as connection:
        assert receipts.rematch(connection, ["other"], ["4d"], NOW + 3) == []
        assert receipts.rematch(connection, [UPSTREAM], ["5e", "4d"], NOW + 3) == [record.id]
        assert receipts.rematch(connection, [UPSTREAM], ["4d"], NOW + 4) == []
    after = now_of(engine, record)
    assert (after.state, after.final_at) == (PartState.DELIVERED, NOW + 3)
    assert [(item.part_id, item.matched_at) for item in stored(engine)] == [(record.id, NOW + 3)]
    assert waiting(engine) == 0


def test_early_receipts_are_applied_in_the_order_they_came(engine: Engine) -> None:
    report(engine, receipt_for("77", state="ENROUTE"), state=None)
    report(engine, receipt_for("77", state="UNDELIVERABLE", error="12"), state="failed")
    record = sent(engine)
    with engine.transaction() as connection:
        assert receipts.rematch(connection, [UPSTREAM], ["77"], NOW) == [record.id, record.id]
    after = now_of(engine, record)
    assert (after.state, after.receipt_state, after.receipt_error) == ("failed", "UNDELIVERABLE", "12")


def test_a_repeat_of_an_unmatched_receipt_may_find_the_part(engine: Engine) -> None:
    assert report(engine, receipt_for("77")) is None
    assert report(engine, receipt_for("77")) is None
    assert len(stored(engine)) == 1
    record = sent(engine)
    assert report(engine, receipt_for("77"), now=NOW + 2) == record.id
    assert [(item.part_id, item.matched_at) for item in stored(engine)] == [(record.id, NOW + 2)]
    assert waiting(engine) == 0
    assert now_of(engine, record).state is PartState.DELIVERED


def test_a_receipt_without_an_id_is_kept(engine: Engine) -> None:
    with engine.transaction() as connection:
        record = receipt_for("")
        assert receipts.store_and_match(connection, record, [], "delivered", NOW) is None
    assert len(stored(engine)) == 1


@pytest.mark.parametrize("state", [PartState.QUEUED, PartState.HELD, PartState.IN_DOUBT, PartState.SENDING])
def test_a_receipt_ends_a_part_in_any_open_state(engine: Engine, state: PartState) -> None:
    record = sent(engine, state=state)
    assert report(engine, receipt_for("77")) == record.id
    assert now_of(engine, record).state is PartState.DELIVERED


def test_many_receipts_are_matched_together(engine: Engine) -> None:
    first, second = sent(engine, "1"), sent(engine, "b")
    reports = [
        Report(receipt_for("1", state="ENROUTE"), ["1"]),
        Report(receipt_for("9", part_state="delivered"), ["9"]),
        Report(receipt_for("11", part_state="failed", state="REJECTED"), ["11", "b"]),
        Report(receipt_for("1", part_state="delivered"), ["1"]),
        Report(receipt_for("1", part_state="delivered"), ["1"]),
        Report(receipt_for("1", state="ENROUTE"), ["1"]),
    ]
    with engine.transaction() as connection:
        found = receipts.store_and_match_all(connection, reports, NOW)
    assert found == [first.id, None, second.id, first.id, first.id, first.id]
    assert now_of(engine, first).receipt_state == "DELIVERED"
    assert [now_of(engine, one).state for one in (first, second)] == [PartState.DELIVERED, PartState.FAILED]
    assert len(stored(engine)) == 4
    assert waiting(engine) == 1


def test_a_receipt_on_another_upstream_of_the_group_finds_its_part(engine: Engine) -> None:
    record = sent(engine, "77")
    told = receipt_for("77", upstream="other")
    with engine.transaction() as connection:
        alone, together = Report(told, ["77"]), Report(told, ["77"], ("other", UPSTREAM))
        assert receipts.store_and_match_all(connection, [alone._replace(record=told)], NOW) == [None]
        assert receipts.store_and_match_all(connection, [together], NOW) == [record.id]


def test_a_receipt_that_came_early_on_another_upstream_of_the_group_is_found_again(engine: Engine) -> None:
    told = receipt_for("77", upstream="other", part_state="delivered")
    with engine.transaction() as connection:
        receipts.store_and_match_all(connection, [Report(told, ["77"], ("other", UPSTREAM))], NOW)
    record = sent(engine, "77")
    with engine.transaction() as connection:
        assert receipts.rematch(connection, ["other", UPSTREAM], ["77"], NOW) == [record.id]
    assert now_of(engine, record).state is PartState.DELIVERED


def of_one_message(engine: Engine, **states: PartState) -> list[PartRecord]:
    """The parts of one message by the upstream's id."""
    message = mt(parts_total=len(states))
    its = [
        part_of(message, number=number, total=len(states), smsc_message_id=name, state=state)
        for number, (name, state) in enumerate(states.items(), 1)
    ]
    with engine.transaction() as connection:
        for statement, row in messages.insert(message, its):
            execute(connection, statement, [row])
    return its


@pytest.mark.parametrize("which", ["a", "b"])
def test_one_receipt_may_be_for_the_whole_message(engine: Engine, which: str) -> None:
    its = of_one_message(engine, a=PartState.SENT, b=PartState.SENT, c=PartState.SENDING, d=PartState.QUEUED)
    other = sent(engine, "e")
    enroute = receipt_for(which, state="ENROUTE")
    final = receipt_for(which, part_state="delivered", error="000")
    with engine.transaction() as connection:
        receipts.store_and_match_all(connection, [Report(enroute, [which], whole=True)], NOW)
    assert [now_of(engine, record).state for record in its] == ["sent", "sent", "sending", "queued"]
    with engine.transaction() as connection:
        receipts.store_and_match_all(connection, [Report(final, [which], whole=True)], NOW + 1)
    after = [now_of(engine, record) for record in its]
    assert [record.state for record in after] == ["delivered"] * 3 + ["queued"]
    assert {record.final_at for record in after[:3]} == {NOW + 1}
    assert now_of(engine, other) == other


def test_an_early_receipt_for_the_whole_message_is_too(engine: Engine) -> None:
    told = receipt_for("b", part_state="failed")
    with engine.transaction() as connection:
        receipts.store_and_match_all(connection, [Report(told, ["b"], whole=True)], NOW)
    its = of_one_message(engine, a=PartState.SENT, b=PartState.SENT)
    with engine.transaction() as connection:
        receipts.rematch(connection, [UPSTREAM], ["b"], NOW, whole=True)
    assert [now_of(engine, record).state for record in its] == ["failed", "failed"]


def test_unmatched_receipts_are_forgotten_after_their_time(engine: Engine) -> None:
    record = sent(engine, "77")
    report(engine, receipt_for("77", received_at=NOW))
    report(engine, receipt_for("old", received_at=NOW))
    report(engine, receipt_for("older", received_at=NOW - 5), ["older", "OLDER"])
    report(engine, receipt_for("new", received_at=NOW + 1))
    report(engine, receipt_for("old", received_at=NOW, upstream="other"))
    with engine.transaction() as connection:
        assert receipts.purge_unmatched(connection, UPSTREAM, NOW + 1, 1) == 1
        assert receipts.purge_unmatched(connection, UPSTREAM, NOW + 1, 10) == 1
        assert receipts.purge_unmatched(connection, UPSTREAM, NOW + 1, 10) == 0
    left = [(item.upstream, item.smsc_message_id) for item in stored(engine)]
    assert left == [(UPSTREAM, "77"), (UPSTREAM, "new"), ("other", "old")]
    assert waiting(engine) == 2
    assert now_of(engine, record).state is PartState.DELIVERED
