"""What a MESSAGE carries: only text is text."""

import base64
import zlib

import pytest

from protocols.sip.body import Composing, Content, Unsupported, read_body
from protocols.sip.cpim import make_cpim
from protocols.sip.errors import BadValue, EncodeError
from protocols.sip.imdn import Receipt, Wish, make_imdn
from tests.unit.protocols.sip.samples import request, torture

TEXT = "Grüße, Ωmega 👍🏽 \0 end"
IMDN = make_imdn("id<1>", "2026-01-02T03:04:05Z", delivered=True)
CPIM = make_cpim(
    [
        ("From", "<sip:a@b>"),
        ("To", "<sip:c@d>"),
        ("NS", "MyIMDN <urn:ietf:params:imdn>"),
        ("MyIMDN.Message-ID", "34jk324j"),
        ("MyIMDN.Disposition-Notification", "positive-delivery, NEGATIVE-delivery, odd"),
    ],
    [("Content-type", "text/plain; charset=utf-8")],
    TEXT.encode(),
)


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        (None, "utf-8"),
        ("text/plain", "utf-8"),
        ("text/plain;charset=UTF-8", "utf-8"),
        ('Text/Plain; charset="utf-16le"', "utf-16le"),
        ("text/plain;charset=UTF_16", "utf-16"),
    ],
)
def test_text(content_type: str | None, encoding: str) -> None:
    assert read_body(content_type, None, TEXT.encode(encoding)) == Content(TEXT)


BOTH = frozenset((Wish.POSITIVE, Wish.NEGATIVE))


def test_a_byte_order_mark_is_no_text() -> None:
    for encoding, charset in (("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-32", "utf-32")):
        assert read_body(f"text/plain;charset={charset}", None, TEXT.encode(encoding)) == Content(TEXT)
    marked = f"\ufeff{TEXT}\ufeff".encode("utf-16-le")
    assert read_body("text/plain;charset=utf-16le", None, marked) == Content(f"{TEXT}\ufeff")
    assert read_body("message/cpim", None, CPIM.replace(TEXT.encode(), b"\xef\xbb\xbfhi")) == Content(
        "hi", "34jk324j", BOTH
    )


@pytest.mark.parametrize(
    ("charset", "text"),
    [("iso-8859-1", "café"), ("windows-1251", "Привет"), ("gb18030", "你好"), ("shift_jis", "こんにちは")],
)
def test_other_charsets(charset: str, text: str) -> None:
    assert read_body(f"text/plain;charset={charset}", None, text.encode(charset)) == Content(text)


@pytest.mark.parametrize(
    "charset", ["zip", "hex", "punycode", "idna", "x-unknown", "iso-8859-99", "unicode_escape"]
)
def test_charsets_that_are_none(charset: str) -> None:
    assert isinstance(read_body(f"text/plain;charset={charset}", None, b"text"), Unsupported)


def test_text_that_is_not_its_charset() -> None:
    with pytest.raises(BadValue):
        read_body("text/plain", None, b"\xff\xfe\xff")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/vnd.3gpp.sms", b"\0"),
        ("image/png", b"\x89PNG"),
        ("text/html", b"<p>"),
        ("message/external-body", b""),
    ],
)
def test_other_types(content_type: str, body: bytes) -> None:
    assert read_body(content_type, None, body) == Unsupported(content_type)


def test_typing_is_not_text() -> None:
    assert read_body("application/im-iscomposing+xml", None, b"<isComposing/>") == Composing()


def test_receipts_are_not_text() -> None:
    assert read_body("message/imdn+xml", None, IMDN) == Receipt("id<1>", "delivery", "delivered")
    packed = zlib.compress(IMDN)
    assert read_body("message/imdn+xml", "deflate", packed) == Receipt("id<1>", "delivery", "delivered")
    assert read_body("message/imdn+xml", "Deflate", packed[2:-4]) == Receipt("id<1>", "delivery", "delivered")
    failed = make_imdn("x", "2026-01-02T03:04:05Z", delivered=False)
    assert read_body("message/imdn+xml", None, failed) == Receipt("x", "delivery", "failed")
    wrapped = make_cpim([("From", "x")], [("Content-Type", "message/imdn+xml")], IMDN)
    assert read_body("message/cpim", None, wrapped) == Receipt("id<1>", "delivery", "delivered")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<imdn",
        b"<imdn/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><imdn>&b;</imdn>',
        b"<imdn><message-id>1</message-id><delivery-notification><status><odd/></status></delivery-notification></imdn>",
        b" " * 20_000,
        b'<?xml version="1.0" encoding="nonsense"?><imdn/>',
    ],
)
def test_bad_receipts(body: bytes) -> None:
    with pytest.raises(BadValue):
        read_body("message/imdn+xml", None, body)


def test_encodings() -> None:
    assert read_body("text/plain", "gzip", b"") == Unsupported("gzip", encoding=True)
    assert read_body("text/plain", "identity", b"x") == Content("x")
    for bad in (b"not deflate", zlib.compress(b"x")[:-3], zlib.compress(bytes(1_000_000))):
        with pytest.raises(BadValue):
            read_body("text/plain", "deflate", bad)


def test_cpim_tells_what_the_sender_wants() -> None:
    expected = Content(TEXT, "34jk324j", frozenset((Wish.POSITIVE, Wish.NEGATIVE)))
    assert read_body("message/cpim", None, CPIM) == expected
    assert read_body("Message/CPIM", None, CPIM.replace(b"\r\n", b"\n")) == expected
    assert read_body("message/cpim", None, b"From: x\r\n\r\nContent-Type: text/plain\r\n\r\nhi") == Content(
        "hi"
    )
    coded = make_cpim(
        [("From", "x")],
        [("Content-Type", "text/plain"), ("Content-Transfer-Encoding", "base64")],
        base64.b64encode(TEXT.encode()),
    )
    assert read_body("message/cpim", None, coded) == Content(TEXT)


def test_cpim_without_content_headers_is_text() -> None:
    for end in (b"\r\n", b"\n"):
        body = b"From: x\r\n\r\n\r\nhi\r\n\r\nmore".replace(b"\r\n", end)
        assert read_body("message/cpim", None, body) == Content(f"hi{end.decode() * 2}more")


def test_only_line_ends_end_a_cpim_header() -> None:
    for odd in "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e":
        body = f"Subject: a{odd}b\r\nFrom: x\r\n\r\nContent-Type: text/plain\r\n\r\nhi".encode()
        assert read_body("message/cpim", None, body) == Content("hi")


def test_bad_cpim() -> None:
    for bad in (
        b"",
        b"From: x\r\n\r\nhi",
        b"no header\r\n\r\nContent-Type: text/plain\r\n\r\nhi",
        b"A: x\r\n\r\nodd\r\n\r\nhi",
    ):
        with pytest.raises(BadValue):
            read_body("message/cpim", None, bad)
    with pytest.raises(EncodeError):
        make_cpim([("From", "a\r\nb")], [], b"")


def multipart(*parts: bytes) -> bytes:
    return b"preamble\r\n" + b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + b"--B--\r\nepilogue"


def test_the_first_text_of_a_multipart() -> None:
    html, text = b"Content-Type: text/html\r\n\r\n<p>", b"Content-Type: text/plain\r\n\r\nhello\r\n"
    assert read_body("multipart/mixed;boundary=B", None, multipart(html, text)) == Content("hello\r\n")
    assert read_body("multipart/mixed;boundary=B", None, multipart(b"\r\nplain")) == Content("plain")
    quoted = b"Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db"
    assert read_body("multipart/mixed;boundary=B", None, multipart(quoted)) == Content("a=b")
    assert read_body("multipart/mixed;boundary=B", None, multipart(html)) == Unsupported("text/html")
    assert read_body("multipart/mixed;boundary=B", None, b"") == Unsupported("multipart")
    mpart = request(torture()["mpart01"])
    found = read_body(mpart.headers.get("Content-Type"), None, mpart.body)
    assert found == Content("Hello")


PLAIN = b"Content-Type: text/plain\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ((PLAIN, PLAIN + b"second"), Content("second")),
        ((PLAIN + b" \r\n", PLAIN + b"second"), Content("second")),
        ((PLAIN.removesuffix(b"\r\n"), PLAIN + b"second"), Content("second")),
        ((b"\r\n", b"Content-Type: text/html\r\n\r\n<p>", PLAIN + b"third"), Content("third")),
        ((b"Content-Type: text/html\r\n\r\n<p>", PLAIN), Content("")),
        (
            (PLAIN, b"Content-Type: message/imdn+xml\r\n\r\n" + IMDN),
            Receipt("id<1>", "delivery", "delivered"),
        ),
        (
            (b"Content-Type: message/imdn+xml\r\n\r\n" + IMDN, PLAIN),
            Receipt("id<1>", "delivery", "delivered"),
        ),
        ((PLAIN + b"has\r\n--Bcd inside\r\n--B x",), Content("has\r\n--Bcd inside\r\n--B x")),
    ],
)
def test_which_part_of_a_multipart(parts: tuple[bytes, ...], found: object) -> None:
    assert read_body("multipart/mixed;boundary=B", None, multipart(*parts)) == found


def test_multipart_with_bare_line_feeds() -> None:
    html, text = b"Content-Type: text/html\r\n\r\n<p>", PLAIN + b"one\r\ntwo"
    for whole in (multipart(html, text), multipart(html, text).replace(b"--B\r\n", b"--B \t\r\n")):
        body = whole.replace(b"\r\n", b"\n")
        assert read_body("multipart/mixed;boundary=B", None, body) == Content("one\ntwo")
    unclosed = b"--B\n\nhi"
    assert read_body("multipart/mixed;boundary=B", None, unclosed) == Content("hi")


def test_depth_and_width_are_limited() -> None:
    body = b"hi"
    for _ in range(5):
        body = b"From: x\r\n\r\nContent-Type: message/cpim\r\n\r\n" + body
    assert read_body("message/cpim", None, body) == Unsupported("message/cpim")
    many = multipart(*[b"Content-Type: a/b\r\n\r\n"] * 100, b"\r\nlate")
    assert read_body("multipart/mixed;boundary=B", None, many) == Unsupported("a/b")
    for others, found in ((15, Content("last")), (16, Unsupported("a/b"))):
        many = multipart(*[b"Content-Type: a/b\r\n\r\n"] * others, b"\r\nlast", b"\r\nlate")
        assert read_body("multipart/mixed;boundary=B", None, many) == found


def test_bad_multipart() -> None:
    for content_type, body in (
        ("multipart/mixed", b""),
        ("multipart/mixed;boundary=B", multipart(b"no header")),
    ):
        with pytest.raises(BadValue):
            read_body(content_type, None, body)
    coded = b"Content-Transfer-Encoding: base64\r\n\r\na"
    with pytest.raises(BadValue):
        read_body("multipart/mixed;boundary=B", None, multipart(coded))
