"""Parts: how many, of what, and where the cuts are."""

import pytest

from protocols.sms import (
    Alphabet,
    Encoding,
    Language,
    LongMessageMode,
    NotEncodable,
    Segment,
    SegmentOptions,
    TooLong,
    Transliteration,
    count,
    decode,
    segment,
    segment_binary,
)

UDH8, UDH16, SAR, PAYLOAD, SEPARATE = LongMessageMode
FAMILY = "👩‍👩‍👧‍👦"


def lengths(text: str, mode: LongMessageMode = UDH8, **options: object) -> list[int]:
    """Characters in each part."""
    given = SegmentOptions(mode=mode, **options)  # type: ignore[arg-type]
    parts = segment(text, 1, given).segments
    alphabet = given.default_alphabet
    return [
        len(decode(p.user_data, p.data_coding, udhi=p.esm_class == 0x40, default_alphabet=alphabet).text)
        for p in parts
    ]


@pytest.mark.parametrize(
    ("text", "mode", "parts"),
    [
        ("", UDH8, [0]),
        ("a" * 160, UDH8, [160]),
        ("a" * 161, UDH8, [153, 8]),
        ("a" * 306, UDH8, [153, 153]),
        ("a" * 307, UDH8, [153, 153, 1]),
        ("a" * 160, UDH16, [160]),
        ("a" * 161, UDH16, [152, 9]),
        ("a" * 304, UDH16, [152, 152]),
        ("a" * 305, UDH16, [152, 152, 1]),
        ("a" * 305, SAR, [152, 152, 1]),
        ("я" * 70, UDH8, [70]),
        ("я" * 71, UDH8, [67, 4]),
        ("я" * 134, UDH8, [67, 67]),
        ("я" * 135, UDH8, [67, 67, 1]),
        ("я" * 71, UDH16, [66, 5]),
        ("я" * 133, SAR, [66, 66, 1]),
        ("€" * 80, UDH8, [80]),
        ("€" * 81, UDH8, [76, 5]),
        ("€" * 152, UDH8, [76, 76]),
        ("€" * 153, UDH8, [76, 76, 1]),
        ("€" * 153, UDH16, [76, 76, 1]),
        ("a" * 152 + "€" + "b" * 10, UDH8, [152, 11]),
        ("a" * 151 + "€" + "b" * 10, UDH8, [152, 10]),
        ("a" * 151 + "€" + "b" * 10, UDH16, [151, 11]),
        ("я" * 66 + "😀" + "я" * 10, UDH8, [66, 11]),
        ("я" * 65 + "😀" + "я" * 10, UDH8, [66, 10]),
        ("я" * 65 + "😀" + "я" * 10, UDH16, [65, 11]),
        ("😀" * 35, UDH8, [35]),
        ("😀" * 36, UDH8, [33, 3]),
        ("😀" * 67, UDH8, [33, 33, 1]),
    ],
)
def test_where_the_limits_are(text: str, mode: LongMessageMode, parts: list[int]) -> None:
    assert lengths(text, mode) == parts
    assert count(text, SegmentOptions(mode=mode)).parts == len(parts)


def test_every_character_at_the_start_has_the_encoding_that_it_has_later() -> None:
    for point in [*range(0xD800), *range(0xE000, 0x10000)]:
        character = chr(point)
        assert segment(character).encoding is segment("é" + character).encoding, ascii(character)


def test_a_message_alone_has_no_header() -> None:
    assert segment("Hi €").segments == (Segment(1, 1, b"Hi \x1be", 0, 0, ()),)
    assert segment("я").segments == (Segment(1, 1, b"\x04\x4f", 8, 0, ()),)
    assert segment("").segments == (Segment(1, 1, b"", 0, 0, ()),)


def test_udh8() -> None:
    first, second = segment("a" * 161, 0x1FE).segments
    assert first == Segment(1, 2, b"\x05\x00\x03\xfe\x02\x01" + b"a" * 153, 0, 0x40, ())
    assert second == Segment(2, 2, b"\x05\x00\x03\xfe\x02\x02" + b"a" * 8, 0, 0x40, ())


def test_udh16() -> None:
    parts = segment("я" * 71, 0x1ABCD, SegmentOptions(mode=UDH16)).segments
    assert [part.user_data[:7] for part in parts] == [
        b"\x06\x08\x04\xab\xcd\x02\x01",
        b"\x06\x08\x04\xab\xcd\x02\x02",
    ]
    assert {(part.esm_class, part.data_coding) for part in parts} == {(0x40, 8)}


def test_sar() -> None:
    parts = segment("a" * 161, 0x1ABCD, SegmentOptions(mode=SAR)).segments
    assert [part.user_data for part in parts] == [b"a" * 152, b"a" * 9]
    assert parts[1].tlvs == ((0x20C, b"\xab\xcd"), (0x20E, b"\x02"), (0x20F, b"\x02"))
    assert {part.esm_class for part in parts} == {0}


def test_payload() -> None:
    options = SegmentOptions(mode=PAYLOAD)
    assert segment("a" * 160, 1, options).segments == (Segment(1, 1, b"a" * 160, 0, 0, ()),)
    (only,) = segment("a" * 161, 1, options).segments
    assert only == Segment(1, 1, b"", 0, 0, ((0x424, b"a" * 161),))
    assert segment("a" * 152 * 255, 1, options).segments[0].total == 1
    with pytest.raises(TooLong):
        segment("a" * (152 * 255 + 1), 1, options)


@pytest.mark.parametrize(
    ("character", "mode", "whole"),
    [("a", UDH8, 153), ("a", UDH16, 152), ("я", UDH8, 67), ("я", SAR, 66), ("€", UDH8, 76), ("😀", UDH8, 33)],
)
def test_255_parts_and_no_more(character: str, mode: LongMessageMode, whole: int) -> None:
    options = SegmentOptions(mode=mode)
    parts = segment(character * whole * 255, 1, options).segments
    assert [(parts[0].total, parts[-1].number)] == [(255, 255)]
    for function in (lambda t: segment(t, 1, options), lambda t: count(t, options)):
        with pytest.raises(TooLong, match="needs 256 parts; a message has at most 255") as raised:
            function(character * (whole * 255 + 1))
        assert (raised.value.parts, raised.value.limit) == (256, 255)


@pytest.mark.parametrize("text", ["\ud83d", "ab\udc00", "\ude00\ud83d", "a" * 200 + "\ud800"])
@pytest.mark.parametrize("alphabet", list(Alphabet))
def test_half_a_surrogate_pair_is_no_text(text: str, alphabet: Alphabet) -> None:
    options = SegmentOptions(default_alphabet=alphabet)
    for function in (segment, count):
        with pytest.raises(NotEncodable, match="half of a surrogate pair") as raised:
            function(text, options=options)
        assert isinstance(raised.value, UnicodeError)
        assert text[raised.value.position] == raised.value.character


# -- other alphabets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alphabet", "text", "encoding", "parts"),
    [
        (Alphabet.LATIN1, "é" * 140, Encoding.LATIN1, [140]),
        (Alphabet.LATIN1, "ç" * 141, Encoding.LATIN1, [134, 7]),
        (Alphabet.LATIN1, "€", Encoding.UCS2, [1]),
        (Alphabet.ASCII, "[" * 160, Encoding.ASCII, [160]),
        (Alphabet.ASCII, "`" * 161, Encoding.ASCII, [153, 8]),
        (Alphabet.ASCII, "é", Encoding.UCS2, [1]),
        (Alphabet.GSM7_PACKED, "é" * 160, Encoding.GSM7, [160]),
        (Alphabet.GSM7_PACKED, "€" * 81, Encoding.GSM7, [76, 5]),
    ],
)
def test_what_data_coding_0_is(alphabet: Alphabet, text: str, encoding: Encoding, parts: list[int]) -> None:
    made = segment(text, 1, SegmentOptions(default_alphabet=alphabet))
    assert made.encoding is encoding
    assert {part.data_coding for part in made.segments} == {8 if encoding is Encoding.UCS2 else 0}
    assert lengths(text, default_alphabet=alphabet) == parts
    assert all(len(part.user_data) <= 160 for part in made.segments)


def test_packed_octets_fill_a_message() -> None:
    options = SegmentOptions(default_alphabet=Alphabet.GSM7_PACKED)
    assert segment("hellohello", 0, options).segments[0].user_data.hex() == "e8329bfd4697d9ec37"
    assert [len(part.user_data) for part in segment("a" * 306, 0, options).segments] == [140, 140]
    sixteen = SegmentOptions(mode=UDH16, default_alphabet=Alphabet.GSM7_PACKED)
    assert [len(part.user_data) for part in segment("a" * 304, 0, sixteen).segments] == [140, 140]


@pytest.mark.parametrize("text", ["1234567\r", "a" * 159 + "\r", "a" * 152 + "\r" + "b" * 10])
def test_a_return_that_looks_like_padding_is_not_packed(text: str) -> None:
    options = SegmentOptions(default_alphabet=Alphabet.GSM7_PACKED)
    made = segment(text, 0, options)
    assert (made.encoding, made.offending, count(text, options).offending) == (Encoding.UCS2, "\r", "\r")
    assert segment("123456\r", 0, options).encoding is Encoding.GSM7


# -- national tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "text", "parts"),
    [
        (UDH8, "a" * 100 + "ş" * 25 + "a" * 5, [130]),  # single shift: 155 septets
        (UDH8, "a" * 100 + "ş" * 26 + "a" * 10, [136]),  # locking: 155
        (UDH8, "ş" * 155, [155]),
        (UDH8, "ş" * 156, [149, 7]),
        (UDH16, "ş" * 156, [148, 8]),
        (SAR, "ş" * 156, [148, 8]),
    ],
)
def test_shift_headers_take_room(mode: LongMessageMode, text: str, parts: list[int]) -> None:
    assert lengths(text, mode, languages=(Language.TURKISH,)) == parts


def test_both_shift_tables() -> None:
    options = SegmentOptions(languages=(Language.HINDI,))
    text = "ह" * 130 + "A" * 11  # 130 + 22 = 152
    (only,) = segment(text, 0, options).segments
    assert only.user_data[:7] == b"\x06\x24\x01\x06\x25\x01\x06"
    assert (only.esm_class, only.data_coding, len(only.user_data)) == (0x40, 0, 159)
    first, second = segment(text + "A", 9, options).segments
    assert first.user_data[:12] == b"\x0b\x00\x03\x09\x02\x01\x24\x01\x06\x25\x01\x06"
    assert (len(first.user_data), len(second.user_data)) == (12 + 146, 12 + 8)
    packed = SegmentOptions(languages=(Language.HINDI,), default_alphabet=Alphabet.GSM7_PACKED)
    assert [len(part.user_data) for part in segment(text + "A", 9, packed).segments] == [140, 20]


def test_national_tables_are_only_for_what_they_save() -> None:
    options = SegmentOptions(languages=tuple(Language))
    assert segment("ş" * 70, 0, options).encoding is Encoding.UCS2
    assert segment("ş" * 71, 0, options).encoding is Encoding.GSM7
    assert segment("ş" * 71).encoding is Encoding.UCS2
    assert segment("ş" * 71 + "я", 0, options).encoding is Encoding.UCS2
    assert segment("a" * 71, 0, options).segments[0].esm_class == 0


# -- transliteration ----------------------------------------------------------------------------------------


def test_a_route_that_may_change_a_text_says_what_it_changed() -> None:
    options = SegmentOptions(transliterate=Transliteration.PUNCTUATION)
    made = segment("“Hi” – it’s…", 0, options)
    assert made.encoding is Encoding.GSM7
    assert made.segments[0].user_data == b'"Hi" - it\'s...'
    assert [(c.position, c.original, c.replacement) for c in made.changes][-1] == (11, "…", "...")
    assert (made.offending, len(made.changes)) == (None, 5)


def test_a_text_that_stays_ucs2_is_not_changed() -> None:
    options = SegmentOptions(transliterate=Transliteration.FULL)
    made = segment("“я”", 0, options)
    assert (made.encoding, made.changes, made.offending) == (Encoding.UCS2, (), "я")
    assert made.segments[0].user_data.decode("utf-16-be") == "“я”"
    assert segment("“a”").offending == "“"


# -- grapheme clusters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("я" * 66 + "e\u0301" + "я" * 10, [66, 12]),
        ("я" * 65 + "🇩🇪" + "я" * 10, [65, 12]),
        ("я" * 64 + "👍🏽" + "я" * 10, [64, 12]),
        ("я" * 60 + FAMILY + "я" * 10, [60, 17]),
        ("a" * 152 + "\r\n" + "b" * 10, [152, 12]),
        ("क्षि" * 18, [64, 8]),
    ],
)
def test_a_cluster_is_kept_whole_when_that_is_free(text: str, parts: list[int]) -> None:
    assert lengths(text) == parts


def test_a_cluster_is_cut_when_keeping_it_whole_would_cost_a_part() -> None:
    text = "я" * 66 + "e\u0301" + "я" * 66
    assert lengths(text) == [67, 67]
    assert lengths(text, strict_clusters=True) == [66, 67, 1]
    assert count(text, SegmentOptions(strict_clusters=True)).parts == 3


def test_slack_is_spent_where_it_serves_first() -> None:
    text = "я" * 66 + "e\u0301" + "я" * 65 + "e\u0301" + "я" * 66
    assert lengths(text + "я" * 66)[0] == 66
    assert len(lengths(text)) == 3


def test_what_is_too_long_is_refused_without_looking_at_its_clusters() -> None:
    for strict in (False, True):  # to look for them would take minutes
        with pytest.raises(TooLong):
            segment("e" + "\u0301" * 1_000_000, 0, SegmentOptions(strict_clusters=strict))


def test_a_cluster_longer_than_a_part_is_cut() -> None:
    text = "e" + "\u0301" * 200
    assert lengths(text, strict_clusters=True) == [67, 67, 67]


@pytest.mark.parametrize(
    ("size", "mode", "parts"),
    [
        (0, UDH8, [0]),
        (140, UDH8, [140]),
        (141, UDH8, [134, 7]),
        (268, UDH8, [134, 134]),
        (269, UDH8, [134, 134, 1]),
        (141, UDH16, [133, 8]),
        (141, SAR, [133, 8]),
    ],
)
def test_octets_that_are_no_text(size: int, mode: LongMessageMode, parts: list[int]) -> None:
    """Whatever they are: a CR LF on a bound is cut as readily as anything."""
    octets = bytes((0x0D, 0x0A, 0xFF)) * (size // 3) + b"\r" * (size % 3)
    made = segment_binary(octets, 7, SegmentOptions(mode))
    read = [decode(p.user_data, p.data_coding, udhi=p.esm_class == 0x40) for p in made.segments]
    assert [len(one.body) for one in read] == parts
    assert b"".join(one.body for one in read) == octets
    assert {one.encoding for one in read} == {Encoding.BINARY}
    assert all(len(p.user_data) <= 140 for p in made.segments)


def test_octets_in_one_piece_for_an_smsc_that_cuts() -> None:
    (made,) = segment_binary(bytes(1000), 7, SegmentOptions(PAYLOAD)).segments
    assert made.tlvs == ((0x0424, bytes(1000)),)


def test_octets_on_a_route_of_separate_texts() -> None:
    assert len(segment_binary(bytes(140), 0, SegmentOptions(SEPARATE)).segments) == 1
    with pytest.raises(ValueError, match="concatenation"):
        segment_binary(bytes(141), 0, SegmentOptions(SEPARATE))


def test_too_many_octets() -> None:
    assert len(segment_binary(bytes(134 * 255)).segments) == 255
    with pytest.raises(TooLong):
        segment_binary(bytes(134 * 255 + 1))


@pytest.mark.parametrize(
    ("text", "firsts", "lengths"),
    [
        ("a" * 160, ["aaaa"], [160]),
        ("a" * 161, ["1/2 ", "2/2 "], [160, 9]),
        ("a" * 156 * 9, ["1/9 ", "2/9 ", "9/9 "], [160, 160, 160]),
        ("a" * (156 * 9 + 1), ["1/10", "2/10", "10/1"], [159, 159, 25]),
    ],
)
def test_separate_texts_are_marked_with_room_for_the_widest_mark(
    text: str, firsts: list[str], lengths: list[int]
) -> None:
    parts = segment(text, 1, SegmentOptions(mode=SEPARATE)).segments
    shown = [parts[0], *parts[1:2], *parts[2:][-1:]]
    assert [part.user_data[:4].decode() for part in shown] == firsts
    assert [len(part.user_data) for part in shown] == lengths
    assert {(part.esm_class, part.tlvs) for part in parts} == {(0, ())}
