"""An SMSC that does exactly what a test tells it, right or wrong.

It stands on the codec alone, without a session: so it can answer late, twice, under a sequence number that
nobody used, or not at all, and send octets that are no PDU.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from edge.simulator.waiting import Arrivals
from protocols.smpp.codec import Framer, pack, unpack
from protocols.smpp.errors import CommandStatus, SMPPError
from protocols.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    EnquireLink,
    Pdu,
    Request,
    Response,
    SubmitSm,
    SubmitSmResp,
    Unbind,
)

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 10.0
BINDS = (BindTransceiver, BindReceiver, BindTransmitter)
HIGHEST_SEQUENCE = 0x7FFFFFFF

P = TypeVar("P", bound=Pdu)
Answer = Callable[[Request], Response | None]


def hold_all(request: Request) -> Response | None:
    """Answer nothing: the test does."""
    return None


def accept_all(request: Request) -> Response | None:
    """Answer every request with ESME_ROK; a submit_sm gets its sequence number in hex as its message id."""
    if isinstance(request, SubmitSm):
        return SubmitSmResp(
            sequence_number=request.sequence_number, message_id=f"{request.sequence_number:x}"
        )
    return _yes(request)


class FakeLink(Protocol):
    """One connection of an ESME. ``received`` holds every PDU, ``errors`` what could not be read."""

    def __init__(self, smsc: "FakeSMSC", clock: IReactorTime) -> None:
        self.errors: list[SMPPError] = []
        self.bind: Request | None = None
        self.closed = False
        self._smsc = smsc
        self._framer = Framer()
        self._arrivals: Arrivals[Pdu] = Arrivals(clock)
        self._taken: set[int] = set()
        self._sequence = 0

    @property
    def received(self) -> list[Pdu]:
        """Every PDU that came, those answered by themselves too."""
        return self._arrivals.seen

    # -- the script -------------------------------------------------------------------------------

    def await_pdu(self, kind: type[P], seconds: float = PATIENCE_SECONDS) -> Deferred[P]:
        """The next PDU of this class that no earlier call was given, already here or to come."""
        waiting = self._arrivals.until(
            lambda seen: self._next(kind) is not None, f"a {kind.__name__}", seconds
        )
        return waiting.addCallback(lambda seen: self._take(kind))

    def await_pdus(self, kind: type[P], count: int, seconds: float = PATIENCE_SECONDS) -> Deferred[list[P]]:
        """All PDUs of this class so far, as soon as there are ``count`` of them; none of them is taken."""
        waiting = self._arrivals.until(
            lambda seen: sum(isinstance(pdu, kind) for pdu in seen) >= count,
            f"{count} × {kind.__name__}",
            seconds,
        )
        return waiting.addCallback(lambda seen: [pdu for pdu in seen if isinstance(pdu, kind)])

    def await_closed(self, seconds: float = PATIENCE_SECONDS) -> Deferred[list[Pdu]]:
        """Everything that came, once the connection is gone, whoever ended it."""
        return self._arrivals.until(lambda seen: self.closed, "the end of the connection", seconds)

    def send_pdu(self, pdu: Pdu) -> int:
        """Send any PDU; a request without a sequence number gets the next one. Its sequence number."""
        if pdu.sequence_number == 0 and not isinstance(pdu, Response):
            self._sequence = self._sequence % HIGHEST_SEQUENCE + 1
            pdu = pdu.numbered(self._sequence)
        self.send_octets(pack(pdu))
        return pdu.sequence_number

    def send_octets(self, octets: bytes) -> None:
        """Send anything at all."""
        if self.transport is not None:
            self.transport.write(octets)

    def respond(self, request: Request, command_status: int = CommandStatus.ESME_ROK, **fields: Any) -> None:
        """Answer a request, now or late, once or twice; with an error status without a body."""
        if command_status != CommandStatus.ESME_ROK:
            self.send_pdu(request.refuse(command_status))
        else:
            self.send_pdu(_yes(request, **fields))

    def cut(self) -> None:
        """Reset the connection: what was not read yet by the ESME is lost."""
        cast(ITCPTransport, self.transport).abortConnection()

    def close(self) -> None:
        """Close the connection in order, without an unbind."""
        cast(ITCPTransport, self.transport).loseConnection()

    # -- the connection ---------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """See IProtocol."""
        cast(ITCPTransport, self.transport).setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """See IProtocol."""
        try:
            for octets in self._framer.feed(data):
                self._received(octets)
        except SMPPError as error:
            self.errors.append(error)
            self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See IProtocol."""
        self.closed = True
        self._arrivals.check()

    def _received(self, octets: bytes) -> None:
        try:
            pdu = unpack(octets)
        except SMPPError as error:
            self.errors.append(error)
            return
        if isinstance(pdu, Request):
            answer = self._answer(pdu)
            if answer is not None:
                self.send_pdu(answer)
        self._arrivals.add(pdu)
        if isinstance(pdu, BINDS):
            self.bind = pdu
            self._smsc._bound(self)

    def _answer(self, request: Request) -> Response | None:
        smsc = self._smsc
        if isinstance(request, BINDS):
            return self._answer_bind(request)
        if isinstance(request, EnquireLink):
            return accept_all(request) if smsc.answer_enquire_link else None
        if isinstance(request, Unbind):
            return accept_all(request) if smsc.answer_unbind else None
        return smsc.answer(request)

    def _answer_bind(self, request: Request) -> Response | None:
        status = self._smsc.bind_status
        if status is None:
            return None
        if status != CommandStatus.ESME_ROK:
            return request.refuse(status)
        return _yes(request, system_id="fake")

    def _next(self, kind: type[P]) -> int | None:
        for index, pdu in enumerate(self._arrivals.seen):
            if index not in self._taken and isinstance(pdu, kind):
                return index
        return None

    def _take(self, kind: type[P]) -> P:
        index = self._next(kind)
        assert index is not None
        self._taken.add(index)
        return cast(P, self._arrivals.seen[index])


class FakeSMSC:
    """I listen on loopback and hand out the links of those who bind.

    ``bind_status`` answers binds (None: not at all), ``answer`` all other requests: `hold_all` leaves them to
    the test, `accept_all` says yes. enquire_link and unbind are answered unless switched off.
    """

    def __init__(self, reactor: Any, answer: Answer = hold_all) -> None:
        self.answer = answer
        self.bind_status: int | None = CommandStatus.ESME_ROK
        self.answer_enquire_link = True
        self.answer_unbind = True
        self.links: list[FakeLink] = []
        self.port = 0
        self._reactor = reactor
        self._listening: Any = None
        self._bindings: Arrivals[FakeLink] = Arrivals(reactor)
        self._handed_out = 0

    def start(self) -> int:
        """Listen; the port. A second start takes the same port again."""
        factory = Factory.forProtocol(self._link)
        self._listening = self._reactor.listenTCP(self.port, factory, interface=LOOPBACK)
        self.port = self._listening.getHost().port
        return self.port

    async def stop(self) -> None:
        """Stop listening and reset every link."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await listening.stopListening()
        for link in self.links:
            if not link.closed:
                link.cut()
                await link.await_closed()

    def await_bind(self, seconds: float = PATIENCE_SECONDS) -> Deferred[FakeLink]:
        """The next link on which a bind was asked for (and answered, unless ``bind_status`` is None)."""
        wanted = self._handed_out
        self._handed_out += 1
        waiting = self._bindings.until(lambda seen: len(seen) > wanted, f"bind {wanted + 1}", seconds)
        return waiting.addCallback(lambda seen: seen[wanted])

    def _link(self) -> FakeLink:
        link = FakeLink(self, self._reactor)
        self.links.append(link)
        return link

    def _bound(self, link: FakeLink) -> None:
        self._bindings.add(link)


def _yes(request: Request, **fields: Any) -> Response:
    response_class: Any = request.response_class
    response: Response = response_class(sequence_number=request.sequence_number, **fields)
    return response
