"""Requests and responses: what is read, what is refused, what goes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.sip.answers import reason_phrase, reply_address, response_to, stamp
from protocols.sip.errors import EncodeError, Malformed
from protocols.sip.headers import parse_address_list
from protocols.sip.message import MAX_HEADER, MAX_HEADERS, Headers, Request, Response, canonical, parse
from protocols.sip.validity import check_request, check_response
from tests.unit.protocols.sip.samples import COMPACT, MESSAGE, RESPONSE, request, response


def with_header(line: bytes) -> bytes:
    return MESSAGE.replace(b"Max-Forwards: 70\r\n", line + b"\r\n")


def test_a_message_of_a_phone() -> None:
    keys = check_request(request())
    assert keys.via.branch == "z9hG4bKPj4c1f6f0a2b7e4a9f8d1c"
    assert keys.via.sent_by == "192.0.2.10:5062"
    assert keys.from_ == ("Alice Example", "sip:alice@sip.example.net", {"tag": "9a1c2e3f4b5d6"})
    assert keys.to.tag is None
    assert keys.call_id == "3848276298220188511@192.0.2.10"
    assert keys.cseq == (4711, "MESSAGE")
    assert request().body.endswith(b"half past seven.")


def test_compact_names_are_the_same_fields() -> None:
    found = request(COMPACT)
    assert check_request(found).via.host == "[2001:db8::9]"
    contacts = parse_address_list(found.headers.all("Contact"), "Contact")
    assert [(c.display, c.params) for c in contacts] == [
        ("Bob, at home", {"q": "0.5"}),
        ("", {"expires": "60"}),
    ]


def test_what_was_read_is_written_the_same() -> None:
    assert request().serialise() == MESSAGE
    assert response().serialise() == RESPONSE
    assert check_response(response()).cseq.method == "MESSAGE"


@given(
    st.lists(st.tuples(st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True), st.text(max_size=40)))
)
def test_round_trip(fields: list[tuple[str, str]]) -> None:
    headers = Headers()
    for name, value in fields:
        value = value.strip(" \t")
        try:
            headers.add(f"X-{name}", value)
        except (EncodeError, UnicodeEncodeError):
            assert any(sign in value for sign in "\r\n\0")
    headers.items = [item for item in headers.items if _encodable(item[1])]
    sent = Request("MESSAGE", "sip:a@b", headers, b"body\0")
    found = parse(sent.serialise())
    assert isinstance(found, Request)
    assert found.headers.items == [*headers.items, ("Content-Length", "5")]
    assert found.body == b"body\0"


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def test_octets_that_are_not_utf8_survive() -> None:
    data = with_header(b"Subject: caf\xe9")
    assert b"Subject: caf\xe9\r\n" in request(data).serialise()


@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\nb", "a\rb", "a\0b"])
def test_setters_refuse_what_ends_a_line(bad: str) -> None:
    headers = Headers([("Subject", "x")])
    for setter in (headers.add, headers.set_first):
        with pytest.raises(EncodeError):
            setter("Subject", bad)
    with pytest.raises(EncodeError):
        Response(200, bad, headers).serialise()
    with pytest.raises(EncodeError):
        Request("MESSAGE", f"sip:{bad}", headers).serialise()
    with pytest.raises(EncodeError):
        headers.add("Sub ject", "x")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"x" * 65_537, 513),
        (b"x" * 3_000, 414),
        (b"MESSAGE sip:" + b"a" * 2_100 + b"@b SIP/2.0\r\n\r\n", 414),
        (b"", 414),
        (b"MESSAGE sip:a@b SIP/2.0\r\nVia: x", 400),
        (with_header(b"no header field"), 400),
        (with_header(b"X: smuggled\nY: z"), 400),
        (with_header(b"X: smuggled\rY: z"), 400),
        (with_header(b": nameless"), 400),
        (with_header(b"X y: z"), 400),
        (with_header(b"X: " + b"a" * (MAX_HEADER + 1)), 400),
        (with_header(b"\r\n".join(b"X-%d: 1" % number for number in range(MAX_HEADERS))), 400),
        (b"SIP/3.0 200 OK\r\n\r\n", 400),
        (b"SIP/2.0 099 OK\r\n\r\n", 400),
    ],
)
def test_refused(data: bytes, status: int) -> None:
    with pytest.raises(Malformed) as caught:
        parse(data)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "line",
    [
        b"Max-Forwards: many",
        b"Max-Forwards: -1",
        b"Max-Forwards: 70\r\nMax-Forwards: 70",
        b"Max-Forwards: \xd9\xa3",
        b"Expires: 1\r\nExpires: 2",
        b"To: <sip:second@b>",
        b"CSeq: 1 MESSAGE",
        b"Call-ID: second",
    ],
)
def test_fields_that_stand_there_once(line: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        check_request(request(with_header(line)))
    assert caught.value.status == 400
    assert caught.value.request is not None


def test_a_datagram_of_nine_thousand_headers_is_refused() -> None:
    """A freeze of a second in other codecs."""
    data = (
        b"MESSAGE sip:a@b SIP/2.0\r\n" + b"".join(b"%x:\r\n" % n for n in range(4096, 4096 + 9267)) + b"\r\n"
    )
    assert len(data) < 65_536
    with pytest.raises(Malformed, match="Too many header fields"):
        parse(data)


def test_an_answer_copies_and_tags() -> None:
    asked = request()
    answer = response_to(asked, 202, "tag1", fields=[("Server", "x")])
    assert answer.to.tag == "tag1"
    assert answer.from_ == asked.from_
    assert answer.headers.all("Via") == asked.headers.all("Via")
    assert answer.serialise().startswith(b"SIP/2.0 202 Accepted\r\nVia:")
    again = parse(asked.serialise().replace(b"net>\r\nCall", b"net>;tag=old\r\nCall"))
    assert isinstance(again, Request)
    assert response_to(again, 200, "new").to.tag == "old"


def test_a_bad_request_is_answered_with_what_it_has() -> None:
    with pytest.raises(Malformed) as caught:
        check_request(request(MESSAGE.replace(b"CSeq: 4711 MESSAGE\r\n", b"")))
    assert caught.value.request is not None
    answer = response_to(caught.value.request, 400, "t", caught.value.reason)
    assert answer.reason == "Bad CSeq"
    assert answer.headers.get("Cseq") is None
    assert answer.call_id == request().call_id


def test_where_it_came_from_is_noted() -> None:
    asked = request()
    stamp(asked, "203.0.113.5", 40_000)
    assert asked.via.params["rport"] == "40000"
    assert asked.via.params["received"] == "203.0.113.5"
    assert reply_address(asked, ("203.0.113.5", 40_000)) == ("203.0.113.5", 40_000)
    plain = request(MESSAGE.replace(b";rport", b""))
    stamp(plain, "192.0.2.10", 40_000)
    assert plain.headers.get("Via") == request(MESSAGE.replace(b";rport", b"")).headers.get("Via")
    assert reply_address(plain, ("192.0.2.10", 40_000)) == ("192.0.2.10", 5062)
    stamp(plain, "192.0.2.11", 40_000)
    assert plain.via.params["received"] == "192.0.2.11"


def test_names() -> None:
    assert [canonical(name) for name in ("vIA", "i", "www-authenticate", "x-oTHER", "I")] == [
        "Via",
        "Call-ID",
        "WWW-Authenticate",
        "X-Other",
        "Call-ID",
    ]
    headers = Headers([("to", "a"), ("T", "b")])
    headers.remove("To")
    assert headers.items == []
    assert headers.get("To") is None


def test_a_sentence_as_a_reason_phrase() -> None:
    assert (
        reason_phrase('write it "so":\r\n +<country code><number> 100%\0 é')
        == "write it 'so': +(country code)(number) 100__ é"
    )
    assert len(reason_phrase("x" * 1_000)) == 200
