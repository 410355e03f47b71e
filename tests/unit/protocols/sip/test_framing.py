"""Cutting a stream: any slicing gives the same messages; a bad length ends it with an answer and no
memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sip.errors import FramingLost
from protocols.sip.framing import Framer, Sign
from tests.unit.protocols.sip.samples import COMPACT, MESSAGE, RESPONSE, torture

STREAM = [MESSAGE, RESPONSE, COMPACT, MESSAGE]


@given(st.lists(st.integers(1, 900), min_size=1, max_size=20))
def test_any_slicing_gives_the_same_messages(sizes: list[int]) -> None:
    data, framer, found, turn = b"".join(STREAM), Framer(), [], 0
    while data:
        size = sizes[turn % len(sizes)]
        found += list(framer.feed(data[:size]))
        data, turn = data[size:], turn + 1
    assert found == STREAM
    assert not framer.waiting


def test_signs_between_messages() -> None:
    framer = Framer()
    assert list(framer.feed(b"\r\n\r\n")) == [Sign.PING]
    assert list(framer.feed(b"\r\n")) == [Sign.PONG]
    assert list(framer.feed(b"\r")) == []
    assert list(framer.feed(b"\n" + MESSAGE + b"\r\n\r\n" + RESPONSE)) == [
        Sign.PONG,
        MESSAGE,
        Sign.PING,
        RESPONSE,
    ]


def test_folded_and_compact_lengths() -> None:
    folded = COMPACT.replace(b"l: 0", b"L :\r\n 4") + b"body"
    assert list(Framer().feed(folded + RESPONSE)) == [folded, RESPONSE]


def test_no_length_is_no_body() -> None:
    short = COMPACT.replace(b"l: 0\r\n", b"")
    assert list(Framer().feed(short + RESPONSE)) == [short, RESPONSE]


@pytest.mark.parametrize("name", ["ncl", "mcl01"])
def test_bad_lengths_lose_the_stream(name: str) -> None:
    with pytest.raises(FramingLost) as caught:
        list(Framer().feed(torture()[name]))
    assert caught.value.status == 400
    assert caught.value.request is not None


def test_what_came_before_the_fault_is_given() -> None:
    found = Framer().feed(MESSAGE + torture()["ncl"])
    assert next(found) == MESSAGE
    with pytest.raises(FramingLost):
        next(found)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"M" * 3_000, 414),
        (b"MESSAGE sip:a@b SIP/2.0\r\n" + b"a: b\r\n" * 12_000, 513),
        (MESSAGE.replace(b": 45", b": 99999"), 513),
        (MESSAGE.replace(b": 45", b": 4five"), 400),
        (b"\rMESSAGE", 400),
    ],
)
def test_limits(data: bytes, status: int) -> None:
    with pytest.raises(FramingLost) as caught:
        list(Framer().feed(data))
    assert caught.value.status == status


def test_a_head_that_trickles_in_is_searched_once() -> None:
    framer = Framer()
    for octet in MESSAGE[:-1]:
        assert list(framer.feed(bytes((octet,)))) == []
    assert framer.waiting
    assert list(framer.feed(MESSAGE[-1:])) == [MESSAGE]
