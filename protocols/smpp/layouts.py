"""The body of every PDU as a table of fields (SMPP 3.4 §4; broadcast: 5.0 §4.4 and §4.6).

The table is the whole truth about a body: its order, its sizes, and the command_status that answers a
fault in each field. The codec reads it for the PDUs that are rare, and falls back on it to name the fault
in the others.
"""

from protocols.smpp.errors import CommandStatus as Status
from protocols.smpp.fields import (
    DESTINATION,
    NPI,
    TON,
    CString,
    Destinations,
    Failures,
    Field,
    Octet,
    ShortMessage,
    Time,
)
from protocols.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    BroadcastSm,
    BroadcastSmResp,
    CancelBroadcastSm,
    CancelSm,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    Outbind,
    Pdu,
    QueryBroadcastSm,
    QueryBroadcastSmResp,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
)

_SERVICE_TYPE = CString("service_type", Status.ESME_RINVSERTYP, 6)
_SOURCE = (
    Octet("source_addr_ton"),
    Octet("source_addr_npi"),
    CString("source_addr", Status.ESME_RINVSRCADR, 21),
)
_LONG_SOURCE = (*_SOURCE[:2], CString("source_addr", Status.ESME_RINVSRCADR, 65))
_DEST = (TON, NPI, DESTINATION)
_LONG_DEST = (TON, NPI, CString("destination_addr", Status.ESME_RINVDSTADR, 65))
_MESSAGE_ID = CString("message_id", Status.ESME_RINVMSGID, 65)
_SCHEDULE = Time("schedule_delivery_time", Status.ESME_RINVSCHED)
_VALIDITY = Time("validity_period", Status.ESME_RINVEXPIRY)
# The specification has 16 and 9 octets; carriers hand out longer ones and mean them.
_SYSTEM_ID = CString("system_id", Status.ESME_RINVSYSID, 65)
_PASSWORD = CString("password", Status.ESME_RINVPASWD, 65)
_BIND = (
    _SYSTEM_ID,
    _PASSWORD,
    CString("system_type", Status.ESME_RINVSYSTYP, 13),
    Octet("interface_version"),
    Octet("addr_ton"),
    Octet("addr_npi"),
    CString("address_range", Status.ESME_RINVCMDLEN, 41),
)
_UNUSED_TIMES = (  # a deliver_sm does not use them: what an SMSC leaves there costs no message
    CString("schedule_delivery_time", Status.ESME_RINVSCHED, 17),
    CString("validity_period", Status.ESME_RINVEXPIRY, 17),
)
_SHORT_MESSAGE = ShortMessage("short_message", Status.ESME_RINVMSGLEN)
_MESSAGE_FLAGS = (Octet("esm_class"), Octet("protocol_id"), Octet("priority_flag"))
_DELIVERY_FLAGS = (
    Octet("registered_delivery"),
    Octet("replace_if_present_flag"),
    Octet("data_coding"),
    Octet("sm_default_msg_id"),
)
_ADDRESSES = (_SERVICE_TYPE, *_SOURCE, *_DEST)
_TAIL = (*_MESSAGE_FLAGS, _SCHEDULE, _VALIDITY, *_DELIVERY_FLAGS, _SHORT_MESSAGE)

LAYOUTS: dict[type[Pdu], tuple[Field, ...]] = {
    BindReceiver: _BIND,
    BindReceiverResp: (_SYSTEM_ID,),
    BindTransmitter: _BIND,
    BindTransmitterResp: (_SYSTEM_ID,),
    BindTransceiver: _BIND,
    BindTransceiverResp: (_SYSTEM_ID,),
    Outbind: (_SYSTEM_ID, _PASSWORD),
    SubmitSm: (*_ADDRESSES, *_TAIL),
    DeliverSm: (*_ADDRESSES, *_MESSAGE_FLAGS, *_UNUSED_TIMES, *_DELIVERY_FLAGS, _SHORT_MESSAGE),
    DataSm: (
        _SERVICE_TYPE,
        *_LONG_SOURCE,
        *_LONG_DEST,
        Octet("esm_class"),
        Octet("registered_delivery"),
        Octet("data_coding"),
    ),
    SubmitSmResp: (_MESSAGE_ID,),
    DeliverSmResp: (_MESSAGE_ID,),
    DataSmResp: (_MESSAGE_ID,),
    QuerySm: (_MESSAGE_ID, *_SOURCE),
    QuerySmResp: (
        _MESSAGE_ID,
        CString("final_date", Status.ESME_RINVSCHED, 17),
        Octet("message_state"),
        Octet("error_code"),
    ),
    CancelSm: (_SERVICE_TYPE, _MESSAGE_ID, *_SOURCE, *_DEST),
    ReplaceSm: (
        _MESSAGE_ID,
        *_SOURCE,
        _SCHEDULE,
        _VALIDITY,
        Octet("registered_delivery"),
        Octet("sm_default_msg_id"),
        _SHORT_MESSAGE,
    ),
    SubmitMulti: (
        _SERVICE_TYPE,
        *_SOURCE,
        Destinations("dest_address", Status.ESME_RINVNUMDESTS),
        *_TAIL,
    ),
    SubmitMultiResp: (_MESSAGE_ID, Failures("unsuccess_sme", Status.ESME_RINVNUMDESTS)),
    AlertNotification: (
        *_LONG_SOURCE,
        Octet("esme_addr_ton"),
        Octet("esme_addr_npi"),
        CString("esme_addr", Status.ESME_RINVDSTADR, 65),
    ),
    BroadcastSm: (
        _SERVICE_TYPE,
        *_SOURCE,
        _MESSAGE_ID,
        Octet("priority_flag"),
        _SCHEDULE,
        _VALIDITY,
        Octet("replace_if_present_flag"),
        Octet("data_coding"),
        Octet("sm_default_msg_id"),
    ),
    BroadcastSmResp: (_MESSAGE_ID,),
    QueryBroadcastSm: (_MESSAGE_ID, *_SOURCE),
    QueryBroadcastSmResp: (_MESSAGE_ID,),
    CancelBroadcastSm: (_SERVICE_TYPE, _MESSAGE_ID, *_SOURCE),
}
"""The body of every PDU that has one, without the TLVs that may follow."""
