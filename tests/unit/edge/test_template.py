"""URL templates: what is let in, and that no value can change more than its own place."""

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.handlers.template import MAX_CHARACTERS, VARIABLES, TemplateError, fill, parse

QUERY = "http://127.0.0.1:8000/sms?id={ID}&at={TIMESTAMP}&from={FROM}&to={TO}&text={MESSAGE}"
PATH = "https://example.net/in/{FROM}/{TO}/{MESSAGE}/end"


def values(message: str) -> dict[str, str]:
    return {"ID": "7", "TIMESTAMP": "2026-01-31 12:00:00", "FROM": "a/b", "TO": "..", "MESSAGE": message}


@given(st.text(st.characters(codec="utf-8")))
def test_a_query_gives_back_every_value(message: str) -> None:
    parts = urlsplit(fill(QUERY, values(message)))
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("http", "127.0.0.1:8000", "/sms", "")
    found = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True, errors="strict"))
    assert found["text"] == message
    assert (found["id"], found["at"], found["from"], found["to"]) == ("7", "2026-01-31 12:00:00", "a/b", "..")


@given(st.text())
def test_a_path_keeps_its_segments_whatever_is_filled_in(message: str) -> None:
    url = fill(PATH, values(message))
    parts = urlsplit(url)
    assert url.isascii()
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "example.net", "", "")
    segments = parts.path.split("/")
    assert [segments[1], segments[5], len(segments)] == ["in", "end", 6]
    assert "." not in segments[3]
    assert unquote(segments[4]) == message.encode("utf-8", "replace").decode()


@given(st.text(st.characters(codec="utf-8")), st.integers(0, len(VARIABLES) - 1))
def test_every_variable_arrives_and_the_origin_stays(text: str, which: int) -> None:
    filled = dict.fromkeys(VARIABLES, "x") | {VARIABLES[which]: text}
    query = "&".join(f"{name}={{{name}}}" for name in VARIABLES)
    parts = urlsplit(fill(f"https://Example.net:8443/in/{{{VARIABLES[which]}}}?{query}", filled))
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "example.net:8443", "")
    assert unquote(parts.path.removeprefix("/in/")) == text
    assert dict(parse_qsl(parts.query, keep_blank_values=True, errors="strict")) == filled


@given(
    st.sampled_from(["/in/{}/end", "/in?a={}", "/in?a={}&b=%"]),
    st.sampled_from(["%", "%4", "100%", "%%", "%2", "%zz", "%25", "%20x", "é%"]),
    st.text(st.characters(codec="utf-8")),
)
def test_a_percent_sign_before_a_variable_takes_nothing_of_it(place: str, literal: str, text: str) -> None:
    url = fill("http://host.example" + place.format(literal + "{MESSAGE}"), values(text))
    parts = urlsplit(url)
    before = unquote(literal, errors="strict")
    if parts.query:
        assert dict(parse_qsl(parts.query, keep_blank_values=True, errors="strict"))["a"] == before + text
    else:
        assert unquote(parts.path.split("/")[2], errors="strict") == before + text


@given(st.text(max_size=60))
def test_any_template_is_refused_or_gives_an_ascii_url_of_its_own_origin(text: str) -> None:
    try:
        url = fill(f"http://host.example{text}", values("x"))
    except TemplateError:
        return
    assert url.isascii()
    assert urlsplit(url).scheme == "http"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("ftp://host/", "http:// or https://"),
        ("//host/{ID}", "http:// or https://"),
        ("http:///path", "needs a host"),
        ("http://host:0/", "1 to 65535"),
        ("http://host:99999/", "1 to 65535"),
        ("http://[::1/", "not a host"),
        ("http://{TO}.example/", "nowhere else"),
        ("http://user:secret@host/", "no user name"),
        ("http://host/{NAME}", "{NAME} is not a variable"),
        ("http://host/{id}", "{id} is not a variable"),
        ("http://host/{ID", "brace"),
        ("http://host/ID}", "brace"),
        ("http://host/a b", "no spaces"),
        ("http://host/\n", "no spaces"),
        ("http://host/#{ID}", "after #"),
        (f"http://host/{'x' * MAX_CHARACTERS}", "at most"),
    ],
)
def test_what_is_refused_and_why(template: str, says: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(template)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("http://host", "http://host/"),
        ("HTTP://Host?x={ID}", "http://host/?x=7"),
        ("http://host/a?x=1#part", "http://host/a?x=1"),
        ("http://[::1]:8000/{ID}", "http://[::1]:8000/7"),
        ("http://bücher.example/ü?q=é%20", "http://xn--bcher-kva.example/%C3%BC?q=%C3%A9%20"),
        ("http://host/100%?off=20%&x=%2f%zz", "http://host/100%25?off=20%25&x=%2f%25zz"),
        ("http://host/{ID}{ID}?{MESSAGE}.{MESSAGE}", "http://host/77?a.b.a.b"),
    ],
)
def test_literal_text_stays_as_written(template: str, url: str) -> None:
    assert fill(template, values("a.b")) == url


def test_a_variable_without_a_value_is_an_error_of_ours() -> None:
    assert {"ID", "TIMESTAMP", "FROM", "TO", "MESSAGE"} < set(VARIABLES)
    with pytest.raises(KeyError):
        fill(QUERY, {})
