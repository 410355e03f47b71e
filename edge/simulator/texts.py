"""A phone's text as the deliver_sm that bring it to the server."""

from dataclasses import dataclass

from edge.errors import Refused
from edge.policy import numbers
from edge.policy.numbers import NumberFormat, WireAddress
from edge.simulator.errors import NotSendable
from protocols.smpp.pdu import DeliverSm
from protocols.sms import segment

ADDRESS_OCTETS = 20  # SMPP 3.4 §5.2.8
NAME_CHARACTERS = 11
REFERENCES = 0x100


@dataclass(frozen=True, slots=True)
class Written:
    """A text ready to be sent: both numbers as the server keeps them, one PDU a part."""

    phone: str
    did: str
    pdus: tuple[DeliverSm, ...]


class Texts:
    """I turn texts into PDUs. ``region`` is the country whose national numbers are understood."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._reference = 0

    def write(self, phone: str, did: str, text: str) -> Written:
        """NotSendable when a number is none or the text is too long for 255 parts."""
        source, destination = self._phone(phone), self._number(did, "DID")
        sender = numbers.to_wire(source, NumberFormat.E164, self._region)
        receiver = numbers.to_wire(destination, NumberFormat.E164, self._region)
        self._reference = (self._reference + 1) % REFERENCES
        try:
            parts = segment(text, self._reference).segments
        except ValueError as error:
            raise NotSendable(f"the text cannot be sent: {error}") from error
        pdus = tuple(
            _deliver_sm(sender, receiver, part.user_data, part.data_coding, part.esm_class) for part in parts
        )
        return Written(source, destination, pdus)

    def _phone(self, phone: str) -> str:
        """A number, or a name of letters and digits, as some senders have."""
        name = phone.strip()
        if any(character.isalpha() for character in name):
            if name.isascii() and len(name) <= NAME_CHARACTERS and name.isprintable():
                return name
            raise NotSendable(
                f"{name[:40]!r} is not a name that can send: at most {NAME_CHARACTERS} ASCII characters"
            )
        return self._number(name, "phone")

    def _number(self, written: str, what: str) -> str:
        try:
            return numbers.destination(written, self._region)
        except Refused as error:
            raise NotSendable(f"{what}: {error.sentence}") from error


def _deliver_sm(
    sender: WireAddress, receiver: WireAddress, octets: bytes, data_coding: int, esm_class: int
) -> DeliverSm:
    return DeliverSm(
        source_addr_ton=sender.ton,
        source_addr_npi=sender.npi,
        source_addr=sender.addr,
        dest_addr_ton=receiver.ton,
        dest_addr_npi=receiver.npi,
        destination_addr=receiver.addr,
        esm_class=esm_class,
        data_coding=data_coding,
        short_message=octets,
    )
