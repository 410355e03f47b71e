"""An SMSC that answers late, never, twice or to nothing; that cuts, refuses and throttles."""

from collections import Counter, defaultdict

import pytest
import pytest_twisted

from edge.outbound import Accepted
from edge.simulator.fake import hold_all
from edge.testing import FakeSMSC, accept_all
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import Request, Response, SubmitSm, SubmitSmResp
from protocols.sms.header import parse
from storage.records import PartFlag
from tests.fault.edge import Edge, bound

pytestmark = pytest.mark.fault


def flagged(flags: int) -> bool:
    return bool(flags & PartFlag.POSSIBLE_DUPLICATE)


@pytest_twisted.ensureDeferred
async def test_an_answer_after_our_deadline_is_an_answer(smsc: FakeSMSC, store_url: str) -> None:
    edge = Edge(store_url, {"up": smsc}, response_timeout_seconds=0.1, late_response_seconds=30.0)
    link = await bound(smsc)
    message = (await edge.submit("late")).message_id
    request = await link.await_pdu(SubmitSm)
    await edge.until(message, lambda parts: parts[0].state == "in_doubt")
    link.respond(request, message_id="0A")
    (part,) = await edge.until(message, lambda parts: parts[0].state == "sent")
    assert (part.smsc_message_id, part.attempts, part.flags) == ("0A", 1, 0)
    second = await edge.submit("next")
    link.respond(await link.await_pdu(SubmitSm), message_id="0B")
    await edge.all_in([second], "sent")
    await edge.stop()
    assert len([pdu for pdu in link.received if isinstance(pdu, SubmitSm)]) == 2


@pytest_twisted.ensureDeferred
async def test_without_any_answer_it_is_sent_again_flagged_when_the_link_ends_and_only_then(
    smsc: FakeSMSC, store_url: str
) -> None:
    edge = Edge(store_url, {"up": smsc}, response_timeout_seconds=0.1, late_response_seconds=0.1)
    link = await bound(smsc)
    message = (await edge.submit("never " * 40)).message_id
    await link.await_pdu(SubmitSm)
    second = await link.await_pdu(SubmitSm)  # after the first was given all its time
    link.respond(second, message_id="second")
    parts = await edge.until(message, lambda parts: parts[1].state == "sent")
    assert (parts[0].state, parts[0].attempts) == ("in_doubt", 1)
    assert len([pdu for pdu in link.received if isinstance(pdu, SubmitSm)]) == 2
    link.cut()
    link = await bound(smsc)
    link.respond(await link.await_pdu(SubmitSm), message_id="2")
    part, _ = await edge.until(message, lambda parts: parts[0].state == "sent")
    assert (part.attempts, flagged(part.flags), part.smsc_message_id) == (2, True, "2")
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_answers_that_come_twice_or_to_nothing_change_nothing(smsc: FakeSMSC, store_url: str) -> None:
    edge = Edge(store_url, {"up": smsc})
    link = await bound(smsc)
    one = await edge.submit("twice")
    request = await link.await_pdu(SubmitSm)
    link.respond(request, message_id="1")
    link.respond(request, message_id="other")
    link.respond(request, CommandStatus.ESME_RSYSERR)
    link.send_pdu(SubmitSmResp(sequence_number=999_999, message_id="nobody's"))
    two = await edge.submit("goes on")
    link.respond(await link.await_pdu(SubmitSm), message_id="2")
    await edge.all_in([one, two], "sent")
    assert [(await edge.parts(each.message_id))[0].smsc_message_id for each in (one, two)] == ["1", "2"]
    (bind,) = edge.service.bind_snapshots()
    assert (bind.unknown_responses, bind.state, bind.window_in_use) == (3, "bound_trx", 0)
    assert len(smsc.links) == 1
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_a_link_cut_at_full_window_and_again_loses_nothing_and_leaks_no_slot(
    smsc: FakeSMSC, store_url: str
) -> None:
    window = 10
    edge = Edge(store_url, {"up": smsc}, window=window)
    link = await bound(smsc)
    accepted = await edge.submit_all([f"text {number}" for number in range(40)])
    reached: Counter[bytes] = Counter()
    for _ in range(2):
        await link.await_pdus(SubmitSm, window)
        assert edge.service.bind_snapshots()[0].window_in_use == window
        reached.update(pdu.short_message for pdu in link.received if isinstance(pdu, SubmitSm))
        link.cut()
        link = await bound(smsc)
    await link.await_pdus(SubmitSm, window)
    smsc.answer = accept_all
    for request in await link.await_pdus(SubmitSm, window):
        link.respond(request, message_id=f"{request.sequence_number:x}")
    await edge.all_in(accepted, "sent")
    reached.update(pdu.short_message for pdu in link.received if isinstance(pdu, SubmitSm))
    assert set(reached) == {b"text %d" % number for number in range(40)}
    twice = {text for text, times in reached.items() if times > 1}
    parts = [(await edge.view(each.message_id)) for each in accepted]
    marked = {view.message.text.encode() for view in parts if flagged(view.parts[0].flags)}
    assert twice == marked
    assert sum(times - 1 for times in reached.values()) == 2 * window
    assert edge.service.bind_snapshots()[0].window_in_use == 0
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_already_bound_five_times_is_temporary(smsc: FakeSMSC, store_url: str) -> None:
    smsc.bind_status = CommandStatus.ESME_RALYBND
    smsc.answer = accept_all
    edge = Edge(store_url, {"up": smsc})
    waiting: list[Accepted] = []
    for _ in range(5):
        await bound(smsc)
        waiting.append(await edge.submit(f"waits {len(waiting)}"))
    smsc.bind_status = CommandStatus.ESME_ROK
    link = await bound(smsc)
    await edge.all_in(waiting, "sent")
    assert [pdu.short_message for pdu in link.received if isinstance(pdu, SubmitSm)] == [
        b"waits %d" % number for number in range(5)
    ]
    (bind,) = edge.service.bind_snapshots()
    assert bind.reconnects == 5
    assert bind.pdus_in["bind_transceiver_resp", "ESME_RALYBND"] == 5
    assert bind.pdus_in["bind_transceiver_resp", "ESME_ROK"] == 1
    await edge.stop()


class Throttling:
    """Refuses every third submit_sm; remembers which parts it took, in order."""

    def __init__(self) -> None:
        self.seen = 0
        self.refused = 0
        self.taken: dict[int, list[tuple[int, bytes]]] = defaultdict(list)

    def __call__(self, request: Request) -> Response | None:
        if not isinstance(request, SubmitSm):
            return accept_all(request)
        self.seen += 1
        if self.seen % 3 == 0:
            self.refused += 1
            return request.refuse(
                CommandStatus.ESME_RTHROTTLED if self.seen % 2 else CommandStatus.ESME_RMSGQFUL
            )
        header = parse(request.short_message)
        assert header is not None
        assert header.concatenation is not None
        text = request.short_message[len(header.octets) :]
        self.taken[header.concatenation.reference].append((header.concatenation.number, text))
        return SubmitSmResp(sequence_number=request.sequence_number, message_id=f"{self.seen:x}")


@pytest.mark.parametrize("binds", [1, 3])
@pytest_twisted.ensureDeferred
async def test_throttled_one_in_three_each_message_is_whole_in_order_and_once(
    smsc: FakeSMSC, store_url: str, binds: int
) -> None:
    """5,000 parts of messages of three parts. The texts are of references, so that they can be told apart."""
    count = 1_667
    script = smsc.answer = Throttling()
    edge = Edge(store_url, {"up": smsc}, window=200, binds=binds, long_messages="udh16")
    for _ in range(binds):
        await bound(smsc)
    texts = [f"{number:05d}:".ljust(152, "a") + "b" * 152 + f"{number:05d}" for number in range(count)]
    accepted = await edge.submit_all(texts)
    assert {each.parts for each in accepted} == {3}
    await edge.all_in(accepted, "sent")
    assert script.refused > count
    assert len(script.taken) == count
    found = []
    for pieces in script.taken.values():
        assert [number for number, _ in pieces] == [1, 2, 3]
        found.append(b"".join(text for _, text in pieces).decode())
    assert sorted(found) == texts
    views = [await edge.view(each.message_id) for each in accepted[:50]]
    assert not any(part.flags for view in views for part in view.parts)
    assert sum(bind.throttles for bind in edge.service.bind_snapshots()) == script.refused
    await edge.stop()


@pytest_twisted.ensureDeferred
async def test_an_smsc_that_is_away_costs_nothing_but_patience(smsc: FakeSMSC, store_url: str) -> None:
    """Nothing spins while every bind is down: the store is not asked more often than once a second."""
    smsc.bind_status = None
    smsc.answer = hold_all
    edge = Edge(store_url, {"up": smsc}, reconnect_min_seconds=30.0, reconnect_max_seconds=60.0)
    await bound(smsc)
    accepted = await edge.submit_all([f"text {number}" for number in range(100)])
    units = edge.service.store.writer.units
    await edge.until(accepted[-1].message_id, lambda parts: parts[0].state == "queued")
    assert edge.service.store.writer.units == units
    await edge.stop()
