"""What holds for every text, in every mode."""

import random
from dataclasses import replace
from itertools import accumulate

import pytest
import regex  # type: ignore[import-untyped,unused-ignore]
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from protocols.sms import (
    DEFAULT,
    Alphabet,
    Concatenation,
    Encoding,
    LongMessageMode,
    Part,
    Reassembly,
    Segmented,
    SegmentOptions,
    TooLong,
    count,
    decode,
    joined,
    key_of,
    segment,
)
from protocols.sms.marks import LIMITS
from tests.unit.protocols.sms.texts import clusters, gsm, options, read, texts, unicode


@settings(max_examples=400)
@given(texts, options, st.integers(0, 0x1FFFF))
def test_the_parts_are_the_text(text: str, given_: SegmentOptions, reference: int) -> None:
    made = segment(text, reference, given_)
    parts = [read(part, given_) for part in made.segments]
    assert "".join(part.text for part in parts) == text
    assert not any(part.undecodable for part in parts)
    assert {part.encoding for part in parts} == {made.encoding}
    assert [part.number for part in made.segments] == list(range(1, len(parts) + 1))
    assert {part.total for part in made.segments} == {len(parts)}


@pytest.mark.parametrize("text", ["\x00¦", "Hi\x00 – ok", "é\x00я", "¦\x00"])
def test_a_zero_is_blamed_where_it_stands(text: str) -> None:
    first = next(c for c in text if c in "\x00¦–я")
    assert segment(text).offending == first == (count(text).offending or "")[0]


@settings(max_examples=300)
@given(texts, options)
def test_no_part_exceeds_what_a_message_carries(text: str, given_: SegmentOptions) -> None:
    made = segment(text, 1, given_)
    if given_.mode is LongMessageMode.PAYLOAD and made.segments[0].tlvs:
        return
    packed = given_.default_alphabet is Alphabet.GSM7_PACKED
    for part in made.segments:
        decoded = read(part, given_)
        header = len(decoded.udh.octets) if decoded.udh else 0
        if part.tlvs:  # the SMSC adds the elements of a 16-bit reference, and a length if there is none
            header += 6 if header else 7
        if made.encoding in (Encoding.GSM7, Encoding.ASCII) and not packed:
            assert len(decoded.body) <= (140 - header) * 8 // 7
        else:
            sar = header - (len(decoded.udh.octets) if decoded.udh else 0)
            assert len(part.user_data) + sar <= 140


@settings(max_examples=300)
@given(texts, options)
def test_counts_are_what_segmentation_makes(text: str, given_: SegmentOptions) -> None:
    made = segment(text, 1, given_)
    counted = count(text, given_)
    assert (counted.encoding, counted.parts) == (made.encoding, len(made.segments))
    assert (counted.offending is None) == (made.offending is None)
    if counted.offending and counted.offending != "\r":
        assert counted.offending.startswith(made.offending or "?")
    assert counted.units_left >= 0
    if made.encoding is Encoding.UCS2:
        assert counted.units == len(text.encode("utf-16-be")) // 2


@settings(max_examples=300)
@given(st.one_of(gsm, st.text("a я😀[", max_size=300)))
def test_what_is_left_is_what_still_fits(text: str) -> None:
    """As many more as are left take no part; one more does."""
    before = count(text)
    full = count(text + "a" * before.units_left)
    assume("\r\n" not in text)
    assert (full.encoding, full.parts, full.units_left) == (before.encoding, before.parts, 0)
    assert count(text + "a" * before.units_left + "a").parts == before.parts + 1


@settings(max_examples=300)
@given(texts, options)
def test_no_cut_is_inside_a_pair(text: str, given_: SegmentOptions) -> None:
    for part in segment(text, 1, given_).segments:
        decoded = read(part, given_)
        if decoded.encoding is Encoding.UCS2:
            decoded.body.decode("utf-16-be")
        elif decoded.encoding is Encoding.GSM7:
            assert not decoded.body.endswith(b"\x1b")


@settings(max_examples=300)
@given(st.one_of(clusters, clusters, texts), options)
@example("e" + "\u0301" * 200, SegmentOptions(strict_clusters=True))
@example("a" * 152 + "\r\n" + "b" * 10, SegmentOptions(strict_clusters=True))
def test_strictly_no_cut_is_inside_a_cluster(text: str, given_: SegmentOptions) -> None:
    given_ = replace(given_, strict_clusters=True)
    made = segment(text, 1, given_)
    ends = list(accumulate(map(len, regex.findall(r"\X", text))))
    starts = [0, *ends]
    for place in list(accumulate(len(read(part, given_).text) for part in made.segments))[:-1]:
        if place not in ends:
            start = max(start for start in starts if start < place)
            cluster = text[start : min(end for end in ends if end > place)]
            assert len(cluster) > 60  # longer than a part can be


def marked_room(made: Segmented) -> int:
    """What a part with the widest mark of so many parts has room for, in octets of UCS-2."""
    return 140 - 2 * next(len(widest) for limit, widest in LIMITS if len(made.segments) <= limit)


@settings(max_examples=300)
@given(texts.map(lambda text: text * 3), options)
def test_separate_parts_stand_alone_and_are_marked(text: str, given_: SegmentOptions) -> None:
    given_ = replace(given_, mode=LongMessageMode.SEPARATE)
    made = segment(text, 1, given_)
    for part in made.segments:
        decoded = decode(
            part.user_data,
            part.data_coding,
            udhi=part.esm_class == 0x40,
            default_alphabet=given_.default_alphabet,
        )
        assert decoded.concatenation is None
        assert part.tlvs == ()
        assert (len(made.segments) > 1) <= decoded.text.startswith(f"{part.number}/{len(made.segments)} ")


@settings(max_examples=300)
@given(st.one_of(clusters, unicode), options)
def test_clusters_cost_no_part_unless_strict(text: str, given_: SegmentOptions) -> None:
    given_ = replace(given_, strict_clusters=False)
    made = segment(text, 1, given_)
    step = 2 if made.encoding is Encoding.UCS2 else 1
    bodies = [read(part, given_).body for part in made.segments]
    whole = b"".join(bodies)
    if len(made.segments) > 1 and step == 2:
        room = {LongMessageMode.UDH8: 134, LongMessageMode.SEPARATE: marked_room(made)}.get(given_.mode, 132)
        parts, start = 0, 0
        while start < len(whole):
            end = start + room
            if end < len(whole) and 0xD8 <= whole[end - 2] <= 0xDB:
                end -= 2
            parts, start = parts + 1, end
        assert parts == len(made.segments)


@settings(max_examples=300)
@given(texts.map(lambda text: text * 3), options, st.randoms(use_true_random=False))
def test_parts_in_any_order_are_the_text_again(
    text: str, given_: SegmentOptions, chance: random.Random
) -> None:
    made = segment(text, 77, given_)
    if len(made.segments) == 1 or given_.mode is LongMessageMode.SEPARATE:
        return
    arriving = list(made.segments) + chance.sample(made.segments, 1)
    chance.shuffle(arriving)
    model = Reassembly()
    whole = []
    for part in arriving:
        concatenation = read(part, given_).concatenation
        if concatenation is None:
            tlvs = dict(part.tlvs)
            concatenation = Concatenation(
                int.from_bytes(tlvs[0x20C], "big"), tlvs[0x20E][0], tlvs[0x20F][0], "sar"
            )
        received = Part(concatenation.number, part.user_data, part.data_coding, part.esm_class == 0x40)
        added = model.add(key_of("g", "a", "b", concatenation), received, 0.0)
        if added.message is not None:
            whole.append(added.message)
    assert len(whole) == 1
    assert all(left.repetition for left in model.overdue(1.0, 0.0)), "the part that came again"
    result = joined(whole[0].parts, whole[0].key.total, given_.default_alphabet)
    assert (result.text, result.missing, result.undecodable) == (text, (), False)
    assert result.encodings == (made.encoding,)


@settings(max_examples=300)
@given(st.binary(max_size=300), st.integers(0, 255), st.booleans(), st.sampled_from(Alphabet), st.booleans())
def test_any_octets_decode(octets: bytes, coding: int, udhi: bool, alphabet: Alphabet, part: bool) -> None:
    decoded = decode(octets, coding, udhi=udhi, default_alphabet=alphabet, part=part)
    if decoded.concatenation is None and not part:
        decoded.text.encode("utf-8")  # what is kept of it can be stored
    joined([Part(1, octets, coding, udhi)], 2, alphabet).text.encode("utf-8")


@given(st.text(st.characters(categories=["Cs", "Ll"]), max_size=20))
def test_only_half_pairs_are_refused(text: str) -> None:
    try:
        made = segment(text)
    except UnicodeError:
        assert any(0xD800 <= ord(character) < 0xE000 for character in text)
    else:
        assert "".join(read(part, DEFAULT).text for part in made.segments) == text


def test_a_text_of_any_length_is_refused_or_sent() -> None:
    for length in (39_015, 39_016, 200_000):
        try:
            assert len(segment("a" * length).segments) == 255
        except TooLong:
            assert length > 39_015
