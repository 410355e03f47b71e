"""The text of a mail: which parts are it, in which charset, and what of it a reader sees."""

import codecs
from base64 import b64encode
from email import message_from_bytes
from email.message import Message

import pytest

from protocols.mail import body, reply
from protocols.mail.body import Attachment, Body

HEAD = "MIME-Version: 1.0\n"


def mail(content: str | bytes, kind: str, more: str = "") -> Message:
    octets = content.encode() if isinstance(content, str) else content
    return message_from_bytes(f"{HEAD}Content-Type: {kind}\n{more}\n".encode() + octets)


def parts(*pieces: str, border: str = "b") -> str:
    return "".join(f"--{border}\n{piece}\n" for piece in pieces) + f"--{border}--\n"


PLAIN, HTML = "Content-Type: text/plain; charset=utf-8\n\n", "Content-Type: text/html; charset=utf-8\n\n"
QUOTED = "> Are you at home?\n> I would bring the parcel.\n"
MIXED, ALTERNATIVE = "multipart/mixed; boundary=b", "multipart/alternative; boundary=b"


@pytest.mark.parametrize("plain", ["\u200b\n", "\u00a0\n", " \n", QUOTED, f"\ufeff\n{QUOTED}"])
def test_the_html_has_the_answer_and_the_text_has_not(plain: str) -> None:
    html = "<p>At <b>five</b></p><blockquote>Are you at home?</blockquote>"
    assert reply.read(mail(parts(PLAIN + plain, HTML + html), ALTERNATIVE)).text == "At five"


def test_the_text_is_preferred_where_both_have_it() -> None:
    found = body.read(mail(parts(f"{PLAIN}Text.\n", f"{HTML}<p>Page.</p>"), ALTERNATIVE))
    assert (found.text, found.other) == ("Text.", "Page.")


def test_a_page_with_a_text_of_a_gateway_below() -> None:
    footer = f"{PLAIN}\n--\nThis mail was scanned.\n"
    assert reply.read(mail(parts(f"{HTML}<p>The answer</p>", footer), MIXED)).text == "The answer"
    signed = parts(f"{HTML}<p>The answer</p>", f"{PLAIN}Scanned.\n")
    assert reply.read(mail(signed, MIXED)).text == "The answer\nScanned."


def test_a_page_around_a_picture_in_one_version_and_the_text_in_the_other() -> None:
    page = parts(
        f"{HTML}<p>one</p>",
        "Content-Type: image/png; name=x.png\nContent-Disposition: inline; filename=x.png\n\nx\n",
        f"{HTML}<p>two</p>",
        border="c",
    )
    both = parts(f"{PLAIN}one two\n", f"Content-Type: multipart/mixed; boundary=c\n\n{page}")
    found = body.read(mail(both, ALTERNATIVE))
    assert found == Body("one two", (Attachment("x.png"),), other="one\ntwo")


@pytest.mark.parametrize(
    "head",
    [
        'Content-Type: text/plain; name="pay.txt"\nContent-Disposition: inline; filename="pay.txt"',
        'Content-Type: text/plain; name="pay.txt"',
        "Content-Type: text/plain\nContent-Disposition: inline; filename=pay.txt",
        "Content-Type: text/html; name=pay.txt\nContent-Disposition: inline",
        "Content-Type: text/plain\nContent-Disposition: attachment; filename=pay.txt",
    ],
)
def test_a_text_that_has_a_name_is_a_file(head: str) -> None:
    found = reply.read(mail(parts(f"{PLAIN}Hi.\n", f"{head}\n\nann 1, bob 2\n"), MIXED))
    assert found == ("Hi.", ("pay.txt",), False)


def test_a_mail_that_is_one_text_with_a_name_is_no_file_if_it_does_not_say_so() -> None:
    assert reply.read(mail("Hi.\n", "text/plain; name=hi.txt")).text == "Hi."
    attached = mail("Hi.\n", "text/plain", "Content-Disposition: attachment; filename=hi.txt\n")
    assert reply.read(attached) == ("", ("hi.txt",), False)


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        ("iso-8859-1", "it’s 5€".encode("cp1252"), "it’s 5€"),
        ("us-ascii", "it’s 5€".encode("cp1252"), "it’s 5€"),
        ("us-ascii", "it’s 5€".encode(), "it’s 5€"),
        ("gb2312", "你好，€".encode("gb18030"), "你好，€"),
        ("gbk", "你好，𠮷".encode("gb18030"), "你好，𠮷"),
        ("ks_c_5601-1987", "안녕 똠".encode("cp949"), "안녕 똠"),
        ("euc-kr", "안녕 똠".encode("cp949"), "안녕 똠"),
        ("shift_jis", "①髙橋".encode("cp932"), "①髙橋"),
        ("iso-2022-jp", b"\x1b$B-!$G$9\x1b(B 1", "①です 1"),
        ("iso-2022-jp", b"\x1b$B|b66\x1b(B", "髙橋"),
        ("iso-2022-jp", "です".encode("iso2022_jp"), "です"),
        ("iso-8859-8-i", "שלום".encode("iso-8859-8"), "שלום"),
        ("windows-874", "สวัสดี".encode("cp874"), "สวัสดี"),
        ("tis-620", "สวัสดี…".encode("cp874"), "สวัสดี…"),
        ("iso-8859-9", "şey…".encode("cp1254"), "şey…"),
        ("unicode-1-1-utf-8", "é".encode(), "é"),
        ('" utf-8 "', "é".encode(), "é"),
        ("utf-8", "it’s 5€".encode("cp1252"), "it’s 5€"),
        ("utf-8", "Grüße aus München 😀 ".encode() + b"\xff!", "Grüße aus München 😀 \ufffd!"),
        ("x-klingon", "é".encode(), "é"),
        ("hex", b"6869", "6869"),
        ("windows-936", "你好，€".encode("gb18030"), "你好，€"),
        ("windows-949", "안녕 똠".encode("cp949"), "안녕 똠"),
        ("x-windows-949", "안녕 똠".encode("cp949"), "안녕 똠"),
        ("windows-31j", "①髙橋".encode("cp932"), "①髙橋"),
        ("windows-932", "①髙橋".encode("cp932"), "①髙橋"),
        ("windows-950", "你好".encode("big5"), "你好"),
        ("x-x-big5", "你好".encode("big5"), "你好"),
        ("cp-850", "Grüße".encode("cp850"), "Grüße"),
        ("IBM-850", "Grüße".encode("cp850"), "Grüße"),
        ("cp-1252", "it’s".encode("cp1252"), "it’s"),
        ("x-cp1251", "Привет".encode("cp1251"), "Привет"),
        ("win-1251", "Привет".encode("cp1251"), "Привет"),
        ("x-mac-cyrillic", "Привет".encode("mac_cyrillic"), "Привет"),
        ("x-mac-ukrainian", "Привет".encode("mac_cyrillic"), "Привет"),
        ("x-mac-ce", "Dobrý den".encode("mac_latin2"), "Dobrý den"),
        ("koi8-ru", "Привіт".encode("koi8-u"), "Привіт"),
        ("iso88592", "Dobrý den".encode("iso8859-2"), "Dobrý den"),
        ("iso-8859-7:1987", "Γειά".encode("iso8859-7"), "Γειά"),
        ("iso-8859-6-i", "مرحبا".encode("iso8859-6"), "مرحبا"),
        ("dos-874", "สวัสดี".encode("cp874"), "สวัสดี"),
        ("latin-9", "5€".encode("iso8859-15"), "5€"),
        ("iso-8859-99", "é".encode(), "é"),
        ("cp-9999", "é".encode(), "é"),
    ],
)
def test_charsets_as_they_are_meant(charset: str, octets: bytes, text: str) -> None:
    message = mail(octets, f"text/plain; charset={charset}", "Content-Transfer-Encoding: 8bit\n")
    assert body.read(message).text == text


HTTP_EQUIV = b'<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">'
HELLO = b"<p>" + "Привет".encode("cp1251") + b"</p>"


@pytest.mark.parametrize(
    "head",
    [
        b"<meta charset=windows-1251>",
        b"<META CharSet = 'Windows-1251' />",
        b'<meta/charset="cp-1251"/>',
        HTTP_EQUIV,
        b"<html><head><title>a > b</title>" + HTTP_EQUIV + b"</head>",
        b"<meta content='text/html;charset = \"windows-1251\"' http-equiv=content-type>",
        b"<!doctype html><!-- <meta charset=utf-8> --><meta name=a content=b>" + HTTP_EQUIV,
        b"<!--><meta charset=windows-1251>",
        b"<a title='<meta charset=utf-8>'></a>" + HTTP_EQUIV,
        b"<meta charset=utf-16>" + HTTP_EQUIV,
        b"<meta charset=klingon>" + HTTP_EQUIV,
        b"<meta content='text/html; charset=utf-8'>" + HTTP_EQUIV,
        b"<metal charset=utf-8>" + HTTP_EQUIV,
        b"<?php charset ?></a charset=x>" + HTTP_EQUIV,
        b"<?xml version='1.0' encoding='windows-1251'?><html>",
        b"<meta charset=windows-1251 charset=utf-8>",
        b" " * 900 + b"<meta charset=windows-1251>",
    ],
)
@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=us-ascii", "text/html; charset=x-unknown"])
def test_a_page_that_alone_names_its_charset(head: bytes, kind: str) -> None:
    encoded = "Content-Transfer-Encoding: base64\n"
    message = mail(b64encode(head + HELLO), kind, encoded)
    assert body.read(message).text.endswith("Привет")


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"<meta charset=windows-1251><p>" + "Grüße".encode(), "text/html; charset=utf-8"),
        (b"<meta charset=windows-1251><p>" + "Grüße".encode("cp1252"), "text/html; charset=iso-8859-1"),
        (codecs.BOM_UTF8 + b"<meta charset=windows-1251><p>" + "Grüße".encode(), "text/html"),
        (codecs.BOM_UTF8 + "Grüße".encode(), "text/html; charset=iso-8859-1"),
        (codecs.BOM_UTF8 + "Grüße".encode(), "text/plain; charset=windows-1252"),
        (codecs.BOM_UTF16_LE + "<meta charset=utf-8><p>Grüße".encode("utf-16-le"), "text/html"),
        (codecs.BOM_UTF16_BE + "Grüße".encode("utf-16-be"), "text/plain"),
        ("Grüße".encode("utf-32"), "text/plain; charset=utf-32"),
        (b"<meta charset=utf-16><p>" + "Grüße".encode(), "text/html"),
        (b"<meta charset=klingon><p>" + "Grüße".encode("cp1252"), "text/html"),
        (b"<meta charset=klingon><p>" + "Grüße".encode(), "text/html"),
        (b"<!-- <meta charset=windows-1251> <p>-->" + "Grüße".encode(), "text/html"),
        (b" " * 1_000 + b"<meta charset=windows-1251><p>" + "Grüße".encode(), "text/html"),
        (b"<meta charset=windows-1251>" + "Grüße".encode(), "text/plain"),
    ],
)
def test_a_byte_order_mark_then_the_header_then_the_page_says_the_charset(octets: bytes, kind: str) -> None:
    message = mail(b64encode(octets), kind, "Content-Transfer-Encoding: base64\n")
    assert body.read(message).text.endswith("Grüße")


@pytest.mark.parametrize(
    "encoding",
    [
        "base64 ", '"base64"', "BASE64", " Base64 ; x=y", "Base64 (x)", "(of (a) program) base64 ( )",
        "base64(it is)",
    ],
)  # fmt: skip
def test_a_transfer_encoding_however_it_is_written(encoding: str) -> None:
    message = mail("aMOp\n", "text/plain; charset=utf-8", f"Content-Transfer-Encoding: {encoding}\n")
    before = message.as_bytes()
    assert body.read(message).text == "hé"
    assert message.as_bytes() == before


@pytest.mark.parametrize(
    ("flowed", "text"),
    [
        ("hi \n-- \nme\n", "hi"),
        (" >not a quote\n >> nor this\nFrom here\n", ">not a quote\n>> nor this\nFrom here"),
        (" >one \n >two\n", ">one >two"),
        ("one \ntwo\n> quoted\n", "one two"),
    ],
)
def test_flowed_lines(flowed: str, text: str) -> None:
    assert reply.read(mail(flowed, "text/plain; format=flowed")).text == text
    assert reply.read(mail(flowed, "text/plain; format=flowed; delsp=no")).text == text


@pytest.mark.parametrize(
    "hidden",
    [
        '<div style="display:none">tracked</div>',
        '<div style="color:red; DISPLAY : none !important">tracked <b>twice</b> <img alt="x"></div>',
        '<span style="mso-hide:all">tracked</span>',
        "<p hidden>tracked</p>",
        '<img style="display:none" alt="tracked">',
        '<div style="display:none"><div>a</div><br>tracked</div>',
        '<span style="font-size:0">tracked</span>',
        '<div style="color:#fff; FONT-SIZE : 0.0px !important;line-height:0">tracked <b>twice</b></div>',
        '<span style="font-size:.0em">tracked</span>',
        '<p style="opacity:0">tracked</p>',
        '<p style="visibility:collapse">tracked</p>',
    ],
)
def test_what_html_does_not_show(hidden: str) -> None:
    assert body.read(mail(f"<p>Hello</p>{hidden}<p>there</p>", "text/html")).text == "Hello\n\nthere"


@pytest.mark.parametrize(
    "style", ["font-size:0.9em", "font-size:", "font-size:em", "font-size:10px", "opacity:0.5"]
)
def test_what_html_shows_small(style: str) -> None:
    assert body.read(mail(f'<p style="{style}">Hello</p>', "text/html")).text == "Hello"


def test_letters_that_are_visible_again_within_what_has_none() -> None:
    """As in mail that is laid out with blocks in one line."""
    page = '<div style="font-size:0">a<span style="font-size:16px">Hello <b>you</b></span>b</div><p>there</p>'
    assert body.read(mail(page, "text/html")).text == "Hello you\nthere"


@pytest.mark.parametrize("depth", [450, 600, 3_000, 20_000])
def test_a_page_of_elements_within_elements_is_read(depth: int) -> None:
    page = "first" + "<div>" * depth + "Yes <b>please</b>" + "</div>" * depth + "<p>a<br>b</p>"
    found = body.read(mail(page, "text/html")).text
    assert [line for line in found.split("\n") if line] == ["first", "Yes please", "a", "b"]


def nested(depth: int, text: str) -> str:
    head = "".join(
        f"Content-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n" for number in range(1, depth)
    )
    ends = "".join(f"--b{number}--\n" for number in range(depth - 1, 0, -1))
    return f"--b\n{head}{PLAIN}{text}\n{ends}--b--\n"


@pytest.mark.parametrize("depth", [2, 150, 300, 600])
def test_parts_within_parts_are_read(depth: int) -> None:
    assert reply.read(mail(nested(depth, "hé"), MIXED)).text == "hé"


def test_the_text_behind_many_attachments_is_read() -> None:
    files = ["Content-Type: image/png; name=x.png\n\nx\n"] * 400
    found = reply.read(mail(parts(*files, f"{PLAIN}hé\n"), MIXED))
    assert (found.text, len(found.attachments)) == ("hé", 400)


PAGE = f"{HTML}<div>Yes, <b>at five</b>.</div>"


@pytest.mark.parametrize(
    "placeholder",
    [
        "This message is in HTML.",
        "Your mail program does not support HTML",
        "Your email client does not support HTML messages. View it at https://example.org/x",
        "Diese Nachricht ist im HTML-Format.",
        "Ce message est au format HTML.",
        "このメールはHTML形式です。",
        "Please view this message in a browser",
        "[image: logo.png]\nAn e-mail was sent to you, which cannot be shown here.",
    ],
)
def test_a_text_that_only_says_that_there_is_a_page(placeholder: str) -> None:
    assert reply.read(mail(parts(f"{PLAIN}{placeholder}\n", PAGE), ALTERNATIVE)).text == "Yes, at five."


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("See here <https://example.org/a/b?c=d&e=f>", "See <a href='https://example.org/a'>here</a>"),
        ("1. one\n2. two\n3. three", "<ol><li>one<li>two<li>three</ol>"),
        ("*Yes*, _at_ five", "<b>Yes</b>, <i>at</i> five"),
        ("This message is in HTML, I think", "<p>This message is in HTML, I think</p>"),
        ("👍", "<img src=x>"),
        ("OK", "<p><img src=x></p>"),
        ("5", "<p>five</p>"),
    ],
)
def test_a_text_that_says_what_the_page_says(text: str, page: str) -> None:
    assert reply.read(mail(parts(f"{PLAIN}{text}\n", f"{HTML}{page}"), ALTERNATIVE)).text == text


def test_a_signature_in_html() -> None:
    page = "<div>Yes</div><div>-- </div>" + "<div>a line of it</div>" * 9
    assert reply.read(mail(page, "text/html")).text == "Yes"


def test_texts_that_are_neither_plain_nor_html() -> None:
    assert body.read(mail("<bold>hi</bold> a<<b\nand\n\nso\n", "text/enriched")).text == "hi a<b and\nso "
    assert body.read(mail("hi *there*\n", "text/markdown; charset=utf-8")).text == "hi *there*"
    assert reply.read(mail("BEGIN:VCARD\n", "text/x-vcard")).attachments == ("text/x-vcard",)


@pytest.mark.parametrize("kind", ["text/x-amp-html", "text/watch-html", "text/calendar; method=REQUEST"])
def test_a_version_of_the_text_that_is_not_read_is_no_attachment(kind: str) -> None:
    other = f"Content-Type: {kind}\n\nx\n"
    assert reply.read(mail(parts(f"{PLAIN}Hi.\n", other), ALTERNATIVE)) == ("Hi.", (), False)
    named = f"Content-Type: {kind}\nContent-Disposition: attachment; filename=x.ics\n\nx\n"
    assert reply.read(mail(parts(f"{PLAIN}Hi.\n", named), ALTERNATIVE)).attachments == ("x.ics",)


@pytest.mark.parametrize("charset", ["idna", "punycode", "undefined", "zip", "x-unknown"])
def test_a_name_in_what_is_no_charset(charset: str) -> None:
    file = f"Content-Type: image/png\nContent-Disposition: attachment; filename*={charset}''%61%2e%ff\n\nx\n"
    found = reply.read(mail(parts(f"{PLAIN}Hi.\n", file), MIXED))
    assert (found.text, len(found.attachments)) == ("Hi.", 1)


def test_a_nul_is_no_text() -> None:
    assert reply.read(mail("\0a\0b\0", "text/plain")).text == "ab"
    assert reply.read(mail("\0\0", "text/plain")).text == ""
    assert reply.read(mail("<p>\0a</p>", "text/html")).text == "a"


@pytest.mark.parametrize("kind", ["multipart/mixed", "multipart/mixed; boundary=zz"])
def test_parts_whose_border_is_not_named(kind: str) -> None:
    assert reply.read(mail(parts(f"{PLAIN}hé\n"), kind)).text == "hé"
    assert reply.read(mail("\n", kind)) == ("", ("multipart/mixed",), False)


WRITTEN = "Yes, please.\n\nRing twice."


@pytest.mark.parametrize(
    "subtype", ["alternative", "mixed", "related; boundary=zz", "x", "mixed; boundary=''"]
)
@pytest.mark.parametrize(
    "rest",
    [
        "", "\n\n> Are you at home?\n", "\n-- \nJane", "\n\n--\n\nJane", "\n\n-- \n\nJane\n",
        "\n\n-----\n\n> Are you at home?",
    ],
)  # fmt: skip
def test_a_multipart_without_parts_is_what_clients_show_a_text(subtype: str, rest: str) -> None:
    kind = f"multipart/{subtype}"
    answer = WRITTEN + ("\n\n-----" if "-----" in rest else "")
    assert reply.read(mail(WRITTEN + rest, kind)) == (answer, (), False)
    within = parts(f"Content-Type: {kind}\n\n{WRITTEN}{rest}", "Content-Type: image/png\n\nx")
    assert reply.read(mail(within, MIXED)) == (answer, ("image/png",), False)


@pytest.mark.parametrize("rule", ["-----", "--Joe", "--=_=--", "--a: b"])
def test_what_only_looks_like_a_border_is_written(rule: str) -> None:
    text = f"One.\n{rule}\n\nTwo.\nFrom: me"
    assert body.read(mail(text, "multipart/alternative")).text == text


@pytest.mark.parametrize("encoding", ["8bit", "8bit ", "8bit (x)", '"8bit"', "Binary", "x-other (x)"])
def test_what_is_not_encoded_is_left_as_it_is(encoding: str) -> None:
    octets = "Grüße 中文\n".encode()
    message = mail(octets, "text/plain; charset=utf-8", f"Content-Transfer-Encoding: {encoding}\n")
    assert body.read(message).text == "Grüße 中文"


def test_a_multipart_that_is_encoded_has_no_parts() -> None:
    """It may have any number, and borders within borders, that nobody counted in the mail (RFC 2045 §6.4). It
    is named as not sent."""
    inside = parts(f"{PLAIN}Hi", f"{PLAIN}there").encode()
    encoded = mail(b64encode(inside), "multipart/mixed", "Content-Transfer-Encoding: base64\n")
    assert reply.read(encoded) == ("", ("multipart/mixed",), False)


def test_what_a_multipart_says_to_old_programs_stands_in_front() -> None:
    late = "Hello.\nThis is a message in MIME format, I think.\n"
    assert body.read(mail(late, "multipart/mixed")).text == late.strip()


def test_a_multipart_without_parts_in_its_charset_and_encoding() -> None:
    encoded = mail(
        "R3LDvMOf\n", "multipart/alternative; charset=utf-8", "Content-Transfer-Encoding: base64\n"
    )
    assert reply.read(encoded).text == "Grüß"
    latin = mail("Grüß".encode("cp1252"), "multipart/mixed", "Content-Transfer-Encoding: 8bit\n")
    assert reply.read(latin).text == "Grüß"


def test_a_multipart_without_parts_goes_behind_every_other_version_and_a_file_is_none() -> None:
    empty = "Content-Type: multipart/related\n\nraw\n"
    assert body.read(mail(parts(f"{HTML}<p>Yes", empty), ALTERNATIVE)).text == "Yes"
    named = "Content-Type: multipart/related; name=a.eml\n\nraw\n"
    assert reply.read(mail(parts(f"{PLAIN}Hi", named), MIXED)) == ("Hi", ("a.eml",), False)
    broken = f"--<b>\n{HTML}<p>Yes\n"
    assert reply.read(mail(broken, "multipart/mixed")) == ("", ("multipart/mixed",), False)


@pytest.mark.parametrize("words", ["multi-part", "multipart", "cryptographically signed"])
def test_what_a_multipart_says_to_old_programs_was_not_written(words: str) -> None:
    preamble = f"This is a {words} message in MIME format.\n"
    assert reply.read(mail(preamble, "multipart/mixed; boundary=b")).text == ""
    assert reply.read(mail(f"{preamble}\nYes.", "multipart/mixed; boundary=b")).text == "Yes."
    assert reply.read(mail(preamble, "text/plain")).text == preamble.strip()


def test_parts_within_parts_whose_border_is_not_named() -> None:
    inner = parts(f"{PLAIN}hé", f"{HTML}<p>hé</p>", border="c")
    for kind in ("multipart/alternative", "multipart/alternative; boundary=zz"):
        both = parts(f"Content-Type: {kind}\n\n{inner}", "Content-Type: image/png\n\nx")
        assert reply.read(mail(both, MIXED)) == ("hé", ("image/png",), False)


ENRICHED = "Content-Type: text/enriched\n\n"
MARKDOWN = "Content-Type: text/markdown; charset=utf-8\n\n"
PICTURE = "Content-Type: image/png\n\nx"


def several(kind: str, *pieces: str) -> str:
    """A multipart as a part."""
    border = f"b{len(str(pieces))}"
    return f"Content-Type: multipart/{kind}; boundary={border}\n\n{parts(*pieces, border=border)}"


@pytest.mark.parametrize(
    ("pieces", "text", "other"),
    [
        ((f"{ENRICHED}<bold>Yes</bold> at 5", f"{HTML}<p><b>Yes</b> at 5"), "Yes at 5", ""),
        ((f"{HTML}<p>one", f"{HTML}<p>two"), "two", ""),
        ((f"{PLAIN}one", f"{PLAIN}two"), "two", ""),
        ((f"{PLAIN}one", f"{PLAIN}\u200b"), "one", ""),
        ((f"{PLAIN}*one*", f"{MARKDOWN}**one**", f"{HTML}<b>one</b>"), "*one*", "one"),
        ((f"{MARKDOWN}**one**", f"{ENRICHED}<bold>enriched</bold>", f"{HTML}<b>one</b>"), "**one**", "one"),
        ((f"{HTML}<p>one", f"{PLAIN}one."), "one.", "one"),
        (
            (f"{PLAIN}one", several("mixed", f"{HTML}<p>1", PICTURE, f"{HTML}<p>2", f"{PLAIN}3")),
            "one",
            "1\n2\n3",
        ),
        ((f"{ENRICHED}one", several("related", f"{HTML}<p>1", PICTURE)), "1", ""),
        ((several("mixed", f"{PLAIN}1", PICTURE, f"{PLAIN}2"), f"{HTML}<p>1<p>2"), "1\n2", "1\n\n2"),
        ((several("alternative", f"{PLAIN}1", f"{HTML}<p>2"), f"{HTML}<p>3"), "1", "3"),
        (
            (
                several("mixed", f"{PLAIN}a", several("alternative", f"{ENRICHED}e", f"{HTML}<p>b")),
                several("mixed", f"{HTML}<p>c", several("alternative", f"{PLAIN}d", f"{HTML}<p>d.")),
            ),
            "c\nd",
            "c\nd.",
        ),
        ((several("mixed", PICTURE), f"{PLAIN}"), "", ""),
    ],
)
def test_alternatives_are_versions_of_one_text(pieces: tuple[str, ...], text: str, other: str) -> None:
    found = body.read(mail(parts(*pieces), ALTERNATIVE))
    assert (found.text, found.other) == (text, other)
    found = body.read(mail(parts(several("alternative", *pieces), f"{PLAIN}end"), MIXED))
    assert found.text == f"{text}\nend".lstrip("\n")


def test_versions_within_versions_without_end() -> None:
    whole = f"{PLAIN}hé\n"
    for depth in range(120):
        border = f"b{depth}_"
        kind = "mixed" if depth % 2 else "alternative"
        whole = f"Content-Type: multipart/{kind}; boundary={border}\n\n{parts(whole, border=border)}"
    assert body.read(message_from_bytes(whole.encode())).text == "hé"


UNDERSCORES = "_" * 47
FOOTERS = [
    f"{UNDERSCORES}\nFamily mailing list\nfamily@lists.example.org\nhttps://lists.example.org/family\n",
    "\n=================\nOur office: www.example.org\n",
    "Scanned by MailGate\n",
    "This message has been scanned for viruses and\ndangerous content, and is\nbelieved to be clean.\n",
    "No virus found in this message.\nChecked by AVG - www.example.org\nVersion: 2016.0.7\n",
    "Virus-free. www.example.org\n",
    "Diese E-Mail wurde von der Antivirus-Software auf Viren geprüft.\n",
    "L'absence de virus dans ce courrier électronique a été vérifiée.\n",
    "El software de antivirus ha analizado este correo electrónico en busca de virus.\n",
]
INLINE = "Content-Type: text/plain; charset=utf-8\nContent-Disposition: inline\n\n"
ANSWERS = {
    "text": f"{PLAIN}Yes.",
    "page": f"{HTML}<p>Yes.",
    "versions": several("alternative", f"{PLAIN}Yes.", f"{HTML}<p>Yes."),
    "picture": several("mixed", f"{PLAIN}Yes.", PICTURE),
}


@pytest.mark.parametrize("footer", FOOTERS)
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_footer_in_a_part_of_its_own_is_not_sent(answer: str, footer: str) -> None:
    page = HTML + footer.strip().replace("\n", "<br>")
    for part in (PLAIN + footer, INLINE + footer, page):
        assert reply.read(mail(parts(answer, part), MIXED)).text == "Yes."
        assert reply.read(mail(parts(answer, PLAIN + FOOTERS[0], part), MIXED)).text == "Yes."
    assert reply.read(mail(parts(PLAIN + footer), MIXED)).text == reply.strip(footer)


@pytest.mark.parametrize("footer", FOOTERS)
def test_what_stands_below_a_picture_or_above_one_was_written(footer: str) -> None:
    """As telephones divide it."""
    below = reply.read(mail(parts(f"{PLAIN}Yes.", PICTURE, PLAIN + footer), MIXED)).text
    assert below == reply.strip(f"Yes.\n{footer}") != "Yes."
    above = reply.read(mail(parts(f"{PLAIN}Yes.", PLAIN + footer, PICTURE), MIXED)).text
    assert above == below


@pytest.mark.parametrize(
    "text",
    [
        "Bring the key, too.",
        "The document was scanned by Ann.",
        "This message is for Ann.",
        "The virus is gone.",
        "-----",
        f"{UNDERSCORES}",
        "---\nAnd the key.",
        f"{UNDERSCORES}\nAnd then I went home.",
        "**********\nCome at 5",
        "=================\nOur office is closed on Mondays.",
        "This e-mail was checked for viruses before I sent it.",
        UNDERSCORES + "\nline" * 12,
        UNDERSCORES + "\n" + "long " * 200,
    ],
)
def test_a_text_below_a_text_that_is_no_footer_for_sure_is_sent(text: str) -> None:
    found = reply.read(mail(parts(ANSWERS["versions"], PLAIN + text), MIXED)).text
    assert found == f"Yes.\n{text}".strip()
