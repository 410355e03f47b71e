"""The PDUs of SMPP 3.4 (§4), and the broadcast PDUs of 5.0.

A PDU is an immutable named tuple: built by keyword, compared by class and value, its fields named as in the
specification (the field lists are in `shapes`). C-octet strings are `str`, each octet one Latin-1
character so that nothing is lost; `short_message` is `bytes`; `sm_length` and `command_length` follow
from the rest; `tlvs` holds the optional parameters raw and in the order of the wire. Every field has a
default. (A frozen dataclass of these twenty fields takes four times as long to build by keyword, and ten
times as long as the codec takes.)

In a response, None in the first field of the body means that the body is left out, as it is beside an
error status.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, Self, cast

from protocols.smpp import shapes
from protocols.smpp.commands import CommandId
from protocols.smpp.shapes import Tlvs


class Pdu:
    """What every PDU has. Abstract: each PDU class joins it with the named tuple of its fields."""

    __slots__ = ()
    command_id: ClassVar[CommandId]
    _field_defaults: ClassVar[dict[str, object]]

    if TYPE_CHECKING:  # the named tuples bring these; a property here would hide their fast accessors

        @property
        def sequence_number(self) -> int: ...
        @property
        def command_status(self) -> int: ...
        @property
        def tlvs(self) -> Tlvs: ...

    def fields(self) -> tuple[object, ...]:
        """The values of all fields, in order."""
        return cast("tuple[object, ...]", self)[:]

    def numbered(self, sequence_number: int) -> Self:
        """This PDU with another sequence number."""
        return cast(Self, make(type(self), (sequence_number, *self.fields()[1:])))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and tuple.__eq__(cast("tuple[object, ...]", self), other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        """The fields that differ from their defaults; never a password."""
        shown = (
            f"{name}=***" if name == "password" else f"{name}={value!r}"
            for (name, default), value in zip(self._field_defaults.items(), self.fields(), strict=True)
            if value != default
        )
        return f"{type(self).__name__}({', '.join(shown)})"


make = cast("Callable[[type[Pdu], Iterable[object]], Pdu]", tuple.__new__)
"""A PDU from the values of all its fields, unchecked: the codec's way, twice as fast as by keyword."""


class Response(Pdu):
    """An answer: it carries the sequence number of its request and is never answered itself."""

    __slots__ = ()

    @classmethod
    def without_body(cls, sequence_number: int, command_status: int) -> Self:
        """A response of its header alone: the body field that comes first, if there is one, is None."""
        *body, tlvs = list(cls._field_defaults.values())[2:]
        body[:1] = [None] * len(body[:1])
        return cast(Self, make(cls, (sequence_number, command_status, *body, tlvs)))


class Request(Pdu):
    """A PDU that its receiver must answer with `response_class`, or with a generic_nack."""

    __slots__ = ()
    response_class: ClassVar[type[Response]]

    def refuse(self, command_status: int) -> Response:
        """The response that says no: `command_status` and no body."""
        return self.response_class.without_body(self.sequence_number, command_status)


class Notification(Pdu):
    """A PDU that has no response (outbind, alert_notification)."""

    __slots__ = ()


class GenericNack(Response, shapes.Header):
    """§4.3: the answer to a PDU that could not be read or is not known."""

    __slots__ = ()
    command_id = CommandId.GENERIC_NACK


class BindReceiverResp(Response, shapes.BindResp):
    """§4.1.3: the answer to bind_receiver."""

    __slots__ = ()
    command_id = CommandId.BIND_RECEIVER_RESP


class BindReceiver(Request, shapes.Bind):
    """§4.1.3: open a session in which the ESME only receives."""

    __slots__ = ()
    command_id = CommandId.BIND_RECEIVER
    response_class = BindReceiverResp


class BindTransmitterResp(Response, shapes.BindResp):
    """§4.1.1: the answer to bind_transmitter."""

    __slots__ = ()
    command_id = CommandId.BIND_TRANSMITTER_RESP


class BindTransmitter(Request, shapes.Bind):
    """§4.1.1: open a session in which the ESME only sends."""

    __slots__ = ()
    command_id = CommandId.BIND_TRANSMITTER
    response_class = BindTransmitterResp


class BindTransceiverResp(Response, shapes.BindResp):
    """§4.1.5: the answer to bind_transceiver."""

    __slots__ = ()
    command_id = CommandId.BIND_TRANSCEIVER_RESP


class BindTransceiver(Request, shapes.Bind):
    """§4.1.5: open a session for both directions."""

    __slots__ = ()
    command_id = CommandId.BIND_TRANSCEIVER
    response_class = BindTransceiverResp


class Outbind(Notification, shapes.Outbind):
    """§4.1.7: the SMSC asks the ESME to bind as a receiver."""

    __slots__ = ()
    command_id = CommandId.OUTBIND


class UnbindResp(Response, shapes.Header):
    """§4.2: the answer to unbind."""

    __slots__ = ()
    command_id = CommandId.UNBIND_RESP


class Unbind(Request, shapes.Header):
    """§4.2: end the session."""

    __slots__ = ()
    command_id = CommandId.UNBIND
    response_class = UnbindResp


class EnquireLinkResp(Response, shapes.Header):
    """§4.11: the answer to enquire_link."""

    __slots__ = ()
    command_id = CommandId.ENQUIRE_LINK_RESP


class EnquireLink(Request, shapes.Header):
    """§4.11: are you there?"""

    __slots__ = ()
    command_id = CommandId.ENQUIRE_LINK
    response_class = EnquireLinkResp


class SubmitSmResp(Response, shapes.MessageIdResp):
    """§4.4: the answer to submit_sm."""

    __slots__ = ()
    command_id = CommandId.SUBMIT_SM_RESP


class SubmitSm(Request, shapes.ShortMessage):
    """§4.4: a short message from the ESME."""

    __slots__ = ()
    command_id = CommandId.SUBMIT_SM
    response_class = SubmitSmResp


class DeliverSmResp(Response, shapes.MessageIdResp):
    """§4.6: the answer to deliver_sm."""

    __slots__ = ()
    command_id = CommandId.DELIVER_SM_RESP


class DeliverSm(Request, shapes.ShortMessage):
    """§4.6: a short message or a delivery receipt from the SMSC."""

    __slots__ = ()
    command_id = CommandId.DELIVER_SM
    response_class = DeliverSmResp


class DataSmResp(Response, shapes.MessageIdResp):
    """§4.7: the answer to data_sm."""

    __slots__ = ()
    command_id = CommandId.DATA_SM_RESP


class DataSm(Request, shapes.DataSm):
    """§4.7: a message in TLVs, in either direction."""

    __slots__ = ()
    command_id = CommandId.DATA_SM
    response_class = DataSmResp


class SubmitMultiResp(Response, shapes.SubmitMultiResp):
    """§4.5: the answer to submit_multi."""

    __slots__ = ()
    command_id = CommandId.SUBMIT_MULTI_RESP


class SubmitMulti(Request, shapes.SubmitMulti):
    """§4.5: a short message to several destinations."""

    __slots__ = ()
    command_id = CommandId.SUBMIT_MULTI
    response_class = SubmitMultiResp


class QuerySmResp(Response, shapes.QuerySmResp):
    """§4.8: the answer to query_sm."""

    __slots__ = ()
    command_id = CommandId.QUERY_SM_RESP


class QuerySm(Request, shapes.Query):
    """§4.8: ask for the state of a message."""

    __slots__ = ()
    command_id = CommandId.QUERY_SM
    response_class = QuerySmResp


class CancelSmResp(Response, shapes.Header):
    """§4.9: the answer to cancel_sm."""

    __slots__ = ()
    command_id = CommandId.CANCEL_SM_RESP


class CancelSm(Request, shapes.CancelSm):
    """§4.9: cancel messages not delivered yet."""

    __slots__ = ()
    command_id = CommandId.CANCEL_SM
    response_class = CancelSmResp


class ReplaceSmResp(Response, shapes.Header):
    """§4.10: the answer to replace_sm."""

    __slots__ = ()
    command_id = CommandId.REPLACE_SM_RESP


class ReplaceSm(Request, shapes.ReplaceSm):
    """§4.10: replace a message not delivered yet."""

    __slots__ = ()
    command_id = CommandId.REPLACE_SM
    response_class = ReplaceSmResp


class AlertNotification(Notification, shapes.AlertNotification):
    """§4.12: a mobile that was awaited is there."""

    __slots__ = ()
    command_id = CommandId.ALERT_NOTIFICATION


class BroadcastSmResp(Response, shapes.MessageIdResp):
    """SMPP 5.0 §4.4.1.2: the answer to broadcast_sm."""

    __slots__ = ()
    command_id = CommandId.BROADCAST_SM_RESP


class BroadcastSm(Request, shapes.BroadcastSm):
    """SMPP 5.0 §4.4.1: a message to an area."""

    __slots__ = ()
    command_id = CommandId.BROADCAST_SM
    response_class = BroadcastSmResp


class QueryBroadcastSmResp(Response, shapes.MessageIdResp):
    """SMPP 5.0 §4.6.1.3: the answer; all but the id is in TLVs."""

    __slots__ = ()
    command_id = CommandId.QUERY_BROADCAST_SM_RESP


class QueryBroadcastSm(Request, shapes.Query):
    """SMPP 5.0 §4.6.1: ask for the state of a broadcast."""

    __slots__ = ()
    command_id = CommandId.QUERY_BROADCAST_SM
    response_class = QueryBroadcastSmResp


class CancelBroadcastSmResp(Response, shapes.Header):
    """SMPP 5.0 §4.6.2.2: the answer to cancel_broadcast_sm."""

    __slots__ = ()
    command_id = CommandId.CANCEL_BROADCAST_SM_RESP


class CancelBroadcastSm(Request, shapes.CancelBroadcastSm):
    """SMPP 5.0 §4.6.2: cancel a broadcast."""

    __slots__ = ()
    command_id = CommandId.CANCEL_BROADCAST_SM
    response_class = CancelBroadcastSmResp


PDU_CLASSES: tuple[type[Pdu], ...] = (
    GenericNack,
    BindReceiverResp,
    BindReceiver,
    BindTransmitterResp,
    BindTransmitter,
    BindTransceiverResp,
    BindTransceiver,
    Outbind,
    UnbindResp,
    Unbind,
    EnquireLinkResp,
    EnquireLink,
    SubmitSmResp,
    SubmitSm,
    DeliverSmResp,
    DeliverSm,
    DataSmResp,
    DataSm,
    SubmitMultiResp,
    SubmitMulti,
    QuerySmResp,
    QuerySm,
    CancelSmResp,
    CancelSm,
    ReplaceSmResp,
    ReplaceSm,
    AlertNotification,
    BroadcastSmResp,
    BroadcastSm,
    QueryBroadcastSmResp,
    QueryBroadcastSm,
    CancelBroadcastSmResp,
    CancelBroadcastSm,
)
"""Every PDU class that the codec knows."""
