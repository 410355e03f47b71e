"""PDUs to octets and back (SMPP 3.4 §3.2, §4).

The PDUs of the message path are written and read by code of their own, straight through; the others, and
every PDU in which something is wrong, go through the table in `layouts`, which names the fault. What is
read writes back to the same octets.
"""

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import cast

from protocols.smpp.commands import RESPONSE
from protocols.smpp.errors import CommandStatus, EncodeError, RecoverableError, UnrecoverableError
from protocols.smpp.fields import BodyError, CString, is_time
from protocols.smpp.framing import HEADER_LENGTH, MAX_PDU, Framer
from protocols.smpp.layouts import LAYOUTS
from protocols.smpp.pdu import (
    PDU_CLASSES,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    Pdu,
    Response,
    SubmitSm,
    SubmitSmResp,
    make,
)
from protocols.smpp.tlv import pack_tlvs, unpack_tlvs

__all__ = ["HEADER_LENGTH", "MAX_PDU", "Framer", "pack", "unpack"]

_HEADER = Struct(">IIII")


def pack(pdu: Pdu) -> bytes:
    """The octets of one PDU. EncodeError, naming the field, when a value does not fit the wire."""
    packer = _PACKERS.get(type(pdu))
    if packer is not None:
        try:
            return packer(pdu)
        except (_Irregular, UnicodeEncodeError, StructError, TypeError, ValueError, OverflowError):
            pass  # the table says which field it is
    return _pack_by_layout(pdu)


def unpack(data: bytes | memoryview) -> Pdu:
    """The PDU in `data`, which holds exactly one.

    RecoverableError: the command is not known, or its body is wrong.
    UnrecoverableError: `data` is not one PDU.
    """
    if not isinstance(data, bytes):
        data = bytes(data)
    try:
        length, command_id, status, sequence = _HEADER.unpack_from(data)
    except StructError:
        length, sequence = -1, 0
    if length != len(data):
        raise UnrecoverableError(
            CommandStatus.ESME_RINVCMDLEN, "command_length is not the length", sequence_number=sequence
        )
    pdu_class = _CLASSES.get(command_id)
    if pdu_class is None:
        raise RecoverableError(
            CommandStatus.ESME_RINVCMDID,
            "command_id is not known",
            command_id=command_id,
            sequence_number=sequence,
        )
    try:
        return _UNPACKERS.get(command_id, _unpack_by_layout)(pdu_class, data, status, sequence)
    except BodyError as error:
        raise RecoverableError(
            error.status,
            error.reason,
            command_id=command_id,
            sequence_number=sequence,
            salvaged=_salvage(pdu_class, data, status, sequence) if command_id & RESPONSE else None,
        ) from error


class _Irregular(Exception):
    """A value that the straight code does not write."""


def _pack_by_layout(pdu: Pdu) -> bytes:
    sequence, status, *values, tlvs = pdu.fields()
    layout = LAYOUTS.get(type(pdu), ())
    body = b""
    if values and not (values[0] is None and pdu.command_id & RESPONSE):
        body = b"".join([field.pack(value) for field, value in zip(layout, values, strict=True)])
    body += pack_tlvs(cast("tuple[tuple[int, bytes], ...]", tlvs))
    try:
        return _HEADER.pack(HEADER_LENGTH + len(body), pdu.command_id, status, sequence) + body
    except StructError as error:
        raise EncodeError("sequence_number or command_status", "must be an integer of 32 bits") from error


def _unpack_by_layout(pdu_class: type[Pdu], data: bytes, status: int, sequence: int) -> Pdu:
    layout = LAYOUTS.get(pdu_class, ())
    if layout and len(data) == HEADER_LENGTH and issubclass(pdu_class, Response):
        return pdu_class.without_body(sequence, status)
    values: list[object] = [sequence, status]
    position = HEADER_LENGTH
    for field in layout:
        value, position = field.unpack(data, position)
        values.append(value)
    values.append(unpack_tlvs(data, position))
    return make(pdu_class, values)


def _salvage(pdu_class: type[Pdu], data: bytes, status: int, sequence: int) -> Pdu:
    """What can be read of a response with a fault: the fields before it, and a string that lacks its end."""
    values: list[object] = [sequence, status]
    position = HEADER_LENGTH
    for field in LAYOUTS.get(pdu_class, ()):
        try:
            value, position = field.unpack(data, position)
        except BodyError:
            if isinstance(field, CString):
                values.append(field.salvage(data, position))
            break
        values.append(value)
    values += list(pdu_class._field_defaults.values())[len(values) :]
    return make(pdu_class, values)


def _pack_message(pdu: Pdu) -> bytes:
    """submit_sm and deliver_sm."""
    (
        sequence,
        status,
        service_type,
        source_addr_ton,
        source_addr_npi,
        source_addr,
        dest_addr_ton,
        dest_addr_npi,
        destination_addr,
        esm_class,
        protocol_id,
        priority_flag,
        schedule_delivery_time,
        validity_period,
        registered_delivery,
        replace_if_present_flag,
        data_coding,
        sm_default_msg_id,
        short_message,
        tlvs,
    ) = cast(SubmitSm, pdu)
    length = len(short_message)
    if (
        len(service_type) > 5
        or len(source_addr) > 20
        or len(destination_addr) > 20
        or length > 254
        or "\0" in source_addr
        or "\0" in destination_addr
        or schedule_delivery_time
        or (validity_period and not is_time(validity_period))
        or (service_type and "\0" in service_type)
    ):
        raise _Irregular
    body = b"%b\0%c%c%b\0%c%c%b\0%c%c%c\0%b\0%c%c%c%c%c%b" % (
        service_type.encode("latin-1"),
        source_addr_ton,
        source_addr_npi,
        source_addr.encode("latin-1"),
        dest_addr_ton,
        dest_addr_npi,
        destination_addr.encode("latin-1"),
        esm_class,
        protocol_id,
        priority_flag,
        validity_period.encode("latin-1"),
        registered_delivery,
        replace_if_present_flag,
        data_coding,
        sm_default_msg_id,
        length,
        short_message,
    )
    if tlvs:
        body += pack_tlvs(tlvs)
    return _HEADER.pack(HEADER_LENGTH + len(body), pdu.command_id, status, sequence) + body


def _unpack_message(pdu_class: type[Pdu], data: bytes, status: int, sequence: int) -> Pdu:
    """submit_sm and deliver_sm. A name is where that string's NUL is; one not found is -1, out of order."""
    find = data.find
    service_type = find(0, 16)
    source = find(0, service_type + 3)
    destination = find(0, source + 3)
    schedule = find(0, destination + 4)
    validity = find(0, schedule + 1)
    message = validity + 6
    end = len(data)
    if not (
        16 <= service_type <= 21
        and service_type + 3 <= source <= service_type + 23
        and source + 3 <= destination <= source + 23
        and destination + 4 <= schedule <= destination + 20
        and schedule < validity <= schedule + 17
        and message <= end
    ):
        return _unpack_by_layout(pdu_class, data, status, sequence)
    tail = message + data[message - 1]
    if tail > end or tail > message + 254:
        return _unpack_by_layout(pdu_class, data, status, sequence)
    return make(
        pdu_class,
        (
            sequence,
            status,
            data[16:service_type].decode("latin-1") if service_type > 16 else "",
            data[service_type + 1],
            data[service_type + 2],
            data[service_type + 3 : source].decode("latin-1"),
            data[source + 1],
            data[source + 2],
            data[source + 3 : destination].decode("latin-1"),
            data[destination + 1],
            data[destination + 2],
            data[destination + 3],
            data[destination + 4 : schedule].decode("latin-1") if schedule > destination + 4 else "",
            data[schedule + 1 : validity].decode("latin-1") if validity > schedule + 1 else "",
            data[validity + 1],
            data[validity + 2],
            data[validity + 3],
            data[validity + 4],
            data[message:tail],
            unpack_tlvs(data, tail) if tail < end else (),
        ),
    )


def _unpack_submit_sm(pdu_class: type[Pdu], data: bytes, status: int, sequence: int) -> Pdu:
    pdu = cast(SubmitSm, _unpack_message(pdu_class, data, status, sequence))
    if is_time(pdu.schedule_delivery_time) and is_time(pdu.validity_period):
        return pdu
    return _unpack_by_layout(pdu_class, data, status, sequence)


def _pack_message_id(pdu: Pdu) -> bytes:
    """submit_sm_resp, deliver_sm_resp and data_sm_resp."""
    sequence, status, message_id, tlvs = cast(SubmitSmResp, pdu)
    if tlvs or message_id is None or len(message_id) > 64 or "\0" in message_id:
        raise _Irregular
    body = message_id.encode("latin-1")
    return _HEADER.pack(HEADER_LENGTH + 1 + len(body), pdu.command_id, status, sequence) + body + b"\0"


def _unpack_message_id(pdu_class: type[Pdu], data: bytes, status: int, sequence: int) -> Pdu:
    last = len(data) - 1
    if data.find(0, HEADER_LENGTH) == last <= HEADER_LENGTH + 64:
        return make(pdu_class, (sequence, status, data[HEADER_LENGTH:last].decode("latin-1"), ()))
    return _unpack_by_layout(pdu_class, data, status, sequence)


_Unpacker = Callable[[type[Pdu], bytes, int, int], Pdu]

_CLASSES: dict[int, type[Pdu]] = {pdu_class.command_id: pdu_class for pdu_class in PDU_CLASSES}

_PACKERS: dict[type[Pdu], Callable[[Pdu], bytes]] = {
    SubmitSm: _pack_message,
    DeliverSm: _pack_message,
    SubmitSmResp: _pack_message_id,
    DeliverSmResp: _pack_message_id,
    DataSmResp: _pack_message_id,
}

_UNPACKERS: dict[int, _Unpacker] = {
    SubmitSm.command_id: _unpack_submit_sm,
    DeliverSm.command_id: _unpack_message,
    SubmitSmResp.command_id: _unpack_message_id,
    DeliverSmResp.command_id: _unpack_message_id,
    DataSmResp.command_id: _unpack_message_id,
}
