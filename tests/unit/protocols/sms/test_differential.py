"""Beside other people's libraries: where they say the same; where they do not, and the reason."""

import gsm0338
import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st
from smspdudecoder.codecs import GSM as Packed

from protocols.sms import Alphabet, Encoding, SegmentOptions, decode, segment
from protocols.sms.alphabet import BASIC, EXTENSION, default
from protocols.sms.errors import TooLong
from protocols.sms.packing import ambiguous, pack, unpack
from tests.unit.protocols.sms import texts

FIRST_PLANE = [chr(point) for point in range(0x10000) if not 0xD800 <= point < 0xE000]
THEIRS = gsm0338.Codec()
PACKED = SegmentOptions(default_alphabet=Alphabet.GSM7_PACKED)


def encodes(character: str) -> bool:
    try:
        default().encode(character)
    except UnicodeEncodeError:
        return False
    return True


# -- smsutil ------------------------------------------------------------------------------------------------


def test_smsutil_has_the_same_alphabet() -> None:
    ours = {character for character in FIRST_PLANE if encodes(character)}
    theirs = {character for character in FIRST_PLANE if smsutil.is_valid_gsm(character)}
    # The escape is a code but no character: sent as text it would turn its neighbour into another.
    assert theirs - ours <= {"\x1b"}
    assert ours <= theirs


@settings(max_examples=300)
@given(st.text(st.sampled_from(texts.GSM), max_size=400))
def test_smsutil_encodes_the_same(text: str) -> None:
    assert default().encode(text) == smsutil.encode(text)


@settings(max_examples=300)
@given(st.binary(max_size=60).map(lambda octets: bytes(octet & 0x7F for octet in octets)))
def test_smsutil_decodes_the_same(septets: bytes) -> None:
    pairs = [septets[place : place + 2] for place, octet in enumerate(septets[:-1]) if octet == 0x1B]
    if any(pair[1] not in EXTENSION for pair in pairs):
        return  # see below
    assert default().decode(septets) == smsutil.decode(septets)


@pytest.mark.parametrize(
    ("septets", "ours", "theirs"),
    [
        # An undefined escape is the basic character of its code (TS 23.038 §6.2.1.1), and no space.
        (b"\x1bA", "A", " A"),
        # Two escapes are the reserved code 1B of the extension table, which is one space (note 1): what
        # follows is a basic character.
        (b"\x1b\x1be", " e", " €"),
    ],
)
def test_where_smsutil_decodes_otherwise(septets: bytes, ours: str, theirs: str) -> None:
    assert (default().decode(septets), smsutil.decode(septets)) == (ours, theirs)


def test_smsutil_fails_on_what_is_no_septet() -> None:
    with pytest.raises(TypeError):
        smsutil.decode(b"\x80")
    assert default().decode(b"\x80") == "\ufffd"


@settings(max_examples=300)
@given(st.one_of(texts.gsm, texts.unicode).filter(lambda text: "\x1b" not in text))
def test_smsutil_makes_as_many_parts(text: str) -> None:
    made = segment(text).segments
    theirs = smsutil.split(text).parts
    # Theirs has no part at all for an empty text; a message has at least one.
    assert len(made) == max(len(theirs), 1)
    contents = [decode(p.user_data, p.data_coding, udhi=p.esm_class == 0x40).text for p in made]
    if contents != [part.content for part in theirs]:
        # Only clusters make a difference: theirs cuts them, ours moves the cut back where that is free.
        for ours, other in zip(contents, [part.content for part in theirs], strict=True):
            if ours != other:
                assert other.startswith(ours)
                break


def test_smsutil_sends_an_escape_as_a_character() -> None:
    """A phone would take it and the next character for another one, so ours goes in UCS-2."""
    text = "0" * 70 + "\x1b"
    assert len(smsutil.split(text).parts) == 1
    assert [part.data_coding for part in segment(text).segments] == [8, 8]


def test_smsutil_has_no_limit_of_parts() -> None:
    text = "a" * (153 * 255 + 1)
    assert len(smsutil.split(text).parts) == 256  # the header has one octet for the total
    with pytest.raises(TooLong):
        segment(text)


# -- gsm0338 ------------------------------------------------------------------------------------------------


def test_gsm0338_has_the_same_alphabet() -> None:
    for character in FIRST_PLANE:
        try:
            theirs = THEIRS.encode(character)[0]
        except UnicodeEncodeError:
            theirs = None
        if character == "\x1b":
            assert theirs == b"\x1b"  # as with smsutil: no character, and it changes the one after it
            continue
        assert theirs == (default().encode(character) if encodes(character) else None), ascii(character)


@settings(max_examples=300)
@given(st.text(st.sampled_from(texts.GSM), max_size=400))
def test_gsm0338_reads_what_ours_writes(text: str) -> None:
    septets = default().encode(text)
    assert septets == THEIRS.encode(text)[0]
    assert THEIRS.decode(septets)[0] == default().decode(septets) == text


@pytest.mark.parametrize("septets", [b"\x1bA", b"\x1b\x1be", b"\x80"])
def test_gsm0338_raises_where_a_receiver_must_not(septets: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        THEIRS.decode(septets)
    assert default().decode(septets)


def test_gsm0338_drops_an_escape_at_the_end() -> None:
    assert THEIRS.decode(b"a\x1b")[0] == "a"
    assert default().decode(b"a\x1b") == "a "  # as a receiver shows it: something was there


# -- smspdudecoder ------------------------------------------------------------------------------------------


def test_smspdudecoder_packs_the_same() -> None:
    @settings(max_examples=300, deadline=None)
    @given(st.text(st.sampled_from(texts.GSM), min_size=1, max_size=80))
    def compare(text: str) -> None:
        septets = default().encode(text)
        theirs = bytes.fromhex(Packed.encode(text, with_padding=True))
        if ambiguous(septets):
            # Theirs adds a second return, which the receiver keeps: another text. Ours sends such a text in
            # UCS-2, so these septets never go out.
            assert theirs == pack(septets + b"\r")
            assert segment(text, 0, PACKED).encoding is Encoding.UCS2
            return
        assert pack(septets) == theirs
        assert unpack(theirs) == septets
        assert Packed.decode(theirs.hex(), strip_padding=True) == text

    compare()


def test_smspdudecoder_shows_an_undefined_escape_as_a_space() -> None:
    for code in set(range(0x80)) - set(EXTENSION) - {0x1B}:
        octets = pack(bytes((0x1B, code)))
        assert Packed.decode(octets.hex()) == " "
        assert default().decode(bytes((0x1B, code))) == BASIC[code]  # TS 23.038 §6.2.1.1
