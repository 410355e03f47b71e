"""An ESME and an SMSC of ours, joined by a wire that slices and delays: nothing is lost, nothing leaks."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocols.smpp.codec import pack
from protocols.smpp.errors import WindowFull
from protocols.smpp.events import (
    BindRequested,
    Bound,
    Closed,
    Event,
    RequestExpired,
    RequestLost,
    RequestReceived,
    ResponseReceived,
    Unbound,
)
from protocols.smpp.pdu import BindTransceiver, DeliverSm, Request, SubmitSm, SubmitSmResp
from protocols.smpp.session import Role, Session, SessionSettings
from protocols.smpp.states import BOUND

SETTINGS = SessionSettings(window=4, response_timeout=7.0, enquire_link=11.0, bind_timeout=5.0)


class End:
    """One end of the wire: its session, what is on its way to it, what it owes, what its requests became."""

    def __init__(self, role: Role, now: float) -> None:
        self.session = Session(role, SETTINGS, now)
        self.incoming = bytearray()
        self.owed: list[Request] = []
        self.open: set[object] = set()
        self.expired: set[object] = set()
        self.done: set[object] = set()
        self.received: list[bytes] = []
        self.closed = False

    def take(self, events: list[Event]) -> None:
        """Keep account of what happened."""
        for event in events:
            assert not self.closed, "Closed is the last event"
            match event:
                case BindRequested():
                    self.session.accept_bind(0.0, "smsc")
                case RequestReceived(pdu):
                    self.owed.append(pdu)
                    self.received.append(pdu.short_message)  # type: ignore[attr-defined]
                case ResponseReceived(context, late=late):
                    (self.expired if late else self.open).remove(context)
                    self.done.add(context)
                case RequestExpired(context):
                    self.open.remove(context)
                    self.expired.add(context)
                case RequestLost(context):
                    self.open.remove(context)
                    self.done.add(context)
                case Closed():
                    self.closed = True
                case _:
                    assert isinstance(event, Bound | Unbound), event


class TwoStacks(RuleBasedStateMachine):
    """Random interleavings of everything that two applications, a network and a clock can do."""

    @initialize()
    def connect(self) -> None:
        self.now = 0.0
        self.count = 0
        self.sent: dict[End, list[bytes]] = {}
        self.esme, self.smsc = End(Role.ESME, self.now), End(Role.SMSC, self.now)
        self.ends = (self.esme, self.smsc)
        self.sent = {self.esme: [], self.smsc: []}
        self.esme.session.request(BindTransceiver(system_id="me"), self.now)
        self.collect()

    def other(self, end: End) -> End:
        return self.smsc if end is self.esme else self.esme

    def collect(self) -> None:
        for end in self.ends:
            self.other(end).incoming += end.session.data_to_send()

    @rule(which=st.integers(0, 1), size=st.integers(1, 200))
    def carry(self, which: int, size: int) -> None:
        end = self.ends[which]
        piece = bytes(end.incoming[:size])
        del end.incoming[:size]
        end.take(end.session.receive_data(piece, self.now))
        self.collect()

    @rule(which=st.integers(0, 1))
    def ask(self, which: int) -> None:
        end = self.ends[which]
        if end.session.state not in BOUND:
            return
        self.count += 1
        message = str(self.count).encode()
        pdu = SubmitSm(short_message=message) if end is self.esme else DeliverSm(short_message=message)
        try:
            end.session.request(pdu, self.now, self.count)
        except WindowFull:
            assert end.session.window.in_use == SETTINGS.window
            return
        end.open.add(self.count)
        self.sent[end].append(message)
        self.collect()

    @rule(which=st.integers(0, 1), position=st.integers(0, 9), status=st.sampled_from([0, 0x58, 0x64]))
    def answer(self, which: int, position: int, status: int) -> None:
        end = self.ends[which]
        if end.owed:
            request = end.owed.pop(position % len(end.owed))
            end.session.respond(request.refuse(status))
            self.collect()

    @rule(seconds=st.floats(0.1, 12.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for end in self.ends:
            end.take(end.session.handle_timer(self.now))
            timer = end.session.timer()
            assert timer is None or timer > self.now
        self.collect()

    @rule(which=st.integers(0, 1), seconds=st.floats(0.1, 50.0))
    def pause(self, which: int, seconds: float) -> None:
        end = self.ends[which]
        end.session.pause(self.now)
        self.now += seconds
        end.session.resume(self.now)

    @rule(which=st.integers(0, 1))
    def garble(self, which: int) -> None:
        """An answer to nothing, as a broken peer sends it, between two PDUs."""
        end = self.ends[which]
        if not end.incoming and end.session.state in BOUND and not end.session._framer._tail:
            end.session.receive_data(pack(SubmitSmResp(sequence_number=0x7FFFFF00)), self.now)

    @precondition(lambda self: self.count > 5)
    @rule(which=st.integers(0, 1))
    def unbind(self, which: int) -> None:
        end = self.ends[which]
        if end.session.state in BOUND:
            end.session.unbind(self.now)
            self.collect()

    @precondition(lambda self: self.count > 8)
    @rule()
    def cut(self) -> None:
        for end in self.ends:
            end.take(end.session.connection_lost(self.now, "cut"))
            assert end.closed
            assert not end.open
            assert end.session.window.in_use == 0
        self.connect()

    @invariant()
    def slots_are_the_open_requests(self) -> None:
        for end in getattr(self, "ends", ()):
            assert end.session.window.in_use == len(end.open)
            assert end.session.window.in_use + end.session.window.free == SETTINGS.window
            if not end.session.closed:
                assert end.session.unanswered == len(end.owed)

    @invariant()
    def messages_arrive_in_order_and_once(self) -> None:
        for end in getattr(self, "ends", ()):
            arrived = self.other(end).received
            assert arrived == self.sent[end][: len(arrived)]


TestTwoStacks = TwoStacks.TestCase
TestTwoStacks.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_ten_thousand_messages_both_ways_through_small_pieces() -> None:
    esme, smsc = End(Role.ESME, 0.0), End(Role.SMSC, 0.0)
    esme.session.request(BindTransceiver(), 0.0)
    asked = 0
    while asked < 10_000 or esme.session.window.in_use or smsc.session.window.in_use:
        for end, other, pdu in ((esme, smsc, SubmitSm()), (smsc, esme, DeliverSm())):
            if end.session.state in BOUND and asked < 10_000:
                while end.session.window.free:
                    asked += 1
                    end.open.add(asked)
                    end.session.request(pdu, 0.0, asked)
            data = end.session.data_to_send()
            for start in range(0, len(data), 37):
                other.take(other.session.receive_data(data[start : start + 37], 0.0))
            while other.owed:
                other.session.respond(other.owed.pop().refuse(0))
    assert len(esme.done) + len(smsc.done) == asked
    assert not esme.open
    assert not smsc.open
