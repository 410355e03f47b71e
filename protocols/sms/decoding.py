"""From the octets of a message to its text; nothing that a carrier sends makes this fail."""

from typing import NamedTuple

from protocols.sms import alphabet, header, packing
from protocols.sms.data_coding import Alphabet, Coding, Encoding, read
from protocols.sms.header import Concatenation, UserDataHeader

REPLACEMENT = "\ufffd"


class Decoded(NamedTuple):
    """What a message, or one part of it, says.

    `text` is for BINARY the octets in hexadecimal. `undecodable`: something was no text in that encoding;
    it is U+FFFD in `text`. In a part, half of a surrogate pair at its edge is kept as it is, for the other
    half may be at the edge of its neighbour (see `reassembly.heal`). `body` is the octets without the header.
    """

    text: str
    encoding: Encoding
    udh: UserDataHeader | None
    concatenation: Concatenation | None
    coding: Coding
    body: bytes
    undecodable: bool

    @property
    def message_class(self) -> int | None:
        """0 (flash) to 3 (TS 23.038 §4); None when none is given."""
        return self.coding.message_class


def decode(
    user_data: bytes,
    data_coding: int,
    *,
    udhi: bool = False,
    default_alphabet: Alphabet = Alphabet.GSM7,
    part: bool = False,
) -> Decoded:
    """Decode user data; never raises.

    `udhi`: it starts with a user data header (bit 40 of esm_class). `part`: it is a part of a longer message,
    as TLVs may say; a header that says so is seen here. A header that does not fit is read as text.
    """
    udh = header.parse(user_data) if udhi else None
    coding = read(data_coding, default_alphabet)
    if udh is None:
        body, concatenation, fill = user_data, None, 0
    else:
        body, concatenation = user_data[len(udh.octets) :], udh.concatenation
        fill = packing.fill_bits(len(udh.octets))
    if coding.encoding is Encoding.GSM7:
        septets = packing.unpack(body, fill) if default_alphabet is Alphabet.GSM7_PACKED else body
        text = _septets(udh).decode(septets)
        broken = not septets.isascii()
    elif coding.encoding is Encoding.UCS2:
        text, broken = _ucs2(body, part or concatenation is not None)
    else:
        text, broken = _octets(body, coding)
    return Decoded(text, coding.encoding, udh, concatenation, coding, body, broken or (udhi and udh is None))


def _septets(udh: UserDataHeader | None) -> alphabet.Septets:
    return alphabet.default()


def _ucs2(body: bytes, part: bool) -> tuple[str, bool]:
    try:
        return body.decode("utf-16-be"), False
    except UnicodeDecodeError:
        pass
    whole = body[: len(body) & ~1]
    lead = tail = ""
    if part:
        if whole[:1] and 0xDC <= whole[0] <= 0xDF:
            lead, whole = whole[:2].decode("utf-16-be", "surrogatepass"), whole[2:]
        if whole[-2:-1] and 0xD8 <= whole[-2] <= 0xDB:
            tail, whole = whole[-2:].decode("utf-16-be", "surrogatepass"), whole[:-2]
    text = whole.decode("utf-16-be", "replace")
    odd = REPLACEMENT if len(body) & 1 else ""
    return lead + text + tail + odd, bool(odd) or REPLACEMENT in text


def _octets(body: bytes, coding: Coding) -> tuple[str, bool]:
    if coding.encoding is Encoding.BINARY:
        return body.hex(), coding.compressed
    name = coding.encoding.value
    try:
        return body.decode(name), False
    except UnicodeDecodeError:
        return body.decode(name, "replace"), True
