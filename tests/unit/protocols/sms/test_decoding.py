"""What carriers send: every data_coding, headers that fit and that do not."""

import pytest

from protocols.sms import Alphabet, Concatenation, Encoding, Indication, Waiting, decode, national
from protocols.sms.data_coding import Coding, read
from protocols.sms.header import Element, parse

GSM7, UCS2, BINARY, LATIN1, ASCII = (
    Encoding.GSM7,
    Encoding.UCS2,
    Encoding.BINARY,
    Encoding.LATIN1,
    Encoding.ASCII,
)


@pytest.mark.parametrize(
    ("coding", "encoding"),
    [
        (0x00, GSM7),
        (0x01, ASCII),
        (0x02, BINARY),
        (0x03, LATIN1),
        (0x04, BINARY),
        (0x05, Encoding.SHIFT_JIS),
        (0x06, Encoding.CYRILLIC),
        (0x07, Encoding.HEBREW),
        (0x08, UCS2),
        (0x09, BINARY),
        (0x0A, Encoding.ISO2022_JP),
        (0x0B, GSM7),
        (0x0C, GSM7),
        (0x0D, Encoding.EUC_JP),
        (0x0E, Encoding.EUC_KR),
        (0x0F, GSM7),
    ],
)
def test_the_codings_of_smpp(coding: int, encoding: Encoding) -> None:
    assert read(coding) == Coding(encoding)


@pytest.mark.parametrize("coding", range(0x10, 0x100))
def test_the_bit_groups(coding: int) -> None:
    """TS 23.038 §4 once more, as its table reads: bits from 7 to 0."""
    bits = f"{coding:08b}"
    found = read(coding)
    alphabets = {"00": GSM7, "01": BINARY, "10": UCS2, "11": GSM7}
    if bits[0] == "0":
        expected = BINARY if bits[2] == "1" else alphabets[bits[4:6]]
        assert found.compressed is (bits[2] == "1")
        assert found.message_class == (int(bits[6:], 2) if bits[3] == "1" else None)
        assert found.automatic_deletion is (bits[1] == "1")
    elif bits[:2] == "10":
        expected = GSM7
        assert found == Coding(GSM7)
    elif bits[:4] == "1111":
        expected = BINARY if bits[5] == "1" else GSM7
        assert found.message_class == int(bits[6:], 2)
    else:
        expected = UCS2 if bits[:4] == "1110" else GSM7
        kind = {"00": Waiting.VOICEMAIL, "01": Waiting.FAX, "10": Waiting.EMAIL, "11": Waiting.OTHER}
        assert found.indication == Indication(kind[bits[6:]], bits[4] == "1", bits[:4] != "1100")
        assert found.message_class is None
    assert found.encoding is expected


def test_only_zero_is_the_upstreams_own() -> None:
    assert read(0, Alphabet.LATIN1).encoding is LATIN1
    assert read(0, Alphabet.ASCII).encoding is ASCII
    assert read(0, Alphabet.GSM7_PACKED).encoding is GSM7
    assert read(0xF0, Alphabet.LATIN1).encoding is GSM7


@pytest.mark.parametrize(
    ("octets", "coding", "text", "undecodable"),
    [
        (b"h\x05llo", 0, "héllo", False),
        (b"h\xe9llo", 0, "h\ufffdllo", True),
        (b"h\xe9llo", 3, "héllo", False),
        (b"h\xe9llo", 1, "h\ufffdllo", True),
        (b"\x00\x01\xff", 4, "0001ff", False),
        (b"\x04\x4f", 8, "я", False),
        (b"\x04\x4f\x04", 8, "я\ufffd", True),
        (b"\xd8\x3d\xde\x00", 8, "😀", False),
        (b"\xd8\x3d", 8, "\ufffd", True),
        (b"\x00a\xde\x00\x00b", 8, "a\ufffdb", True),
        (b"\xd8\x3d\x00b", 8, "\ufffdb", True),
        (b"\x00", 8, "\ufffd", True),
        (b"abc", 0x20, "616263", True),
        (b"abc", 0xF4, "616263", False),
        (b"abc", 0xF0, "abc", False),
        (b"\x00a", 0xE8, "a", False),
        ("Привет".encode("iso8859_5"), 6, "Привет", False),
        ("日本".encode("shift_jis"), 5, "日本", False),
        ("日本".encode("iso2022_jp"), 10, "日本", False),
        (b"\xff", 14, "\ufffd", True),
        (b"", 0, "", False),
        (b"", 8, "", False),
    ],
)
def test_octets_of_all_kinds(octets: bytes, coding: int, text: str, undecodable: bool) -> None:
    decoded = decode(octets, coding)
    assert (decoded.text, decoded.undecodable) == (text, undecodable)


def test_halves_at_the_edges_of_a_part_are_kept() -> None:
    tail = decode(b"\x00a\xd8\x3d", 8, part=True)
    lead = decode(b"\xde\x00\x00b", 8, part=True)
    assert (tail.text, lead.text) == ("a\ud83d", "\ude00b")
    assert (tail.undecodable, lead.undecodable) == (False, False)
    udh = decode(b"\x05\x00\x03\x01\x02\x01\x00a\xd8\x3d", 8, udhi=True)
    assert udh.text == "a\ud83d"
    assert decode(b"\xd8\x3d\x00a\xde\x00", 8, part=True).text == "\ufffda\ufffd"


def test_flash() -> None:
    assert decode(b"Hi", 0x10).message_class == 0
    assert decode(b"Hi", 0).message_class is None


@pytest.mark.parametrize(
    ("elements", "concatenation"),
    [
        ("0003070302", Concatenation(7, 3, 2, "udh8")),
        ("080401070302", Concatenation(0x107, 3, 2, "udh16")),
        ("0003070300", None),
        ("0003070304", None),
        ("0003070000", None),
        ("0003070101", None),
        ("00020703", None),
        ("00030703020804AABB0501", Concatenation(0xAABB, 5, 1, "udh16")),
        ("00030703020804AABB0500", Concatenation(7, 3, 2, "udh8")),
        ("0504158115810003070302", Concatenation(7, 3, 2, "udh8")),
    ],
)
def test_concatenation(elements: str, concatenation: Concatenation | None) -> None:
    header = bytes((len(elements) // 2,)) + bytes.fromhex(elements)
    decoded = decode(header + b"text", 0, udhi=True)
    assert (decoded.concatenation, decoded.text, decoded.undecodable) == (concatenation, "text", False)
    assert decoded.udh is not None
    assert decoded.udh.octets == header


def test_elements_of_other_kinds_are_kept() -> None:
    header = parse(bytes.fromhex("0b0504158115820003070302") + b"rest")
    assert header is not None
    assert header.elements == (Element(5, b"\x15\x81\x15\x82"), Element(0, b"\x07\x03\x02"))
    assert (header.single_shift, header.locking_shift) == (0, 0)


@pytest.mark.parametrize(
    ("octets", "elements"),
    [
        ("0400030702", ()),  # an element that is cut
        ("0100", ()),  # an identifier without a length
        ("0300ff00", ()),
        ("0600030702010a", (Element(0, b"\x07\x02\x01"),)),  # something behind the last one
        ("0801020304050607ff", (Element(1, b"\x03\x04"),)),
    ],
)
def test_a_damaged_header_is_no_text(octets: str, elements: tuple[Element, ...]) -> None:
    """TS 23.040 §9.2.3.24: whatever is wrong in it, the text begins after its length."""
    decoded = decode(bytes.fromhex(octets) + b"hello", 0, udhi=True)
    assert (decoded.text, decoded.undecodable) == ("hello", True)
    assert decoded.udh is not None
    assert (decoded.udh.elements, decoded.udh.damaged) == (elements, True)
    wide = decode(bytes.fromhex(octets) + b"\x04\x4f", 8, udhi=True)
    assert wide.text == "я"


def test_parts_with_a_damaged_header_still_find_each_other() -> None:
    decoded = decode(bytes.fromhex("0600030702010a") + b"hello", 0, udhi=True)
    assert decoded.concatenation == Concatenation(7, 2, 1, "udh8")


@pytest.mark.parametrize("octets", ["", "05", "050003", "02ff", "04000301"])
def test_a_header_longer_than_all_is_text(octets: str) -> None:
    data = bytes.fromhex(octets)
    decoded = decode(data, 4, udhi=True)
    assert (decoded.udh, decoded.undecodable, decoded.text) == (None, True, octets)


def test_an_empty_header() -> None:
    decoded = decode(b"\x00abc", 0, udhi=True)
    assert (decoded.text, decoded.udh is not None and decoded.udh.elements) == ("abc", ())


def test_national_tables() -> None:
    single = decode(b"\x03\x24\x01\x01" + b"a\x1bs", 0, udhi=True)
    assert single.text == "aş"
    locking = decode(b"\x03\x25\x01\x01" + b"a\x0b\x1be", 0, udhi=True)
    assert locking.text == "aĞ€"
    assert decode(b"\x03\x25\x01\x63" + b"a\x0b", 0, udhi=True).text == "aØ"
    blank = decode(b"\x03\x25\x01\x04" + b"a\x0c", 0, udhi=True)
    assert (blank.text, blank.undecodable) == ("a\ufffd", True)


def test_tables_that_nobody_knows_take_no_memory() -> None:
    for locking in range(14, 0x100):
        for single in range(14, 0x100):
            assert national.septets(locking, single) is national.septets(0, 0)


@pytest.mark.parametrize("data_coding", [0, 11, 12, 15, 0x80, 0xB7])
def test_what_is_reserved_is_as_0(data_coding: int) -> None:
    for alphabet in (Alphabet.LATIN1, Alphabet.ASCII, Alphabet.GSM7):
        zero = decode(b"caf\xe9", 0, default_alphabet=alphabet)
        assert decode(b"caf\xe9", data_coding, default_alphabet=alphabet).text == zero.text


def test_packed() -> None:
    decoded = decode(bytes.fromhex("e8329bfd4697d9ec37"), 0, default_alphabet=Alphabet.GSM7_PACKED)
    assert (decoded.text, decoded.body) == ("hellohello", b"hellohello")
    flash = decode(bytes.fromhex("e8329bfd06"), 0x10, default_alphabet=Alphabet.GSM7_PACKED)
    assert flash.text == "hello"
