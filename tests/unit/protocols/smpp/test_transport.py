"""The session on Twisted: writes joined, timers set, back-pressure both ways, one end to every connection."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from protocols.smpp.codec import Framer, pack, unpack
from protocols.smpp.errors import NotAllowed
from protocols.smpp.events import (
    BindRequested,
    Bound,
    Closed,
    Event,
    Refused,
    RequestExpired,
    RequestLost,
    RequestReceived,
    ResponseReceived,
    Unbound,
)
from protocols.smpp.pdu import (
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from protocols.smpp.session import Role, Session, SessionSettings, SessionState
from protocols.smpp.transport import LINGER, SMPPProtocol
from tests.deferreds import pending, success
from tests.unit.protocols.smpp.links import at

SETTINGS = SessionSettings(window=3, response_timeout=10.0, enquire_link=30.0, bind_timeout=5.0)


@implementer(ITCPTransport)
class Wire(StringTransport):  # type: ignore[misc]
    """A TCP transport that counts its writes."""

    no_delay = False
    writes = 0
    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)

    def abortConnection(self) -> None:
        self.aborted = True


class Link:
    """One protocol on a wire, with a handler that notes events and may do something at each."""

    def __init__(self, role: Role = Role.ESME, wire: StringTransport | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.events: list[Event] = []
        self.on_made: Callable[[SMPPProtocol], object] = lambda protocol: None
        self.on_event: Callable[[Event], object] = lambda event: None
        self.session = Session(role, SETTINGS, self.clock.seconds())
        self.protocol = SMPPProtocol(self.session, self, self.clock)
        self.wire: Any = Wire() if wire is None else wire
        self._framer = Framer()

    def connection_made(self, protocol: SMPPProtocol) -> None:
        assert protocol is self.protocol
        self.on_made(protocol)

    def event(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def connect(self) -> "Link":
        self.protocol.makeConnection(self.wire)
        return self

    def bound(self) -> "Link":
        """Me, bound as an ESME."""
        self.on_made = lambda protocol: protocol.request(BindTransceiver(system_id="me"))
        self.connect()
        assert self.sent() == [BindTransceiver(sequence_number=1, system_id="me")]
        self.arrives(BindTransceiverResp(sequence_number=1))
        assert isinstance(self.events.pop(), Bound)
        self.wire.writes = 0
        return self

    def arrives(self, *pdus: Pdu) -> None:
        self.protocol.dataReceived(b"".join(map(pack, pdus)))

    def sent(self) -> list[Pdu]:
        data = self.wire.value()
        self.wire.clear()
        return [unpack(octets) for octets in self._framer.feed(data)]

    def turn(self) -> None:
        """The end of this turn of the reactor."""
        self.clock.advance(0)

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


def test_a_connection_has_no_delay_and_a_producer() -> None:
    link = Link().connect()
    assert link.wire.no_delay
    assert link.wire.producer is link.protocol
    assert link.wire.streaming
    assert link.wire.writes == 0


def test_a_transport_without_tcp_will_do() -> None:
    link = Link(wire=StringTransport())
    link.connect()
    assert link.wire.producer is link.protocol


def test_bind_goes_out_as_the_connection_is_made() -> None:
    assert at(Link().bound().session) is SessionState.BOUND_TRX


def test_answers_to_one_read_leave_in_one_write() -> None:
    link = Link().bound()

    def answer(event: Event) -> None:
        assert isinstance(event, RequestReceived)
        assert link.protocol.respond(DeliverSmResp(sequence_number=event.pdu.sequence_number))

    link.on_event = answer
    link.arrives(DeliverSm(sequence_number=1), EnquireLink(sequence_number=2), DeliverSm(sequence_number=3))
    assert link.wire.writes == 1
    assert link.sent() == [
        EnquireLinkResp(sequence_number=2),
        DeliverSmResp(sequence_number=1),
        DeliverSmResp(sequence_number=3),
    ]


def test_requests_of_one_turn_leave_in_one_write() -> None:
    link = Link().bound()
    assert link.protocol.request(SubmitSm(), "a") == 2
    assert link.protocol.request(SubmitSm(), "b") == 3
    assert link.wire.writes == 0
    link.turn()
    assert link.wire.writes == 1
    assert link.sent() == [SubmitSm(sequence_number=2), SubmitSm(sequence_number=3)]
    link.turn()
    assert link.wire.writes == 1


def test_what_waits_leaves_with_the_next_read() -> None:
    link = Link().bound()
    link.protocol.request(SubmitSm())
    link.arrives(EnquireLink(sequence_number=5))
    assert link.sent() == [SubmitSm(sequence_number=2), EnquireLinkResp(sequence_number=5)]
    link.turn()
    assert link.wire.writes == 1


def test_responses_and_late_responses_reach_the_handler() -> None:
    link = Link().bound()
    link.protocol.request(SubmitSm(), "a")
    link.turn()
    link.clock.advance(10.0)
    assert link.events == [RequestExpired("a", SubmitSm(sequence_number=2))]
    link.clock.advance(5.0)
    link.arrives(SubmitSmResp(sequence_number=2, message_id="m"))
    assert isinstance(link.events[1], ResponseReceived)
    assert (link.events[1].late, link.events[1].elapsed) == (True, 15.0)


def test_enquire_link_by_the_clock_and_death() -> None:
    link = Link().bound()
    link.clock.advance(29.0)
    assert link.sent() == []
    link.clock.advance(1.0)
    assert link.sent() == [EnquireLink(sequence_number=2)]
    link.clock.advance(10.0)
    assert link.sent() == [EnquireLink(sequence_number=3)]
    link.clock.advance(9.0)
    assert not link.wire.disconnecting
    link.clock.advance(1.0)
    assert link.wire.disconnecting
    link.lose()
    assert link.events == [Closed("enquire_link was not answered")]
    assert link.clock.getDelayedCalls() == []


def test_an_early_timer_is_left_alone() -> None:
    link = Link().bound()
    link.clock.advance(5.0)
    (before,) = link.clock.getDelayedCalls()
    link.clock.advance(15.0)
    link.arrives(EnquireLink(sequence_number=1))
    assert link.clock.getDelayedCalls() == [before]
    link.clock.advance(10.0)
    (after,) = link.clock.getDelayedCalls()
    assert after.getTime() == 1050.0
    assert link.sent() == [EnquireLinkResp(sequence_number=1)]


def test_an_earlier_deadline_moves_the_timer() -> None:
    link = Link().bound()
    link.clock.advance(5.0)
    assert [call.getTime() for call in link.clock.getDelayedCalls()] == [1030.0]
    link.protocol.request(SubmitSm())
    link.turn()
    assert [call.getTime() for call in link.clock.getDelayedCalls()] == [1015.0]


def test_an_smsc_accepts_a_bind() -> None:
    link = Link(Role.SMSC).connect()
    link.on_event = lambda event: link.protocol.accept_bind("smsc")
    link.arrives(BindTransceiver(sequence_number=1))
    assert isinstance(link.events[0], BindRequested)
    (answer,) = link.sent()
    assert isinstance(answer, BindTransceiverResp)
    assert at(link.session) is SessionState.BOUND_TRX


def test_an_smsc_refuses_a_bind_later_and_disconnects() -> None:
    link = Link(Role.SMSC).connect()
    link.arrives(BindTransceiver(sequence_number=1))
    assert link.sent() == []
    link.protocol.refuse_bind(0x0E)
    link.protocol.disconnect("bind refused")
    link.turn()
    assert link.sent() == [BindTransceiverResp(1, 0x0E, None)]
    assert link.wire.disconnecting
    link.lose()
    assert link.events[-1] == Closed("bind refused")


def test_an_smsc_waits_for_a_bind_only_so_long() -> None:
    link = Link(Role.SMSC).connect()
    link.clock.advance(5.0)
    assert link.wire.disconnecting


def test_a_bad_length_is_nacked_before_the_connection_closes() -> None:
    link = Link().bound()
    link.protocol.dataReceived(bytes(16))
    assert link.sent() == [GenericNack(sequence_number=0, command_status=2)]
    assert link.wire.disconnecting
    link.protocol.dataReceived(bytes(1000))
    link.lose()
    refused, closed = link.events
    assert isinstance(refused, Refused)
    assert isinstance(closed, Closed)
    assert closed.error is refused.error


def test_a_lost_connection_gives_everything_back() -> None:
    link = Link().bound()
    link.protocol.request(SubmitSm(), "a")
    link.lose()
    assert link.events == [
        RequestLost("a", SubmitSm(sequence_number=2)),
        Closed("Connection was closed cleanly."),
    ]
    assert link.clock.getDelayedCalls() == []
    assert link.protocol.respond(DeliverSmResp(sequence_number=1)) is False
    with pytest.raises(NotAllowed):
        link.protocol.request(SubmitSm())
    link.protocol.pauseProducing()
    link.protocol.pause()
    link.protocol.resume()
    link.protocol.stopProducing()
    assert link.clock.getDelayedCalls() == []


def test_unbind_fires_when_the_connection_is_gone() -> None:
    link = Link().bound()
    done, again = link.protocol.unbind(), link.protocol.unbind()
    link.turn()
    assert link.sent() == [Unbind(sequence_number=2)]
    link.arrives(UnbindResp(sequence_number=2))
    assert link.wire.disconnecting
    assert link.wire.producer is None
    pending(done)
    link.lose()
    assert success(done) is None
    assert success(again) is None
    assert link.events == [Unbound(), Closed("unbound", orderly=True)]
    assert success(link.protocol.unbind()) is None


def test_unbind_before_the_bind_disconnects() -> None:
    link = Link().connect()
    done = link.protocol.unbind()
    link.turn()
    assert link.wire.disconnecting
    link.lose()
    assert success(done) is None
    assert link.events == [Closed("disconnected")]


def test_disconnect_before_the_connection() -> None:
    link = Link()
    link.protocol.disconnect("not wanted")
    link.protocol.pause()
    assert link.clock.getDelayedCalls() == []
    link.connect()
    assert link.wire.disconnecting


def test_disconnect_is_done_once_and_aborts_what_lingers() -> None:
    link = Link().bound()
    link.protocol.disconnect("first")
    link.protocol.disconnect("second")
    link.turn()
    link.arrives(EnquireLink(sequence_number=1))
    link.protocol.pause()
    link.protocol.resume()
    link.turn()
    assert link.wire.producerState == "producing"
    link.clock.advance(LINGER - 0.1)
    assert not link.wire.aborted
    link.clock.advance(0.2)
    assert link.wire.aborted
    link.lose()
    assert link.events == [Closed("first")]


def test_abort_resets_at_once_and_writes_nothing_more() -> None:
    link = Link().bound()
    link.protocol.request(SubmitSm(), "on its way")
    link.protocol.abort("cut")
    link.turn()
    assert link.wire.aborted
    assert link.sent() == []
    link.lose()
    assert link.events == [RequestLost("on its way", SubmitSm(sequence_number=2)), Closed("cut")]
    link.protocol.abort("again")
    assert len(link.events) == 2


def test_abort_before_the_connection() -> None:
    link = Link()
    link.protocol.abort("never mind")
    link.connect()
    assert link.wire.disconnecting


def test_the_peers_unbind_is_answered_after_the_last_answer() -> None:
    link = Link().bound()
    link.arrives(DeliverSm(sequence_number=7), Unbind(sequence_number=8))
    assert link.sent() == []
    link.protocol.respond(DeliverSmResp(sequence_number=7))
    link.turn()
    assert link.sent() == [DeliverSmResp(sequence_number=7), UnbindResp(sequence_number=8)]
    assert link.wire.disconnecting


def test_reading_pauses_for_the_application() -> None:
    link = Link().bound()
    link.protocol.request(SubmitSm(), "a")
    link.protocol.pause()
    link.protocol.pause()
    assert link.wire.producerState == "paused"
    link.clock.advance(100.0)
    assert link.events == []
    link.protocol.resume()
    link.protocol.resume()
    assert link.wire.producerState == "producing"
    link.turn()
    link.clock.advance(9.9)
    assert link.events == []
    link.clock.advance(0.2)
    assert link.events == [RequestExpired("a", SubmitSm(sequence_number=2))]


def test_reading_paused_before_the_connection() -> None:
    link = Link()
    link.protocol.pause()
    link.connect()
    assert link.wire.producerState == "paused"


def test_a_peer_that_does_not_read_is_not_read() -> None:
    link = Link().bound()
    producer = link.wire.producer
    producer.pauseProducing()
    assert link.wire.producerState == "paused"
    link.protocol.pause()
    producer.resumeProducing()
    assert link.wire.producerState == "paused"
    link.protocol.resume()
    assert link.wire.producerState == "producing"
    producer.stopProducing()


def test_a_peer_that_never_reads_again_is_given_up() -> None:
    link = Link().bound()
    link.wire.producer.pauseProducing()
    for seconds in (30.0, 10.0, 10.0):
        link.clock.advance(seconds)
    assert link.wire.disconnecting


def test_a_handler_that_fails_does_not_keep_the_protocol_busy() -> None:
    link = Link().bound()

    def fail(event: Event) -> None:
        raise LookupError

    link.on_event = fail
    with pytest.raises(LookupError):
        link.arrives(DeliverSm(sequence_number=1))
    link.on_event = lambda event: None
    link.protocol.respond(DeliverSmResp(sequence_number=1))
    link.turn()
    assert link.sent() == [DeliverSmResp(sequence_number=1)]
