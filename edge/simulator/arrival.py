"""A text of the server's as the phone that it reaches reads it."""

from collections.abc import Sequence
from functools import partial

from edge.simulator.phones import PartKey, PhoneMessage, Phones
from protocols.smpp import tlv
from protocols.smpp.pdu import DataSm, SubmitSm
from protocols.sms import decode

UDHI = 0x40
UCS2_BITS = 0x08  # TS 23.038 §4: 0x08 in the general group, and in message classes and auto-deletion groups
ALPHABET_MASK = 0x0C


def show(phones: Phones, phone: str, did: str, pdu: SubmitSm | DataSm) -> PhoneMessage:
    """Put it on the phone: a whole text, or one part of one."""
    octets = user_data(pdu)
    udhi = bool(pdu.esm_class & UDHI)
    decoded = decode(octets, pdu.data_coding, udhi=udhi)
    sar = tlv.sar(pdu.tlvs)
    if decoded.concatenation is not None:
        found = decoded.concatenation
        key, number = PartKey(did, found.kind, found.reference, found.total), found.number
    elif sar is not None:
        key, number = PartKey(did, "sar", sar.reference, sar.total), sar.number
    else:
        return phones.receive(phone, did, decoded.text)
    if key.total == 1:
        return phones.receive(phone, did, decoded.text)
    return phones.receive_part(phone, key, number, octets, partial(_read, pdu.data_coding, udhi))


def user_data(pdu: SubmitSm | DataSm) -> bytes:
    """short_message, or message_payload when the text is there (SMPP 3.4 §5.3.2.32)."""
    short_message = pdu.short_message if isinstance(pdu, SubmitSm) else b""
    return short_message or tlv.message_payload(pdu.tlvs) or b""


def _read(data_coding: int, udhi: bool, parts: Sequence[bytes]) -> str:
    """Neighbouring parts together. UCS-2 is joined first: a peer may cut a surrogate pair in two."""
    if _is_ucs2(data_coding):
        joined = b"".join(part[1 + part[0] :] if udhi and part else part for part in parts)
        return decode(joined, data_coding, udhi=False).text
    return "".join(decode(part, data_coding, udhi=udhi).text for part in parts)


def _is_ucs2(data_coding: int) -> bool:
    general = data_coding < 0x80 and data_coding & ALPHABET_MASK == UCS2_BITS
    return general or 0xE0 <= data_coding <= 0xEF
