"""The transports: whole messages out of datagrams, streams and WebSockets, with limits of size and time."""

import struct
from typing import cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IUDPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

from protocols.sip.errors import Malformed
from protocols.sip.message import MAX_MESSAGE
from protocols.sip.transport import (
    HALF_MESSAGE_SECONDS,
    IDLE_SECONDS,
    MAX_HANDSHAKE,
    ConnectionFactory,
    Flow,
    UDPTransport,
    stun_answer,
)
from tests.unit.protocols.sip.samples import MESSAGE, RESPONSE, torture

PEER = ("192.0.2.7", 40_000)


class Wire(StringTransport):
    """A TCP connection without a socket."""

    def __init__(self) -> None:
        super().__init__(IPv4Address("TCP", "192.0.2.1", 5060), IPv4Address("TCP", *PEER))
        self.aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def abortConnection(self) -> None:
        self.aborted = True


class Datagrams:
    """A UDP socket without a network."""

    def __init__(self, error: OSError | None = None) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.error = error

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", "192.0.2.1", 5060)

    def write(self, data: bytes, peer: tuple[str, int]) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((data, peer))


class Heard:
    """A receiver that remembers."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, Flow]] = []
        self.errors: list[int] = []
        self.lost: list[Flow] = []

    def received(self, data: bytes, flow: Flow) -> None:
        self.messages.append((data, flow))

    def malformed(self, error: Malformed, flow: Flow) -> None:
        self.errors.append(error.status)

    def flow_lost(self, flow: Flow, reason: str) -> None:
        self.lost.append(flow)


def udp(heard: Heard, error: OSError | None = None) -> tuple[UDPTransport, Datagrams]:
    transport, wire = UDPTransport(heard), Datagrams(error)
    transport.transport = cast(IUDPTransport, wire)
    return transport, wire


def test_datagrams_and_their_flow() -> None:
    heard = Heard()
    transport, wire = udp(heard)
    transport.datagramReceived(b"\r\n" + MESSAGE, PEER)
    [(data, flow)] = heard.messages
    assert data == MESSAGE
    assert (flow.kind, flow.peer, flow.local, flow.reliable, flow.open) == (
        "UDP",
        PEER,
        ("192.0.2.1", 5060),
        False,
        True,
    )
    flow.send(b"answer")
    assert wire.sent == [(b"answer", PEER)]
    transport.transport = None
    flow.send(b"nothing")
    assert not flow.open
    assert len(wire.sent) == 1


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0", b"\0\0\0\0", b"  \r\n"])
def test_keep_alives_are_ignored(data: bytes) -> None:
    heard = Heard()
    transport, wire = udp(heard)
    transport.datagramReceived(data, PEER)
    assert heard.messages == []
    assert wire.sent == []


def test_stun_is_answered_with_the_address() -> None:
    transport, wire = udp(Heard())
    transport.datagramReceived(struct.pack(">HHI12s", 1, 0, 0x2112A442, b"abcdefghijkl"), PEER)
    [(answer, peer)] = wire.sent
    assert peer == PEER
    kind, length, _, transaction = struct.unpack_from(">HHI12s", answer)
    assert (kind, length, transaction) == (0x0101, 12, b"abcdefghijkl")
    port, address = struct.unpack_from(">HI", answer, 26)
    assert port ^ 0x2112 == 40_000
    assert (address ^ 0x2112A442).to_bytes(4) == bytes((192, 0, 2, 7))
    assert stun_answer(struct.pack(">HHI12s", 1, 0, 0x2112A442, b""), "2001:db8::1", 1) is None
    assert stun_answer(struct.pack(">HHI12s", 1, 9, 0x2112A442, b""), "192.0.2.1", 1) is None


def test_what_the_socket_cannot_take_is_counted() -> None:
    transport, _ = udp(Heard(), OSError("message too long"))
    transport.flow(*PEER).send(b"x" * 70_000)
    assert transport.not_sent == 1


class Link:
    """One accepted connection."""

    def __init__(self, kind: str = "TCP", limit: int = 10) -> None:
        self.heard, self.clock, self.wire = Heard(), Clock(), Wire()
        self.factory = ConnectionFactory(kind, self.heard, self.clock, limit)
        connection = self.factory.buildProtocol(None)
        assert connection is not None
        self.connection = connection
        connection.makeConnection(self.wire)

    @property
    def messages(self) -> list[bytes]:
        return [data for data, _ in self.heard.messages]


def test_a_stream() -> None:
    link = Link()
    link.connection.dataReceived(MESSAGE + b"\r\n\r\n" + RESPONSE[:10])
    link.connection.dataReceived(RESPONSE[10:])
    assert link.messages == [MESSAGE, RESPONSE]
    assert link.wire.value() == b"\r\n"
    assert link.connection.peer == PEER
    link.heard.messages[0][1].send(b"answer")
    assert link.wire.value() == b"\r\nanswer"


def test_half_a_message_does_not_wait_for_ever() -> None:
    link = Link()
    link.connection.dataReceived(MESSAGE[:20])
    link.clock.advance(HALF_MESSAGE_SECONDS - 1)
    assert link.connection.open
    link.clock.advance(1)
    assert link.wire.disconnecting
    assert not link.connection.open


def test_an_idle_stream_is_closed_late() -> None:
    link = Link()
    link.clock.advance(IDLE_SECONDS - 1)
    link.connection.dataReceived(b"\r\n\r\n")
    link.clock.advance(IDLE_SECONDS - 1)
    assert link.connection.open
    link.clock.advance(1)
    assert link.wire.disconnecting


def test_lost_framing_closes_after_the_answer() -> None:
    link = Link()
    link.connection.dataReceived(MESSAGE + torture()["ncl"] + MESSAGE)
    assert link.messages == [MESSAGE]
    assert link.heard.errors == [400]
    assert link.wire.disconnecting
    link.connection.dataReceived(MESSAGE)
    assert link.messages == [MESSAGE]
    link.connection.send(b"nothing")
    assert link.wire.value() == b""
    link.clock.advance(5)
    assert link.wire.aborted


def test_a_lost_connection_is_told_and_forgotten() -> None:
    link = Link(limit=1)
    assert link.factory.buildProtocol(None) is None
    link.connection.connectionLost()
    assert link.heard.lost == [link.connection]
    assert link.clock.getDelayedCalls() == []
    assert link.factory.buildProtocol(None) is not None


def test_a_peer_that_does_not_read_is_not_read() -> None:
    link = Link()
    producer = link.wire.producer
    assert producer is not None
    producer.pauseProducing()
    assert link.wire.producerState == "paused"
    producer.resumeProducing()
    assert link.wire.producerState == "producing"
    link.factory.close()
    assert link.wire.disconnecting


def test_while_tls_is_agreed_on_a_write_that_waits_does_not_stop_the_reading() -> None:
    """Twisted pauses whoever writes before the handshake is over; without reading it would never be."""
    link = Link("TLS")
    producer = link.wire.producer
    assert producer is not None
    producer.pauseProducing()
    assert link.wire.producerState == "producing"
    link.connection.handshakeCompleted()
    producer.pauseProducing()
    assert link.wire.producerState == "paused"


class Browser:
    """The other side of a WebSocket."""

    def __init__(self, subprotocols: list[str], kind: str = "WS") -> None:
        self.link = Link(kind)
        self.socket = WSConnection(ConnectionType.CLIENT)
        request = Request(host="example.net", target="/", subprotocols=subprotocols)
        self.link.connection.dataReceived(self.socket.send(request))

    def events(self) -> list[Event]:
        self.socket.receive_data(self.link.wire.value())
        self.link.wire.clear()
        return list(self.socket.events())

    def sends(self, event: Event) -> None:
        self.link.connection.dataReceived(self.socket.send(event))


def joined() -> Browser:
    browser = Browser(["other", "sip"])
    [accepted] = browser.events()
    assert isinstance(accepted, AcceptConnection)
    assert accepted.subprotocol == "sip"
    return browser


def test_a_websocket() -> None:
    browser = joined()
    browser.sends(TextMessage(MESSAGE.decode()[:30], message_finished=False))
    browser.sends(TextMessage(MESSAGE.decode()[30:]))
    browser.sends(BytesMessage(torture()["mpart01"]))
    browser.sends(TextMessage("\r\n"))
    assert browser.link.messages == [MESSAGE, torture()["mpart01"]]
    browser.sends(Ping(b"x"))
    flow = browser.link.heard.messages[0][1]
    flow.send(RESPONSE)
    flow.send(b"\xff")
    _pong, text, octets = browser.events()
    assert isinstance(text, TextMessage)
    assert text.data.encode() == RESPONSE
    assert isinstance(octets, BytesMessage)
    browser.sends(CloseConnection(1000))
    assert browser.link.wire.disconnecting


@pytest.mark.parametrize("ping", [TextMessage("\r\n\r\n"), BytesMessage(b"\r\n\r\n")])
def test_a_keep_alive_by_websocket_is_answered(ping: Event) -> None:
    browser = joined()
    browser.sends(ping)
    [pong] = browser.events()
    assert isinstance(pong, TextMessage)
    assert pong.data == "\r\n"
    assert browser.link.heard.messages == []
    browser.sends(TextMessage("\r\n"))
    assert browser.events() == []


def test_a_websocket_that_speaks_something_else() -> None:
    browser = Browser(["chat"])
    browser.link.heard.messages.clear()
    [rejected, *_] = browser.events()
    assert isinstance(rejected, RejectConnection)
    assert rejected.status_code == 400
    assert browser.link.wire.disconnecting


def test_limits_of_websockets() -> None:
    browser = joined()
    for _ in range(3):
        browser.sends(BytesMessage(bytes(MAX_MESSAGE // 2), message_finished=False))
    assert browser.link.wire.disconnecting
    assert browser.link.messages == []
    flood = Link("WSS")
    flood.connection.send(b"before it was joined")
    flood.connection.dataReceived(b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HANDSHAKE)
    assert flood.wire.disconnecting
    assert flood.wire.value() == b""
    nonsense = Link("WS")
    nonsense.connection.dataReceived(b"nonsense\r\n\r\n")
    assert nonsense.wire.disconnecting
    assert nonsense.heard.errors == [400]


def test_a_handshake_that_does_not_end() -> None:
    link = Link("WS")
    link.clock.advance(HALF_MESSAGE_SECONDS)
    assert link.wire.disconnecting
