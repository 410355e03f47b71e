"""A session on a Twisted connection."""

from typing import Protocol as Interface
from typing import cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from protocols.smpp.events import Event
from protocols.smpp.pdu import Notification, Request, Response
from protocols.smpp.session import Session
from protocols.smpp.states import BOUND, SessionState

LINGER = 5.0
"""Seconds that a closing connection gets to deliver its last octets before it is aborted."""


class Connection(Interface):
    """What I need of Twisted's TCP and TLS transports, which several of its interfaces describe."""

    def write(self, data: bytes) -> None: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...
    def setTcpNoDelay(self, enabled: bool) -> None: ...
    def registerProducer(self, producer: object, streaming: bool) -> None: ...
    def unregisterProducer(self) -> None: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...


class Handler(Interface):
    """The application behind one connection. Neither method may raise: that would cost the connection."""

    def connection_made(self, protocol: "SMPPProtocol") -> None:
        """The connection is there; an ESME binds now."""

    def event(self, event: Event) -> None:
        """Something happened; called in order, `Closed` last."""


@implementer(IPushProducer, IHandshakeListener)
class SMPPProtocol(Protocol):
    """I join one session, one TCP or TLS connection and one handler, and live as long as the connection.

    All octets of one turn of the reactor leave in one write. A peer that does not read what we answer is
    not read either, so that a flood of requests cannot fill the memory with responses.
    """

    def __init__(self, session: Session, handler: Handler, clock: IReactorTime) -> None:
        self.session = session
        self._handler = handler
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._flush: IDelayedCall | None = None
        self._abort: IDelayedCall | None = None
        self._busy = False
        self._connected = False
        self._closing = False
        self._gone = False
        self._paused = False
        self._choked = False
        self._waiting: list[Deferred[None]] = []

    # What the application calls

    def request(self, pdu: Request | Notification, context: object = None) -> int:
        """`Session.request`, sent within this turn of the reactor."""
        sequence_number = self.session.request(pdu, self._clock.seconds(), context)
        self._soon()
        return sequence_number

    def respond(self, response: Response) -> bool:
        """`Session.respond`, sent within this turn of the reactor; False when the session is closed."""
        answered = self.session.respond(response)
        self._soon()
        return answered

    def accept_bind(self, system_id: str = "") -> None:
        """SMSC: `Session.accept_bind`."""
        self.session.accept_bind(self._clock.seconds(), system_id)
        self._soon()

    def refuse_bind(self, command_status: int) -> None:
        """SMSC: `Session.refuse_bind`. The connection stays; `disconnect` ends it after the answer."""
        self.session.refuse_bind(command_status)
        self._soon()

    def unbind(self) -> "Deferred[None]":
        """Unbind if bound, else disconnect; fires when the connection is gone."""
        if self._gone:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        if self.session.state in BOUND:
            self.session.unbind(self._clock.seconds())
            self._soon()
        elif self.session.state is not SessionState.UNBINDING:
            self.disconnect("disconnected")
        return done

    def disconnect(self, reason: str) -> None:
        """Close the connection once what is queued has been written. `Closed` carries `reason`."""
        self.session.close(self._clock.seconds(), reason)
        self._soon()

    def abort(self, reason: str) -> None:
        """Reset the connection: what is queued is lost, what was written perhaps. `Closed` has `reason`."""
        self.session.close(self._clock.seconds(), reason)
        if self._connected and not self._gone:
            self._closing = True
            self._transport().abortConnection()

    def pause(self) -> None:
        """Stop reading from the peer; deadlines stand still meanwhile."""
        if not self._paused:
            self._paused = True
            self.session.pause(self._clock.seconds())
            self._set_reading()
            self._soon()

    def resume(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            self.session.resume(self._clock.seconds())
            self._set_reading()
            self._soon()

    # What Twisted calls

    def connectionMade(self) -> None:
        self._connected = True
        transport = self._transport()
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        if not ISSLTransport.providedBy(transport):
            transport.registerProducer(self, True)
        if self._paused:
            self._set_reading()
        self._handler.connection_made(self)
        self._settle()

    def handshakeCompleted(self) -> None:
        """TLS is up. Until then it could not write without reading, which a producer would have stopped."""
        if not self._closing:
            self._transport().registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        self._dispatch(self.session.receive_data(data, self._clock.seconds()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        for call in (self._timer, self._flush, self._abort):
            if call is not None and call.active():
                call.cancel()
        for event in self.session.connection_lost(self._clock.seconds(), reason.getErrorMessage()):
            self._handler.event(event)
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)

    def pauseProducing(self) -> None:
        """The peer does not read: do not read more requests from it."""
        self._choked = True
        self._set_reading()

    def resumeProducing(self) -> None:
        """The peer reads again."""
        self._choked = False
        self._set_reading()

    def stopProducing(self) -> None:
        """The transport is closing; connectionLost follows."""

    # Inside

    def _transport(self) -> Connection:
        return cast(Connection, self.transport)

    def _dispatch(self, events: list[Event]) -> None:
        self._busy = True
        try:
            for event in events:
                self._handler.event(event)
        finally:
            self._busy = False
        self._settle()

    def _soon(self) -> None:
        """Settle at the end of this turn of the reactor, whatever else happens in it."""
        if self._busy or not self._connected or self._gone:
            return
        if self._flush is None:
            self._flush = self._clock.callLater(0, self._settle)

    def _settle(self) -> None:
        """Write what is queued, close what is closed, set the timer."""
        if self._flush is not None:
            flush, self._flush = self._flush, None
            if flush.active():
                flush.cancel()
        data = self.session.data_to_send()
        if data and not self._closing:
            self._transport().write(data)
        if self.session.closed:
            self._close()
        else:
            self._set_timer()

    def _close(self) -> None:
        if self._closing:
            return
        self._closing = True
        transport = self._transport()
        transport.unregisterProducer()
        self._abort = self._clock.callLater(LINGER, transport.abortConnection)
        transport.loseConnection()

    def _set_timer(self) -> None:
        """A timer that is too early is left alone: it finds nothing due and is set anew."""
        deadline = self.session.timer()
        if deadline is None:
            return
        delay = max(0.0, deadline - self._clock.seconds())
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._clock.seconds() + delay:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._dispatch(self.session.handle_timer(self._clock.seconds()))

    def _set_reading(self) -> None:
        if self._gone or self._closing or not self._connected:
            return
        transport = self._transport()
        if self._paused or self._choked:
            transport.pauseProducing()
        else:
            transport.resumeProducing()
