"""Optional parameters: raw in the PDU, decoded on demand (SMPP 3.4 §5.3).

A PDU keeps its TLVs as `(tag, value)` pairs in the order of the wire, known or not, so that vendor
parameters pass unchanged. Reading is tolerant: an integer of an unexpected width is still an integer, a
C-octet string may lack its NUL, a parameter that makes no sense reads as absent. Writing follows the
specification.
"""

import struct
from enum import Enum, IntEnum
from struct import Struct
from typing import NamedTuple

from protocols.smpp.errors import CommandStatus, EncodeError
from protocols.smpp.fields import BodyError
from protocols.smpp.shapes import Tlvs

_HEADER = Struct(">HH")


class Tag(IntEnum):
    """The tags of SMPP 3.4 §5.3.2 and the ones of 5.0 that are met on 3.4 links."""

    DEST_ADDR_SUBUNIT = 0x0005
    DEST_NETWORK_TYPE = 0x0006
    DEST_BEARER_TYPE = 0x0007
    DEST_TELEMATICS_ID = 0x0008
    SOURCE_ADDR_SUBUNIT = 0x000D
    SOURCE_NETWORK_TYPE = 0x000E
    SOURCE_BEARER_TYPE = 0x000F
    SOURCE_TELEMATICS_ID = 0x0010
    QOS_TIME_TO_LIVE = 0x0017
    PAYLOAD_TYPE = 0x0019
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    MS_MSG_WAIT_FACILITIES = 0x0030
    PRIVACY_INDICATOR = 0x0201
    SOURCE_SUBADDRESS = 0x0202
    DEST_SUBADDRESS = 0x0203
    USER_MESSAGE_REFERENCE = 0x0204
    USER_RESPONSE_CODE = 0x0205
    SOURCE_PORT = 0x020A
    DESTINATION_PORT = 0x020B
    SAR_MSG_REF_NUM = 0x020C
    LANGUAGE_INDICATOR = 0x020D
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    CALLBACK_NUM_PRES_IND = 0x0302
    CALLBACK_NUM_ATAG = 0x0303
    NUMBER_OF_MESSAGES = 0x0304
    CALLBACK_NUM = 0x0381
    DPF_RESULT = 0x0420
    SET_DPF = 0x0421
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MORE_MESSAGES_TO_SEND = 0x0426
    MESSAGE_STATE = 0x0427
    CONGESTION_STATE = 0x0428
    USSD_SERVICE_OP = 0x0501
    BROADCAST_AREA_IDENTIFIER = 0x0606
    SOURCE_NETWORK_ID = 0x060D
    DEST_NETWORK_ID = 0x060E
    DEST_ADDR_NP_INFORMATION = 0x0612
    DISPLAY_TIME = 0x1201
    SMS_SIGNAL = 0x1203
    MS_VALIDITY = 0x1204
    ALERT_ON_MESSAGE_DELIVERY = 0x130C
    ITS_REPLY_TYPE = 0x1380
    ITS_SESSION_INFO = 0x1383


class Kind(Enum):
    """How the value of a parameter is written; an integer kind's value is its width in octets."""

    INTEGER1 = 1
    INTEGER2 = 2
    INTEGER4 = 4
    C_STRING = "C-octet string"
    OCTETS = "octet string"


KINDS: dict[int, Kind] = {
    Tag.DEST_ADDR_SUBUNIT: Kind.INTEGER1,
    Tag.DEST_NETWORK_TYPE: Kind.INTEGER1,
    Tag.DEST_BEARER_TYPE: Kind.INTEGER1,
    Tag.DEST_TELEMATICS_ID: Kind.INTEGER2,
    Tag.SOURCE_ADDR_SUBUNIT: Kind.INTEGER1,
    Tag.SOURCE_NETWORK_TYPE: Kind.INTEGER1,
    Tag.SOURCE_BEARER_TYPE: Kind.INTEGER1,
    Tag.SOURCE_TELEMATICS_ID: Kind.INTEGER1,
    Tag.QOS_TIME_TO_LIVE: Kind.INTEGER4,
    Tag.PAYLOAD_TYPE: Kind.INTEGER1,
    Tag.ADDITIONAL_STATUS_INFO_TEXT: Kind.C_STRING,
    Tag.RECEIPTED_MESSAGE_ID: Kind.C_STRING,
    Tag.MS_MSG_WAIT_FACILITIES: Kind.INTEGER1,
    Tag.PRIVACY_INDICATOR: Kind.INTEGER1,
    Tag.USER_MESSAGE_REFERENCE: Kind.INTEGER2,
    Tag.USER_RESPONSE_CODE: Kind.INTEGER1,
    Tag.SOURCE_PORT: Kind.INTEGER2,
    Tag.DESTINATION_PORT: Kind.INTEGER2,
    Tag.SAR_MSG_REF_NUM: Kind.INTEGER2,
    Tag.LANGUAGE_INDICATOR: Kind.INTEGER1,
    Tag.SAR_TOTAL_SEGMENTS: Kind.INTEGER1,
    Tag.SAR_SEGMENT_SEQNUM: Kind.INTEGER1,
    Tag.SC_INTERFACE_VERSION: Kind.INTEGER1,
    Tag.CALLBACK_NUM_PRES_IND: Kind.INTEGER1,
    Tag.NUMBER_OF_MESSAGES: Kind.INTEGER1,
    Tag.DPF_RESULT: Kind.INTEGER1,
    Tag.SET_DPF: Kind.INTEGER1,
    Tag.MS_AVAILABILITY_STATUS: Kind.INTEGER1,
    Tag.DELIVERY_FAILURE_REASON: Kind.INTEGER1,
    Tag.MORE_MESSAGES_TO_SEND: Kind.INTEGER1,
    Tag.MESSAGE_STATE: Kind.INTEGER1,
    Tag.CONGESTION_STATE: Kind.INTEGER1,
    Tag.SOURCE_NETWORK_ID: Kind.C_STRING,
    Tag.DEST_NETWORK_ID: Kind.C_STRING,
    Tag.DISPLAY_TIME: Kind.INTEGER1,
    Tag.SMS_SIGNAL: Kind.INTEGER2,
    Tag.MS_VALIDITY: Kind.INTEGER1,
    Tag.ITS_REPLY_TYPE: Kind.INTEGER1,
    Tag.ITS_SESSION_INFO: Kind.INTEGER2,
}
"""The parameters that are not plain octet strings."""


def unpack_tlvs(data: bytes, position: int) -> Tlvs:
    """The TLVs from `position` to the end; BodyError when the last one does not end there."""
    found = []
    end = len(data)
    try:
        while position < end:
            tag, length = _HEADER.unpack_from(data, position)
            begin = position + 4
            position = begin + length
            found.append((tag, data[begin:position]))
    except struct.error as error:
        raise BodyError(CommandStatus.ESME_RINVOPTPARSTREAM, "octets after the body are not a TLV") from error
    if position > end:
        reason = f"TLV 0x{found[-1][0]:04X} is longer than the rest of the PDU"
        raise BodyError(CommandStatus.ESME_RINVOPTPARSTREAM, reason)
    return tuple(found)


def pack_tlvs(tlvs: Tlvs) -> bytes:
    """The octets of raw TLVs; EncodeError when a tag or a length does not fit 16 bits."""
    try:
        return b"".join([_HEADER.pack(tag, len(value)) + value for tag, value in tlvs])
    except (struct.error, TypeError, ValueError) as error:
        raise EncodeError("tlvs", f"cannot be written: {error}") from error


def find(tlvs: Tlvs, tag: int) -> bytes | None:
    """The raw value of the first parameter with this tag, None when there is none."""
    for found, value in tlvs:
        if found == tag:
            return value
    return None


def decode(tag: int, value: bytes) -> int | str | bytes:
    """A raw value by the kind of its tag; an unknown tag is an octet string."""
    kind = KINDS.get(tag, Kind.OCTETS)
    if kind is Kind.OCTETS:
        return value
    if kind is Kind.C_STRING:
        return value.split(b"\0", 1)[0].decode("latin-1")
    return int.from_bytes(value)


def encode(tag: int, value: int | str | bytes) -> tuple[int, bytes]:
    """One raw TLV from a typed value; `bytes` pass as they are. EncodeError: not what the tag can hold."""
    if isinstance(value, bytes):
        return int(tag), value
    kind = KINDS.get(tag, Kind.OCTETS)
    try:
        if isinstance(value, int) and kind not in (Kind.C_STRING, Kind.OCTETS):
            return int(tag), value.to_bytes(kind.value)
        if isinstance(value, str) and kind is Kind.C_STRING and "\0" not in value:
            return int(tag), value.encode("latin-1") + b"\0"
    except (OverflowError, UnicodeEncodeError) as error:
        raise EncodeError(f"TLV 0x{tag:04X}", f"cannot be written: {error}") from error
    raise EncodeError(f"TLV 0x{tag:04X}", f"cannot hold {type(value).__name__}")


def integer(tlvs: Tlvs, tag: int) -> int | None:
    """The first parameter with this tag as an unsigned integer of whatever width it came in."""
    value = find(tlvs, tag)
    return int.from_bytes(value) if value and len(value) <= 8 else None


def string(tlvs: Tlvs, tag: int) -> str | None:
    """The first parameter with this tag as a C-octet string, its NUL optional; None when it is empty."""
    value = find(tlvs, tag)
    return (value.split(b"\0", 1)[0].decode("latin-1") or None) if value else None


def message_payload(tlvs: Tlvs) -> bytes | None:
    """§5.3.2.32: the message when it is not in short_message."""
    return find(tlvs, Tag.MESSAGE_PAYLOAD)


def receipted_message_id(tlvs: Tlvs) -> str | None:
    """§5.3.2.12: the SMSC's id of the message that a receipt is about."""
    return string(tlvs, Tag.RECEIPTED_MESSAGE_ID)


def user_message_reference(tlvs: Tlvs) -> int | None:
    """§5.3.2.17: the sender's own number of a message, which many SMSCs give back in its receipt; 16 bits."""
    value = find(tlvs, Tag.USER_MESSAGE_REFERENCE)
    return int.from_bytes(value) if value is not None and len(value) == 2 else None


def message_state(tlvs: Tlvs) -> int | None:
    """§5.3.2.35: the state of the message that a receipt is about (§5.2.28)."""
    return integer(tlvs, Tag.MESSAGE_STATE)


class NetworkError(NamedTuple):
    """§5.3.2.31: 1 ANSI-136, 2 IS-95, 3 GSM and the error code of that network."""

    network_type: int
    code: int


def network_error_code(tlvs: Tlvs) -> NetworkError | None:
    """§5.3.2.31: why the network did not deliver; None unless the parameter has its three octets."""
    value = find(tlvs, Tag.NETWORK_ERROR_CODE)
    if value is None or len(value) != 3:
        return None
    return NetworkError(value[0], int.from_bytes(value[1:]))


class Sar(NamedTuple):
    """Concatenation by parameters: §5.3.2.22 to §5.3.2.24."""

    reference: int
    total: int
    number: int


def sar(tlvs: Tlvs) -> Sar | None:
    """The three sar_* parameters, or None unless all are there and `1 <= number <= total`."""
    reference = integer(tlvs, Tag.SAR_MSG_REF_NUM)
    total = integer(tlvs, Tag.SAR_TOTAL_SEGMENTS)
    number = integer(tlvs, Tag.SAR_SEGMENT_SEQNUM)
    if reference is None or total is None or number is None or not 1 <= number <= total:
        return None
    return Sar(reference, total, number)


def sar_tlvs(reference: int, total: int, number: int) -> Tlvs:
    """The three sar_* parameters of one part."""
    return (
        encode(Tag.SAR_MSG_REF_NUM, reference),
        encode(Tag.SAR_TOTAL_SEGMENTS, total),
        encode(Tag.SAR_SEGMENT_SEQNUM, number),
    )
