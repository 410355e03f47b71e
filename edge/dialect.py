"""How one upstream speaks: its alphabet, its spelling of numbers, its way with long messages.

Everything about an SMSC that is a matter of its configuration and not of the protocol is here, so
that the pipelines need not know that carriers differ.
"""

from dataclasses import dataclass

from edge.config import UpstreamConfig
from edge.policy import numbers
from edge.policy.numbers import NumberFormat
from protocols.smpp.pdu import DataSm, DeliverSm, SubmitSm
from protocols.smpp.tlv import Tag, unpack_tlvs
from protocols.sms import Alphabet, Concatenation, Decoded, LongMessageMode, SegmentOptions, decode
from storage.parts import QueuedPart
from storage.records import InboundPartRecord

UDHI = 0x40
RECEIPT_REQUESTED = 0x01
BY_RULE = -1


@dataclass(frozen=True, slots=True)
class Inbound:
    """One MO PDU in our own terms. ``octets`` are as received; text is in ``decoded``."""

    source: str
    destination: str
    octets: bytes
    decoded: Decoded
    concatenation: Concatenation | None


class Dialect:
    """I translate for one upstream; pure and without state."""

    def __init__(self, config: UpstreamConfig, region: str) -> None:
        self._config = config
        self._region = region
        self._format = NumberFormat(config.number_format)
        self._alphabet = Alphabet[config.default_alphabet.upper()]
        self._registered_delivery = RECEIPT_REQUESTED if config.registered_delivery else 0
        self.segmentation = SegmentOptions(
            mode=LongMessageMode[config.long_messages.upper()], default_alphabet=self._alphabet
        )

    def submit_sm(self, queued: QueuedPart) -> SubmitSm:
        """The PDU for a part; the session gives it its sequence number."""
        part = queued.part
        config = self._config
        source = numbers.to_wire(queued.did, self._format, self._region)
        destination = numbers.to_wire(queued.peer, self._format, self._region)
        return SubmitSm(
            service_type=config.service_type,
            source_addr_ton=_or_rule(config.source_ton, source.ton),
            source_addr_npi=_or_rule(config.source_npi, source.npi),
            source_addr=source.addr,
            dest_addr_ton=_or_rule(config.destination_ton, destination.ton),
            dest_addr_npi=_or_rule(config.destination_npi, destination.npi),
            destination_addr=destination.addr,
            esm_class=part.esm_class,
            validity_period=config.validity_period,
            registered_delivery=self._registered_delivery,
            replace_if_present_flag=0,
            data_coding=part.data_coding,
            short_message=part.user_data,
            tlvs=unpack_tlvs(part.tlvs, 0) if part.tlvs else (),
        )

    def inbound(self, pdu: DeliverSm | DataSm) -> Inbound:
        """What an MO PDU says. Never raises: what cannot be decoded is marked so in ``decoded``."""
        octets = user_data(pdu)
        udhi = bool(pdu.esm_class & UDHI)
        decoded = decode(octets, pdu.data_coding, udhi=udhi, default_alphabet=self._alphabet)
        return Inbound(
            numbers.from_wire(pdu.source_addr, pdu.source_addr_ton, self._format, self._region),
            numbers.from_wire(pdu.destination_addr, pdu.dest_addr_ton, self._format, self._region),
            octets,
            decoded,
            decoded.concatenation or sar(pdu),
        )

    def decode_part(self, part: InboundPartRecord) -> Decoded:
        """The text of one stored part of a long MO."""
        udhi = bool(part.esm_class & UDHI)
        return decode(part.user_data, part.data_coding, udhi=udhi, default_alphabet=self._alphabet)


def user_data(pdu: DeliverSm | DataSm) -> bytes:
    """short_message, or message_payload when the text came there (SMPP 3.4 §5.3.2.32)."""
    short_message = getattr(pdu, "short_message", b"")
    if short_message or not pdu.tlvs:
        return bytes(short_message)
    for tag, value in pdu.tlvs:
        if tag == Tag.MESSAGE_PAYLOAD:
            return value
    return b""


def sar(pdu: DeliverSm | DataSm) -> Concatenation | None:
    """Concatenation by TLVs (SMPP 3.4 §5.3.2.22-24); None unless all three are there and make sense."""
    if not pdu.tlvs:
        return None
    found = {
        tag: int.from_bytes(value, "big")
        for tag, value in pdu.tlvs
        if tag in (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
    }
    if len(found) != 3:
        return None
    total, number = found[Tag.SAR_TOTAL_SEGMENTS], found[Tag.SAR_SEGMENT_SEQNUM]
    if not 1 <= number <= total <= 255 or total == 1:
        return None
    return Concatenation(reference=found[Tag.SAR_MSG_REF_NUM], total=total, number=number, kind="sar")


def _or_rule(configured: int, by_rule: int) -> int:
    return by_rule if configured == BY_RULE else configured
