"""Cutting the stream: any slicing gives the same PDUs, a bad length gives one clear error and no memory."""

from struct import pack as struct_pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.smpp.codec import Framer, pack
from protocols.smpp.errors import CommandStatus, UnrecoverableError
from tests.unit.protocols.smpp.samples import SAMPLES

OCTETS = [pack(sample) for sample in SAMPLES]
STREAM = b"".join(OCTETS)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """`data` in pieces of these sizes, round and round."""
    pieces, position, turn = [], 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[position : position + size])
        position, turn = position + size, turn + 1
    return pieces


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_any_slicing_gives_the_same_pdus(sizes: list[int]) -> None:
    framer = Framer()
    stream = b"".join(OCTETS[:12])
    assert [pdu for piece in cut(stream, sizes) for pdu in framer.feed(piece)] == OCTETS[:12]


def test_one_octet_at_a_time() -> None:
    framer = Framer()
    assert [pdu for piece in cut(STREAM, [1]) for pdu in framer.feed(piece)] == OCTETS


def test_nothing_is_nothing() -> None:
    assert list(Framer().feed(b"")) == []


@pytest.mark.parametrize("length", [0, 1, 15, 70_001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_lengths_out_of_bounds(length: int, size: int) -> None:
    good = OCTETS[8]
    header = struct_pack(">IIII", length, 4, 0, 99)
    framer, seen = Framer(), []

    def feed() -> None:
        for piece in cut(good + header + b"body", [size]):
            for pdu in framer.feed(piece):
                seen.append(pdu)

    with pytest.raises(UnrecoverableError) as caught:
        feed()
    assert seen == [good]
    assert caught.value.command_status == CommandStatus.ESME_RINVCMDLEN
    assert caught.value.sequence_number == (0 if length < 16 else 99)


def test_pdus_before_a_bad_length_come_first() -> None:
    frames = Framer().feed(OCTETS[8] + b"\0\0\0\0")
    assert next(frames) == OCTETS[8]
    with pytest.raises(UnrecoverableError):
        next(frames)


@pytest.mark.parametrize("length", [16, 70_000])
def test_lengths_at_the_bounds(length: int) -> None:
    pdu = struct_pack(">IIII", length, 0x15, 0, 1) + bytes(length - 16)
    assert list(Framer().feed(pdu)) == [pdu]


def test_the_limit_is_a_setting() -> None:
    with pytest.raises(UnrecoverableError):
        list(Framer(100).feed(struct_pack(">IIII", 101, 4, 0, 1)))


def test_an_announced_length_is_not_allocated() -> None:
    framer = Framer()
    assert list(framer.feed(struct_pack(">IIII", 70_000, 4, 0, 1))) == []
    assert len(framer._tail) == 16
