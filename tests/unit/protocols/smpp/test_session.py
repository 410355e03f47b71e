"""One session against a hand-made peer: every rule of the link."""

from struct import pack as struct_pack

import pytest

from protocols.smpp.codec import pack
from protocols.smpp.commands import CommandId
from protocols.smpp.errors import (
    CommandStatus,
    EncodeError,
    NotAllowed,
    UnrecoverableError,
    WindowFull,
)
from protocols.smpp.events import (
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    NotificationReceived,
    Refused,
    RequestExpired,
    RequestLost,
    RequestReceived,
    ResponseReceived,
    Unbound,
    UnknownResponse,
)
from protocols.smpp.outbox import MAX_SEQUENCE
from protocols.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BroadcastSm,
    BroadcastSmResp,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from protocols.smpp.session import Role, SessionSettings, SessionState
from protocols.smpp.settings import OTHER
from tests.unit.protocols.smpp.links import SETTINGS, Peer, at

# Binding, as an ESME


@pytest.mark.parametrize(
    ("bind", "state"),
    [
        (BindTransmitter, SessionState.BOUND_TX),
        (BindReceiver, SessionState.BOUND_RX),
        (BindTransceiver, SessionState.BOUND_TRX),
    ],
)
def test_binds(bind: type, state: SessionState) -> None:
    assert Peer(Role.ESME).bound(bind).session.state is state
    assert Peer(Role.SMSC).bound(bind).session.state is state


def test_bind_octets_and_event() -> None:
    smsc = Peer()
    assert smsc.session.request(BindTransceiver(system_id="me", password="secret"), 0.0) == 1
    assert at(smsc.session) is SessionState.BINDING
    assert smsc.receives() == [BindTransceiver(sequence_number=1, system_id="me", password="secret")]
    answer = BindTransceiverResp(sequence_number=1, system_id="smsc", tlvs=((0x210, b"\x34"),))
    assert smsc.sends(answer) == [Bound(answer)]
    assert at(smsc.session) is SessionState.BOUND_TRX


@pytest.mark.parametrize(
    "answer",
    [
        BindTransceiverResp(sequence_number=1, command_status=0x05, system_id=None),
        GenericNack(sequence_number=1, command_status=0x05),
    ],
)
def test_refused_bind(answer: Pdu) -> None:
    smsc = Peer()
    smsc.session.request(BindTransceiver(), 0.0)
    assert smsc.sends(answer) == [BindRefused(CommandStatus.ESME_RALYBND)]
    assert at(smsc.session) is SessionState.OPEN
    assert smsc.session.timer() is None
    assert smsc.session.request(BindTransceiver(), 1.0) == 2


def test_a_nack_without_a_status_refuses_too() -> None:
    smsc = Peer()
    smsc.session.request(BindTransceiver(), 0.0)
    assert smsc.sends(GenericNack(sequence_number=1)) == [BindRefused(0)]


def test_answers_that_do_not_fit_the_bind() -> None:
    smsc = Peer()
    smsc.session.request(BindTransceiver(), 0.0)
    for answer in (
        BindReceiverResp(sequence_number=1),
        BindTransceiverResp(sequence_number=2),
        GenericNack(sequence_number=7),
        EnquireLinkResp(sequence_number=1),
    ):
        assert smsc.sends(answer) == [UnknownResponse(answer)]
    assert at(smsc.session) is SessionState.BINDING
    assert smsc.session.counters.unknown_responses == 4


def test_bind_timeout() -> None:
    smsc = Peer()
    assert smsc.session.timer() is None
    smsc.session.request(BindTransceiver(), 100.0)
    assert smsc.session.timer() == 105.0
    assert smsc.session.handle_timer(104.9) == []
    assert at(smsc.session) is SessionState.BINDING
    assert smsc.session.handle_timer(105.0) == []
    assert smsc.session.closed
    assert smsc.session.connection_lost(105.0, "lost") == [Closed("bind timeout")]


def test_messages_with_the_bind_response_in_one_piece() -> None:
    smsc = Peer()
    smsc.session.request(BindTransceiver(), 0.0)
    bound, received = smsc.sends(BindTransceiverResp(sequence_number=1), DeliverSm(sequence_number=1))
    assert isinstance(bound, Bound)
    assert received == RequestReceived(DeliverSm(sequence_number=1))


def test_outbind() -> None:
    smsc = Peer()
    outbind = Outbind(sequence_number=1, system_id="smsc", password="secret")
    assert smsc.sends(outbind) == [NotificationReceived(outbind)]
    assert smsc.session.request(BindReceiver(), 0.0) == 1


# Binding, as an SMSC


def test_accepted_bind() -> None:
    esme = Peer(Role.SMSC)
    bind = BindReceiver(sequence_number=7, system_id="esme")
    assert esme.sends(bind) == [BindRequested(bind)]
    assert at(esme.session) is SessionState.BINDING
    esme.session.accept_bind(1.0, "smsc")
    expected = BindReceiverResp(sequence_number=7, system_id="smsc", tlvs=((0x210, b"\x34"),))
    assert esme.receives() == [expected]
    assert at(esme.session) is SessionState.BOUND_RX


def test_refused_bind_may_be_tried_again_before_the_timeout() -> None:
    esme = Peer(Role.SMSC)
    esme.sends(BindTransceiver(sequence_number=7))
    esme.session.refuse_bind(CommandStatus.ESME_RINVPASWD)
    assert esme.receives() == [BindTransceiverResp(sequence_number=7, command_status=0x0E, system_id=None)]
    assert at(esme.session) is SessionState.OPEN
    assert esme.session.timer() == 5.0
    bind = BindTransceiver(sequence_number=8)
    assert esme.sends(bind) == [BindRequested(bind)]
    esme.session.handle_timer(5.0)
    assert esme.session.closed


def test_a_second_bind_is_refused() -> None:
    esme = Peer(Role.SMSC)
    esme.sends(BindTransceiver(sequence_number=1))
    (refused,) = esme.sends(BindTransmitter(sequence_number=2))
    assert isinstance(refused, Refused)
    esme.session.accept_bind(0.0)
    esme.receives()
    esme.sends(BindTransceiver(sequence_number=3))
    assert esme.receives() == [BindTransceiverResp(sequence_number=3, command_status=0x05, system_id=None)]
    assert at(esme.session) is SessionState.BOUND_TRX


def test_a_malformed_bind_is_answered_and_the_session_stays_open() -> None:
    esme = Peer(Role.SMSC)
    body = b"x" * 70 + b"\0"
    (refused,) = esme.session.receive_data(struct_pack(">IIII", 16 + len(body), 9, 0, 4) + body, 0.0)
    assert isinstance(refused, Refused)
    assert esme.receives() == [BindTransceiverResp(sequence_number=4, command_status=0x0F, system_id=None)]
    assert at(esme.session) is SessionState.OPEN


def test_answers_to_no_bind() -> None:
    with pytest.raises(NotAllowed):
        Peer(Role.SMSC).session.accept_bind(0.0)
    with pytest.raises(NotAllowed):
        Peer(Role.SMSC).bound().session.refuse_bind(5)
    esme = Peer(Role.ESME)
    esme.session.request(BindTransceiver(), 0.0)
    with pytest.raises(NotAllowed):
        esme.session.accept_bind(0.0)


def test_the_smsc_waits_for_a_bind_only_so_long() -> None:
    esme = Peer(Role.SMSC, now=100.0)
    assert esme.session.timer() == 105.0
    esme.session.handle_timer(105.0)
    assert esme.session.connection_lost(106.0, "lost") == [Closed("bind timeout")]


# Who may send what


@pytest.mark.parametrize(
    ("role", "bind", "pdu", "allowed"),
    [
        (Role.ESME, BindTransceiver, SubmitSm(), True),
        (Role.ESME, BindTransmitter, SubmitSm(), True),
        (Role.ESME, BindReceiver, SubmitSm(), False),
        (Role.ESME, BindTransceiver, DataSm(), True),
        (Role.ESME, BindTransceiver, DeliverSm(), False),
        (Role.ESME, BindTransceiver, BindTransceiver(), False),
        (Role.ESME, BindTransceiver, AlertNotification(), False),
        (Role.ESME, BindTransceiver, Outbind(), False),
        (Role.SMSC, BindTransceiver, DeliverSm(), True),
        (Role.SMSC, BindReceiver, DeliverSm(), True),
        (Role.SMSC, BindTransmitter, DeliverSm(), False),
        (Role.SMSC, BindTransceiver, SubmitSm(), False),
        (Role.SMSC, BindReceiver, AlertNotification(), True),
        (Role.SMSC, BindReceiver, BindReceiver(), False),
    ],
)
def test_requests_by_role_and_state(role: Role, bind: type, pdu: Pdu, allowed: bool) -> None:
    peer = Peer(role).bound(bind)
    if allowed:
        sequence = peer.session.request(pdu, 0.0)  # type: ignore[arg-type]
        assert peer.receives() == [pdu.numbered(sequence)]
    else:
        with pytest.raises(NotAllowed):
            peer.session.request(pdu, 0.0)  # type: ignore[arg-type]
        assert peer.receives() == []
        assert peer.session.window.in_use == 0


def test_nothing_but_a_bind_before_the_bind() -> None:
    with pytest.raises(NotAllowed) as caught:
        Peer(Role.ESME).session.request(SubmitSm(), 0.0)
    assert caught.value.state == "OPEN"
    with pytest.raises(NotAllowed):
        Peer(Role.SMSC).session.request(BindTransceiver(), 0.0)
    esme = Peer(Role.SMSC)
    esme.session.request(Outbind(system_id="smsc"), 0.0)
    assert esme.receives() == [Outbind(sequence_number=1, system_id="smsc")]


def test_requests_out_of_place_are_answered() -> None:
    for peer, pdu, answer in (
        (Peer(Role.SMSC), SubmitSm(sequence_number=5), SubmitSmResp(5, 0x04, None)),
        (Peer(Role.SMSC).bound(BindReceiver), SubmitSm(sequence_number=5), SubmitSmResp(5, 0x04, None)),
        (Peer(Role.ESME), DeliverSm(sequence_number=5), DeliverSmResp(5, 0x04, None)),
        (Peer(Role.ESME).bound(BindTransmitter), DeliverSm(sequence_number=5), DeliverSmResp(5, 0x04, None)),
        (Peer(Role.ESME).bound(), SubmitSm(sequence_number=5), SubmitSmResp(5, 0x03, None)),
        (Peer(Role.ESME).bound(), BindTransceiver(sequence_number=5), BindTransceiverResp(5, 0x03, None)),
        (Peer(Role.SMSC).bound(), BroadcastSm(sequence_number=5), BroadcastSmResp(5, 0x03, None)),
        (Peer(Role.ESME), Unbind(sequence_number=5), UnbindResp(5, 0x04)),
        (Peer(Role.ESME), AlertNotification(sequence_number=5), GenericNack(5, 0x04)),
    ):
        before = at(peer.session)
        (event,) = peer.sends(pdu)
        assert isinstance(event, Refused)
        assert peer.receives() == [answer]
        assert (at(peer.session), peer.session.unanswered) == (before, 0)


def test_notifications_of_a_bound_smsc() -> None:
    smsc = Peer().bound(BindReceiver)
    alert = AlertNotification(sequence_number=3, source_addr="44")
    assert smsc.sends(alert) == [NotificationReceived(alert)]
    assert smsc.receives() == []


# Requests and responses


def test_request_and_response() -> None:
    smsc = Peer().bound()
    context = object()
    submit = SubmitSm(source_addr="1", short_message=b"x")
    sequence = smsc.session.request(submit, 1.0, context)
    assert sequence == 2
    assert smsc.receives() == [submit.numbered(2)]
    assert smsc.session.window.in_use == 1
    answer = SubmitSmResp(sequence_number=2, message_id="m")
    assert smsc.sends(answer, now=1.5) == [ResponseReceived(context, submit.numbered(2), answer, False, 0.5)]
    assert smsc.session.window.in_use == 0
    assert smsc.sends(answer, now=2.0) == [UnknownResponse(answer)]


def test_requests_of_the_peer() -> None:
    smsc = Peer().bound()
    deliver = DeliverSm(sequence_number=9, short_message=b"x")
    assert smsc.sends(deliver) == [RequestReceived(deliver)]
    assert smsc.receives() == []
    assert smsc.session.unanswered == 1
    assert smsc.session.respond(DeliverSmResp(sequence_number=9))
    assert smsc.receives() == [DeliverSmResp(sequence_number=9)]
    assert smsc.session.unanswered == 0


def test_octets_leave_in_one_piece_in_order() -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 0.0)
    smsc.session.request(SubmitSm(), 0.0)
    data = smsc.session.data_to_send()
    assert data == pack(SubmitSm(sequence_number=2)) + pack(SubmitSm(sequence_number=3))
    assert smsc.session.data_to_send() == b""


def test_a_full_window() -> None:
    smsc = Peer().bound()
    for _ in range(3):
        smsc.session.request(SubmitSm(), 0.0)
    smsc.receives()
    with pytest.raises(WindowFull):
        smsc.session.request(SubmitSm(), 0.0)
    assert smsc.receives() == []
    smsc.sends(SubmitSmResp(sequence_number=2))
    assert smsc.session.request(SubmitSm(), 0.0) == 5


def test_what_does_not_fit_the_wire_takes_no_slot_and_no_number() -> None:
    smsc = Peer().bound()
    with pytest.raises(EncodeError):
        smsc.session.request(SubmitSm(source_addr="1" * 30), 0.0)
    assert smsc.session.window.in_use == 0
    assert smsc.session.request(SubmitSm(), 0.0) == 2


@pytest.mark.parametrize(
    "answer",
    [
        GenericNack(sequence_number=2, command_status=3),
        SubmitSmResp(2, 0x58, None),
        SubmitSmResp(2, 0x58, ""),
    ],
)
def test_answers_that_say_no_free_the_slot(answer: SubmitSmResp) -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 0.0, "c")
    (event,) = smsc.sends(answer)
    assert isinstance(event, ResponseReceived)
    assert (event.context, event.response) == ("c", answer)
    assert smsc.session.window.in_use == 0
    assert smsc.session.counters.errors_received == {(answer.command_id, answer.command_status): 1}


def test_a_response_of_another_command_is_not_the_answer() -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 0.0)
    wrong = DeliverSmResp(sequence_number=2)
    assert smsc.sends(wrong) == [UnknownResponse(wrong)]
    assert smsc.session.window.in_use == 1
    assert isinstance(smsc.sends(SubmitSmResp(sequence_number=2))[0], ResponseReceived)


def test_expiry_and_the_late_answer() -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 1.0, "c")
    assert smsc.session.timer() == 11.0
    assert smsc.session.handle_timer(10.9) == []
    assert smsc.session.handle_timer(11.0) == [RequestExpired("c", SubmitSm(sequence_number=2))]
    assert smsc.session.window.in_use == 0
    answer = SubmitSmResp(sequence_number=2, message_id="m")
    assert smsc.sends(answer, now=15.0) == [
        ResponseReceived("c", SubmitSm(sequence_number=2), answer, late=True, elapsed=14.0)
    ]
    assert smsc.sends(answer, now=16.0) == [UnknownResponse(answer)]
    counters = smsc.session.counters
    assert (counters.expired, counters.late, counters.unknown_responses) == (1, 1, 1)


def test_a_lost_link_gives_every_request_back_once() -> None:
    smsc = Peer().bound()
    for context in "ab":
        smsc.session.request(SubmitSm(), 1.0, context)
    lost = smsc.session.connection_lost(2.0, "reset by peer")
    assert lost == [
        RequestLost("a", SubmitSm(sequence_number=2)),
        RequestLost("b", SubmitSm(sequence_number=3)),
        Closed("reset by peer"),
    ]
    assert smsc.session.closed
    assert smsc.session.window.in_use == 0
    assert smsc.session.connection_lost(3.0, "again") == []
    assert smsc.session.data_to_send() == b""
    assert smsc.session.counters.lost == 2


def test_expired_requests_are_not_lost_again() -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 1.0)
    smsc.session.handle_timer(11.0)
    assert smsc.session.connection_lost(12.0, "gone") == [Closed("gone")]


def test_a_closed_session_does_nothing() -> None:
    smsc = Peer().bound()
    smsc.session.close(1.0, "because")
    smsc.session.close(1.0, "for another reason")
    assert smsc.sends(DeliverSm(sequence_number=1)) == []
    assert smsc.session.respond(DeliverSmResp(sequence_number=1)) is False
    with pytest.raises(NotAllowed):
        smsc.session.request(SubmitSm(), 1.0)
    with pytest.raises(NotAllowed):
        smsc.session.unbind(1.0)
    assert (smsc.session.timer(), smsc.session.handle_timer(99.0)) == (None, [])
    assert smsc.receives() == []
    assert smsc.session.connection_lost(2.0, "gone") == [Closed("because")]


def test_sequence_numbers_wrap_and_step_over_those_in_use() -> None:
    smsc = Peer().bound()
    assert smsc.session.request(SubmitSm(), 0.0) == 2
    smsc.session._outbox._sequence = MAX_SEQUENCE - 1
    assert smsc.session.request(SubmitSm(), 0.0) == 0x7FFFFFFF
    assert smsc.session.request(SubmitSm(), 0.0) == 1
    smsc.sends(SubmitSmResp(sequence_number=0x7FFFFFFF))
    assert smsc.session.request(SubmitSm(), 0.0) == 3
    assert smsc.session.window.in_use == 3


# What is wrong with a PDU


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
@pytest.mark.parametrize("size", [1, 1000])
def test_bad_lengths_end_the_link(length: int, size: int) -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 0.0, "c")
    smsc.receives()
    data = struct_pack(">IIII", length, 5, 0, 99) + bytes(20)
    events = []
    for start in range(0, len(data), size):
        events += smsc.session.receive_data(data[start : start + size], 0.0)
    (refused,) = events
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, UnrecoverableError)
    assert smsc.receives() == [GenericNack(0 if length < 16 else 99, CommandStatus.ESME_RINVCMDLEN)]
    assert smsc.session.closed
    lost, closed = smsc.session.connection_lost(0.0, "done")
    assert isinstance(lost, RequestLost)
    assert isinstance(closed, Closed)
    assert closed.error is refused.error
    assert "command_length" in closed.reason


def test_pdus_before_a_bad_length_count() -> None:
    smsc = Peer().bound()
    first, second = smsc.session.receive_data(pack(DeliverSm(sequence_number=1)) + bytes(16), 0.0)
    assert isinstance(first, RequestReceived)
    assert isinstance(second, Refused)


def test_an_unknown_command_is_nacked_and_the_session_lives() -> None:
    smsc = Peer().bound()
    (event,) = smsc.session.receive_data(struct_pack(">IIII", 16, 0x777, 0, 42), 0.0)
    assert isinstance(event, Refused)
    assert smsc.receives() == [GenericNack(sequence_number=42, command_status=3)]
    assert at(smsc.session) is SessionState.BOUND_TRX
    assert len(smsc.sends(DeliverSm(sequence_number=43))) == 1
    assert smsc.session.counters.refused == 1


def test_a_malformed_request_is_answered_with_its_status_and_the_session_lives() -> None:
    smsc = Peer().bound()
    body = pack(DeliverSm(short_message=b"hello"))[16:-2]
    (event,) = smsc.session.receive_data(struct_pack(">IIII", 16 + len(body), 5, 0, 42) + body, 0.0)
    assert isinstance(event, Refused)
    assert smsc.receives() == [DeliverSmResp(sequence_number=42, command_status=1, message_id=None)]
    assert smsc.session.unanswered == 0
    assert at(smsc.session) is SessionState.BOUND_TRX


def test_a_malformed_notification_is_nacked() -> None:
    smsc = Peer()
    smsc.session.receive_data(struct_pack(">IIII", 17, CommandId.OUTBIND, 0, 42) + b"x", 0.0)
    assert smsc.receives() == [GenericNack(sequence_number=42, command_status=0x0F)]


def test_an_unknown_response_is_not_answered() -> None:
    smsc = Peer().bound()
    (event,) = smsc.session.receive_data(struct_pack(">IIII", 16, 0x80000777, 0, 42), 0.0)
    assert isinstance(event, Refused)
    assert smsc.receives() == []


def test_a_malformed_response_still_ends_its_request() -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 0.0, "c")
    smsc.receives()
    refused, received = smsc.session.receive_data(struct_pack(">IIII", 19, 0x80000004, 0, 2) + b"abc", 1.0)
    assert isinstance(refused, Refused)
    answer = SubmitSmResp(sequence_number=2, message_id="abc")
    assert received == ResponseReceived("c", SubmitSm(sequence_number=2), answer, False, 1.0)
    assert smsc.receives() == []
    assert smsc.session.window.in_use == 0


# Is the peer there?


def test_enquire_link_is_answered_in_every_state() -> None:
    for peer in (Peer(Role.ESME), Peer(Role.SMSC), Peer(Role.ESME).bound(), Peer(Role.SMSC).bound()):
        assert peer.sends(EnquireLink(sequence_number=5)) == []
        assert peer.receives() == [EnquireLinkResp(sequence_number=5)]


def test_silence_is_asked_about_and_an_answer_settles_it() -> None:
    smsc = Peer().bound(now=100.0)
    assert smsc.session.timer() == 130.0
    assert smsc.session.handle_timer(129.9) == []
    assert smsc.receives() == []
    assert smsc.session.handle_timer(130.0) == []
    assert smsc.receives() == [EnquireLink(sequence_number=2)]
    assert smsc.session.timer() == 140.0
    assert smsc.sends(EnquireLinkResp(sequence_number=2), now=131.0) == []
    assert smsc.session.timer() == 161.0
    again = EnquireLinkResp(sequence_number=2)
    assert smsc.sends(again, now=131.0) == [UnknownResponse(again)]


def test_both_of_two_enquire_links_may_be_answered() -> None:
    smsc = Peer().bound()
    smsc.session.handle_timer(30.0)
    smsc.session.handle_timer(40.0)
    assert smsc.receives() == [EnquireLink(sequence_number=2), EnquireLink(sequence_number=3)]
    assert smsc.sends(EnquireLinkResp(sequence_number=2), EnquireLinkResp(sequence_number=3), now=41.0) == []
    assert smsc.session.timer() == 71.0


def test_a_nacked_enquire_link_shows_life_too() -> None:
    smsc = Peer().bound()
    smsc.session.handle_timer(30.0)
    assert smsc.sends(GenericNack(sequence_number=2, command_status=3), now=31.0) == []
    assert smsc.session.timer() == 61.0


def test_any_pdu_puts_the_question_off() -> None:
    smsc = Peer().bound()
    smsc.sends(EnquireLink(sequence_number=1), now=20.0)
    assert smsc.session.timer() == 50.0
    smsc.session.receive_data(struct_pack(">IIII", 16, 0x777, 0, 42), 25.0)
    assert smsc.session.timer() == 55.0
    smsc.session.receive_data(b"\0\0", 28.0)
    assert smsc.session.timer() == 55.0


def test_death_after_two_misses() -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 29.0, "c")
    smsc.receives()
    smsc.session.handle_timer(30.0)
    assert smsc.receives() == [EnquireLink(sequence_number=3)]
    assert smsc.session.handle_timer(40.0) == [RequestExpired("c", SubmitSm(sequence_number=2))]
    assert smsc.receives() == [EnquireLink(sequence_number=4)]
    assert smsc.session.handle_timer(49.9) == []
    assert at(smsc.session) is SessionState.BOUND_TRX
    assert smsc.session.handle_timer(50.0) == []
    assert smsc.session.closed
    assert smsc.session.connection_lost(50.0, "x") == [Closed("enquire_link was not answered")]


def test_a_session_that_watches_nothing() -> None:
    smsc = Peer(settings=SessionSettings(enquire_link=None)).bound()
    assert smsc.session.timer() is None
    assert smsc.session.handle_timer(1e9) == []
    assert smsc.receives() == []


def test_inactivity_unbinds() -> None:
    smsc = Peer(settings=SessionSettings(inactivity=60.0, enquire_link=20.0, response_timeout=10.0)).bound()
    assert smsc.session.timer() == 20.0
    smsc.sends(EnquireLink(sequence_number=1), now=50.0)
    assert smsc.session.timer() == 60.0
    smsc.sends(DeliverSm(sequence_number=2), now=55.0)
    smsc.receives()
    assert smsc.session.timer() == 75.0
    smsc.session.handle_timer(115.0)
    assert smsc.receives() == [Unbind(sequence_number=2)]
    assert at(smsc.session) is SessionState.UNBINDING


def test_inactivity_alone() -> None:
    smsc = Peer(settings=SessionSettings(inactivity=60.0, enquire_link=None)).bound()
    smsc.session.request(SubmitSm(), 30.0)
    smsc.sends(SubmitSmResp(sequence_number=2), now=40.0)
    assert smsc.session.timer() == 100.0
    smsc.session.handle_timer(99.0)
    assert at(smsc.session) is SessionState.BOUND_TRX


# Unbinding


def test_our_unbind() -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 0.0, "c")
    smsc.session.unbind(1.0)
    assert smsc.receives() == [SubmitSm(sequence_number=2), Unbind(sequence_number=3)]
    assert at(smsc.session) is SessionState.UNBINDING
    with pytest.raises(NotAllowed):
        smsc.session.request(SubmitSm(), 1.0)
    received, answered, unbound = smsc.sends(
        DeliverSm(sequence_number=9),
        SubmitSmResp(sequence_number=2, message_id="m"),
        UnbindResp(sequence_number=3),
        DeliverSm(sequence_number=10),
    )
    assert isinstance(received, RequestReceived)
    assert isinstance(answered, ResponseReceived)
    assert unbound == Unbound()
    assert smsc.session.closed
    assert smsc.session.connection_lost(2.0, "done") == [Closed("unbound")]  # 9 is not answered


def test_what_arrives_while_we_unbind_can_be_answered() -> None:
    smsc = Peer().bound()
    smsc.session.unbind(0.0)
    smsc.receives()
    smsc.sends(DeliverSm(sequence_number=9))
    assert smsc.session.respond(DeliverSmResp(sequence_number=9))
    assert smsc.receives() == [DeliverSmResp(sequence_number=9)]
    assert at(smsc.session) is SessionState.UNBINDING


def test_a_nacked_unbind_ends_as_well() -> None:
    smsc = Peer().bound()
    smsc.session.unbind(0.0)
    assert smsc.sends(GenericNack(sequence_number=2, command_status=3)) == [Unbound()]
    assert smsc.session.closed


def test_an_unbind_that_nobody_answers() -> None:
    smsc = Peer().bound()
    smsc.session.unbind(1.0)
    assert smsc.session.timer() == 11.0
    smsc.session.handle_timer(11.0)
    assert smsc.session.connection_lost(11.0, "x") == [Closed("unbind was not answered")]


def test_the_peers_unbind() -> None:
    smsc = Peer().bound()
    assert smsc.sends(Unbind(sequence_number=9)) == [Unbound()]
    assert smsc.receives() == [UnbindResp(sequence_number=9)]
    assert smsc.session.closed
    assert smsc.session.connection_lost(0.0, "x") == [Closed("unbound by the peer", orderly=True)]


def submits_two(smsc: Peer) -> tuple[SubmitSm, SubmitSm]:
    for context in "ab":
        smsc.session.request(SubmitSm(), 0.0, context)
    smsc.receives()
    return SubmitSm(sequence_number=2), SubmitSm(sequence_number=3)


def test_the_peers_unbind_waits_for_what_it_owes_even_in_the_same_octets() -> None:
    smsc = Peer().bound()
    first, second = submits_two(smsc)
    answer = SubmitSmResp(sequence_number=2, message_id="m")
    assert smsc.sends(Unbind(sequence_number=9), answer) == [
        Unbound(),
        ResponseReceived("a", first, answer, False, 0.0),
    ]
    assert at(smsc.session) is SessionState.UNBINDING
    assert smsc.receives() == []
    with pytest.raises(NotAllowed):
        smsc.session.request(SubmitSm(), 0.0, "c")
    last = SubmitSmResp(sequence_number=3)
    assert smsc.sends(last, now=1.0) == [ResponseReceived("b", second, last, False, 1.0)]
    assert smsc.receives() == [UnbindResp(sequence_number=9)]
    assert smsc.session.closed


def test_the_peers_unbind_does_not_wait_longer_than_for_any_answer() -> None:
    smsc = Peer().bound()
    first, second = submits_two(smsc)
    smsc.sends(Unbind(sequence_number=9), now=4.0)
    assert smsc.session.timer() == 10.0
    assert smsc.session.handle_timer(10.0) == [RequestExpired("a", first), RequestExpired("b", second)]
    assert smsc.receives() == [UnbindResp(sequence_number=9)]
    assert smsc.session.connection_lost(10.0, "x") == [Closed("unbound by the peer", orderly=True)]


def test_what_a_peer_that_unbound_leaves_open_is_lost_with_the_link() -> None:
    smsc = Peer().bound()
    first, second = submits_two(smsc)
    smsc.sends(Unbind(sequence_number=9))
    assert smsc.session.connection_lost(0.0, "gone") == [
        RequestLost("a", first),
        RequestLost("b", second),
        Closed("gone"),
    ]


def test_unbinds_that_cross_wait_for_what_is_owed() -> None:
    smsc = Peer().bound()
    submits_two(smsc)
    smsc.session.unbind(0.0)
    smsc.receives()
    assert smsc.sends(Unbind(sequence_number=9)) == []
    assert smsc.receives() == []
    smsc.sends(SubmitSmResp(sequence_number=2), SubmitSmResp(sequence_number=3))
    assert smsc.receives() == [UnbindResp(sequence_number=9)]
    assert at(smsc.session) is SessionState.UNBINDING
    assert smsc.sends(UnbindResp(sequence_number=4)) == [Unbound()]


def test_the_peers_unbind_waits_for_what_we_owe() -> None:
    smsc = Peer().bound()
    events = smsc.sends(DeliverSm(sequence_number=7), DeliverSm(sequence_number=8), Unbind(sequence_number=9))
    assert events[2] == Unbound()
    assert at(smsc.session) is SessionState.UNBINDING
    assert smsc.receives() == []
    smsc.session.respond(DeliverSmResp(sequence_number=8))
    assert at(smsc.session) is SessionState.UNBINDING
    smsc.session.respond(DeliverSmResp(sequence_number=7))
    assert smsc.receives() == [
        DeliverSmResp(sequence_number=8),
        DeliverSmResp(sequence_number=7),
        UnbindResp(sequence_number=9),
    ]
    assert smsc.session.closed


def test_the_peers_unbind_does_not_wait_for_ever() -> None:
    smsc = Peer().bound()
    smsc.sends(DeliverSm(sequence_number=7), Unbind(sequence_number=9), now=1.0)
    assert smsc.session.timer() == 11.0
    smsc.session.handle_timer(11.0)
    assert smsc.receives() == [UnbindResp(sequence_number=9)]
    assert smsc.session.connection_lost(12.0, "x") == [Closed("unbound by the peer")]


def test_unbinds_that_cross() -> None:
    smsc = Peer().bound()
    smsc.session.unbind(0.0)
    smsc.receives()
    assert smsc.sends(Unbind(sequence_number=9)) == []
    assert smsc.receives() == [UnbindResp(sequence_number=9)]
    assert smsc.sends(UnbindResp(sequence_number=2)) == [Unbound()]


def test_an_unbind_repeated_while_we_owe_answers() -> None:
    smsc = Peer().bound()
    smsc.sends(DeliverSm(sequence_number=7), Unbind(sequence_number=9))
    assert smsc.sends(Unbind(sequence_number=10)) == []
    assert smsc.receives() == [UnbindResp(sequence_number=10)]


# Reading paused


def test_a_pause_stops_every_deadline() -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 1.0, "c")
    smsc.receives()
    smsc.session.pause(5.0)
    smsc.session.pause(8.0)
    assert smsc.session.timer() is None
    assert smsc.session.handle_timer(500.0) == []
    smsc.session.resume(505.0)
    smsc.session.resume(600.0)
    assert smsc.session.timer() == 511.0
    assert smsc.sends(SubmitSmResp(sequence_number=2), now=510.0) == [
        ResponseReceived("c", SubmitSm(sequence_number=2), SubmitSmResp(sequence_number=2), False, 509.0)
    ]
    assert smsc.session.timer() == 540.0


def test_a_pause_while_unbinding() -> None:
    smsc = Peer().bound()
    smsc.session.unbind(0.0)
    smsc.session.pause(5.0)
    smsc.session.resume(25.0)
    assert smsc.session.timer() == 30.0


# Counting


def test_counters() -> None:
    smsc = Peer().bound()
    smsc.session.request(SubmitSm(), 0.0)
    smsc.sends(SubmitSmResp(2, 0x58, None), DeliverSm(sequence_number=1))
    smsc.session.respond(DeliverSm(sequence_number=1).refuse(0x64))
    counters = smsc.session.counters
    assert counters.sent == {
        CommandId.BIND_TRANSCEIVER: 1,
        CommandId.SUBMIT_SM: 1,
        CommandId.DELIVER_SM_RESP: 1,
    }
    assert counters.received == {
        CommandId.BIND_TRANSCEIVER_RESP: 1,
        CommandId.SUBMIT_SM_RESP: 1,
        CommandId.DELIVER_SM: 1,
    }
    assert counters.errors_received == {(CommandId.SUBMIT_SM_RESP, 0x58): 1}
    assert counters.errors_sent == {(CommandId.DELIVER_SM_RESP, 0x64): 1}


def test_what_the_session_itself_answers_is_counted_by_command_and_status_too() -> None:
    smsc = Peer().bound()
    broken = struct_pack(">IIII", 16, CommandId.DELIVER_SM, 0, 1)
    unknown = struct_pack(">IIII", 16, 0x0BAD, 0, 2)
    smsc.session.receive_data(broken + unknown + pack(BroadcastSm(sequence_number=3)), 0.0)
    counters = smsc.session.counters
    assert counters.received[CommandId.DELIVER_SM] == counters.received[OTHER] == 1
    assert counters.received[CommandId.BROADCAST_SM] == 1
    assert counters.errors_sent == {
        (CommandId.DELIVER_SM_RESP, CommandStatus.ESME_RINVSERTYP): 1,
        (CommandId.GENERIC_NACK, CommandStatus.ESME_RINVCMDID): 1,
        (CommandId.BROADCAST_SM_RESP, CommandStatus.ESME_RINVCMDID): 1,
    }
    assert 0x0BAD not in counters.received


@pytest.mark.parametrize("command", [CommandId.BROADCAST_SM, CommandId.SUBMIT_SM, CommandId.QUERY_SM])
def test_a_broken_pdu_of_a_command_that_is_not_wanted_is_told_so_not_which_field_is_wrong(
    command: CommandId,
) -> None:
    smsc = Peer().bound()
    smsc.session.receive_data(struct_pack(">IIII", 17, command, 0, 5) + b"x", 0.0)
    (answer,) = smsc.receives()
    assert (answer.command_id, answer.sequence_number) == (command | 0x80000000, 5)
    assert answer.command_status == CommandStatus.ESME_RINVCMDID
    assert not smsc.session.closed


def test_a_broken_pdu_that_may_not_come_now_is_told_that() -> None:
    smsc = Peer().bound(BindTransmitter)
    smsc.session.receive_data(struct_pack(">IIII", 17, CommandId.DELIVER_SM, 0, 5) + b"x", 0.0)
    (answer,) = smsc.receives()
    assert answer.command_status == CommandStatus.ESME_RINVBNDSTS


def test_a_peer_that_makes_up_statuses_is_counted_in_bounded_memory() -> None:
    smsc = Peer().bound()
    for status in range(1, 2_001):
        smsc.sends(SubmitSmResp(sequence_number=9, command_status=status))
    counts = smsc.session.counters.errors_received
    assert sum(counts.values()) == 2_000
    resp = CommandId.SUBMIT_SM_RESP
    assert (len(counts), counts[resp, 1], counts[resp, OTHER]) == (257, 1, 2_000 - 256)


def test_errors_in_events_keep_no_frames_alive() -> None:
    smsc = Peer().bound()
    refused, ended = smsc.session.receive_data(struct_pack(">IIII", 17, 5, 0, 42) + bytes(17), 0.0)
    for event in (refused, ended):
        assert isinstance(event, Refused)
        assert event.error.__traceback__ is None
        assert event.error.__context__ is None


def test_settings_have_sound_defaults() -> None:
    settings = SessionSettings()
    assert (settings.window, settings.enquire_misses, settings.max_pdu) == (50, 2, 70_000)
    assert SETTINGS.window == 3
