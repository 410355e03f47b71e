"""Which pictures of a reply are named as not sent: those that its author put into it, and no others.

Each client's mail has three places for one: in the answer, in the signature, in the quotation.
"""

import sys
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message
from itertools import product
from types import FrameType
from typing import NamedTuple

import pytest

from protocols.mail import html, reply
from protocols.mail.body import MAX_TEXT
from protocols.mail.pictures import Pictures, pins
from tests.unit.protocols.mail.shapes import (
    APPLE,
    GMAIL,
    NOTICE,
    OURS,
    THUNDERBIRD,
    headers,
    intro,
    paragraphs,
    quoted,
)

ANSWER = "Yes, I am at home until 17:30."
PLACES = ("photo.jpg", "logo.png", "quoted.gif")
PLAIN, HTML = "Content-Type: text/plain; charset=utf-8", "Content-Type: text/html; charset=utf-8"


class Client(NamedTuple):
    """How it writes a mail: text and page with a place for each picture, and what a picture is in each.

    ``outer``: the multipart that is around the other one; "related" holds page and pictures.
    """

    text: str
    page: str
    in_text: str
    in_page: str
    outer: str = "related"


SIGNED, QUOTED = "Jane Owner\nOwner and Sons", quoted(NOTICE)
LINKED = "Jane Owner jane@owner.example<mailto:jane@owner.example> +1 202 555 0199<tel:+12025550199>"
LINKING = (
    'Jane Owner <a href="mailto:jane@owner.example">jane@owner.example</a> '
    '<a href="tel:+12025550199">+1 202 555 0199</a>'
)
GMAIL_INTRO, APPLE_INTRO = (intro(lines, "en", OURS) for lines in (GMAIL, APPLE))
THUNDERBIRD_INTRO = intro(THUNDERBIRD, "en", OURS)


def escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")


def outlook_page(signature: str) -> str:
    rows = escaped(headers("en", OURS)).replace("\n", "<br>")
    return (
        f'<html><body><div class="WordSection1"><p class="MsoNormal">{ANSWER}<o:p></o:p></p>'
        '<p class="MsoNormal"><o:p>&nbsp;</o:p></p><p class="MsoNormal">{photo}</p>'
        f'{signature}<div style="border:none;border-top:solid #E1E1E1 1.0pt"><p class="MsoNormal">{rows}</p>'
        f'</div>{paragraphs(NOTICE, "p")}<p class="MsoNormal">{{quoted}}</p></div></body></html>'
    )


CLIENTS = {
    "outlook": Client(
        f"{ANSWER}\n\n{{photo}}\n\nJane Owner\n{{logo}}\n\n{headers('en', OURS)}\n\n{NOTICE}\n{{quoted}}\n",
        outlook_page(
            '<p class="MsoNormal"><a name="_MailAutoSig"><span>Jane Owner<o:p></o:p></span></a></p>'
            '<p class="MsoNormal"><span style="mso-bookmark:_MailAutoSig">{logo}</span></p>'
        ),
        "[cid:{id}]",
        '<img width="416" height="312" style="width:4.3333in;height:3.25in" id="Picture_x0020_1" '
        'src="cid:{id}" alt="A drawing">',
    ),
    "outlook web": Client(
        f"{ANSWER}\n{{photo}}\n\n{LINKED}\n{{logo}}\n{'_' * 32}\n{headers('en', OURS)}\n\n{NOTICE}\n"
        "{quoted}",
        f'<html><body><div class="elementToProof">{ANSWER}</div><div>{{photo}}</div>'
        f'<div class="elementToProof" id="Signature"><div>{LINKING}</div><div>{{logo}}</div></div>'
        '<div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1">'
        f'<div id="divRplyFwdMsg" dir="ltr">{escaped(headers("en", OURS)).replace(chr(10), "<br>")}</div>'
        f"<div>{paragraphs(NOTICE)}{{quoted}}</div></body></html>",
        "[cid:{id}]",
        '<img data-imagetype="AttachmentByCid" style="max-width:100%" src="cid:{id}">',
    ),
    "gmail": Client(
        f"{ANSWER}\n{{photo}}\n\n-- \n{SIGNED}\n{{logo}}\n\n{GMAIL_INTRO}\n\n{QUOTED}\n> {{quoted}}\n",
        f'<div dir="ltr">{ANSWER}<div>{{photo}}</div><div><br></div>'
        '<span class="gmail_signature_prefix">-- </span><br><div dir="ltr" class="gmail_signature">'
        "<div>Jane Owner<br>{logo}</div></div></div><br>"
        f'<div class="gmail_quote"><div class="gmail_attr">{escaped(GMAIL_INTRO)}<br></div>'
        f'<blockquote class="gmail_quote">{OURS.html}<div>{{quoted}}</div></blockquote></div>',
        "[image: {name}]",
        '<img src="cid:{id}" alt="{name}" width="472" height="354">',
    ),
    "apple mail": Client(
        f"{ANSWER}\n\n{{photo}}\n\n-- \n{SIGNED}\n{{logo}}\n\n> {APPLE_INTRO}\n{QUOTED}\n> {{quoted}}\n",
        f'<html><body style="overflow-wrap: break-word;">{ANSWER}<div><br></div><div>{{photo}}</div>'
        "<div>-- <br>Jane Owner</div><div>{logo}</div><div><br><blockquote type='cite'>"
        f"<div>{escaped(APPLE_INTRO)}</div><br><div>{OURS.html}<div>{{quoted}}</div></div></blockquote></div>"
        "</body></html>",
        "￼",
        '<img alt="{name}" apple-inline="yes" id="x" apple-width="yes" src="cid:{id}">',
        "alternative",
    ),
    "ios": Client(
        f"{ANSWER}\n{{photo}}\n\nJane Owner\n{{logo}}\n\n> {APPLE_INTRO}\n{QUOTED}\n> {{quoted}}\n",
        f'<html><head></head><body dir="auto">{ANSWER}<div>{{photo}}</div>'
        '<br id="lineBreakAtBeginningOfSignature"><div dir="ltr">Jane Owner<div>{logo}</div></div>'
        f"<div dir='ltr'><br><blockquote type='cite'>{escaped(APPLE_INTRO)}<br><br></blockquote></div>"
        f"<blockquote type='cite'><div dir='ltr'>{OURS.html}{{quoted}}</div></blockquote></body></html>",
        "￼",
        '<img src="cid:{id}" alt="{name}">',
        "alternative",
    ),
    "thunderbird": Client(
        f"{ANSWER}\n\n{{photo}}\n\n{THUNDERBIRD_INTRO}\n{QUOTED}\n> {{quoted}}\n-- \n{SIGNED}\n{{logo}}\n",
        f"<html><body><p>{ANSWER}</p><p>{{photo}}</p>"
        f'<div class="moz-cite-prefix">{escaped(THUNDERBIRD_INTRO)}<br></div>'
        f'<blockquote type="cite">{OURS.html}<p>{{quoted}}</p></blockquote>'
        '<div class="moz-signature">-- <br>Jane Owner<br>{logo}</div></body></html>',
        "",
        '<img moz-do-not-send="false" src="cid:{id}" alt="">',
        "alternative",
    ),
    "any client with dashes": Client(
        "",
        f"<p>{ANSWER}</p><p>{{photo}}</p><p>-- <br>Jane Owner<br>{{logo}}</p>"
        f"<p>{escaped(GMAIL_INTRO)}</p><blockquote>{OURS.html}{{quoted}}</blockquote>",
        "",
        "<img src='CID:{quoted_id}'>",
    ),
}


def content_id(name: str) -> str:
    return f"{name}@01DA2B3C.4F5E6D70"


def picture(name: str, identity: str | None = None, disposition: str = "inline") -> str:
    return (
        f"Content-Type: image/png; name={name}\nContent-Disposition: {disposition}; filename={name}\n"
        f"Content-ID: <{content_id(name) if identity is None else identity}>\n"
        "Content-Transfer-Encoding: base64\n\nAAAA\n"
    )


def multipart(kind: str, *parts: str) -> str:
    border = f"{kind}-{len(parts)}"
    pieces = "".join(f"--{border}\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={border}\n\n{pieces}--{border}--\n"


def read(mail: str) -> reply.Reply:
    return reply.read(message(mail))


def message(mail: str) -> Message:
    return message_from_bytes(f"MIME-Version: 1.0\n{mail}".encode())


def of(client: Client, names: Sequence[str]) -> str:
    """Its mail, with these pictures in their places."""

    def filled(text: str, form: str) -> str:
        forms = {
            name.partition(".")[0]: form.format(
                id=content_id(name), quoted_id=content_id(name).replace("@", "%40"), name=name
            )
            if name in names
            else ""
            for name in PLACES
        }
        return text.format(**forms)

    page = f"{HTML}\n\n{filled(client.page, client.in_page)}"
    pictures = [picture(name) for name in names]
    if not client.text:
        return multipart("related", page, *pictures)
    text = f"{PLAIN}\n\n{filled(client.text, client.in_text)}"
    if client.outer == "alternative":
        return multipart("alternative", text, multipart("related", page, *pictures))
    return multipart("related", multipart("alternative", text, page), *pictures)


CHOICES = [
    [name for name, chosen in zip(PLACES, row, strict=True) if chosen] for row in product([0, 1], repeat=3)
]


@pytest.mark.parametrize("names", CHOICES, ids="+".join)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_picture_is_named_where_it_stands_in_the_answer(client: str, names: list[str]) -> None:
    found = read(of(CLIENTS[client], names))
    assert found.attachments == tuple(name for name in names if name == "photo.jpg")
    assert found.text.startswith(ANSWER)
    assert pins(found.text) == set()


@pytest.mark.parametrize("client", CLIENTS)
def test_pictures_change_nothing_of_what_is_sent(client: str) -> None:
    page = CLIENTS[client]._replace(text="")
    elsewhere = page._replace(in_page=page.in_page.replace("cid:", "http:").replace("CID:", "http:"))
    assert read(of(page, PLACES)).text == read(of(elsewhere, PLACES)).text


def shown(page: str, *pictures: str, text: str = "") -> tuple[str, ...]:
    """What is named of a mail with this page and these pictures."""
    html = f"{HTML}\n\n{page}"
    whole = multipart("alternative", f"{PLAIN}\n\n{text}", html) if text else html
    return read(multipart("related", whole, *pictures)).attachments


IN_QUOTATION = f"<p>{ANSWER}</p><p>{escaped(GMAIL_INTRO)}</p><blockquote><p>Look:</p>%s</blockquote>"


@pytest.mark.parametrize(
    "unseen",
    [
        '<img src="cid:a" width="1" height="1">',
        '<img src="cid:a" height=0>',
        '<img src="cid:a" style="border:0;width:1px;HEIGHT: 1px !important">',
        '<img src="cid:a" style="display:none">',
        '<div style="display:none"><p><img src="cid:a"></p></div>',
        '<object><img src="cid:a"></object>',
    ],
)
def test_a_picture_that_nobody_can_see_is_not_named(unseen: str) -> None:
    assert shown(f"<p>{ANSWER}</p>{unseen}", picture("a.png", "a")) == ()


@pytest.mark.parametrize(
    "seen",
    [
        '<img src="cid:a">',
        '<img src="CID:a" width="100" height="10">',
        '<img src="cid:%61" style="max-width:100%;border-width:0;width:1em">',
        '<span style="font-size:0"><img src="cid:a"></span>',
        '<img src="cid:a" width="1" height="1"><img src="cid:a">',
        '<!--[if gte vml 1]><v:imagedata src="cid:b"/><![endif]--><![if !vml]><img src="cid:a"><![endif]>',
    ],
)
def test_a_picture_in_the_answer_is_named(seen: str) -> None:
    assert shown(f"<p>{ANSWER}{seen}</p>", picture("a.png", "a")) == ("a.png",)
    assert shown(f"<p>{seen}</p>", picture("a.png", "a")) == ("a.png",)
    assert shown(IN_QUOTATION % "" + f"<p>{seen}</p>", picture("a.png", "a")) == ("a.png",)
    assert shown(f"<p>{ANSWER}</p><p>{seen}</p><p>Sent from my iPhone</p>", picture("a.png", "a")) == (
        "a.png",
    )
    assert shown(f"<p>{ANSWER}</p><p>{seen}</p><p>-- <br>Jane</p>", picture("a.png", "a")) == ("a.png",)


def test_what_is_quoted_is_known_below_a_picture_too() -> None:
    page = f"<p>{ANSWER}</p><img src=cid:a><blockquote>Look<br>here: <img src=cid:b></blockquote>"
    assert shown(page, picture("a.png", "a"), picture("b.png", "b")) == ("a.png",)


def test_one_that_is_seen_twice_is_named_if_either_was_put_in() -> None:
    seen = '<img src="cid:a">'
    assert shown(IN_QUOTATION % seen, picture("a.png", "a")) == ()
    assert shown(seen + IN_QUOTATION % seen, picture("a.png", "a")) == ("a.png",)


def test_what_no_page_shows_is_named() -> None:
    file = picture("a.png", "a")
    assert shown(IN_QUOTATION % "", file) == ("a.png",)
    assert shown(IN_QUOTATION % '<img src="http://a">', file) == ("a.png",)
    assert shown(IN_QUOTATION % '<img src="cid:b"><img src="cid:">', file, picture("b.png", "")) == (
        "a.png",
        "b.png",
    )
    assert read(multipart("mixed", f"{PLAIN}\n\n{ANSWER}\n{GMAIL_INTRO}\n{QUOTED}", file)).attachments == (
        "a.png",
    )


def test_what_is_attached_is_named_beside_a_picture_of_the_quotation() -> None:
    seen = picture("a.png", "a", disposition="attachment")
    attached = picture("photo.jpg", "p", disposition="attachment")
    assert shown(IN_QUOTATION % '<img src="cid:a">', seen, attached) == ("photo.jpg",)


def test_an_identity_that_two_have_tells_neither() -> None:
    two = picture("a.png", "a"), picture("b.png", "a")
    assert shown(IN_QUOTATION % '<img src="cid:a">', *two) == ("a.png", "b.png")


SIGNATURES = [
    '<div class="gmail_signature">%s</div>', '<div id="Signature">%s</div>',
    '<pre class="moz-signature">%s</pre>', '<p><a name="_MailAutoSig">Jane</a></p>%s',
    '<br id="lineBreakAtBeginningOfSignature">%s',
]  # fmt: skip


@pytest.mark.parametrize("signature", SIGNATURES)
def test_what_was_written_within_a_signature_is_the_answer(signature: str) -> None:
    """As where the signature is a letter's form, with the greeting on top."""
    written = signature % f'<p>{ANSWER}</p><img src="cid:a">'
    assert shown(f"<div><br>&nbsp;</div>{written}", picture("a.png", "a")) == ("a.png",)
    assert shown(f"<p>{ANSWER}</p>{signature % '<img src=cid:a>'}", picture("a.png", "a")) == ()
    assert shown(f"<img src=cid:b>{signature % '<img src=cid:a>'}", *map(picture, "ab", "ab")) == ("b",)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_an_answer_below_signature_and_quotation(signature: str) -> None:
    quotation = f"<div>{escaped(GMAIL_INTRO)}</div><blockquote>Look:</blockquote>"
    page = f'<p>Inline.</p>{signature % "Jane"}{quotation}<p>{ANSWER}</p><img src="cid:a">'
    assert shown(page, picture("a.png", "a")) == ("a.png",)


def test_where_the_page_does_not_keep_what_is_sent_all_of_its_pictures_are_named() -> None:
    """Nothing in the first page tells where the quotation ends."""
    text = f"{GMAIL_INTRO}\n> Look:\n> [a]\n{ANSWER}\n[b]"
    rest = f"<p>{ANSWER}</p><img src=cid:b>"
    files = [picture("a.png", "a"), picture("b.png", "b")]
    page = f"<p>{escaped(GMAIL_INTRO)}</p><%s><p>Look:</p><img src=cid:a></%s>"
    assert shown(page.replace("%s", "div") + rest, *files, text=text) == ("a.png", "b.png")
    assert shown(page.replace("%s", "blockquote") + rest, *files, text=text) == ("b.png",)


def test_of_more_pictures_than_anybody_shows_the_others_are_named() -> None:
    count = 1_200
    page = IN_QUOTATION % "".join(f"<img src=cid:{number}>" for number in range(count))
    files = [picture(f"{number}.png", str(number)) for number in range(count)]
    assert shown(page, *files) == tuple(f"{number}.png" for number in range(1_000, count))


def test_no_text_has_a_pin_in_it() -> None:
    found = html.to_text("<p>\ud800\udfff</p><img src=cid:a><p>\U0001f600&#xD800;</p>", Pictures())
    assert pins(found.text) == set()
    assert len(pins(found.pinned)) == 1


UNITS = [
    "<img src=cid:a>", "<p>a<img src=cid:a></p>", "<blockquote><img src=cid:a>", "<br><img src=cid:%61>",
    "<p class=gmail_signature>a</p>", "<p id=lineBreakAtBeginningOfSignature>a", "<div>",
    "<img src=cid:a style=width:9>",
]  # fmt: skip
MAX_CALLS = 1_500_000
"""Of functions, for a page of 256 KiB: each takes about a tenth of a microsecond."""


@pytest.mark.parametrize("unit", UNITS)
def test_no_page_of_pictures_takes_long(unit: str) -> None:
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    page = f"{HTML}\n\n" + unit * (MAX_TEXT // len(unit))
    mail = message(multipart("related", page, picture("a.png", "a")))
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        reply.read(mail)
    finally:
        sys.setprofile(before)
    assert 0 < calls < MAX_CALLS
