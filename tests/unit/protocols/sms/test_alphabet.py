"""The GSM alphabets, every code of them, and what a carrier may send that is none."""

import unicodedata
from hashlib import sha256

import pytest

from protocols.sms.alphabet import BASIC, ESCAPE, EXTENSION, Septets, default
from protocols.sms.national import Language, choices, parse, septets, shifts, tables

DIGEST = "2f6d8f6bee5ad8af65469fb928cd9753dd84d6188a84150b2dabf7c6bb65e750"
CODES = [code for code in range(0x80) if code != ESCAPE]


@pytest.mark.parametrize("code", CODES)
def test_every_basic_code_both_ways(code: int) -> None:
    assert default().decode(bytes((code,))) == BASIC[code]
    assert default().encode(BASIC[code]) == bytes((code,))
    assert default().encode(f"€{BASIC[code]}") == bytes((ESCAPE, 0x65, code))  # the way of texts beyond ASCII


@pytest.mark.parametrize("code", EXTENSION)
def test_every_extension_code_both_ways(code: int) -> None:
    pair = bytes((ESCAPE, code))
    assert default().decode(pair) == EXTENSION[code]
    assert default().encode(EXTENSION[code]) == pair
    assert default().encode(f"é{EXTENSION[code]}") == bytes((5,)) + pair


def test_the_table_is_that_of_the_standard() -> None:
    names = {0x09: "LATIN CAPITAL LETTER C WITH CEDILLA", 0x10: "GREEK CAPITAL LETTER DELTA"}
    names |= {0x24: "CURRENCY SIGN", 0x40: "INVERTED EXCLAMATION MARK", 0x5F: "SECTION SIGN"}
    names |= {
        0x60: "INVERTED QUESTION MARK",
        0x7F: "LATIN SMALL LETTER A WITH GRAVE",
        0x1E: "LATIN SMALL LETTER SHARP S",
    }
    assert {code: unicodedata.name(BASIC[code]) for code in names} == names
    assert len(set(BASIC)) == 128
    assert "".join(EXTENSION.values()) == "\f^{}\\[~]|€"


def test_no_other_character_of_the_first_plane_is_gsm() -> None:
    known = default().characters
    assert len(known) == 137
    for point in [*range(0xD800), *range(0xE000, 0x10000)]:
        character = chr(point)
        if character not in known:
            for text in (character, f"é{character}"):
                with pytest.raises(UnicodeEncodeError) as raised:
                    default().encode(text)
                assert text[raised.value.start] == character


@pytest.mark.parametrize("character", list("ç`\t\x1b\0\u00a0\u2126\u212b\ufffd\x7f"))
def test_what_only_looks_like_gsm_is_none(character: str) -> None:
    for text in (f"a{character}b", f"ä{character}b", f"{character}€"):
        with pytest.raises(UnicodeEncodeError) as raised:
            default().encode(text)
        assert text[raised.value.start] == character


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"a\x1bAb", "aAb"),
        (b"\x1b\x00", "@"),
        (b"a\x1b", "a "),
        (b"\x1b\x1be", " e"),
        (b"\x1b\x1b\x1be", " €"),
        (b"\x1b\x1b\x1b\x1b", "  "),
        (b"\x1b\x1b\x1b", "  "),
        (b"\x80\xff", "\ufffd\ufffd"),
        (b"\x1b\x80", "\ufffd"),
        (b"", ""),
    ],
)
def test_what_is_no_text_still_decodes(octets: bytes, text: str) -> None:
    assert default().decode(octets) == text


@pytest.mark.parametrize("code", [code for code in CODES if code not in EXTENSION])
def test_an_undefined_escape_is_the_basic_character(code: int) -> None:
    assert default().decode(bytes((ESCAPE, code))) == BASIC[code]


@pytest.mark.parametrize("table", ["x", "a" * 128])
def test_a_table_that_is_none_is_refused(table: str) -> None:
    with pytest.raises(ValueError, match="128 places"):
        Septets(table)


# -- national tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", list(Language))
def test_every_code_of_every_language_both_ways(language: Language) -> None:
    for locking, single in [(0, language), (language, 0), (language, language)]:
        alphabet = septets(locking, single)
        basic = tables(language).get("locking", tuple(BASIC)) if locking else tuple(BASIC)
        extension = dict(enumerate(tables(language)["single"])) if single else dict(EXTENSION)
        seen: set[str] = set()
        for code, character in enumerate(basic):
            if code == ESCAPE:
                continue
            assert alphabet.decode(bytes((code,))) == (character or "\ufffd")
            if character is not None and character not in seen:
                seen.add(character)
                assert alphabet.encode(character) == bytes((code,))
        for code in CODES:
            character = extension.get(code)
            pair = bytes((ESCAPE, code))
            assert alphabet.decode(pair) == (character or basic[code] or "\ufffd")
            if character is not None and character not in seen:
                seen.add(character)
                assert alphabet.encode(character) == pair
        everything = "".join(sorted(seen))
        assert alphabet.decode(alphabet.encode(everything)) == everything
        assert alphabet.characters == seen


SAMPLES = {
    Language.TURKISH: ("ğşıİçĞŞ", 0x07, "ı"),
    Language.PORTUGUESE: ("ãõâêôçÃÕ", 0x5B, "Ã"),
    Language.BENGALI: ("বাংলা", 0x00, "\u0981"),
    Language.GUJARATI: ("ગુજરાતી", 0x7F, "\u0af1"),
    Language.HINDI: ("हिन्दी", 0x44, "\u0930"),
    Language.KANNADA: ("ಕನ್ನಡ", 0x24, "\u0ca1"),
    Language.MALAYALAM: ("മലയാളം", 0x7F, "\u0d79"),
    Language.ORIYA: ("ଓଡିଆ", 0x60, "\u0b56"),
    Language.PUNJABI: ("ਪੰਜਾਬੀ", 0x7F, "\u0a74"),
    Language.TAMIL: ("தமிழ்", 0x3C, "\u0ba9"),
    Language.TELUGU: ("తెలుగు", 0x2C, ","),
    Language.URDU: ("اردو", 0x00, "\u0627"),
}


@pytest.mark.parametrize("language", SAMPLES)
def test_a_language_is_written_in_its_table(language: Language) -> None:
    text, code, character = SAMPLES[language]
    alphabet = septets(language, language)
    assert alphabet.decode(alphabet.encode(text)) == text
    assert alphabet.decode(bytes((code,))) == character


def test_spanish_has_single_shifts_only() -> None:
    assert "locking" not in tables(Language.SPANISH)
    assert septets(0, Language.SPANISH).encode("Áí") == b"\x1b\x41\x1b\x69"
    assert choices((Language.SPANISH,)) == [(0, 2)]
    assert choices((Language.TURKISH,)) == [(0, 1), (1, 0), (1, 1)]
    assert septets(Language.SPANISH, 0).encode("ñ") == default().encode("ñ")


def test_digits_of_each_script_are_in_their_order() -> None:
    """Editions of the standard have slips of the pen here."""
    for language in list(Language)[3:]:
        single = tables(language)["single"]
        digits = "".join(c for c in single if c and c.isdecimal())
        assert [unicodedata.digit(digit) for digit in digits] == list(range(10)), language
        script = {unicodedata.name(digit).split()[0] for digit in digits}
        assert len(script) == 1


def test_letters_of_each_script_are_in_their_order() -> None:
    """The locking tables of the Indian scripts follow the order of Unicode; a slip would break it."""
    for language in list(Language)[3:12]:
        letters = [c for c in tables(language)["locking"] if c and c > "\u0900"]
        assert letters == sorted(set(letters)), language
        assert len({ord(letter) >> 7 for letter in letters}) == 1


def test_the_tables_are_those_that_were_compared() -> None:
    """A digest of all that was compared with two readings of the standard."""
    digest = sha256()
    for language in Language:
        for kind, table in sorted(tables(language).items()):
            digest.update(f"{language.name} {kind} {table}".encode())
    assert digest.hexdigest() == DIGEST


def test_a_damaged_data_file_is_refused() -> None:
    row = "0041 ----"
    whole = f"# a comment\n\n[single]\n{row} {' '.join(['0042'] * 25)} 001B {' '.join(['0043'] * 100)}\n"
    assert parse(whole, "x.txt")["single"][:3] == ("A", None, "B")
    for damaged in (whole + "0044\n", whole.replace("0041 ", ""), whole.replace("001B", "0042")):
        with pytest.raises(ValueError, match=r"a table of x\.txt is damaged"):
            parse(damaged, "x.txt")


def test_an_unknown_language_is_the_default_alphabet() -> None:
    assert septets(99, 14).encode("[é]") == default().encode("[é]")


def test_the_elements_that_announce_tables() -> None:
    assert shifts(0, 0) == b""
    assert shifts(0, 3) == b"\x24\x01\x03"
    assert shifts(1, 0) == b"\x25\x01\x01"
    assert shifts(4, 4) == b"\x24\x01\x04\x25\x01\x04"
