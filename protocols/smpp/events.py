"""What a session tells its application, in the order in which it happened."""

from dataclasses import dataclass
from typing import TypeAlias

from protocols.smpp.errors import SMPPError
from protocols.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    Notification,
    Request,
    Response,
)

Bind: TypeAlias = BindTransceiver | BindReceiver | BindTransmitter


@dataclass(frozen=True, slots=True)
class Bound:
    """ESME: the SMSC accepted our bind; `pdu` is its answer."""

    pdu: Response


@dataclass(frozen=True, slots=True)
class BindRefused:
    """ESME: the SMSC refused our bind. The session is OPEN again; a peer seldom allows a second try on it."""

    command_status: int


@dataclass(frozen=True, slots=True)
class BindRequested:
    """SMSC: an ESME wants to bind. Answer with `Session.accept_bind` or `Session.refuse_bind`."""

    pdu: Bind


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request that the application must answer with `Session.respond`, once it may."""

    pdu: Request


@dataclass(frozen=True, slots=True)
class NotificationReceived:
    """A PDU that has no answer: outbind, alert_notification."""

    pdu: Notification


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """The answer to a request of ours: its own response, or a generic_nack.

    `late`: the request had been reported as expired. `elapsed`: seconds from the request to the response.
    """

    context: object
    request: Request
    response: Response
    late: bool
    elapsed: float


@dataclass(frozen=True, slots=True)
class RequestExpired:
    """No answer within the response timeout. The slot is free; a late answer is still a ResponseReceived."""

    context: object
    request: Request


@dataclass(frozen=True, slots=True)
class RequestLost:
    """The link ended with this request unanswered: the peer may or may not have acted on it."""

    context: object
    request: Request


@dataclass(frozen=True, slots=True)
class UnknownResponse:
    """A response to nothing that is outstanding, or of another command than its request. It was ignored."""

    pdu: Response


@dataclass(frozen=True, slots=True)
class Refused:
    """A PDU of the peer was wrong. It has been answered if it can be (a response cannot)."""

    error: SMPPError


@dataclass(frozen=True, slots=True)
class Unbound:
    """The session ends by unbind, the peer's or ours that was answered. Send nothing more."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The link is gone; always the last event, and once. `error` is set when the peer broke the protocol.

    `orderly`: after an unbind that was answered, and each request of the peer was before that unbind: it has
    the answers.
    """

    reason: str
    error: SMPPError | None = None
    orderly: bool = False


Event: TypeAlias = (
    Bound
    | BindRefused
    | BindRequested
    | RequestReceived
    | NotificationReceived
    | ResponseReceived
    | RequestExpired
    | RequestLost
    | UnknownResponse
    | Refused
    | Unbound
    | Closed
)
