"""An ESME on a real socket, made of the project's own session: what it receives can be awaited."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from edge.simulator.waiting import Arrivals
from protocols.smpp import events
from protocols.smpp.pdu import BindTransceiver, Request
from protocols.smpp.session import Role, Session, SessionSettings
from protocols.smpp.transport import SMPPProtocol

E = TypeVar("E")
PATIENCE_SECONDS = 10.0
SETTINGS = SessionSettings()


class Esme:
    """I bind as a transceiver and answer deliver_sm with ``status`` (None: not at all)."""

    def __init__(self, status: int | None = 0, settings: SessionSettings = SETTINGS) -> None:
        self.status = status
        self.protocol: SMPPProtocol
        self._settings = settings
        self._clock: Any = reactor
        self._events: Arrivals[events.Event] = Arrivals(self._clock)

    async def bind(self, port: int, system_id: str = "trunk", password: str = "secret") -> "Esme":
        """Connect, ask to be bound, and wait for the answer."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        await endpoint.connect(Factory.forProtocol(self._build))
        self.protocol.request(BindTransceiver(system_id=system_id, password=password))
        await self.until(events.Bound | events.BindRefused)
        return self

    async def until(
        self, kind: Any, count: int = 1, wanted: Callable[[Any], bool] = lambda event: True
    ) -> list[Any]:
        """At least ``count`` events of this class."""

        def fitting() -> list[Any]:
            return [event for event in self._events.seen if isinstance(event, kind) and wanted(event)]

        await self._events.until(lambda _: len(fitting()) >= count, f"{count} × {kind}", PATIENCE_SECONDS)
        return fitting()

    async def requests(self, kind: type[E], count: int = 1) -> list[E]:
        """At least ``count`` requests of the SMSC."""
        found = await self.until(events.RequestReceived, count, lambda event: isinstance(event.pdu, kind))
        return [event.pdu for event in found]

    def abort(self) -> None:
        """Reset the connection."""
        cast(Any, self.protocol.transport).abortConnection()

    def connection_made(self, protocol: SMPPProtocol) -> None:
        """See `protocols.smpp.transport.Handler`."""
        self.protocol = protocol

    def event(self, event: events.Event) -> None:
        """See `protocols.smpp.transport.Handler`."""
        if isinstance(event, events.RequestReceived) and self.status is not None:
            self.protocol.respond(_answer(event.pdu, self.status))
        self._events.add(event)

    def _build(self) -> SMPPProtocol:
        session = Session(Role.ESME, self._settings, self._clock.seconds())
        return SMPPProtocol(session, self, self._clock)


def _answer(request: Request, status: int) -> Any:
    if status:
        return request.refuse(status)
    return cast(Any, request.response_class)(sequence_number=request.sequence_number)
