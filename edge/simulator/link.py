"""One connection of the server under test, as its SMSC sees it."""

from collections.abc import Callable
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred, succeed

from protocols.smpp import events
from protocols.smpp.errors import CommandStatus, status_name
from protocols.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DeliverSm,
    GenericNack,
    Request,
    Response,
)
from protocols.smpp.session import SessionState
from protocols.smpp.transport import SMPPProtocol

log = structlog.get_logger(__name__)

SYSTEM_ID = "trunkline-sim"
CAN_RECEIVE = frozenset({SessionState.BOUND_RX, SessionState.BOUND_TRX})
KINDS: dict[type, str] = {
    BindTransceiver: "transceiver",
    BindTransmitter: "transmitter",
    BindReceiver: "receiver",
}


class LinkOwner(Protocol):
    """Who decides about binds and hears of requests and answers."""

    def authenticate(self, bind: events.Bind) -> int:
        """The command_status of a bind."""
        ...

    def link_up(self, link: "Link") -> None:
        """It is bound."""
        ...

    def link_down(self, link: "Link") -> None:
        """The connection is gone; what was outstanding has been reported lost."""
        ...

    def received(self, link: "Link", request: Request) -> None:
        """A request that must be answered, now or later."""
        ...

    def answered(self, context: object, command_status: int) -> None:
        """The answer to a request of ours."""
        ...

    def expired(self, context: object) -> None:
        """No answer to a request of ours in time."""
        ...

    def lost(self, context: object) -> None:
        """The connection went before the answer to a request of ours."""
        ...


class Link:
    """I am the handler of one `SMPPProtocol`."""

    def __init__(self, owner: LinkOwner) -> None:
        self.system_id = ""
        self.kind = ""
        self._owner = owner
        self._protocol: SMPPProtocol | None = None
        self._bound = False
        self._on: dict[type, Callable[[Any], None]] = {
            events.BindRequested: self._bind_requested,
            events.RequestReceived: self._request_received,
            events.ResponseReceived: self._response_received,
            events.RequestExpired: self._request_expired,
            events.RequestLost: self._request_lost,
            events.Refused: self._refused,
            events.Closed: self._closed,
        }

    @property
    def free(self) -> int:
        """How many deliver_sm it takes now."""
        if self._protocol is None or self._protocol.session.state not in CAN_RECEIVE:
            return 0
        return self._protocol.session.window.free

    def request(self, pdu: DeliverSm, context: object) -> None:
        """Send a deliver_sm. NotAllowed or WindowFull: nothing was sent."""
        if self._protocol is not None:
            self._protocol.request(pdu, context)

    def respond(self, response: Response) -> None:
        """Answer, if the connection is still there."""
        if self._protocol is not None:
            self._protocol.respond(response)

    def disconnect(self) -> "Deferred[None]":
        """End it, with an unbind if it is bound; fires when the connection is gone."""
        return succeed(None) if self._protocol is None else self._protocol.unbind()

    def drop(self) -> None:
        """End it without waiting for the peer."""
        if self._protocol is not None:
            self._protocol.disconnect("unbind was not answered")

    def cut(self) -> None:
        """Reset the connection, as a network that fails does."""
        if self._protocol is not None:
            self._protocol.abort("the link was cut")

    # -- the handler ------------------------------------------------------------------------------

    def connection_made(self, protocol: SMPPProtocol) -> None:
        """See `protocols.smpp.transport.Handler`."""
        self._protocol = protocol

    def event(self, event: events.Event) -> None:
        """See `protocols.smpp.transport.Handler`."""
        act = self._on.get(type(event))
        if act is not None:
            act(event)

    def _bind_requested(self, event: events.BindRequested) -> None:
        assert self._protocol is not None
        status = self._owner.authenticate(event.pdu)
        if status != CommandStatus.ESME_ROK:
            log.warning("simulator_bind_refused", system_id=event.pdu.system_id, status=status_name(status))
            self._protocol.refuse_bind(status)
            self._protocol.disconnect("bind refused")
            return
        self.system_id = event.pdu.system_id
        self.kind = KINDS[type(event.pdu)]
        self._protocol.accept_bind(SYSTEM_ID)
        self._bound = True
        log.info("simulator_bound", system_id=self.system_id, kind=self.kind)
        self._owner.link_up(self)

    def _request_received(self, event: events.RequestReceived) -> None:
        self._owner.received(self, event.pdu)

    def _response_received(self, event: events.ResponseReceived) -> None:
        status = event.response.command_status
        if type(event.response) is GenericNack and status == CommandStatus.ESME_ROK:
            status = CommandStatus.ESME_RUNKNOWNERR
        self._owner.answered(event.context, status)

    def _request_expired(self, event: events.RequestExpired) -> None:
        self._owner.expired(event.context)

    def _request_lost(self, event: events.RequestLost) -> None:
        self._owner.lost(event.context)

    def _refused(self, event: events.Refused) -> None:
        log.warning("simulator_pdu_refused", system_id=self.system_id, error=str(event.error))

    def _closed(self, event: events.Closed) -> None:
        self._protocol = None
        if self._bound:
            log.info("simulator_unbound", system_id=self.system_id, kind=self.kind, reason=event.reason)
        self._owner.link_down(self)
