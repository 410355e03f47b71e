"""SIP on Twisted: UDP, TCP and TLS, WebSocket (RFC 3261 §18, RFC 7118), with the keep-alives of RFC 5626.

A transport knows octets, not transactions: whole messages go to a `Receiver` together with the `Flow` that
they came on, and a flow takes octets back. A flow is a datagram's source, or a connection; an answer sent on
it passes every NAT that the request passed. Connections are closed when half a message waits too long, when
they are idle, and when their framing is lost; a peer that does not read is not read either.
"""

import struct
from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol as Interface
from typing import cast

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    IUDPTransport,
)
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import ProtocolError
from zope.interface import implementer

from protocols.sip.errors import FramingLost, Malformed
from protocols.sip.framing import Framer, Sign
from protocols.sip.message import MAX_MESSAGE

SUBPROTOCOL = "sip"
HALF_MESSAGE_SECONDS = 30.0
IDLE_SECONDS = 3_900.0
"""Longer than the longest registration that is usual, so that a phone that only registers keeps its flow."""

LINGER = 5.0
MAX_HANDSHAKE = 16_384

_STUN_COOKIE = 0x2112A442
_STUN_HEAD = struct.Struct(">HHI12s")
_BINDING_REQUEST, _BINDING_SUCCESS, _XOR_MAPPED_ADDRESS = 0x0001, 0x0101, 0x0020


class Flow(Interface):
    """Where a message came from and its answer goes. ``kind`` is UDP, TCP, TLS, WS or WSS."""

    @property
    def kind(self) -> str: ...
    @property
    def peer(self) -> tuple[str, int]: ...
    @property
    def local(self) -> tuple[str, int]: ...
    @property
    def reliable(self) -> bool: ...
    @property
    def open(self) -> bool: ...
    def send(self, data: bytes) -> None: ...
    def toward(self, peer: tuple[str, int]) -> "Flow": ...


class Receiver(Interface):
    """Who gets the messages. No method may raise: that would cost a connection."""

    def received(self, data: bytes, flow: Flow) -> None:
        """A whole message, not yet parsed."""

    def malformed(self, error: Malformed, flow: Flow) -> None:
        """The stream cannot be followed; it is closed after this call."""

    def flow_lost(self, flow: Flow, reason: str) -> None:
        """A connection is gone."""


class DatagramFlow:
    """One address on the other side of a UDP socket."""

    kind, reliable = "UDP", False

    def __init__(self, transport: "UDPTransport", peer: tuple[str, int]) -> None:
        self._transport = transport
        self.peer = peer

    @property
    def local(self) -> tuple[str, int]:
        """Our side."""
        return self._transport.local

    @property
    def open(self) -> bool:
        """As long as the socket is."""
        return self._transport.transport is not None

    def send(self, data: bytes) -> None:
        """One datagram."""
        self._transport.write(data, self.peer)

    def toward(self, peer: tuple[str, int]) -> "DatagramFlow":
        """From the same socket to another address."""
        return self if peer == self.peer else DatagramFlow(self._transport, peer)


class UDPTransport(DatagramProtocol):
    """I am one UDP socket. STUN binding requests are answered (RFC 5626 §8, RFC 5389), line ends ignored."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.not_sent = 0

    @property
    def local(self) -> tuple[str, int]:
        """The address that I listen on."""
        host = cast(IUDPTransport, self.transport).getHost()
        return host.host, host.port

    def flow(self, host: str, port: int) -> DatagramFlow:
        """The flow to an address."""
        return DatagramFlow(self, (host, port))

    def write(self, data: bytes, peer: tuple[str, int]) -> None:
        """Send; what the socket cannot take is lost, as on any network, and counted."""
        if self.transport is None:
            return
        try:
            self.transport.write(data, peer)
        except OSError:
            self.not_sent += 1

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        if datagram[:1] in (b"\0", b"\1"):
            answer = stun_answer(datagram, addr[0], addr[1])
            if answer is not None:
                self.write(answer, addr)
            return
        data = datagram.lstrip(b"\r\n\0 ")
        if data:
            self._receiver.received(data, DatagramFlow(self, (addr[0], addr[1])))


def stun_answer(data: bytes, host: str, port: int) -> bytes | None:
    """The answer to a STUN binding request (RFC 5389 §7.3.1), or None. IPv4 only: behind IPv6 there is no
    NAT."""
    if len(data) < _STUN_HEAD.size:
        return None
    kind, length, cookie, transaction = _STUN_HEAD.unpack_from(data)
    if kind != _BINDING_REQUEST or cookie != _STUN_COOKIE or length != len(data) - _STUN_HEAD.size:
        return None
    try:
        octets = bytes(int(part) for part in host.split("."))
    except ValueError:
        return None
    address = int.from_bytes(octets) ^ _STUN_COOKIE
    mapped = struct.pack(">HHBBHI", _XOR_MAPPED_ADDRESS, 8, 0, 1, port ^ (_STUN_COOKIE >> 16), address)
    return _STUN_HEAD.pack(_BINDING_SUCCESS, len(mapped), _STUN_COOKIE, transaction) + mapped


@implementer(IPushProducer, IHandshakeListener)
class _Connection(Protocol):
    """What TCP and WebSocket connections have in common: a flow with time limits and back-pressure."""

    reliable = True

    def __init__(self, kind: str, receiver: Receiver, clock: IReactorTime) -> None:
        self.kind = kind
        self.peer = self.local = ("", 0)
        self.open = False
        self._agreed = kind not in ("TLS", "WSS")
        self._receiver = receiver
        self._clock = clock
        self._deadline: IDelayedCall | None = None
        self._abort: IDelayedCall | None = None
        self.gone: Callable[[_Connection], None] | None = None

    def connectionMade(self) -> None:
        transport = self._tcp()
        self.peer, self.local = _host_port(transport.getPeer()), _host_port(transport.getHost())
        transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        self.open = True
        self._expect(IDLE_SECONDS)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for call in (self._deadline, self._abort):
            if call is not None and call.active():
                call.cancel()
        self.open = False
        if self.gone is not None:
            self.gone(self)
        self._receiver.flow_lost(self, reason.getErrorMessage())

    def toward(self, peer: tuple[str, int]) -> "_Connection":
        """A connection has one other side."""
        return self

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send one whole message; nothing when the connection is closed."""

    def close(self) -> None:
        """Close once what was written has been sent; at most after `LINGER`."""
        if self.open:
            self.open = False
            transport = self._tcp()
            transport.unregisterProducer()
            self._abort = self._clock.callLater(LINGER, transport.abortConnection)
            transport.loseConnection()

    def handshakeCompleted(self) -> None:
        """TLS is agreed on: from now on a write waits for the peer only."""
        self._agreed = True

    def pauseProducing(self) -> None:
        """The peer does not read: neither do we. While TLS is being agreed on, a write waits for us to
        read."""
        if self._agreed:
            self._tcp().pauseProducing()

    def resumeProducing(self) -> None:
        """The peer reads again."""
        self._tcp().resumeProducing()

    def stopProducing(self) -> None:
        """The transport is closing; connectionLost follows."""

    def _tcp(self) -> "_TCP":
        return cast("_TCP", self.transport)

    def _expect(self, seconds: float) -> None:
        """Close unless this is called again in time."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.reset(seconds)
        elif self.open:
            self._deadline = self._clock.callLater(seconds, self.close)


class _TCP(Interface):
    """What I need of Twisted's TCP and TLS transports, which several of its interfaces describe."""

    def write(self, data: bytes) -> None: ...
    def getPeer(self) -> IAddress: ...
    def getHost(self) -> IAddress: ...
    def setTcpNoDelay(self, enabled: bool) -> None: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...
    def registerProducer(self, producer: object, streaming: bool) -> None: ...
    def unregisterProducer(self) -> None: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...


def _host_port(address: IAddress) -> tuple[str, int]:
    return getattr(address, "host", ""), getattr(address, "port", 0)


class StreamConnection(_Connection):
    """A TCP or TLS connection, whoever opened it."""

    def __init__(self, kind: str, receiver: Receiver, clock: IReactorTime) -> None:
        super().__init__(kind, receiver, clock)
        self._framer = Framer()

    def send(self, data: bytes) -> None:
        """Write; nothing when the connection is closed."""
        if self.open:
            self._tcp().write(data)

    def dataReceived(self, data: bytes) -> None:
        if not self.open:
            return
        try:
            for item in self._framer.feed(data):
                if isinstance(item, bytes):
                    self._receiver.received(item, self)
                elif item is Sign.PING:
                    self.send(Sign.PONG.value)
        except FramingLost as error:
            self._receiver.malformed(error, self)
            self.close()
            return
        self._expect(HALF_MESSAGE_SECONDS if self._framer.waiting else IDLE_SECONDS)


class WebSocketConnection(_Connection):
    """A phone in a browser: one SIP message a WebSocket message (RFC 7118 §5)."""

    def __init__(self, kind: str, receiver: Receiver, clock: IReactorTime) -> None:
        super().__init__(kind, receiver, clock)
        self._websocket = WSConnection(ConnectionType.SERVER)
        self._joined = False
        self._shaken = 0
        self._message = bytearray()

    def connectionMade(self) -> None:
        super().connectionMade()
        self._expect(HALF_MESSAGE_SECONDS)

    def send(self, data: bytes) -> None:
        """One message: text where it is UTF-8, else octets."""
        if not self.open or not self._joined:
            return
        try:
            event: TextMessage | BytesMessage = TextMessage(data.decode("utf-8"))
        except UnicodeDecodeError:
            event = BytesMessage(data)
        self._tcp().write(self._websocket.send(event))

    def dataReceived(self, data: bytes) -> None:
        if not self.open:
            return
        if not self._joined:
            self._shaken += len(data)
            if self._shaken > MAX_HANDSHAKE:
                self.close()
                return
        try:
            self._websocket.receive_data(data)
            for event in self._websocket.events():
                self._on_event(event)
        except ProtocolError as error:
            self._receiver.malformed(Malformed(400, f"WebSocket: {error}"), self)
            self.close()
            return
        self._expect(IDLE_SECONDS if self._joined and not self._message else HALF_MESSAGE_SECONDS)

    def _on_event(self, event: object) -> None:
        match event:
            case Request():
                self._shake(event)
            case TextMessage() | BytesMessage():
                self._on_chunk(event)
            case Ping():
                self._write(event.response())
            case CloseConnection():
                self._write(event.response())
                self.close()

    def _shake(self, request: Request) -> None:
        if SUBPROTOCOL not in request.subprotocols:
            self._write(RejectConnection(status_code=400))
            self.close()
            return
        self._write(AcceptConnection(subprotocol=SUBPROTOCOL))
        self._joined = True

    def _on_chunk(self, event: TextMessage | BytesMessage) -> None:
        piece = event.data.encode("utf-8", "surrogateescape") if isinstance(event.data, str) else event.data
        self._message += piece
        if len(self._message) > MAX_MESSAGE:
            self._write(CloseConnection(code=1009))
            self.close()
        elif event.message_finished:
            whole = bytes(self._message)
            self._message.clear()
            if whole.strip(b"\r\n"):
                self._receiver.received(whole, self)
            elif whole == Sign.PING.value:
                self.send(Sign.PONG.value)

    def _write(self, event: AcceptConnection | RejectConnection | Pong | CloseConnection) -> None:
        if self.open:
            self._tcp().write(self._websocket.send(event))


class ConnectionFactory(Factory):
    """I accept connections of one kind, ``limit`` at once: what comes beyond is closed at once."""

    noisy = False

    def __init__(self, kind: str, receiver: Receiver, clock: IReactorTime, limit: int = 20_000) -> None:
        self._kind = kind
        self._receiver = receiver
        self._clock = clock
        self._limit = limit
        self.connections: set[_Connection] = set()

    def buildProtocol(self, addr: IAddress | None) -> _Connection | None:
        if len(self.connections) >= self._limit:
            return None
        made = WebSocketConnection if self._kind in ("WS", "WSS") else StreamConnection
        connection = made(self._kind, self._receiver, self._clock)
        connection.gone = self.connections.discard
        self.connections.add(connection)
        return connection

    def close(self) -> None:
        """Close every connection."""
        for connection in tuple(self.connections):
            connection.close()
