"""How one upstream speaks: its alphabet, its spelling of numbers, its way with long messages.

Everything about an SMSC that is a matter of its configuration and not of the protocol is here, so
that the pipelines need not know that carriers differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.config import UpstreamConfig
from edge.policy import numbers
from edge.policy.numbers import NumberFormat, NumberKind, WireAddress
from protocols.smpp.pdu import DataSm, DeliverSm, SubmitSm
from protocols.smpp.shapes import Tlvs
from protocols.smpp.tlv import Tag, encode, unpack_tlvs
from protocols.sms import (
    Alphabet,
    Concatenation,
    Decoded,
    Joined,
    Language,
    LongMessageMode,
    Part,
    SegmentOptions,
    Transliteration,
    decode,
    joined,
)
from protocols.sms.data_coding import Coding, read
from protocols.sms.header import UDHI
from storage.parts import QueuedPart
from storage.receipt_parts import reference_of
from storage.records import InboundPartRecord, PartFlag

RECEIPT_REQUESTED = 0x01
BY_RULE = -1
LONGEST_VALIDITY = 31 * 86_400

# A data_coding whose charset is this one whatever the default alphabet is; the class is not read from it.
CHARSETS = {
    "gsm7": 0xF1,
    "ascii": 1,
    "binary": 4,
    "latin1": 3,
    "shift_jis": 5,
    "cyrillic": 6,
    "hebrew": 7,
    "ucs2": 8,
    "iso2022_jp": 10,
    "euc_jp": 13,
    "euc_kr": 14,
}


@dataclass(frozen=True, slots=True)
class Inbound:
    """One MO PDU in our own terms. ``octets`` are as received; text is in ``decoded``."""

    source: str
    destination: str
    octets: bytes
    decoded: Decoded
    concatenation: Concatenation | None
    coding: Coding


class Dialect:
    """I translate for one upstream; pure and without state."""

    def __init__(self, config: UpstreamConfig, region: str) -> None:
        self.config = config
        self._region = region
        self._format = NumberFormat(config.number_format)
        self._alphabet = Alphabet[config.default_alphabet.upper()]
        self._registered_delivery = RECEIPT_REQUESTED if config.registered_delivery else 0
        self._ton_npi = {
            NumberKind(kind): tuple(map(int, value.split("/"))) for kind, value in config.ton_npi.items()
        }
        self._charsets = {int(coding): CHARSETS[name] for coding, name in config.charsets.items()}
        self.segmentation = SegmentOptions(
            mode=LongMessageMode[config.long_messages.upper()],
            default_alphabet=self._alphabet,
            strict_clusters=config.strict_clusters,
            languages=tuple(Language[name.upper()] for name in config.languages),
            transliterate=Transliteration(config.transliterate),
        )

    def submit_sm(self, queued: QueuedPart, now_ms: int) -> SubmitSm:
        """The PDU for a part; the session gives it its sequence number."""
        part = queued.part
        config = self.config
        source = self._address(queued.did)
        destination = self._address(queued.peer)
        again = config.replace_if_present and part.flags & PartFlag.POSSIBLE_DUPLICATE
        return SubmitSm(
            service_type=config.service_type,
            source_addr_ton=_or_rule(config.source_ton, source.ton),
            source_addr_npi=_or_rule(config.source_npi, source.npi),
            source_addr=source.addr,
            dest_addr_ton=_or_rule(config.destination_ton, destination.ton),
            dest_addr_npi=_or_rule(config.destination_npi, destination.npi),
            destination_addr=destination.addr,
            esm_class=part.esm_class,
            priority_flag=config.priority_flag,
            validity_period=(
                config.validity_period
                if part.expires_at is None
                else relative_time((part.expires_at - now_ms) / 1000)
            ),
            registered_delivery=self._registered_delivery,
            replace_if_present_flag=1 if again else 0,
            data_coding=part.data_coding,
            short_message=part.user_data,
            tlvs=(*(unpack_tlvs(part.tlvs, 0) if part.tlvs else ()), *self._reference(part.id)),
        )

    def _reference(self, part_id: int) -> Tlvs:
        if not self.config.user_message_reference:
            return ()
        return (encode(Tag.USER_MESSAGE_REFERENCE, reference_of(part_id)),)

    def _address(self, number: str) -> WireAddress:
        address = numbers.to_wire(number, self._format, self._region)
        if not self._ton_npi:
            return address
        ton, npi = self._ton_npi.get(numbers.kind(address), (address.ton, address.npi))
        return WireAddress(ton, npi, address.addr)

    def inbound(self, pdu: DeliverSm | DataSm) -> Inbound:
        """What an MO PDU says. Never raises: what cannot be decoded is marked so in ``decoded``."""
        octets = user_data(pdu)
        decoded = decode(
            octets,
            self._charsets.get(pdu.data_coding, pdu.data_coding),
            udhi=bool(pdu.esm_class & UDHI),
            default_alphabet=self._alphabet,
        )
        source, destination = self.ends(pdu)
        return Inbound(
            numbers.sender(source),
            destination,
            octets,
            decoded,
            decoded.concatenation or sar(pdu),
            read(pdu.data_coding, self._alphabet),
        )

    def ends(self, pdu: DeliverSm | DataSm) -> tuple[str, str]:
        """Whom it is from and to, as the store has numbers."""
        return (
            numbers.from_wire(pdu.source_addr, pdu.source_addr_ton, self._format, self._region),
            numbers.from_wire(pdu.destination_addr, pdu.dest_addr_ton, self._format, self._region),
        )

    def joined(self, parts: Sequence[InboundPartRecord]) -> tuple[Joined, Coding]:
        """The text of a long MO, of whichever parts came, and what the first one's data_coding says."""
        found = joined(
            [
                Part(
                    part.number,
                    part.user_data,
                    self._charsets.get(part.data_coding, part.data_coding),
                    bool(part.esm_class & UDHI),
                )
                for part in parts
            ],
            parts[0].total,
            self._alphabet,
        )
        return found, read(parts[0].data_coding, self._alphabet)


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
    """Concatenation by TLVs (SMPP 3.4 §5.3.2.22-24); None unless all three are there and make sense. The
    reference has two octets, the others one; a carrier that gives either to all is understood."""
    if not pdu.tlvs:
        return None
    found = {
        tag: int.from_bytes(value, "big")
        for tag, value in pdu.tlvs
        if tag in (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
        and 1 <= len(value) <= 2
    }
    if len(found) != 3:
        return None
    total, number = found[Tag.SAR_TOTAL_SEGMENTS], found[Tag.SAR_SEGMENT_SEQNUM]
    if not 1 <= number <= total <= 255 or total == 1:
        return None
    return Concatenation(reference=found[Tag.SAR_MSG_REF_NUM], total=total, number=number, kind="sar")


def _or_rule(configured: int, by_rule: int) -> int:
    return by_rule if configured == BY_RULE else configured


def relative_time(seconds: float) -> str:
    """A validity_period from now, in the relative format (SMPP 3.4 §7.1.1.2): a second to 31 days. Months
    differ in length, so it is told in days; SMSCs keep no message longer."""
    left = min(max(1, round(seconds)), LONGEST_VALIDITY)
    return f"0000{left // 86_400:02}{left // 3600 % 24:02}{left // 60 % 60:02}{left % 60:02}000R"
