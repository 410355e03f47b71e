"""Eight septets in seven octets (TS 23.038 §6.1.2.1), without a loop over the septets.

All septets are one big integer, and three steps of mask and shift push them together: two by two, four by
four, eight by eight. Seven of eight octets are then full, and the eighth is dropped.
"""

from functools import lru_cache

CARRIAGE_RETURN = 0x0D


@lru_cache(maxsize=64)
def _masks(groups: int) -> tuple[tuple[int, int, int], ...]:
    """For each step: the fields that stay, the fields that move, and by how many bits."""

    def repeated(pattern: int) -> int:
        return int.from_bytes(pattern.to_bytes(8, "little") * groups, "little")

    return (
        (repeated(0x007F007F007F007F), repeated(0x7F007F007F007F00), 1),
        (repeated(0x00003FFF00003FFF), repeated(0x3FFF00003FFF0000), 2),
        (repeated(0x000000000FFFFFFF), repeated(0x0FFFFFFF00000000), 4),
    )


def fill_bits(header_octets: int) -> int:
    """How many bits are left free after a header so that the text starts at a septet (TS 23.040)."""
    return -8 * header_octets % 7


def spare_bits(septets: int, fill: int = 0) -> int:
    """How many bits of the last octet are left over."""
    return -(7 * septets + fill) % 8


def ambiguous(septets: bytes, fill: int = 0) -> bool:
    """Whether the last septet would be taken for padding: a carriage return that ends on an octet's end."""
    return septets[-1:] == b"\r" and not spare_bits(len(septets), fill)


def pack(septets: bytes, fill: int = 0) -> bytes:
    """Pack septets (one an octet, all below 80) after `fill` zero bits.

    Seven spare bits would be read as one more septet, an @. They are filled with a carriage return instead,
    which a receiver removes (the rule of TS 23.038 §6.1.2.3.1).
    """
    if spare_bits(len(septets), fill) == 7:
        septets += b"\r"
    groups = (len(septets) + 7) // 8
    folded = int.from_bytes(septets, "little")
    for stay, move, shift in _masks(groups):
        folded = folded & stay | (folded & move) >> shift
    octets = bytearray(folded.to_bytes(groups * 8, "little"))
    del octets[7::8]
    length = (7 * len(septets) + fill + 7) // 8
    if fill:
        return (int.from_bytes(octets, "little") << fill).to_bytes(len(octets) + 1, "little")[:length]
    return bytes(octets[:length])


def unpack(octets: bytes, fill: int = 0) -> bytes:
    """The septets, one an octet, of packed octets that start with `fill` bits to skip.

    A carriage return that ends on an octet's end is padding and is removed; seven spare zero bits cannot be
    told from an @ and are kept.
    """
    count = max(8 * len(octets) - fill, 0) // 7
    groups = (count + 7) // 8
    if fill:
        octets = (int.from_bytes(octets, "little") >> fill).to_bytes(len(octets), "little")
    octets = octets[: 7 * groups].ljust(7 * groups, b"\0")
    spread = bytearray(8 * groups)
    for place in range(7):
        spread[place::8] = octets[place::7]
    folded = int.from_bytes(spread, "little")
    for stay, move, shift in reversed(_masks(groups)):
        folded = folded & stay | (folded << shift) & move
    septets = folded.to_bytes(8 * groups, "little")[:count]
    return septets[:-1] if ambiguous(septets, fill) else septets
