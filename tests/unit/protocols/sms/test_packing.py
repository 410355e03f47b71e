"""Septets in octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sms.packing import ambiguous, fill_bits, pack, spare_bits, unpack

septets = st.binary(max_size=200).map(lambda octets: bytes(octet & 0x7F for octet in octets))
fills = st.integers(0, 6)


def slowly(octets: bytes, fill: int) -> bytes:
    """Bit by bit, as the standard draws it."""
    bits = "".join(f"{septet:07b}"[::-1] for septet in octets)
    bits = "0" * fill + bits
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))


@given(septets, fills)
def test_packing_is_what_the_standard_draws(octets: bytes, fill: int) -> None:
    padded = octets + b"\r" if spare_bits(len(octets), fill) == 7 else octets
    assert pack(octets, fill) == slowly(padded, fill)


@given(septets, fills)
def test_unpacking_gives_back_what_was_packed(octets: bytes, fill: int) -> None:
    if not ambiguous(octets, fill):
        assert unpack(pack(octets, fill), fill) == octets


@given(st.binary(max_size=300), fills)
def test_any_octets_unpack(octets: bytes, fill: int) -> None:
    found = unpack(octets, fill)
    assert max(8 * len(octets) - fill, 0) // 7 - len(found) in (0, 1)
    assert found.isascii()


@pytest.mark.parametrize(("octets", "fill"), [(0, 0), (6, 1), (7, 0), (4, 3), (9, 5), (12, 2)])
def test_fill_bits(octets: int, fill: int) -> None:
    assert fill_bits(octets) == fill
    assert (octets * 8 + fill) % 7 == 0


def test_seven_spare_bits_hold_a_carriage_return() -> None:
    assert pack(b"1234567") == pack(b"1234567\r")
    assert unpack(pack(b"1234567")) == b"1234567"
    assert unpack(pack(b"123456\0")) == b"123456\0"
    assert unpack(pack(b"1234567\0")) == b"1234567\0"
    assert pack(b"") == b""
    assert unpack(b"") == b""
