"""From the octets of a message to its text; nothing that a carrier sends makes this fail."""

from codecs import utf_16_be_decode
from typing import NamedTuple

from protocols.sms import alphabet, header, national, packing
from protocols.sms.alphabet import REPLACEMENT
from protocols.sms.data_coding import Alphabet, Coding, Encoding, read
from protocols.sms.header import Concatenation, UserDataHeader

_DEFAULT = alphabet.default()


class Body(NamedTuple):
    """User data taken apart: `octets` are the text's, without header; septets one an octet."""

    coding: Coding
    udh: UserDataHeader | None
    octets: bytes


class Decoded(NamedTuple):
    """What a message, or one part of it, says.

    `text` is for BINARY the octets in hexadecimal. `undecodable`: something was no text in that encoding;
    it is U+FFFD in `text`. In a part, half of a surrogate pair at its edge is kept as it is, for the other
    half may be at the edge of its neighbour (see `reassembly.joined`). `body` is the octets without the
    header, septets one an octet.
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
    as TLVs may say; a header that says so is seen here. A header longer than the user data is read as text.
    """
    body = unwrap(user_data, data_coding, udhi=udhi, default_alphabet=default_alphabet)
    concatenation = None if body.udh is None else body.udh.concatenation
    text, broken = text_of(body, part=part or concatenation is not None)
    return Decoded(
        text,
        body.coding.encoding,
        body.udh,
        concatenation,
        body.coding,
        body.octets,
        broken or (udhi and (body.udh is None or body.udh.damaged)),
    )


def unwrap(
    user_data: bytes, data_coding: int, *, udhi: bool = False, default_alphabet: Alphabet = Alphabet.GSM7
) -> Body:
    """Take the header off, and the packing; never raises."""
    udh = header.parse(user_data) if udhi else None
    coding = read(data_coding, default_alphabet)
    octets = user_data if udh is None else user_data[len(udh.octets) :]
    if default_alphabet is Alphabet.GSM7_PACKED and coding.encoding is Encoding.GSM7:
        octets = packing.unpack(octets, 0 if udh is None else packing.fill_bits(len(udh.octets)))
    return Body(coding, udh, octets)


def text_of(body: Body, *, part: bool = False) -> tuple[str, bool]:
    """The text, and whether something in it could not be decoded; `part` as in `decode`."""
    encoding = body.coding.encoding
    if encoding is Encoding.GSM7:
        text = _septets(body.udh).decode(body.octets)
        return text, REPLACEMENT in text
    if encoding is Encoding.UCS2:
        return _ucs2(body.octets, part)
    return _octets(body.octets, body.coding)


def _septets(udh: UserDataHeader | None) -> alphabet.Septets:
    if udh is None:
        return _DEFAULT
    locking, single = udh.locking_shift, udh.single_shift
    return national.septets(locking, single) if locking or single else _DEFAULT


def _ucs2(body: bytes, part: bool) -> tuple[str, bool]:
    try:
        return utf_16_be_decode(body, "strict", True)[0], False
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
