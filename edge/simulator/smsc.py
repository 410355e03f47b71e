"""The SMSC: who may bind, what waits for the server, and where requests go."""

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from edge.simulator.behaviour import Behaviour
from edge.simulator.link import Link
from edge.simulator.spool import Deliverable, Spool
from protocols.smpp import events
from protocols.smpp.errors import CommandStatus
from protocols.smpp.pdu import Request
from protocols.smpp.session import Role, Session, SessionSettings
from protocols.smpp.transport import SMPPProtocol


@dataclass(frozen=True, slots=True)
class BindView:
    """One bind; ``kind`` is transceiver, transmitter or receiver."""

    system_id: str
    kind: str


class SMSC:
    """I keep the links and the spool. ``requested`` gets what an ESME asks, ``changed`` is called when binds
    come and go."""

    def __init__(
        self,
        system_id: str,
        password: str,
        behaviour: Behaviour,
        clock: IReactorTime,
        requested: Callable[[Link, Request], None],
        changed: Callable[[], None],
    ) -> None:
        self._system_id = system_id
        self._password = password
        self._clock = clock
        self._requested = requested
        self._changed = changed
        self._bound: list[Link] = []
        self._connected: list[Link] = []
        self._settings = SessionSettings(
            window=behaviour.window,
            response_timeout=behaviour.response_timeout,
            enquire_link=behaviour.enquire_link,
        )
        self.spool = Spool(lambda: self._bound, clock, behaviour.pending, behaviour.retry)

    def build(self) -> SMPPProtocol:
        """The protocol for a new connection."""
        link = Link(self)
        self._connected.append(link)
        session = Session(Role.SMSC, self._settings, self._clock.seconds())
        return SMPPProtocol(session, link, self._clock)

    def binds(self) -> list[BindView]:
        """Who is bound now."""
        return [BindView(link.system_id, link.kind) for link in self._bound]

    def disconnect(self) -> "Deferred[Any]":
        """Unbind everyone; fires when all connections are gone."""
        return DeferredList([link.disconnect() for link in tuple(self._connected)])

    def drop(self) -> None:
        """Close the connections of those who did not answer that."""
        for link in tuple(self._connected):
            link.drop()

    def cut(self) -> int:
        """Reset every connection, without a word; how many there were."""
        links = tuple(self._connected)
        for link in links:
            link.cut()
        return len(links)

    # -- the owner of links -----------------------------------------------------------------------

    def authenticate(self, bind: events.Bind) -> int:
        """See `LinkOwner`. SMPP 3.4 §5.1.3: which of the two is wrong is told."""
        if bind.system_id != self._system_id:
            return CommandStatus.ESME_RINVSYSID
        if not compare_digest(
            bind.password.encode("latin-1", "replace"), self._password.encode("latin-1", "replace")
        ):
            return CommandStatus.ESME_RINVPASWD
        return CommandStatus.ESME_ROK

    def link_up(self, link: Link) -> None:
        """See `LinkOwner`."""
        self._bound.append(link)
        self._changed()
        self.spool.pump()

    def link_down(self, link: Link) -> None:
        """See `LinkOwner`."""
        self._connected.remove(link)
        if link in self._bound:
            self._bound.remove(link)
            self._changed()
        self.spool.pump()

    def received(self, link: Link, request: Request) -> None:
        """See `LinkOwner`."""
        self._requested(link, request)

    def answered(self, context: object, command_status: int) -> None:
        """See `LinkOwner`."""
        assert isinstance(context, Deliverable)
        self.spool.answered(context, command_status)
        self.spool.pump()

    def expired(self, context: object) -> None:
        """See `LinkOwner`."""
        assert isinstance(context, Deliverable)
        self.spool.unanswered(context)
        self.spool.pump()

    def lost(self, context: object) -> None:
        """See `LinkOwner`."""
        assert isinstance(context, Deliverable)
        self.spool.lost(context)
