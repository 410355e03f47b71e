"""What a route may change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sms import Encoding, SegmentOptions, Transliteration, count, segment
from protocols.sms.alphabet import default
from protocols.sms.transliteration import PUNCTUATION, SIGNS, Change, transliterate

OFF, SOME, FULL = Transliteration


@pytest.mark.parametrize("table", [PUNCTUATION, SIGNS])
def test_replacements_are_gsm_and_what_they_replace_is_not(table: dict[str, str]) -> None:
    known = default().characters
    assert {character for character in table if character in known} == set()
    assert {c for replacement in table.values() for c in replacement} <= known


@pytest.mark.parametrize(
    ("text", "some", "full"),
    [
        ("“Zoë’s” – naïve…", '"Zoë\'s" - naïve...', '"Zoe\'s" - naive...'),
        ("garçon", "garçon", "garcon"),
        ("Łódź, Škoda, İstanbul", "Łódź, Škoda, İstanbul", "Lodz, Skoda, Istanbul"),
        ("a\u00a0b\tc\u200b`d`", "a b c'd'", "a b c'd'"),
        ("e\u0301e\u0301", "e\u0301e\u0301", "éé"),
        ("x\u0304", "x\u0304", "x"),
        ("½ ™ № ﬁ ²", "½ ™ № ﬁ ²", "½ TM No fi ²"),
        ("2½ h, 10² m, ¨", "2½ h, 10² m, ¨", "2½ h, 10² m, ¨"),
        ("paral·lel \u202a+1 202\u202c x\ufe0f", "paral.lel +1 202 x", "paral.lel +1 202 x"),
        ("œuvre ÞÆ", "œuvre ÞÆ", "oeuvre ThÆ"),
        ("ΑΒΓ", "ΑΒΓ", "ABΓ"),
        ("дом 😀", "дом 😀", "дом 😀"),
        ("é ñ ß Å", "é ñ ß Å", "é ñ ß Å"),
        ("Å Ω", "Å Ω", "Å Ω"),
    ],
)
def test_replacing(text: str, some: str, full: str) -> None:
    assert transliterate(text, OFF) == (text, ())
    assert transliterate(text, SOME)[0] == some
    assert transliterate(text, FULL)[0] == full


def test_the_report() -> None:
    assert transliterate("a…é\u00adb", FULL)[1] == (Change(1, "…", "..."), Change(3, "\u00ad", ""))


@given(st.text(), st.sampled_from(Transliteration))
def test_the_report_is_what_happened(text: str, how: Transliteration) -> None:
    spelt, changes = transliterate(text, how)
    place, pieces = 0, []
    for change in changes:
        assert text[change.position :].startswith(change.original)
        pieces += [text[place : change.position], change.replacement]
        place = change.position + len(change.original)
    assert "".join([*pieces, text[place:]]) == spelt
    assert transliterate(spelt, how)[0] == spelt


@given(st.text(st.sampled_from(sorted(default().characters))), st.sampled_from(Transliteration))
def test_gsm_is_never_changed(text: str, how: Transliteration) -> None:
    assert transliterate(text, how) == (text, ())


def test_counting_says_what_stays_in_the_way() -> None:
    options = SegmentOptions(transliterate=SOME)
    counted = count("“naïve я я”", options)
    assert (counted.encoding, counted.offending, counted.changes) == (Encoding.UCS2, "ïя", ())
    assert count("“naive”", options).changes == segment("“naive”", 0, options).changes != ()
