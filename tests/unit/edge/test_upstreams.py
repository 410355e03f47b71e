"""Parts on their way out: `sending` is committed first, results after, and doubt is settled by policy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import select
from twisted.internet.defer import Deferred, succeed

from edge import answers
from edge.carrier_errors import error_of
from edge.config import Secret, UpstreamConfig
from edge.dialect import Dialect
from edge.recorder import Along
from edge.upstreams import Upstream
from protocols.smpp import events
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import GenericNack, SubmitSm, SubmitSmResp
from storage import messages, operators, parts, receipts
from storage.parts import QueuedPart
from storage.receipt_parts import Traits
from storage.records import Did, PartFlag, PartRecord, PartState, ReceiptRecord
from storage.store import Store
from storage.tables import event
from storage.testing import InlineStore
from tests.deferreds import pending, success
from tests.unit.edge.conftest import DID, PEER, Time, part_of, record


@dataclass(eq=False)
class FakeBind:
    """A bind whose SMSC is the test."""

    window: int = 10
    name: str = "up/transceiver"
    up: bool = True
    orderly: bool = True
    reserved: int = 0
    paused: bool = False
    pauses: int = 0
    overdue: int = 0
    renewed: int = 0
    rate_wait: float | None = None
    refuse: Exception | None = None
    on_wire: list[tuple[SubmitSm, Any]] = field(default_factory=list)

    @property
    def free(self) -> int:
        room = self.window - len(self.on_wire) - self.reserved
        return room if self.up and not self.paused and not self.stalled else 0

    @property
    def stalled(self) -> bool:
        return self.overdue >= self.window

    def renew(self) -> None:
        self.renewed += 1

    @property
    def transmits(self) -> bool:
        return self.up

    def reserve(self, count: int) -> None:
        self.reserved += count

    def throttled(self, status: int) -> None:
        self.paused = True
        self.pauses += 1

    def rebind(self, status: int) -> None:
        self.up = False

    def accepted(self) -> None:
        """Nothing to learn from it."""

    @property
    def outstanding(self) -> int:
        return len(self.on_wire)

    def start(self) -> None:
        """Already up."""

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def request(self, pdu: SubmitSm, context: object) -> None:
        if self.refuse is not None:
            raise self.refuse
        if not self.up:
            raise ConnectionError("the link is down")
        self.on_wire.append((pdu, context))


class Watcher:
    """The observer: remembers what it was told."""

    def __init__(self, store: InlineStore) -> None:
        self.store = store
        self.told: list[tuple[str, object]] = []
        self.moved: list[int] = []

    def received(self, upstream: Upstream, bind: Any, pdu: object) -> None:
        self.told.append(("received", pdu))

    def link_up(self, upstream: Upstream) -> None:
        self.told.append(("up", None))

    def link_lost(self, upstream: Upstream, bind: Any) -> None:
        self.told.append(("lost", None))

    def accepted(self, upstream: Upstream, item: QueuedPart, smsc_message_id: str) -> None:
        self.told.append(("accepted", smsc_message_id))

    def taking(self, upstream: Upstream, item: QueuedPart) -> Along | None:
        return None

    def failing(self, upstream: Upstream, part_ids: Sequence[int], told: bool) -> Along | None:
        return lambda conn: lambda: self.told.extend([("failed", part_id) for part_id in part_ids])

    def elsewhere(self, upstream: Upstream, item: QueuedPart) -> Deferred[Sequence[int]]:
        self.told.append(("elsewhere", item.part.id))
        return succeed(self.moved)

    def refute(self, upstream: Upstream, part_id: int) -> Deferred[bool]:
        return self.store.writer.run(
            "receipt refuted", lambda conn: receipts.refute(conn, part_id, lambda told: ([told], ()), 0)
        ).addCallback(lambda freed: freed is not None)


class Rig:
    """An upstream on a store with one fake bind."""

    def __init__(self, store: InlineStore, time: Time, did: Did, **changes: Any) -> None:
        self.store, self.time, self.did = store, time, did
        config = UpstreamConfig(
            name="up",
            port=2775,
            system_id="us",
            password=Secret("x"),
            response_timeout_seconds=30.0,
            late_response_seconds=30.0,
            **changes,
        )
        self.held = config.in_doubt == "hold"
        self.watcher = Watcher(store)
        self.opted_out: set[tuple[int, str, str]] = set()
        self.upstream = Upstream(
            config,
            Dialect(config, "US"),
            cast(Store, store),
            time,
            time.wall_ms,
            self.watcher,
            lambda *asked: asked in self.opted_out,
        )
        self.bind = FakeBind()
        self.upstream.binds.append(self.bind)  # type: ignore[arg-type]
        success(self.upstream.start())

    def message(self, count: int = 1, state: PartState = PartState.QUEUED, **more: Any) -> list[QueuedPart]:
        """Rows as the pipeline makes them; not yet handed over. ``state`` is the first part's."""
        now = self.time.wall_ms()
        about = record(self.store, self.did, now, "mt", parts_total=count)
        rows = [
            part_of(about, self.store.ids.next(), number, flags=PartFlag.HOLD * self.held, **more)
            for number in range(1, count + 1)
        ]
        rows[0] = rows[0]._replace(state=state, attempts=int(state is PartState.SENDING))
        success(self.store.writer.write(messages.insert(about, rows)))
        return [QueuedPart(row, self.did.account_id, about.did, about.peer) for row in rows]

    def submit(self, count: int = 1, **more: Any) -> list[int]:
        """What `edge.outbound` does; the ids of the parts."""
        reservation = self.upstream.reserve()
        queued = self.message(count, PartState.QUEUED if reservation is None else PartState.SENDING, **more)
        ids = [item.part.id for item in queued]
        self.upstream.expect(ids)
        self.upstream.committed(queued, reservation)
        return ids

    def resume(self) -> None:
        """The pause of the bind is over."""
        self.bind.paused = False
        self.upstream.bind_resumed(self.bind)  # type: ignore[arg-type]

    def answer(self, status: int = 0, message_id: str = "a1", late: bool = False) -> None:
        """The SMSC answers the oldest request."""
        pdu, context = self.bind.on_wire.pop(0)
        response = SubmitSmResp(command_status=status, message_id=message_id)
        self.upstream.bind_event(self.bind, events.ResponseReceived(context, pdu, response, late, 0.1))  # type: ignore[arg-type]

    def lose_link(self) -> None:
        """Everything outstanding is lost."""
        self.bind.up = False
        lost, self.bind.on_wire = self.bind.on_wire, []
        for pdu, context in lost:
            self.upstream.bind_event(self.bind, events.RequestLost(context, pdu))  # type: ignore[arg-type]
        self.upstream.bind_down(self.bind)  # type: ignore[arg-type]

    def link_back(self) -> None:
        self.bind.up = True
        self.upstream.bind_up(self.bind)  # type: ignore[arg-type]

    def expire(self) -> tuple[SubmitSm, Any]:
        """The oldest request gets no answer in time."""
        pdu, context = self.bind.on_wire.pop(0)
        self.upstream.bind_event(self.bind, events.RequestExpired(context, pdu))  # type: ignore[arg-type]
        return pdu, context

    def part(self, part_id: int) -> PartRecord:
        """As it stands in the store."""
        rows = success(self.store.read(messages.search, self.did.account_id, limit=1000))
        return next(part for view in rows for part in view.parts if part.id == part_id)

    @property
    def sent(self) -> list[int]:
        """The ids on the wire, in order."""
        return [context.part.id for _, context in self.bind.on_wire]


@pytest.fixture
def rig(inline_store: InlineStore, time: Time, did: Did) -> Rig:
    return Rig(inline_store, time, did)


def test_a_part_leaves_only_after_sending_is_committed(rig: Rig) -> None:
    rig.bind.up = False
    (part_id,) = rig.submit()
    assert rig.part(part_id).state == "queued"
    rig.store.writer.held = True
    rig.link_back()
    assert rig.sent == []
    rig.store.writer.release()
    assert rig.sent == [part_id]
    assert (rig.part(part_id).state, rig.part(part_id).attempts) == ("sending", 1)


def test_with_room_a_part_is_inserted_as_sending_and_leaves_at_once(rig: Rig) -> None:
    (part_id,) = rig.submit()
    assert rig.sent == [part_id]
    assert rig.bind.reserved == 0
    rig.answer(message_id="c0ffee")
    part = rig.part(part_id)
    assert (part.state, part.smsc_message_id, part.command_status) == ("sent", "c0ffee", 0)
    assert ("accepted", "c0ffee") in rig.watcher.told


def test_nothing_overtakes_what_waits(rig: Rig) -> None:
    rig.bind.window = 2
    ids = [part_id for _ in range(4) for part_id in rig.submit()]
    assert rig.sent == ids[:2]
    while rig.bind.on_wire:
        assert rig.sent == ids[: len(rig.sent)]
        ids.pop(0)
        rig.answer()
    assert ids == []


def test_the_parts_of_a_message_leave_one_after_the_other_and_messages_do_not_wait_for_each_other(
    rig: Rig,
) -> None:
    one, other = rig.submit(3), rig.submit(2)
    assert rig.sent == [one[0], other[0]]
    rig.answer()
    assert rig.sent == [other[0], one[1]]
    rig.answer()
    rig.answer()
    assert rig.sent == [other[1], one[2]]
    rig.answer()
    rig.answer()
    assert {rig.part(part_id).state for part_id in (*one, *other)} == {"sent"}


def test_a_permanent_refusal_ends_the_part_and_is_told(rig: Rig) -> None:
    (part_id,) = rig.submit()
    rig.answer(CommandStatus.ESME_RINVDSTADR)
    assert (rig.part(part_id).state, rig.part(part_id).command_status) == ("failed", 0x0B)
    assert ("failed", part_id) in rig.watcher.told
    rig.time.pump([1.0] * 60)
    assert rig.sent == []


@pytest.mark.parametrize("status", [CommandStatus.ESME_RTHROTTLED, CommandStatus.ESME_RMSGQFUL])
def test_throttling_pauses_the_bind_and_neither_loses_nor_reorders_anything(rig: Rig, status: int) -> None:
    long, short = rig.submit(3), rig.submit()
    due_at = rig.part(long[1]).due_at
    rig.time.advance(2.0)
    rig.answer()
    assert rig.sent == [*short, long[1]]
    rig.answer()
    rig.answer(status)
    assert rig.sent == []
    assert rig.bind.pauses == 1
    assert [rig.part(part_id).state for part_id in long] == ["sent", "queued", "queued"]
    assert rig.part(long[1]).due_at == due_at  # the table's order is that of acceptance
    late = rig.submit()
    rig.time.pump([0.5] * 20)
    assert rig.sent == []
    rig.resume()
    assert rig.sent == [long[1], *late]
    rig.answer()
    assert rig.sent == [*late, long[2]]
    assert rig.part(long[1]).attempts == 2
    assert not rig.part(long[1]).flags


def test_an_smsc_that_has_forgotten_the_bind_gets_another_and_the_part_on_that(rig: Rig) -> None:
    ids = rig.submit(2)
    rig.answer(CommandStatus.ESME_RINVBNDSTS)
    assert (rig.sent, rig.bind.up) == ([], False)
    assert [rig.part(part_id).state for part_id in ids] == ["queued", "queued"]
    rig.link_back()
    assert rig.sent == ids[:1]
    assert not rig.part(ids[0]).flags


def test_a_message_that_cannot_be_whole_is_not_sent_to_its_end(rig: Rig) -> None:
    ids = rig.submit(3)
    other = rig.submit()
    rig.answer()
    rig.answer()
    rig.answer(CommandStatus.ESME_RINVDSTADR)
    assert rig.sent == []
    assert [rig.part(part_id).state for part_id in (*ids, *other)] == ["sent", "failed", "failed", "sent"]
    rig.time.pump([1.0] * 5)
    assert rig.sent == []


def test_the_table_of_statuses_is_the_carriers(inline_store: InlineStore, time: Time, did: Did) -> None:
    statuses = {"ESME_RTHROTTLED": "fail", "0x0410": "retry", "88": "fail"}
    rig = Rig(inline_store, time, did, statuses=statuses)
    failed, retried = rig.submit()[0], rig.submit()[0]
    rig.answer(CommandStatus.ESME_RTHROTTLED)
    rig.answer(0x410)
    assert (rig.part(failed).state, rig.part(retried).state) == ("failed", "queued")
    assert rig.bind.pauses == 1


def test_what_another_upstream_takes_is_not_sent_here_any_more(rig: Rig) -> None:
    rig.watcher.moved = ids = rig.submit(2)
    rig.answer(CommandStatus.ESME_RSUBMITFAIL)
    assert rig.watcher.told[-1] == ("elsewhere", ids[0])
    assert [rig.part(part_id).state for part_id in ids] == ["queued", "queued"]
    assert rig.sent == []
    assert rig.upstream.counters.moved == 1


def test_what_no_other_upstream_takes_has_failed(rig: Rig) -> None:
    ids = rig.submit(2)
    rig.answer(CommandStatus.ESME_RSUBMITFAIL)
    assert [rig.part(part_id).state for part_id in ids] == ["failed", "failed"]
    assert ("failed", ids[0]) in rig.watcher.told


def opts_out(rig: Rig) -> None:
    rig.opted_out.add((rig.did.account_id, DID, PEER))


def test_what_waits_when_its_peer_opts_out_is_not_sent_and_that_is_told(rig: Rig) -> None:
    rig.bind.up = False
    (one,), long = rig.submit(), rig.submit(3)
    opts_out(rig)
    rig.link_back()
    assert rig.sent == []
    for part_id in (one, *long):
        part = rig.part(part_id)
        assert (part.state, error_of(part), part.command_status) == ("failed", "opted_out", None)
    assert rig.watcher.told[-2:] == [("failed", one), ("failed", long[0])]
    assert rig.upstream.counters.opted_out == 2
    assert rig.bind.reserved == 0
    assert rig.upstream.queue.empty


def test_of_a_message_that_has_begun_to_leave_the_rest_is_not_sent(rig: Rig) -> None:
    ids = rig.submit(3)
    opts_out(rig)
    rig.answer()
    assert rig.sent == []
    assert [rig.part(part_id).state for part_id in ids] == ["sent", "failed", "failed"]
    assert [error_of(rig.part(part_id)) for part_id in ids] == [None, "opted_out", "opted_out"]


def test_a_wish_that_is_stored_while_a_part_is_being_stored_counts(rig: Rig) -> None:
    rig.store.writer.held = True
    reservation = rig.upstream.reserve()
    assert reservation is not None
    opts_out(rig)
    rig.store.writer.release()
    queued = rig.message(2, PartState.SENDING)
    rig.upstream.expect([item.part.id for item in queued])
    rig.upstream.committed(queued, reservation)
    assert rig.sent == []
    assert {rig.part(item.part.id).state for item in queued} == {PartState.FAILED}


def test_who_opts_in_again_in_time_gets_what_waits(rig: Rig) -> None:
    rig.bind.up = False
    (one,) = rig.submit()
    opts_out(rig)
    rig.opted_out.clear()
    rig.link_back()
    assert rig.sent == [one]


def test_a_part_in_doubt_is_not_sent_again_to_who_opted_out_but_may_have_been_taken(rig: Rig) -> None:
    (one,) = rig.submit()
    rig.lose_link()
    opts_out(rig)
    rig.link_back()
    assert rig.sent == []
    part = rig.part(one)
    assert (part.state, part.flags) == ("failed", PartFlag.OPTED_OUT | PartFlag.POSSIBLE_DUPLICATE)
    with rig.store.engine.transaction() as conn:
        assert parts.record_late(conn, one, "c0ffee", rig.time.wall_ms())
    assert error_of(rig.part(one)) is None


def test_a_part_that_no_pdu_can_carry_fails_and_is_not_tried_for_ever(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did)
    reservation = rig.upstream.reserve()
    rig.bind.refuse = ValueError("destination_addr: too long")
    queued = rig.message(1, PartState.SENDING)
    rig.upstream.expect([queued[0].part.id])
    rig.upstream.committed(queued, reservation)
    assert rig.part(queued[0].part.id).state == "failed"
    assert rig.bind.reserved == 0


def test_what_waits_longer_than_it_may_expires_and_is_told_with_or_without_a_link(rig: Rig) -> None:
    rig.bind.up = False
    ends = rig.time.wall_ms() + 60_000
    (short, kept), other = rig.submit(2, expires_at=ends), rig.submit()
    rig.time.pump([1.0] * 59)
    assert rig.part(short).state == "queued"
    rig.time.pump([1.0] * 10)
    assert [rig.part(part_id).state for part_id in (short, kept, *other)] == ["expired", "expired", "queued"]
    assert {("failed", short), ("failed", kept)} <= set(rig.watcher.told)
    rig.link_back()
    assert rig.sent == other


def test_what_expires_while_the_store_takes_nothing_is_written_off_once(rig: Rig) -> None:
    rig.bind.up = False
    (part_id,) = rig.submit(expires_at=rig.time.wall_ms() + 4_000)
    rig.store.writer.held = True
    rig.time.pump([1.0] * 30)
    rig.store.writer.release()
    assert rig.upstream.counters.expired == 1
    assert rig.watcher.told.count(("failed", part_id)) == 1
    assert not rig.upstream._written_off


def test_a_part_whose_time_is_over_is_not_sent_even_before_the_look_that_writes_it_off(rig: Rig) -> None:
    rig.bind.up = False
    rig.submit(expires_at=rig.time.wall_ms() + 4_000)
    rig.time.advance(4.5)
    rig.link_back()
    assert rig.sent == []


def test_the_rate_of_an_upstream_counts_parts(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, rate=2.0, burst=3)
    rig.bind.rate_wait = 0.0
    ids = [part_id for _ in range(6) for part_id in rig.submit()]
    assert rig.sent == ids[:3]
    rig.time.advance(0.6)
    assert rig.sent == ids[:4]
    rig.time.pump([0.5] * 3)
    assert rig.sent == ids


def test_a_lost_link_puts_what_was_outstanding_in_doubt_and_sends_it_again_flagged(rig: Rig) -> None:
    (sent,), (lost,) = rig.submit(), rig.submit()
    rig.answer()
    rig.lose_link()
    assert rig.part(lost).state == "queued"
    rig.link_back()
    assert rig.sent == [lost]
    assert rig.part(lost).flags == PartFlag.POSSIBLE_DUPLICATE
    assert not rig.part(sent).flags
    assert ("lost", None) in rig.watcher.told


def test_a_message_stays_in_order_over_a_lost_link(rig: Rig) -> None:
    ids = rig.submit(3)
    rig.answer()
    rig.lose_link()
    rig.link_back()
    assert rig.sent == [ids[1]]
    rig.answer()
    assert rig.sent == [ids[2]]


def test_with_hold_it_waits_for_a_receipt_or_the_operator(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    rig = Rig(inline_store, time, did, in_doubt="hold")
    (part_id,) = rig.submit()
    rig.lose_link()
    rig.link_back()
    rig.time.pump([1.0] * 5)
    assert rig.sent == []
    assert rig.part(part_id).state == "held"


@pytest.mark.parametrize("window", [1, 10])
def test_what_is_behind_a_held_part_waits_until_that_is_decided(
    inline_store: InlineStore, time: Time, did: Did, window: int
) -> None:
    """The rest waits in memory where the window was full, else behind the first."""
    rig = Rig(inline_store, time, did, in_doubt="hold")
    rig.bind.window = window
    first, *rest = rig.submit(3)
    assert rig.sent == [first]
    rig.lose_link()
    (other,) = rig.submit()
    rig.link_back()
    rig.time.pump([1.0] * 3)
    assert rig.sent == [other]
    rig.answer()
    assert [rig.part(part_id).state for part_id in (first, *rest)] == ["held", "queued", "queued"]
    decided = rig.store.writer.run(
        "decide", lambda conn: parts.decide(conn, [first], rig.time.wall_ms(), resend=True)
    )
    assert [one.id for one in success(decided)] == [first]
    rig.upstream.settled([first])
    rig.time.pump([1.0] * 3)
    for part_id in (first, *rest):
        assert rig.sent == [part_id]
        rig.answer()
    assert rig.sent == []


def test_what_is_taken_without_an_id_has_none_and_an_endless_one_has_an_end(rig: Rig) -> None:
    nameless, endless = rig.submit()[0], rig.submit()[0]
    rig.answer(message_id="")
    rig.answer(message_id="9" * 1_000)
    assert (rig.part(nameless).state, rig.part(nameless).smsc_message_id) == ("sent", None)
    assert rig.part(endless).smsc_message_id == "9" * 255


def test_a_generic_nack_is_a_refusal_whatever_its_status(rig: Rig) -> None:
    (part_id,) = rig.submit()
    pdu, context = rig.bind.on_wire.pop(0)
    nack = GenericNack(sequence_number=pdu.sequence_number)
    rig.upstream.bind_event(rig.bind, events.ResponseReceived(context, pdu, nack, False, 0.1))  # type: ignore[arg-type]
    assert (rig.part(part_id).state, rig.part(part_id).command_status) == ("failed", 0x03)


def test_with_hold_a_late_answer_settles_it(inline_store: InlineStore, time: Time, did: Did) -> None:
    rig = Rig(inline_store, time, did, in_doubt="hold")
    (part_id,) = rig.submit()
    forgotten = rig.expire()
    rig.time.advance(3000.0)
    assert rig.part(part_id).state == "in_doubt"
    rig.bind.on_wire.insert(0, forgotten)
    rig.answer(late=True, message_id="at last")
    assert (rig.part(part_id).state, rig.part(part_id).smsc_message_id) == ("sent", "at last")
    assert ("accepted", "at last") in rig.watcher.told


def operator_resends(rig: Rig, part_id: int) -> None:
    """What `edge.doubts` does."""
    decided = success(
        rig.store.writer.run("", lambda conn: parts.decide(conn, [part_id], rig.time.wall_ms(), resend=True))
    )
    assert [(one.id, one.upstream) for one in decided] == [(part_id, "up")]
    rig.upstream.settled([part_id])


def test_a_late_answer_that_comes_before_the_second_send_prevents_it(rig: Rig) -> None:
    (part_id,) = rig.submit()
    forgotten = rig.expire()
    rig.bind.paused = True
    operator_resends(rig, part_id)
    assert rig.part(part_id).state == "queued"
    rig.bind.on_wire.insert(0, forgotten)
    rig.answer(late=True, message_id="at last")
    assert rig.part(part_id).state == "sent"
    rig.resume()
    rig.time.pump([1.0] * 3)
    assert rig.sent == []
    assert rig.part(part_id).smsc_message_id == "at last"


def test_an_answer_that_is_late_while_the_link_lives_causes_no_second_send(rig: Rig) -> None:
    (part_id,) = rig.submit()
    rig.bind.on_wire.insert(0, rig.expire())
    assert rig.part(part_id).state == "in_doubt"
    rig.time.advance(29.0)
    rig.answer(late=True, message_id="late1")
    assert (rig.part(part_id).state, rig.part(part_id).smsc_message_id) == ("sent", "late1")
    rig.time.pump([1.0] * 60)
    assert rig.sent == []


def test_a_link_with_too_much_unanswered_is_sent_nothing_more_and_then_renewed(rig: Rig) -> None:
    ids = [rig.submit()[0] for _ in range(12)]
    forgotten = [rig.expire() for _ in range(10)]
    assert rig.sent == []
    assert not rig.upstream.up, "what waits may go elsewhere"
    rig.bind.on_wire.insert(0, forgotten[3])
    rig.answer(late=True)
    assert rig.sent == ids[10:]
    rig.expire()
    rig.expire()
    rig.submit()
    rig.time.advance(29.0)
    assert (rig.sent, rig.bind.renewed) == ([], 0)
    rig.time.advance(1.0)
    assert rig.bind.renewed > 0
    rig.lose_link()
    assert rig.bind.overdue == 0
    rig.link_back()
    rig.time.pump([1.0] * 3)
    assert rig.sent == [*ids[:3], *ids[4:11]]


def test_without_any_answer_nothing_is_sent_again_as_long_as_the_link_lives(rig: Rig) -> None:
    (part_id,) = rig.submit()
    forgotten = rig.expire()
    for _ in range(10):
        rig.time.pump([60.0] * 10)
        assert (rig.sent, rig.part(part_id).state, rig.part(part_id).attempts) == ([], "in_doubt", 1)
    (other,) = rig.submit()
    assert rig.sent == [other]
    rig.bind.on_wire.insert(0, forgotten)
    rig.answer(late=True, message_id="a1")
    assert (rig.part(part_id).state, rig.part(part_id).smsc_message_id) == ("sent", "a1")


@pytest.mark.parametrize(("policy", "state"), [("resend", "sending"), ("hold", "held")])
def test_when_the_link_of_an_overdue_answer_ends_the_policy_decides(
    inline_store: InlineStore, time: Time, did: Did, policy: str, state: str
) -> None:
    rig = Rig(inline_store, time, did, in_doubt=policy)
    (part_id,) = rig.submit()
    rig.expire()
    rig.time.pump([60.0] * 3)
    rig.lose_link()
    rig.link_back()
    assert rig.part(part_id).state == state
    assert rig.sent == [part_id] * (policy == "resend")
    assert bool(rig.part(part_id).flags & PartFlag.POSSIBLE_DUPLICATE) is (policy == "resend")


def test_the_end_of_another_link_decides_nothing(rig: Rig) -> None:
    (part_id,) = rig.submit()
    rig.expire()
    rig.upstream.bind_down(FakeBind(name="up/other"))  # type: ignore[arg-type]
    assert rig.part(part_id).state == "in_doubt"


def test_the_rest_of_a_message_does_not_wait_for_ever_for_an_answer(rig: Rig) -> None:
    first, second, third = rig.submit(3)
    forgotten = rig.expire()
    rig.time.advance(29.0)
    assert rig.sent == []
    rig.time.advance(1.0)
    assert rig.sent == [second]
    assert rig.part(first).state == "in_doubt"
    rig.bind.on_wire.append(forgotten)
    rig.bind.on_wire.reverse()
    rig.answer(late=True, message_id="1")
    assert rig.sent == [second]  # the third still waits for the second
    rig.answer(message_id="2")
    assert rig.sent == [third]


def test_a_part_in_doubt_is_not_sent_again_when_its_message_has_failed_meanwhile(rig: Rig) -> None:
    first, second, third = rig.submit(3)
    rig.expire()
    rig.time.advance(30.0)
    assert rig.sent == [second]
    rig.answer(CommandStatus.ESME_RINVDSTADR)
    rig.lose_link()
    rig.link_back()
    (other,) = rig.submit()
    rig.time.pump([1.0] * 3)
    assert rig.sent == [other]
    assert [rig.part(part_id).state for part_id in (first, second, third)] == ["failed"] * 3


@pytest.mark.parametrize(
    ("change", "state"), [(operators.hold, "held"), (operators.cancel, "failed")], ids=["hold", "cancel"]
)
def test_what_comes_back_of_a_message_that_an_operator_stopped_does_not_go_again(
    rig: Rig, change: Callable[..., list[int]], state: str
) -> None:
    queue, (first, second) = rig.upstream.queue, rig.submit(2)
    message_id = rig.part(first).message_id
    busy = queue.withdraw()
    held = operators.Held(message_id, "up", busy)
    with rig.store.engine.transaction() as conn:
        assert change(conn, held, rig.time.wall_ms()) == [second]
    if change is operators.hold:
        queue.keep(message_id)
    else:
        queue.bar([message_id])
    queue.resume()
    rig.answer(CommandStatus.ESME_RTHROTTLED)
    rig.resume()
    rig.time.pump([1.0] * 3)
    assert rig.sent == []
    assert [rig.part(part_id).state for part_id in (first, second)] == [state, state]
    if change is operators.hold:
        still = held._replace(on_their_way=())
        with rig.store.engine.transaction() as conn:
            assert operators.retry(conn, still, rig.time.wall_ms()) == [first, second]
        rig.time.pump([1.0] * 3)
        assert rig.sent == [first]
        rig.answer()
        assert rig.sent == [second]


def test_a_doubt_ends_with_the_time_of_its_part(rig: Rig) -> None:
    (part_id,) = rig.submit(expires_at=rig.time.wall_ms() + 100_000)
    forgotten = rig.expire()
    rig.time.pump([1.0] * 99)
    assert rig.part(part_id).state == "in_doubt"
    rig.time.pump([1.0] * 10)
    assert rig.part(part_id).state == "expired"
    assert ("failed", part_id) in rig.watcher.told
    rig.bind.on_wire.insert(0, forgotten)
    rig.answer(late=True, message_id="after all")
    assert (rig.part(part_id).state, rig.part(part_id).smsc_message_id) == ("sent", "after all")
    assert rig.part(part_id).final_at is None


@pytest.mark.parametrize("status", [CommandStatus.ESME_RINVDSTADR, CommandStatus.ESME_RTHROTTLED])
@pytest.mark.parametrize("late_first", [True, False])
def test_what_was_taken_once_stays_taken_whatever_becomes_of_a_second_attempt(
    rig: Rig, late_first: bool, status: int
) -> None:
    first, second = rig.submit(2)
    forgotten = rig.expire()
    operator_resends(rig, first)
    assert rig.sent == [first]
    if late_first:
        rig.bind.on_wire.insert(0, forgotten)
        rig.answer(late=True, message_id="old")
        assert (rig.part(first).state, rig.part(first).smsc_message_id) == ("sent", "old")
        rig.answer(status)
        rig.resume()
        assert ("failed", first) not in rig.watcher.told
        assert rig.sent == [second]
    else:
        rig.answer(status)
        rig.bind.on_wire.insert(0, forgotten)
        rig.answer(late=True, message_id="old")
        rig.resume()
        assert first not in rig.sent
    assert (rig.part(first).state, rig.part(first).smsc_message_id) == ("sent", "old")
    assert ("accepted", "old") in rig.watcher.told


def test_second_attempts_that_never_leave_are_forgotten_in_the_end(
    inline_store: InlineStore, time: Time, did: Did, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "REMEMBERED", 3)
    rig = Rig(inline_store, time, did)
    rig.submit()
    for number in range(5):
        item = rig.message()[0]
        response = SubmitSmResp(sequence_number=1, message_id=f"{number}")
        late = events.ResponseReceived(item, rig.bind.on_wire[0][0], response, True, 90.0)
        rig.upstream.bind_event(cast(Any, rig.bind), late)
    assert len(rig.upstream._answers._taken) == 3


def test_a_drain_waits_for_the_next_attempt_to_store_an_answer(rig: Rig) -> None:
    (part_id,) = rig.submit()
    rig.store.writer.failing = True
    rig.answer(message_id="one")
    drained = rig.upstream.drain()
    rig.time.pump([0.1, 1.0])
    pending(drained)
    rig.store.writer.failing = False
    rig.time.pump([1.0] * 2)
    success(drained)
    assert rig.part(part_id).state == "sent"


def test_a_drain_waits_until_a_late_answer_is_stored(rig: Rig) -> None:
    (part_id,) = rig.submit()
    forgotten = rig.expire()
    rig.bind.paused = True
    operator_resends(rig, part_id)
    rig.store.writer.failing = True
    rig.bind.on_wire.insert(0, forgotten)
    rig.answer(late=True, message_id="old")
    drained = rig.upstream.drain()
    rig.time.pump([1.0] * 2)
    pending(drained)
    rig.store.writer.failing = False
    rig.time.pump([1.0] * 2)
    success(drained)


def test_a_late_answer_that_cannot_be_stored_is_stored_later(rig: Rig) -> None:
    (part_id,) = rig.submit()
    forgotten = rig.expire()
    operator_resends(rig, part_id)
    rig.store.writer.failing = True
    rig.bind.on_wire.insert(0, forgotten)
    rig.answer(late=True, message_id="old")
    rig.store.writer.failing = False
    assert rig.part(part_id).state == "sending"
    rig.time.pump([1.0] * 2)
    assert (rig.part(part_id).state, rig.part(part_id).smsc_message_id) == ("sent", "old")


def test_when_both_attempts_were_taken_the_newer_id_is_kept(rig: Rig) -> None:
    (part_id,) = rig.submit()
    forgotten = rig.expire()
    operator_resends(rig, part_id)
    rig.bind.on_wire.insert(0, forgotten)
    rig.answer(late=True, message_id="old")
    rig.answer(message_id="new")
    assert (rig.part(part_id).state, rig.part(part_id).smsc_message_id) == ("sent", "new")


def test_a_receipt_settles_a_doubt_before_the_second_send(rig: Rig) -> None:
    (part_id,) = rig.submit()
    rig.expire()
    with rig.store.engine.transaction() as conn:
        conn.exec_driver_sql("UPDATE part SET state = 'delivered' WHERE id = ?", (part_id,))
    rig.lose_link()
    rig.link_back()
    rig.time.pump([1.0] * 3)
    assert rig.sent == []
    assert rig.part(part_id).state == "delivered"


def test_what_a_receipt_told_is_not_sent_again_though_it_waits_for_that(rig: Rig) -> None:
    first, second = rig.submit(2)
    rig.expire()
    rig.lose_link()
    rig.time.pump([1.0] * 2)
    assert rig.part(first).state == "queued"
    with rig.store.engine.transaction() as conn:
        conn.exec_driver_sql("UPDATE part SET state = 'delivered' WHERE id = ?", (first,))
    rig.upstream.known_taken([first])
    rig.link_back()
    assert rig.sent == [second]


def guess(rig: Rig, part_id: int) -> bool:
    """A receipt comes that by its numbers and its time may be about this part."""
    now_ms = rig.time.wall_ms()
    told = ReceiptRecord(
        rig.store.ids.next(), "up", "77", "DELIVERED", None, b"", now_ms, None, None, "delivered", DID, PEER
    )
    minute = datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None, second=0)
    report = receipts.Report(told, ["77"], traits=Traits(None, minute))
    found = success(
        rig.store.writer.run("told", lambda conn: receipts.store_and_match_all(conn, [report], now_ms))
    )
    rig.upstream.known_taken(found.settled, found.guessed)
    return part_id in found.guessed


@pytest.mark.parametrize(
    ("status", "state"),
    [(CommandStatus.ESME_RINVDSTADR, "failed"), (CommandStatus.ESME_RTHROTTLED, "queued")],
)
def test_a_refusal_outweighs_a_receipt_that_was_only_guessed_to_be_about_the_part(
    rig: Rig, status: int, state: str
) -> None:
    rig.bind.up = False
    (part_id,) = rig.submit()
    rig.link_back()
    rig.bind.on_wire.append(rig.expire())
    assert guess(rig, part_id)
    assert rig.part(part_id).state == "delivered"
    rig.answer(status, late=True)
    part = rig.part(part_id)
    assert (part.state, part.smsc_message_id, part.receipt_state) == (state, None, None)
    waiting = success(rig.store.read(receipts.unmatched, "up", 10))
    assert [one.smsc_message_id for one in waiting] == ["77"]
    if state == "queued":
        rig.resume()
        assert rig.sent == [part_id]


def test_an_acceptance_agrees_with_what_was_guessed(rig: Rig) -> None:
    rig.bind.up = False
    (part_id,) = rig.submit()
    rig.link_back()
    rig.bind.on_wire.append(rig.expire())
    assert guess(rig, part_id)
    rig.answer(message_id="a1", late=True)
    rig.time.pump([1.0] * 3)
    assert (rig.part(part_id).state, rig.sent) == ("delivered", [])


def test_what_a_receipt_told_while_its_answer_is_overdue_holds_nothing_up(rig: Rig) -> None:
    first, second = rig.submit(2)
    rig.expire()
    rig.upstream.known_taken([first])
    assert rig.sent == [second]


def test_what_a_crash_left_in_sending_is_in_doubt_at_the_start(
    inline_store: InlineStore, time: Time, did: Did
) -> None:
    before = Rig(inline_store, time, did)
    (part_id,) = before.submit()
    after = Rig(inline_store, time, did)
    assert after.sent == [part_id]
    assert after.part(part_id).flags == PartFlag.POSSIBLE_DUPLICATE


def test_so_is_what_was_waiting_for_a_late_answer(inline_store: InlineStore, time: Time, did: Did) -> None:
    before = Rig(inline_store, time, did)
    (part_id,) = before.submit()
    before.expire()
    after = Rig(inline_store, time, did)
    assert after.sent == [part_id]


def test_the_table_feeds_what_another_process_stored(rig: Rig) -> None:
    ids = [rig.message()[0].part.id for _ in range(2)]
    assert rig.sent == []
    rig.time.advance(1.0)
    assert rig.sent == ids


def test_a_link_that_goes_between_commit_and_send_leaves_no_doubt(rig: Rig) -> None:
    reservation = rig.upstream.reserve()
    queued = rig.message(1, PartState.SENDING)
    rig.upstream.expect([queued[0].part.id])
    rig.bind.up = False
    rig.upstream.committed(queued, reservation)
    assert rig.part(queued[0].part.id).state == "queued"
    assert not rig.part(queued[0].part.id).flags
    assert rig.bind.reserved == 0
    rig.link_back()
    assert rig.sent == [queued[0].part.id]


def test_a_result_that_cannot_be_stored_is_stored_later_and_nothing_new_is_sent_meanwhile(rig: Rig) -> None:
    (part_id,) = rig.submit()
    rig.store.writer.failing = True
    rig.answer(message_id="kept")
    assert rig.upstream.reserve() is None
    rig.store.writer.failing = False
    rig.time.pump([1.0] * 2)
    assert (rig.part(part_id).state, rig.part(part_id).smsc_message_id) == ("sent", "kept")
    assert rig.upstream.reserve() is not None


def test_a_store_that_fails_gives_the_reservation_back(rig: Rig) -> None:
    reservation = rig.upstream.reserve()
    rig.upstream.expect([1, 2, 3])
    rig.upstream.abandoned([1, 2, 3], reservation)
    assert rig.bind.reserved == 0


def test_drain_sends_nothing_new_and_ends_with_the_last_stored_answer(rig: Rig) -> None:
    rig.submit()
    drained = rig.upstream.drain()
    rig.submit()
    pending(drained)
    assert len(rig.sent) == 1
    rig.store.writer.held = True
    rig.answer()
    pending(drained)
    rig.store.writer.release()
    success(drained)
    assert rig.sent == []
    assert [
        item.part.state for item in success(rig.store.read(parts.queued, "up", rig.time.wall_ms(), 10))
    ] == ["queued"]


def test_what_could_not_be_committed_as_sending_is_not_sent_and_is_tried_again(rig: Rig) -> None:
    rig.bind.up = False
    ids = [*rig.submit(2), *rig.submit()]
    rig.store.writer.failing = True
    rig.link_back()
    assert (rig.sent, rig.bind.reserved) == ([], 0)
    rig.store.writer.failing = False
    rig.time.advance(1.0)
    assert rig.sent == [ids[0], ids[2]]
    rig.answer()
    assert rig.sent == [ids[2], ids[1]]


def test_a_stopped_upstream_decides_nothing_more(rig: Rig) -> None:
    (doubtful,), (waiting,) = rig.submit(), rig.submit()
    rig.expire()
    rig.bind.on_wire.clear()
    success(rig.upstream.stop())
    rig.time.pump([1.0] * 120)
    assert (rig.part(doubtful).state, rig.part(waiting).state) == ("in_doubt", "sending")
    assert not rig.upstream.up
    assert rig.time.getDelayedCalls() == []


def told(rig: Rig) -> list[str]:
    """What the feed says became of messages, in order."""
    kinds = select(event.c.kind).where(event.c.kind != "message.queued").order_by(event.c.id)
    return success(rig.store.read(lambda conn: list(conn.scalars(kinds))))


def test_what_becomes_of_a_message_is_in_the_feed_with_the_commit_of_its_parts(rig: Rig) -> None:
    rig.submit()
    rig.store.writer.held = True
    rig.answer()
    assert told(rig) == []
    rig.store.writer.release()
    assert told(rig) == ["message.sent"]
    rig.submit(2)
    rig.answer(message_id="a2")
    assert told(rig) == ["message.sent"], "the second part is to come"
    rig.answer(message_id="a3")
    assert told(rig) == ["message.sent"] * 2


def test_so_are_doubts_refusals_and_the_end_of_time(rig: Rig) -> None:
    rig.submit()
    rig.answer(CommandStatus.ESME_RINVDSTADR)
    assert told(rig) == ["message.failed"]
    rig.submit()
    rig.expire()
    assert told(rig) == ["message.failed", "message.in_doubt"]
    rig.lose_link()
    rig.submit(expires_at=rig.time.wall_ms() + 1_000)
    rig.time.pump([1.0] * 10)
    assert told(rig) == ["message.failed", "message.in_doubt", "message.failed"]
