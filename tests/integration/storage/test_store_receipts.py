"""Receipts find their parts: early, late, repeated, in another spelling; on both engines."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from storage import messages, parts, receipts
from storage.engines import Engine
from storage.receipt_parts import Traits, reference_of
from storage.receipts import LIKELY, SURE, Report
from storage.records import PartFlag, PartRecord, PartState, ReceiptRecord
from storage.statements import execute_all
from storage.tables import account, did, part, receipt, receipt_candidate
from tests.samples import DID, NOW, PEER, UPSTREAM, mt, part_of, receipt_for


def sent(
    engine: Engine, smsc_message_id: str | None = "77", peer: str = PEER, did: str = DID, **fields: Any
) -> PartRecord:
    """A stored part that the upstream took under this id."""
    message = mt(peer=peer, did=did)
    record = part_of(message, smsc_message_id=smsc_message_id, **({"state": PartState.SENT} | fields))
    with engine.transaction() as connection:
        execute_all(connection, messages.insert(message, [record]))
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


def test_a_reused_id_closes_its_new_part_though_the_old_one_was_told_the_very_same(engine: Engine) -> None:
    old = sent(engine)
    assert report(engine, receipt_for("77", error="000")) == old.id
    new = sent(engine)
    assert report(engine, receipt_for("77", error="000"), now=NOW + 1) == new.id
    assert now_of(engine, new).state is PartState.DELIVERED
    assert [report(engine, receipt_for("77", error="000")) for _ in range(3)] == [new.id] * 3
    assert len(stored(engine)) == 2


def test_a_repeat_for_the_newest_part_does_not_close_an_older_one_with_its_id(engine: Engine) -> None:
    stuck, newest = sent(engine), sent(engine)
    assert [report(engine, receipt_for("77")) for _ in range(2)] == [newest.id] * 2
    assert now_of(engine, stuck).state is PartState.SENT


DAY = 86_400_000


def test_an_early_receipt_for_an_id_that_was_used_long_ago_waits_for_its_part(engine: Engine) -> None:
    old = sent(engine)
    with engine.transaction() as connection:
        told = Report(receipt_for("77", part_state="delivered"), ["77"])
        assert receipts.store_and_match_all(connection, [told], NOW).part_ids == [old.id]
    later = NOW + 4 * DAY
    with engine.transaction() as connection:
        again = Report(
            receipt_for("77", part_state="delivered", received_at=later), ["77"], since_ms=later - 3 * DAY
        )
        assert receipts.store_and_match_all(connection, [again, again], later).part_ids == [None, None]
    new = sent(engine, due_at=later - 1)
    with engine.transaction() as connection:
        assert receipts.rematch(connection, [UPSTREAM], ["77"], later) == [new.id]
    assert now_of(engine, new).state is PartState.DELIVERED
    assert now_of(engine, old).final_at == NOW


def test_a_receipt_is_not_about_what_was_not_there_when_it_came(engine: Engine) -> None:
    assert report(engine, receipt_for("77", received_at=NOW)) is None
    record = sent(engine, due_at=NOW + 3_600_000)
    with engine.transaction() as connection:
        assert receipts.rematch(connection, [UPSTREAM], ["77"], NOW + 3_600_001) == []
    assert now_of(engine, record).state is PartState.SENT


def told_by(engine: Engine, *reports: Report) -> list[int | None]:
    with engine.transaction() as connection:
        return receipts.store_and_match_all(connection, reports, NOW).part_ids


def delivered(name: str, **fields: Any) -> ReceiptRecord:
    return receipt_for(name, part_state="delivered", **fields)


def test_every_id_as_sent_comes_before_any_other_spelling(engine: Engine) -> None:
    by_text, by_spelling = sent(engine, "77"), sent(engine, "4d")
    ids = ["0004D", "77", "4d", "0077"]
    assert told_by(engine, Report(delivered("0004D"), ids, sent=2)) == [by_text.id]
    assert now_of(engine, by_spelling).state is PartState.SENT


def test_the_exact_part_wins_though_its_answer_is_still_awaited(engine: Engine) -> None:
    """ "16" read as decimal is the hexadecimal "10", which is another part."""
    other = sent(engine, "10")
    its = sent(engine, None, state=PartState.SENDING, sent_at=NOW - 5)
    early = Report(delivered("16"), ["16"], others=[("10", SURE)])
    assert told_by(engine, early, early) == [None, None]
    with engine.transaction() as connection:
        assert receipts.read_again(connection, [UPSTREAM], LIKELY, NOW, 10).part_ids == []
        write = parts.record_sent(its.id, "16", NOW)
        execute_all(connection, write)
        assert receipts.rematch(connection, [UPSTREAM], ["16"], NOW) == [its.id]
        assert receipts.read_again(connection, [UPSTREAM], LIKELY, NOW, 10).part_ids == []
    assert now_of(engine, its).state is PartState.DELIVERED
    assert now_of(engine, other).state is PartState.SENT


def test_another_base_is_read_when_no_answer_can_come_any_more(engine: Engine) -> None:
    record = sent(engine, "a1f")
    blocking = sent(engine, None, state=PartState.SENDING, sent_at=NOW - 5)
    assert told_by(engine, Report(delivered("2591"), ["2591"], others=[("a1f", SURE)])) == [None]
    with engine.transaction() as connection:
        assert receipts.rematch(connection, [UPSTREAM], ["a1f"], NOW) == []  # a second choice only
        execute_all(connection, parts.record_sent(blocking.id, "a20", NOW))
        assert receipts.read_again(connection, [UPSTREAM], SURE, NOW + 1, 10).part_ids == [record.id]
    assert now_of(engine, record).state is PartState.DELIVERED
    assert waiting(engine) == 0


@pytest.mark.parametrize(("reach", "found"), [(SURE, False), (LIKELY, True)])
def test_digits_that_both_bases_have_are_read_so_only_as_far_as_asked(
    engine: Engine, reach: int, found: bool
) -> None:
    record = sent(engine, "10")
    assert told_by(engine, Report(delivered("16"), ["16"], others=[("10", LIKELY)], reach=reach)) == [
        record.id if found else None
    ]
    with engine.transaction() as connection:
        assert receipts.read_again(connection, [UPSTREAM], SURE, NOW, 10).part_ids == []
        again = receipts.read_again(connection, [UPSTREAM], LIKELY, NOW, 10)
        assert again.part_ids == [record.id] * (not found)


def test_that_a_reading_was_sure_is_told(engine: Engine) -> None:
    sent(engine, "a1f")
    with engine.transaction() as connection:
        one = Report(delivered("2591"), ["2591"], others=[("a1f", SURE)])
        assert receipts.store_and_match_all(connection, [one], NOW).converted


def test_news_that_are_not_final_are_not_the_same_as_final_ones(engine: Engine) -> None:
    record = sent(engine)
    assert told_by(engine, Report(receipt_for("77", part_state=None), ["77"])) == [record.id]
    assert now_of(engine, record).state is PartState.SENT
    assert told_by(engine, Report(delivered("77"), ["77"])) == [record.id]
    assert now_of(engine, record).state is PartState.DELIVERED


def numbered(name: str, did: str = DID, peer: str = PEER, **fields: Any) -> ReceiptRecord:
    """A receipt that came from this phone to this number."""
    return receipt_for(name, did=did, peer=peer, **fields)


def doubted(engine: Engine, **fields: Any) -> PartRecord:
    values: dict[str, Any] = {"state": PartState.IN_DOUBT, "sent_at": NOW, "attempts": 1}
    return sent(engine, None, **(values | fields))


ZONED = datetime.fromtimestamp(NOW / 1000, UTC).replace(tzinfo=None, second=0)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"state": PartState.HELD},
        {"state": PartState.QUEUED, "flags": int(PartFlag.POSSIBLE_DUPLICATE)},
    ],
)
@pytest.mark.parametrize("final", [True, False])
def test_a_part_in_doubt_is_settled_by_our_own_reference(
    engine: Engine, fields: dict[str, Any], final: bool
) -> None:
    record, other = doubted(engine, **fields), doubted(engine)
    assert reference_of(record.id) != reference_of(other.id)
    traits = Traits(reference_of(record.id))
    with engine.transaction() as connection:
        told = Report(numbered("77", part_state="delivered" if final else None), ["77"], traits=traits)
        found = receipts.store_and_match_all(connection, [told], NOW + 1)
    assert (found.part_ids, found.settled) == ([record.id], [record.id])
    after = now_of(engine, record)
    assert (after.state, after.smsc_message_id) == ("delivered" if final else "sent", "77")
    assert now_of(engine, other) == other


@pytest.mark.parametrize(
    ("did", "peer", "traits"),
    [
        (DID, "+12025550111", Traits(1)),
        ("+12025550111", PEER, Traits(1)),
        (DID, PEER, Traits()),
        (DID, PEER, Traits(None, ZONED + timedelta(minutes=5))),
        (DID, PEER, Traits(None, ZONED + timedelta(hours=15))),
    ],
)
def test_what_does_not_fit_settles_nothing(engine: Engine, did: str, peer: str, traits: Traits) -> None:
    record = doubted(engine)
    if traits.reference is not None:
        traits = traits._replace(reference=reference_of(record.id))
    told = delivered("77", did=did, peer=peer)
    assert told_by(engine, Report(told, ["77"], traits=traits)) == [None]
    assert now_of(engine, record) == record


@pytest.mark.parametrize("zone", [timedelta(), timedelta(hours=2), timedelta(hours=-3, minutes=-30)])
def test_a_part_in_doubt_is_settled_by_the_time_in_any_time_zone_if_it_is_the_only_one(
    engine: Engine, zone: timedelta
) -> None:
    record = doubted(engine)
    traits = Traits(None, ZONED + zone)
    assert told_by(engine, Report(numbered("77", part_state="delivered"), ["77"], traits=traits)) == [
        record.id
    ]
    one, another = doubted(engine), doubted(engine)
    assert told_by(engine, Report(numbered("78", part_state="delivered"), ["78"], traits=traits)) == [None]
    assert [now_of(engine, each).state for each in (one, another)] == ["in_doubt"] * 2


def owned(engine: Engine) -> None:
    """Our number is account 1's."""
    with engine.transaction() as connection:
        connection.execute(insert(account).values(id=1, name="one", created_at=NOW))
        connection.execute(
            insert(did).values(id=2, account_id=1, number=DID, sms_enabled=True, created_at=NOW)
        )


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({}, False),
        ({"state": PartState.DELIVERED}, True),
        ({"sent_at": NOW - 600_000}, True),
        ({"peer": "+12025550151"}, True),
        ({"upstream": "other"}, True),
    ],
)
def test_the_time_alone_settles_nothing_while_another_part_of_that_minute_waits_for_its_receipt(
    engine: Engine, other: dict[str, Any], found: bool
) -> None:
    owned(engine)
    sent(engine, "0f8fad5b-d9cb", **({"sent_at": NOW} | other))
    record = doubted(engine)
    told = numbered("0f8fad5bd9cb", part_state="delivered")
    assert told_by(engine, Report(told, ["0f8fad5bd9cb"], traits=Traits(None, ZONED))) == [
        record.id if found else None
    ]


def test_a_part_that_was_taken_without_an_id_is_found_by_our_own_reference(engine: Engine) -> None:
    owned(engine)
    record = sent(engine, None)
    told = Report(numbered("77", part_state="delivered"), ["77"], traits=Traits(reference_of(record.id)))
    assert told_by(engine, told) == [record.id]
    assert now_of(engine, record).smsc_message_id == "77"


def test_the_time_alone_settles_nothing_while_an_answer_is_awaited(engine: Engine) -> None:
    doubted(engine, state=PartState.SENDING)
    traits = Traits(None, ZONED)
    assert told_by(engine, Report(numbered("77", part_state="delivered"), ["77"], traits=traits)) == [None]


def test_an_id_that_is_known_comes_before_what_else_a_receipt_tells(engine: Engine) -> None:
    record, doubtful = sent(engine, "77"), doubted(engine)
    traits = Traits(reference_of(doubtful.id))
    assert told_by(engine, Report(numbered("77", part_state="delivered"), ["77"], traits=traits)) == [
        record.id
    ]
    assert now_of(engine, doubtful).state is PartState.IN_DOUBT


OTHER_PEER, OTHER_DID = "+12025550151", "+12025550102"


def states(engine: Engine, *records: PartRecord) -> list[str]:
    return [str(now_of(engine, record).state) for record in records]


def answered(engine: Engine, record: PartRecord, name: str) -> list[int]:
    """The upstream's answer comes: its id is known."""
    with engine.transaction() as connection:
        execute_all(connection, parts.record_sent(record.id, name, NOW))
        return receipts.rematch(connection, [UPSTREAM], [name], NOW)


@pytest.mark.parametrize(("its", "digits"), [("20", "32"), ("00000020", "00000032")])
@pytest.mark.parametrize("reach", [SURE, LIKELY])
def test_the_part_of_the_receipts_phone_in_another_base_comes_before_that_of_another_phone(
    engine: Engine, its: str, digits: str, reach: int
) -> None:
    record, other = sent(engine, its, OTHER_PEER), sent(engine, digits)
    told = numbered(digits, peer=OTHER_PEER, part_state="delivered")
    assert told_by(engine, Report(told, [digits], others=[(its, LIKELY)], reach=reach)) == [record.id]
    assert states(engine, record, other) == ["delivered", "sent"]


@pytest.mark.parametrize("state", [PartState.FAILED, PartState.SENT])
def test_an_early_receipt_does_not_go_to_the_part_of_another_phone_that_had_the_id_before(
    engine: Engine, state: PartState
) -> None:
    old = sent(engine, "5", state=state, final_at=NOW)
    new = sent(engine, None, OTHER_PEER, state=PartState.SENDING)
    told = numbered("5", peer=OTHER_PEER, part_state="delivered", received_at=NOW + 1)
    assert told_by(engine, Report(told, ["5"])) == [None]
    with engine.transaction() as connection:
        assert receipts.read_again(connection, [UPSTREAM], LIKELY, NOW, 10).part_ids == []
    assert answered(engine, new, "5") == [new.id]
    assert states(engine, old, new) == [state, "delivered"]


def test_the_same_news_of_two_phones_are_two_receipts_though_the_id_is_the_same(engine: Engine) -> None:
    old = sent(engine, "5")
    assert told_by(engine, Report(numbered("5", part_state="delivered"), ["5"])) == [old.id]
    new = sent(engine, None, OTHER_PEER, state=PartState.SENDING)
    told = numbered("5", peer=OTHER_PEER, part_state="delivered", received_at=NOW + 1)
    assert told_by(engine, Report(told, ["5"])) == [None]
    assert answered(engine, new, "5") == [new.id]


def test_a_repeat_does_not_close_the_next_owner_of_its_id(engine: Engine) -> None:
    old = sent(engine, "5")
    told = Report(numbered("5", part_state="delivered"), ["5"])
    assert told_by(engine, told) == [old.id]
    new = sent(engine, "5", OTHER_PEER)
    assert told_by(engine, told, told) == [old.id] * 2
    assert states(engine, old, new) == ["delivered", "sent"]
    assert len(stored(engine)) == 1


def test_between_two_parts_of_one_phone_our_number_decides(engine: Engine) -> None:
    its, newer = sent(engine, "5"), sent(engine, "5", did=OTHER_DID)
    assert told_by(engine, Report(numbered("5", part_state="delivered"), ["5"])) == [its.id]
    assert states(engine, its, newer) == ["delivered", "sent"]


@pytest.mark.parametrize("numbers", [{}, {"did": DID, "peer": PEER}])
def test_in_a_group_that_gives_ids_twice_the_part_of_the_upstream_that_told_is_meant(
    engine: Engine, numbers: dict[str, str]
) -> None:
    its, newer = sent(engine, "1"), sent(engine, "1", upstream="other")
    told = receipt_for("1", part_state="delivered", **numbers)
    assert told_by(engine, Report(told, ["1"], (UPSTREAM, "other"))) == [its.id]
    assert states(engine, its, newer) == ["delivered", "sent"]


def test_in_a_group_the_numbers_come_before_the_upstream_that_told(engine: Engine) -> None:
    its, newer = sent(engine, "1"), sent(engine, "1", OTHER_PEER, upstream="other")
    told = numbered("1", part_state="delivered", upstream="other")
    assert told_by(engine, Report(told, ["1"], (UPSTREAM, "other"))) == [its.id]
    assert states(engine, its, newer) == ["delivered", "sent"]


def test_numbers_that_no_part_has_do_not_count(engine: Engine) -> None:
    """Some carriers put other numbers in receipts."""
    record, waiting_ = sent(engine, "5"), sent(engine, None, state=PartState.SENDING)
    told = numbered("5", "+12025550197", "+12025550198", part_state="delivered")
    assert told_by(engine, Report(told, ["5"])) == [record.id]
    assert states(engine, record, waiting_) == ["delivered", "sending"]


def test_they_count_no_more_when_the_part_that_has_them_got_another_id(engine: Engine) -> None:
    record = sent(engine, "5")
    other = sent(engine, None, OTHER_PEER, state=PartState.SENDING)
    told = numbered("5", peer=OTHER_PEER, part_state="delivered", received_at=NOW + 1)
    assert told_by(engine, Report(told, ["5"])) == [None]
    assert answered(engine, other, "6") == []
    with engine.transaction() as connection:
        later = receipts.read_again(connection, [UPSTREAM], SURE, NOW, 10, from_id=told.id + 1)
        assert later.part_ids == []
        again = receipts.read_again(connection, [UPSTREAM], SURE, NOW, 10, from_id=told.id)
        assert again.part_ids == [record.id]
    assert states(engine, record, other) == ["delivered", "sent"]


def test_what_waits_is_read_again_page_by_page_each_receipt_with_all_that_it_may_mean(engine: Engine) -> None:
    group = (UPSTREAM, "other")
    told = [
        numbered(f"{number}", OTHER_DID, OTHER_PEER, part_state="delivered", upstream=group[number % 2])
        for number in range(5)
    ]
    for one in told:
        name = one.smsc_message_id
        assert told_by(engine, Report(one, [name, name.zfill(8), name.zfill(10)], group)) == [None]
    records = [sent(engine, name.zfill(10), upstream="other") for name in "01234"]
    from_id: int | None = 0
    for expected in (records[:2], records[2:4], records[4:]):
        assert from_id is not None
        with engine.transaction() as connection:
            page = receipts.read_again(connection, group, SURE, NOW, 2, from_id=from_id)
        assert page.part_ids == [record.id for record in expected]
        from_id = page.next_id
    assert from_id is None


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
        found = receipts.store_and_match_all(connection, reports, NOW).part_ids
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
        assert receipts.store_and_match_all(connection, [alone], NOW).part_ids == [None]
        assert receipts.store_and_match_all(connection, [together], NOW).part_ids == [record.id]


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
        execute_all(connection, messages.insert(message, its))
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


def test_the_answer_to_a_part_whose_end_was_told_before_brings_its_id(engine: Engine) -> None:
    _, late = of_one_message(engine, a=PartState.SENT, c=PartState.SENDING)
    with engine.transaction() as connection:
        connection.execute(update(part).where(part.c.id == late.id).values(smsc_message_id=None))
        final = receipt_for("a", part_state="delivered")
        receipts.store_and_match_all(connection, [Report(final, ["a"], whole=True)], NOW)
    assert (now_of(engine, late).state, now_of(engine, late).smsc_message_id) == ("delivered", None)
    with engine.transaction() as connection:
        execute_all(connection, parts.record_sent(late.id, "c", NOW + 1))
        execute_all(connection, parts.record_sent(late.id, "d", NOW + 2))
    after = now_of(engine, late)
    assert (after.state, after.smsc_message_id, after.answered_at) == ("delivered", "c", NOW + 1)
    assert after.final_at == NOW


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
