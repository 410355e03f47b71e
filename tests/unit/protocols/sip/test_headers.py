"""Header fields and URIs: what is read, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sip import headers
from protocols.sip.errors import BadValue
from protocols.sip.uri import comparable, escape_user, parse_uri, unescape


@pytest.mark.parametrize(
    ("value", "display", "uri", "params"),
    [
        ("sip:a@b", "", "sip:a@b", {}),
        ("sip:a@b;tag=1", "", "sip:a@b", {"tag": "1"}),
        ("<sip:a@b;x=y>;tag=1", "", "sip:a@b;x=y", {"tag": "1"}),
        ('"A \\"B\\", C" <sip:a@b> ; TAG = "q,;" ;lr', 'A "B", C', "sip:a@b", {"tag": "q,;", "lr": None}),
        ("A B<sip:a@b>", "A B", "sip:a@b", {}),
        ('""<sip:a@b>', "", "sip:a@b", {}),
        ("<tel:+1-202-555-0100>", "", "tel:+1-202-555-0100", {}),
    ],
)
def test_addresses(value: str, display: str, uri: str, params: dict[str, str | None]) -> None:
    assert headers.parse_name_addr(value, "To") == (display, uri, params)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a",
        "<sip:a@b",
        "sip:a@b>",
        '"A <sip:a@b>',
        "A, B <sip:a@b>",
        "< sip:a@b >",
        "sip:a@b;;",
        "sip:a@b;tag=1;tag=2",
        "sip:a@b?x=y",
        "<sip:a@b>x",
        "<sip:a@b>,<sip:c@d>",
        '"a"b<sip:a@b>',
    ],
)
def test_no_addresses(value: str) -> None:
    with pytest.raises(BadValue):
        headers.parse_name_addr(value, "To")


def test_via() -> None:
    via = headers.parse_via("SIP/2.0/tls [2001:DB8::1]:5061 ;branch=z9hG4bKx;rport, SIP/2.0/UDP b;branch=1")
    assert via[:3] == ("TLS", "[2001:db8::1]", 5061)
    assert via.sent_by == "[2001:db8::1]:5061"
    assert via.branch == "z9hG4bKx"
    assert str(via) == "SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKx;rport, SIP/2.0/UDP b;branch=1"
    for bad in (
        "",
        "SIP/2.0/UDP",
        "SIP/1.0/UDP a",
        "SIP/2.0/UDP a;;",
        "SIP/2.0/UDP a,",
        "SIP/2.0/UDP a:70000",
        "SIP/2.0/UDP a b",
    ):
        with pytest.raises(BadValue):
            headers.parse_via(bad)


def test_cseq() -> None:
    assert headers.parse_cseq("0009 INVITE") == (9, "INVITE")
    for bad in ("INVITE", "1", "4294967296 INVITE", "-1 INVITE", "1 INVITE x", "٣ INVITE"):
        with pytest.raises(BadValue):
            headers.parse_cseq(bad)


def test_lists() -> None:
    assert headers.split_list('"a,b" <x,y> , c', "Contact") == ['"a,b" <x,y>', "c"]
    assert headers.split_list("", "Contact") == []
    assert headers.parse_tokens(["a, b", "c"], "Require") == ["a", "b", "c"]
    for bad in ("a,,b", ",a", "a,", 'a,"b', "a,<b"):
        with pytest.raises(BadValue):
            headers.split_list(bad, "Contact")


def test_media_types() -> None:
    assert headers.parse_media_type('Text/Plain; charset="UTF-8"') == ("text/plain", {"charset": "UTF-8"})
    for bad in ("text", "text/", "text/plain;", "text/plain x"):
        with pytest.raises(BadValue):
            headers.parse_media_type(bad)


def test_parameters_are_quoted_when_they_must_be() -> None:
    assert headers.format_params({"lr": None, "a": "b", "c": 'd "e"'}) == ';lr;a=b;c="d \\"e\\""'


@pytest.mark.parametrize(
    ("text", "number", "aor"),
    [
        ("sip:+12025550100@Example.NET:5070;user=phone", "+12025550100", "sip:+12025550100@example.net"),
        ("sips:a%40b:secret@h", "a@b", "sip:a@b@h"),
        ("sip:100;phone-context=x@h", "100", "sip:100;phone-context=x@h"),
        ("tel:+1-(202)-555.0100;ext=1", "+12025550100", "sip:+1-(202)-555.0100;ext=1"),
        ("sip:h", "", "sip:h"),
    ],
)
def test_uris(text: str, number: str, aor: str) -> None:
    found = parse_uri(text)
    assert found.number == number
    if found.is_sip:
        assert found.aor == aor


@pytest.mark.parametrize(
    ("text", "number", "context"),
    [
        ("tel:7042;phone-context=Example.COM", "7042", "example.com"),
        ("tel:0150;Phone-Context=+1-202-555;ext=1", "0150", "+1-202-555"),
        ("tel:7042;phone-context=", "7042", None),
        ("tel:7042;phone-context", "7042", None),
        ("sip:7042;isub=1;PHONE-context=%2B44;x=y@h;phone-context=+1", "7042", "+44"),
        ("sip:7042@h;phone-context=+1", "7042", None),
        ("sip:h", "", None),
    ],
)
def test_where_a_local_number_holds(text: str, number: str, context: str | None) -> None:
    found = parse_uri(text)
    assert (found.number, found.context) == (number, context)


@pytest.mark.parametrize(
    "text",
    ["", "sip:", "sip:a b@c", "sip:a@b:0", "sip:a@b:99999", "sip:a@b;;", "a@b", "tel:x-y", "sip:a@b@c"],
)
def test_no_uris(text: str) -> None:
    with pytest.raises(BadValue):
        parse_uri(text)


@given(st.text(min_size=1, max_size=30))
def test_escaped_users_come_back(user: str) -> None:
    try:
        user.encode()
    except UnicodeEncodeError:
        return
    found = parse_uri(f"sip:{escape_user(user)}@h")
    assert unescape(found.user) == user


def test_unescaping_is_not_recursive() -> None:
    assert unescape("%2541") == "%41"
    assert unescape("a%00b%zz") == "a\0b%zz"


@pytest.mark.parametrize(
    "alike",
    [
        ["sip:carol@h", "SIP:%63arol@H", "sip:%63%61rol@h"],
        ["sip:a;b=c@h;Transport=UDP;ob", "sip:a;b=c@h;ob;transport=udp"],
        ["sip:%6a%C3%B6@h;x=%41", "sip:j\u00f6@h;X=a", "sip:j%c3%b6@h;x=a"],
        ["sip:a%2b@h:5060", "sip:a%2B@H:05060"],
        ["sip:H", "SIP:h"],
        ["sip:a:p%61ss@[2001:DB8::1]?Subject=x", "sip:a:pass@[2001:db8::1]?Subject=x"],
    ],
)
def test_uris_that_are_equal(alike: list[str]) -> None:
    assert len({comparable(text) for text in alike}) == 1
    assert comparable(comparable(alike[0])) == comparable(alike[0])


def test_uris_that_differ() -> None:
    """RFC 3261 §19.1.4, and its examples; a parameter that only one has tells the lines of a phone apart."""
    different = [
        *("sip:carol@h", "sip:Carol@h", "sips:carol@h", "sip:carol@h:5060", "sip:carol@h:5061", "sip:h"),
        *("sip:carol@h;transport=udp", "sip:carol@h;transport=tcp", "sip:carol@h?Subject=x"),
        *("sip:carol@h;line=1", "sip:carol@h;line=2", "sip:carol:x@h", "sip:carol%3Ax@h"),
        *("sip:a+b@h", "sip:a%2Bb@h", "tel:+1", "sip:carol@h;ob"),
    ]
    assert len({comparable(text) for text in different}) == len(different)
