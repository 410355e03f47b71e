"""One bind: it comes back, it pauses, it keeps to its rate, it counts."""

from random import Random
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from edge.binds import Backoff, Bind, BindKind, bind_names
from edge.config import Secret, UpstreamConfig
from protocols.smpp import events
from protocols.smpp.codec import Framer, pack, unpack
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import (
    BindTransceiver,
    DeliverSm,
    DeliverSmResp,
    Pdu,
    Response,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from tests.deferreds import pending, success
from tests.unit.edge.conftest import Time


class Transport(StringTransport):
    """TCP without a network."""

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "127.0.0.1", 2775))
        self.aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """As TCP has it."""

    def abortConnection(self) -> None:
        self.aborted = True


class Endpoint:
    """Connects when the test says so."""

    def __init__(self) -> None:
        self.tries: list[tuple[Any, Deferred[Any]]] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        self.tries.append((factory, Deferred()))
        return self.tries[-1][1]


class Owner:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.events: list[events.Event] = []

    def bind_up(self, bind: Bind) -> None:
        self.told.append("up")

    def bind_down(self, bind: Bind) -> None:
        self.told.append("down")

    def bind_event(self, bind: Bind, event: events.Event) -> None:
        self.events.append(event)

    def bind_resumed(self, bind: Bind) -> None:
        self.told.append("resumed")


class Rig:
    """A bind whose SMSC is the test."""

    def __init__(self, **changes: Any) -> None:
        self.time, self.endpoint, self.owner = Time(), Endpoint(), Owner()
        self.config = UpstreamConfig(
            name="up", port=2775, system_id="us", password=Secret("hunter2"), window=10, **changes
        )
        self.bind = Bind(
            "up/transceiver",
            BindKind.TRANSCEIVER,
            self.config,
            self.endpoint,  # type: ignore[arg-type]
            self.time,
            Random(1),
            self.owner,
        )
        self.bind.start()

    def connect(self, status: int = 0) -> None:
        """TCP comes up and the SMSC answers the bind."""
        factory, connected = self.endpoint.tries[-1]
        self.protocol = factory.buildProtocol(None)
        self.transport = Transport()
        self.protocol.makeConnection(self.transport)
        connected.callback(self.protocol)
        (asked,) = self.sent()
        assert isinstance(asked, BindTransceiver)
        if status:
            self.receive(asked.refuse(status))
        else:
            self.receive(asked.response_class(sequence_number=asked.sequence_number, system_id="smsc"))

    def receive(self, pdu: Pdu) -> None:
        self.protocol.dataReceived(pack(pdu))

    def sent(self) -> list[Pdu]:
        self.time.advance(0)
        found = [unpack(octets) for octets in Framer().feed(self.transport.value())]
        self.transport.clear()
        return found

    def lose(self) -> None:
        from twisted.internet.error import ConnectionLost
        from twisted.python.failure import Failure

        self.protocol.connectionLost(Failure(ConnectionLost()))

    def answer(self, pdu: Pdu, status: int) -> None:
        assert isinstance(pdu, SubmitSm)
        response: Response = pdu.refuse(status)
        self.receive(response)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_backoff_doubles_up_to_its_limit_with_jitter() -> None:
    backoff = Backoff(1.0, 60.0, Random(1))
    waits = [backoff.next() for _ in range(10)]
    for number, wait in enumerate(waits):
        whole = min(60.0, 2.0**number)
        assert whole / 2 <= wait <= whole
    assert len(set(waits)) == len(waits)
    backoff.reset()
    assert backoff.next() <= 1.0


def test_names() -> None:
    def named(**changes: Any) -> list[str]:
        config = UpstreamConfig(name="c", port=1, system_id="x", password=Secret(""), **changes)
        return [name for name, _ in bind_names(config)]

    assert named() == ["c/transceiver"]
    assert named(binds=2) == ["c/transceiver/1", "c/transceiver/2"]
    assert named(bind="transmitter_receiver") == ["c/transmitter", "c/receiver"]
    assert named(bind="transmitter_receiver", binds=2) == [
        "c/transmitter/1",
        "c/receiver/1",
        "c/transmitter/2",
        "c/receiver/2",
    ]


def test_it_binds_and_binds_again_later_each_time(rig: Rig) -> None:
    assert rig.bind.free == 0
    rig.connect()
    assert (rig.bind.free, rig.bind.transmits, rig.owner.told) == (10, True, ["up"])
    rig.lose()
    assert (rig.bind.free, rig.owner.told) == (0, ["up", "down"])
    for number in range(7):
        assert len(rig.endpoint.tries) == number + 1
        rig.time.advance(min(60.0, 2.0**number))
        assert len(rig.endpoint.tries) == number + 2
        rig.connect(CommandStatus.ESME_RALYBND)
        rig.lose()
    rig.time.advance(60.0)
    rig.connect()
    assert rig.owner.told[-1] == "up"
    snapshot = rig.bind.snapshot()
    assert snapshot.reconnects == 8
    assert snapshot.pdus_in == {
        ("bind_transceiver_resp", "ESME_RALYBND"): 7,
        ("bind_transceiver_resp", "ESME_ROK"): 2,
    }
    assert snapshot.pdus_out == {("bind_transceiver", "ESME_ROK"): 9}


def test_a_pause_grows_lasts_over_a_reconnect_and_ends_when_something_is_taken(rig: Rig) -> None:
    rig.connect()
    pauses = []
    for _ in range(3):
        rig.bind.throttled(CommandStatus.ESME_RTHROTTLED)
        rig.bind.throttled(CommandStatus.ESME_RTHROTTLED)
        rig.bind.accepted()  # it was on its way before
        assert (rig.bind.free, rig.bind.paused, rig.bind.rate_wait) == (0, True, None)
        ends = rig.bind._pause
        assert ends is not None
        pauses.append(ends.getTime() - rig.time.seconds())
        rig.time.advance(pauses[-1])
        assert rig.bind.free == 10
    for number, pause in enumerate(pauses):
        assert 0.125 <= pause / 2**number <= 0.25
    assert rig.owner.told.count("resumed") == 3
    rig.bind.throttled(CommandStatus.ESME_RMSGQFUL)
    rig.lose()
    rig.time.advance(0.9)
    rig.connect()
    assert rig.bind.paused
    assert rig.bind.free == 0
    rig.time.advance(3.0)
    assert rig.bind.free == 10
    rig.bind.accepted()
    rig.bind.throttled(CommandStatus.ESME_RTHROTTLED)
    rig.time.advance(0.25)
    assert rig.bind.free == 10
    assert rig.bind.snapshot().throttles == 8


def test_a_rate_of_its_own() -> None:
    rig = Rig(bind_rate=2.0, bind_burst=3)
    rig.connect()
    assert rig.bind.free == 3
    rig.bind.reserve(3)
    assert (rig.bind.reserved, rig.bind.free) == (3, 0)
    wait = rig.bind.rate_wait
    assert wait == pytest.approx(0.5)
    rig.time.advance(0.5)
    assert rig.bind.free == 1
    rig.bind.reserve(7)
    assert rig.bind.rate_wait is None  # it is the window now


def test_what_it_counts(rig: Rig) -> None:
    rig.connect()
    for _ in range(3):
        rig.bind.request(SubmitSm(short_message=b"x"), None)
    assert rig.bind.snapshot().window_in_use == 3
    one, two, three = rig.sent()
    rig.time.advance(0.2)
    rig.answer(one, 0)
    rig.answer(two, CommandStatus.ESME_RTHROTTLED)
    rig.receive(DeliverSm(sequence_number=7))
    rig.bind.respond(
        rig.bind.link, DeliverSmResp(sequence_number=7, command_status=CommandStatus.ESME_RX_T_APPN)
    )
    rig.lose()
    rig.time.advance(1.0)
    rig.connect()
    snapshot = rig.bind.snapshot()
    assert (snapshot.state, snapshot.kind, snapshot.window, snapshot.lost) == (
        "bound_trx",
        "transceiver",
        10,
        1,
    )
    assert snapshot.pdus_in["submit_sm_resp", "ESME_ROK"] == 1
    assert snapshot.pdus_in["submit_sm_resp", "ESME_RTHROTTLED"] == 1
    assert snapshot.pdus_in["deliver_sm", "ESME_ROK"] == 1
    assert snapshot.pdus_out["deliver_sm_resp", "ESME_RX_T_APPN"] == 1
    assert snapshot.pdus_out["submit_sm", "ESME_ROK"] == 3
    assert sum(snapshot.response_seconds) == 2
    assert snapshot.response_seconds_sum == pytest.approx(0.4)
    assert three.sequence_number == two.sequence_number + 1


def test_a_bind_that_the_smsc_has_forgotten_is_ended_in_order_and_made_anew() -> None:
    rig = Rig()
    rig.connect()
    rig.bind.request(SubmitSm(), "one")
    rig.bind.request(SubmitSm(), "two")
    _, two = rig.sent()
    for _ in range(2):
        rig.bind.rebind(CommandStatus.ESME_RINVBNDSTS)
    (unbind,) = rig.sent()
    assert isinstance(unbind, Unbind)
    assert rig.bind.free == 0
    rig.answer(two, 0)
    assert isinstance(rig.owner.events[-1], events.ResponseReceived)
    rig.receive(UnbindResp(unbind.sequence_number, CommandStatus.ESME_RINVBNDSTS))
    rig.lose()
    assert rig.owner.told == ["up", "down"]
    rig.time.advance(1.0)
    rig.connect()
    assert rig.bind.transmits


def test_what_the_session_answers_by_itself_and_what_answers_nothing_is_counted_as_what_it_is() -> None:
    rig = Rig()
    rig.connect()
    broken = bytearray(pack(DeliverSm(sequence_number=3)))
    broken[-1] = 9  # sm_length, beyond the end
    rig.protocol.dataReceived(bytes(broken))
    rig.protocol.dataReceived((16).to_bytes(4) + (0x0BAD).to_bytes(4) + bytes(4) + (4).to_bytes(4))
    rig.receive(SubmitSmResp(sequence_number=99, command_status=CommandStatus.ESME_RSYSERR))
    snapshot = rig.bind.snapshot()
    assert snapshot.pdus_out == {
        ("bind_transceiver", "ESME_ROK"): 1,
        ("deliver_sm_resp", "ESME_RINVMSGLEN"): 1,
        ("generic_nack", "ESME_RINVCMDID"): 1,
    }
    assert snapshot.pdus_in == {
        ("bind_transceiver_resp", "ESME_ROK"): 1,
        ("deliver_sm", "ESME_ROK"): 1,
        ("submit_sm_resp", "ESME_RSYSERR"): 1,
        ("unknown", "ESME_ROK"): 1,
    }
    assert (snapshot.refused, snapshot.unknown_responses) == (2, 1)


def test_a_quiet_link_is_unbound_where_it_is_set_so() -> None:
    rig = Rig(inactivity_seconds=5.0)
    rig.connect()
    rig.time.advance(5.0)
    assert [type(pdu).__name__ for pdu in rig.sent()] == ["Unbind"]


def test_a_stopped_bind_stays_down(rig: Rig) -> None:
    rig.connect()
    rig.bind.throttled(CommandStatus.ESME_RTHROTTLED)
    rig.bind.stop()
    rig.lose()
    rig.time.advance(3_600.0)
    assert len(rig.endpoint.tries) == 1
    assert rig.time.getDelayedCalls() == []


def test_a_bind_that_is_started_while_it_ends_has_one_link_at_a_time(rig: Rig) -> None:
    rig.connect()
    stopped = rig.bind.stop()
    (unbind,) = rig.sent()
    rig.bind.start()
    assert len(rig.endpoint.tries) == 1
    pending(stopped)
    rig.receive(UnbindResp(sequence_number=unbind.sequence_number))
    rig.lose()
    assert success(stopped) is None
    assert rig.bind.orderly
    rig.time.advance(rig.config.reconnect_max_seconds)
    assert len(rig.endpoint.tries) == 2


def test_a_link_that_breaks_is_not_in_order(rig: Rig) -> None:
    rig.connect()
    rig.lose()
    assert not rig.bind.orderly


def test_the_password_is_in_no_log(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    rig.connect()
    rig.lose()
    rig.time.advance(1.0)
    rig.connect(CommandStatus.ESME_RINVPASWD)
    rig.lose()
    said = capsys.readouterr()
    assert "bind_refused" in said.out + said.err
    assert "hunter2" not in said.out + said.err + repr(rig.config) + repr(rig.bind.snapshot())
