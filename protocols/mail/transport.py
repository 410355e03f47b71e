"""Sessions of SMTP and LMTP on Twisted connections, with limits of time and number."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from typing import Protocol as Interface

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from protocols.mail import smtp, smtp_server
from protocols.mail.smtp import Client, Reply, Verdict
from protocols.mail.smtp_server import Close, Mail, Session, Settings, State, Take

COMMAND_SECONDS = 300.0  # RFC 5321 §4.5.3.2: the server's least, and the client's for most answers
DATA_SECONDS = 600.0  # for a whole mail, however slowly it comes
END_SECONDS = 600.0  # for the answer to the final dot
LINGER = 5.0


class Receiver(Interface):
    """Who takes the mails. No method may raise."""

    def accepts(self, recipient: str) -> Reply | None:
        """Is it one of ours? None, or why not."""

    def take(self, mail: Mail, peer: str) -> Deferred[Sequence[Reply]]:
        """What became of a mail that came from this address, for each recipient; it never fails."""


class ServerProtocol(Protocol):
    """I am one client's connection.

    Nothing more is read while a mail is being taken, nor from a client that does not read our answers: they
    would fill the memory.
    """

    def __init__(self, factory: "ServerFactory", peer: str) -> None:
        self._factory = factory
        self._peer = peer
        self._session = Session(factory.settings, factory.receiver.accepts)
        self._timer: IDelayedCall | None = None
        self._gone = False
        self._full = False

    def connectionMade(self) -> None:
        """See `twisted.internet.protocol.Protocol`."""
        transport: Any = self.transport
        transport.registerProducer(self, True)
        self._factory.open.add(self)
        self._act(self._session.begin())

    def pauseProducing(self) -> None:
        """See `twisted.internet.interfaces.IPushProducer`: the client does not read."""
        self._full = True
        self._read_or_not()

    def resumeProducing(self) -> None:
        """It does again."""
        self._full = False
        self._read_or_not()

    def stopProducing(self) -> None:
        """It is gone, of which `connectionLost` tells."""

    def _read_or_not(self) -> None:
        transport: Any = self.transport
        if self._full or self._session.state is State.TAKING:
            transport.pauseProducing()
        elif not self._gone:
            transport.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        """See `twisted.internet.protocol.Protocol`."""
        if self._session.state is not State.CLOSED:
            self._act(self._session.receive(data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `twisted.internet.protocol.Protocol`."""
        self._gone = True
        self._stop_timer()
        self._factory.lost(self, self._peer)

    def say_goodbye(self) -> None:
        """The server stops: a mail that is being taken is answered, all else ends now."""
        if self._session.state is not State.TAKING:
            self._act(self._session.close(421, "4.3.2 Shutting down"))

    def _act(self, actions: Sequence[smtp_server.Action]) -> None:
        transport: Any = self.transport
        for action in actions:
            match action:
                case smtp_server.Send(octets):
                    transport.write(octets)
                case smtp_server.StartTLS():
                    transport.startTLS(self._factory.tls)
                    self._session.encrypted()
                case Take(mail):
                    self._read_or_not()
                    self._factory.receiver.take(mail, self._peer).addCallback(self._taken)
                case Close():
                    transport.unregisterProducer()
                    transport.loseConnection()
        if actions:
            self._set_timer()

    def _taken(self, replies: Sequence[Reply]) -> None:
        if self._gone:
            return
        self._act(self._session.answer(replies))
        self._read_or_not()
        if self._factory.stopping:
            self.say_goodbye()

    def _set_timer(self) -> None:
        """Steps forward count, not octets: who sends one a minute gets nowhere either."""
        self._stop_timer()
        seconds = {State.COMMAND: COMMAND_SECONDS, State.DATA: DATA_SECONDS, State.CLOSED: LINGER}
        if self._session.state in seconds and not self._gone:
            self._timer = self._factory.clock.callLater(seconds[self._session.state], self._too_slow)

    def _too_slow(self) -> None:
        self._timer = None
        if self._session.state is State.CLOSED:
            transport: Any = self.transport
            transport.abortConnection()
        else:
            self._act(self._session.close(421, "4.4.2 Too slow"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Turned(Protocol):
    """One connection too many: told so, and closed."""

    def __init__(self, text: str) -> None:
        self._text = text

    def connectionMade(self) -> None:
        """See `twisted.internet.protocol.Protocol`."""
        transport: Any = self.transport
        transport.write(f"421 {self._text}\r\n".encode())
        transport.loseConnection()


class ServerFactory(Factory):
    """I make the connections of one listener: at most ``most`` at a time, ``most_of_one`` from one address.

    ``tls`` is a context factory, None without STARTTLS.
    """

    noisy = False

    def __init__(
        self,
        settings: Settings,
        receiver: Receiver,
        clock: IReactorTime,
        tls: Any = None,
        most: int = 200,
        most_of_one: int = 20,
    ) -> None:
        self.settings = settings
        self.receiver = receiver
        self.clock = clock
        self.tls = tls
        self.stopping = False
        self.open: set[ServerProtocol] = set()
        self._most = most
        self._most_of_one = most_of_one
        self._by_peer: Counter[str] = Counter()

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See `twisted.internet.protocol.Factory`."""
        peer = str(getattr(addr, "host", ""))
        if self.stopping:
            return _Turned(f"{self.settings.hostname} 4.3.2 Shutting down")
        if self._by_peer.total() >= self._most or self._by_peer[peer] >= self._most_of_one:
            return _Turned(f"{self.settings.hostname} 4.7.0 Too many connections")
        self._by_peer[peer] += 1
        return ServerProtocol(self, peer)

    def lost(self, protocol: ServerProtocol, peer: str) -> None:
        """A connection is gone."""
        self.open.discard(protocol)
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]

    def stop(self) -> None:
        """Take nothing new, and let go of whoever waits for nothing."""
        self.stopping = True
        for protocol in list(self.open):
            protocol.say_goodbye()


class ClientProtocol(Protocol):
    """I carry one `Client`; ``done`` fires with its verdict, and never fails.

    Who cancels it ends the session: a mail that nobody waits for any more must not arrive all the same, to be
    sent once more.

    ``tls_options`` makes a TLS side once STARTTLS is agreed on.
    """

    def __init__(self, client: Client, clock: IReactorTime, tls_options: Callable[[], Any]) -> None:
        self.done: Deferred[Verdict] = Deferred(self._cancelled)
        self._client = client
        self._clock = clock
        self._tls_options = tls_options
        self._verdict: Verdict | None = None
        self._heard = False  # since it is as encrypted as it is
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """The server speaks first."""
        self._set_timer()

    def dataReceived(self, data: bytes) -> None:
        """See `twisted.internet.protocol.Protocol`."""
        if self._verdict is None:
            self._heard = True
            self._act(self._client.receive(data))
            self._set_timer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `twisted.internet.protocol.Protocol`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._verdict is None:
            # Once it has spoken TLS has not failed: another try in the clear might bring the mail twice.
            unheard = not self._heard and reason.check(SSL.Error, VerificationError)
            outcome = "tls_failed" if unheard else "connection_lost"
            self._settle(Verdict(outcome, None, False, self._client.stage.name.lower()))

    def _act(self, actions: Sequence[smtp.Action]) -> None:
        transport: Any = self.transport
        for action in actions:
            match action:
                case smtp.Send(octets):
                    transport.write(octets)
                case smtp.StartTLS():
                    transport.startTLS(self._tls_options())
                    self._heard = False
                    self._act(self._client.encrypted())  # it leaves once the handshake is done
                case Verdict():
                    self._settle(action)
                    transport.loseConnection()

    def _cancelled(self, _: object) -> None:
        self._verdict = Verdict("cancelled", None, False, self._client.stage.name.lower())
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def _settle(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self.done.callback(verdict)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        seconds = END_SECONDS if self._client.in_doubt else COMMAND_SECONDS
        self._timer = self._clock.callLater(seconds if self._verdict is None else LINGER, self._too_slow)

    def _too_slow(self) -> None:
        self._timer = None
        if self._verdict is None:
            self._settle(Verdict("timeout", None, False, self._client.stage.name.lower()))
        transport: Any = self.transport
        transport.abortConnection()
