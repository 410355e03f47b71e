"""Which URLs may be asked, and how they are understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.http.errors import URLRefused
from edge.http.urls import USUAL_PORTS, Origin, Ports, read_range, split


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://example.org", "http://example.org", "/"),
        ("HTTP://Example.ORG:80/a?b#c", "http://example.org", "/a?b"),
        ("https://example.org:443/", "https://example.org", "/"),
        ("https://example.org:8443?x=/", "https://example.org:8443", "/?x=/"),
        ("http://example.org./", "http://example.org", "/"),
        ("http://my_host-1.example/", "http://my_host-1.example", "/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example", "/"),
        ("http://8.8.8.8:8080/x", "http://8.8.8.8:8080", "/x"),
        ("http://[2606:4700:0:0::1111]/x", "http://[2606:4700::1111]", "/x"),
        ("http://example.org:/", "http://example.org", "/"),
    ],
)
def test_how_a_url_is_understood(url: str, origin: str, target: str) -> None:
    found, rest = split(url, USUAL_PORTS)
    assert (str(found), rest) == (origin, target)


def test_addresses_are_told_from_names() -> None:
    assert split("http://8.8.8.8/")[0].is_address
    assert split("http://[2606:4700::1111]/")[0].is_address
    assert not split("http://8.8.8.8.example/")[0].is_address
    assert split("http://１.１.１.１/")[0] == Origin("http", "1.1.1.1", 80, is_address=True)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org/", "http:// or https://"),
        ("http://user@example.org/", "no user name"),
        ("http://127.1/", "four decimal numbers"),
        ("http://example.org:25/", "port 25"),
        ("http://example.org:0/", "1 to 65535"),
        ("http://a b/", "no spaces"),
        ("http://[::1%25lo]/", "percent"),
        ("http://[1.2.3.4]/", "not an IPv6 address"),
        ("http://a..b/", "not a host name"),
    ],
)
def test_what_is_refused_and_why(url: str, says: str) -> None:
    with pytest.raises(URLRefused) as caught:
        split(url, USUAL_PORTS)
    assert says in caught.value.detail
    assert caught.value.reason == "url_refused"


@given(st.text(max_size=80))
def test_whatever_is_written_is_refused_or_has_a_plain_origin(text: str) -> None:
    try:
        origin, target = split(f"http://{text}")
    except URLRefused:
        return
    assert origin.host.isascii()
    assert not set(origin.host) & set("@/\\?# %[]")
    assert target.startswith("/")
    assert split(f"{origin}/")[0] == origin


def test_ports_and_their_ranges() -> None:
    ports = Ports(((80, 80), (8000, 8999)))
    assert [port in ports for port in (80, 81, 7999, 8000, 8999, 9000)] == [
        True,
        False,
        False,
        True,
        True,
        False,
    ]
    assert read_range("443") == (443, 443)
    assert read_range("8000-8999") == (8000, 8999)
    for wrong in ("", "0", "65536", "9-8", "a", "-1", "1-", "80,81"):
        assert read_range(wrong) is None
