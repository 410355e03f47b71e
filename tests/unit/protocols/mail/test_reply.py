"""Replies, and the SMS that each must become: all that was written, nothing that was quoted."""

from email import message_from_bytes

import pytest

from protocols.mail import reply
from protocols.mail.lines import MARKER
from protocols.mail.reply import strip
from tests.unit.protocols.mail import shapes
from tests.unit.protocols.mail.shapes import ADDRESS, LANGUAGES, NOTICE, SHAPES, mail, quoted

ANSWERS = {
    "en": "Yes, I am at home until 17:30. Please ring twice!",
    "fr": "Oui, je suis là jusqu’à 17 h 30 : sonnez deux fois, s’il vous plaît.",
    "es": "Sí, estoy en casa hasta las 17:30. ¡Llame dos veces, por favor! 👍🏽",
    "de": "Ja, bin bis 17:30 zu Hause.\n\nBitte zweimal läuten: ich bin hinten im Garten.",
}
INTRO = "On Tue, Nov 24, 2026 at 3:04 PM +12025550150 (SMS) <sms+abc@sms.example.net> wrote:"


def read(octets: bytes) -> str:
    return reply.read(message_from_bytes(octets)).text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_client_in_every_language(shape: str, language: str) -> None:
    assert read(SHAPES[shape](ANSWERS[language], language)) == ANSWERS[language]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"Fine.\n-- \nJane Owner\n+1 202 555 0199\n\n{INTRO}\n{quoted(NOTICE)}", "Fine."),
        (f"Fine.\n\n—\nJane\n\n{INTRO}\n{quoted(NOTICE)}", "Fine."),
        (f"{INTRO}\n{quoted(NOTICE)}\n\nBelow, as of old.\n\n-- \nJane", "Below, as of old."),
        (f"{INTRO}\n> Are you at home?\nYes.\n> I would bring the parcel.\nPlease do.\n", "Yes.\nPlease do."),
        (f"See between the lines.\n\n{INTRO}\n> At home?\nYes.\n", "See between the lines.\n\nYes."),
        ("No quotation at all,\nin two lines", "No quotation at all,\nin two lines"),
        (f"First line\n###\nnot this\n{INTRO}\n{quoted(NOTICE)}", "First line"),
        (f"On Tuesday he wrote: nothing.\n\n{INTRO}\n{quoted(NOTICE)}", "On Tuesday he wrote: nothing."),
        (f"We meet at 15:30, then:\n\n{quoted(NOTICE)}", "We meet at 15:30, then:"),
        (f"Sent from my iPhone\n\n{INTRO}\n{quoted(NOTICE)}", "Sent from my iPhone"),
        (f"-- \nonly this\n\n{INTRO}\n{quoted(NOTICE)}", "-- \nonly this"),
        (f"1. one\n\n\n\n2. two\n\n{INTRO}\n{quoted(NOTICE)}", "1. one\n\n2. two"),
        (f"\u00a0Yes\u200b.\n\n{INTRO}\n{quoted(NOTICE)}", "Yes."),
        (f"> and this is how I quote\nmy answer\n\n{INTRO}\n{quoted(NOTICE)}", "my answer"),
        (f"{MARKER}\n\nforwarded to myself, nothing said", ""),
        (f"\n\n{INTRO}\n{quoted(NOTICE)}\n", ""),
        ("", ""),
        (f"Yes\n\n-----Original Message-----\nFrom: a\nSent: b\nTo: c\nSubject: d\n\n{NOTICE}", "Yes"),
        (f"Oui\n\n-------- Message original --------\nDe : a\nDate : b\nÀ : c\nObjet : d\n\n{NOTICE}", "Oui"),
    ],
)
def test_ways_of_writing(text: str, answer: str) -> None:
    assert strip(text) == answer


@pytest.mark.parametrize("charset", ["utf-8", "windows-1252", "iso-8859-15"])
@pytest.mark.parametrize("cte", ["base64", "quoted-printable", "8bit"])
def test_charsets_and_transfer_encodings(charset: str, cte: str) -> None:
    answer = "Schöne Grüße, 20 €"
    assert (
        read(mail(f"{answer}\n\n{INTRO}\n{quoted(NOTICE)}\n", charset=charset, cte=cte).as_bytes()) == answer
    )


def test_a_charset_that_lies_or_is_none() -> None:
    octets = (
        mail("x").as_bytes().replace(b'charset="utf-8"', b'charset="x-unknown"').replace(b"7bit", b"8bit")
    )
    assert read(octets.replace(b"\r\nx\r\n", "\r\nGrüße\r\n".encode())) == "Grüße"
    assert read(octets.replace(b"\r\nx\r\n", "\r\n“Grüße”\r\n".encode("windows-1252"))) == "“Grüße”"


def test_attachments_are_named_and_never_sent() -> None:
    message = mail("See the picture.\n")
    message.add_attachment(b"\xff\xd8", maintype="image", subtype="jpeg", filename="garden.jpg")
    message.add_attachment("a text file", filename="list.txt")
    found = reply.read(message_from_bytes(message.as_bytes()))
    assert found == ("See the picture.", ("garden.jpg", "list.txt"), False)


def test_a_mail_in_a_mail_is_an_attachment() -> None:
    message = mail("Look at this.\n")
    message.add_attachment(mail("secret of somebody else"))
    found = reply.read(message_from_bytes(message.as_bytes()))
    assert found == ("Look at this.", ("message/rfc822",), False)


FORWARDED = {
    "gmail": "---------- Forwarded message ---------\nFrom: Bob <b@example.org>\nDate: Tue\nSubject: Parcel",
    "apple": "Begin forwarded message:\n\n> From: Bob <b@example.org>\n> Subject: Parcel\n> To: o\n>",
    "french": "---------- Message transféré ---------\nDe : Bob <b@example.org>\nDate : mar.\nObjet : Colis",
    "spanish": "---------- Mensaje reenviado ---------\nDe: Bob <b@example.org>\nFecha: mar\nAsunto: Paquete",
    "german": "-------- Weitergeleitete Nachricht --------\nBetreff: Paket\nDatum: Di.\nVon: <b@example.org>",
    "outlook": "Von: Bob <b@example.org>\nGesendet: Dienstag\nAn: Owner\nBetreff: WG: Paket",
}


@pytest.mark.parametrize("shape", sorted(FORWARDED))
def test_what_is_forwarded_is_never_sent(shape: str) -> None:
    mark = "> " if shape == "apple" else ""
    forwarded = f"{FORWARDED[shape]}\n\n{mark}words of somebody else\n"
    assert strip(f"Have a look:\n\n{forwarded}") == "Have a look:"
    assert strip(forwarded) == ""


def test_one_header_line_makes_no_quotation() -> None:
    text = "From: the station\nTo: the airport\nat nine.\n\nSubject: to change."
    assert strip(text) == text


def test_mail_that_is_signed_is_read_and_its_signature_is_no_attachment() -> None:
    signed = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nYes.\r\n"
        b"--b\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n"
        b"Content-Disposition: attachment; filename=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"MAAA\r\n--b--\r\n"
    )
    assert reply.read(message_from_bytes(signed)) == ("Yes.", (), False)
    armoured = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nYes.\n- -- and no\n"
        "-----BEGIN PGP SIGNATURE-----\n\niHUEARYK\n=abcd\n-----END PGP SIGNATURE-----"
    )
    assert read(mail(armoured).as_bytes()) == "Yes.\n-- and no"


@pytest.mark.parametrize(
    "octets",
    [
        b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n\r\nMAAA\r\n",
        b"Content-Type: application/x-pkcs7-mime; smime-type=signed-data\r\n\r\nMAAA\r\n",
        b"Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted"
        b"\r\n\r\nVersion: 1\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\nx\r\n--b--\r\n",
        b"Content-Type: text/plain\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n",
    ],
)
def test_mail_that_is_encrypted_says_so_and_gives_no_text(octets: bytes) -> None:
    found = reply.read(message_from_bytes(octets))
    assert (found.text, found.sealed) == ("", True)


def test_a_long_answer_arrives_whole() -> None:
    answer = " ".join(f"word{number}" for number in range(400))
    assert read(shapes.thunderbird(answer, "en")) == answer
    assert read(shapes.gmail(answer, "fr")) == answer


def test_what_html_hides_is_not_said() -> None:
    html = (
        "<html><head><title>t</title><style>p{}</style></head><body><script>x()</script>"
        "<p>One &amp; two</p><p>three<br>four <img alt='👍' src='cid:1'></p>"
        "<ul><li>a</li><li>b</li></ul></body>"
    )
    assert read(shapes.only_html(html)) == "One & two\n\nthree\nfour 👍\n\na\nb"


def test_nothing_that_a_sender_can_think_of_is_an_error() -> None:
    for octets in (
        b"",
        b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n--x--",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Content-Type: text/html\r\n\r\n<blockquote><div><<<",
        b"Content-Type: text/html\r\n\r\n<![",
        b"Content-Type: text/plain; charset*=utf-8''%ff\r\n\r\n\xff",
        b'Content-Type: text/plain; charset="a\0b"\r\n\r\n\xff',
        b"Content-Type: multipart/mixed; charset=punycode; boundary=x\r\n\r\n--x\r\n\r\n\xff\r\n--x--",
        b"Content-Type: text/html\r\n\r\n&#" + b"1" * 10_000,
        b"Content-Type: text/plain; format=flowed\r\n\r\n>>> \r\n> \r\n",
    ):
        assert isinstance(read(octets), str)


@pytest.mark.parametrize("charset", ["punycode", "idna", "raw_unicode_escape", "zip", "x" * 200])
def test_what_is_no_charset_of_mail_is_none(charset: str) -> None:
    octets = mail("x").as_bytes().replace(b'charset="utf-8"', f'charset="{charset}"'.encode())
    assert read(octets.replace(b"\r\nx\r\n", b"\r\nGr\\u00fc-xn--e\r\n")) == "Gr\\u00fc-xn--e"


def test_a_text_that_somebody_signed() -> None:
    signed = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n- -- one\ntwo\n"
        "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----"
    )
    assert read(mail(f"{signed}\n").as_bytes()) == "-- one\ntwo"
    assert read(mail(f"before\n{signed}\nbetween\n{signed}\nafter\n").as_bytes()).split("\n") == [
        *("before", "-- one", "two", "between", "-- one", "two", "after")
    ]
    unsigned = "-----BEGIN PGP SIGNED MESSAGE-----\n\nno signature follows"
    assert read(mail(unsigned).as_bytes()) == unsigned


def test_more_lines_than_are_looked_at_are_all_there() -> None:
    lines = "\n".join(f"line {number}" for number in range(5_000))
    assert strip(lines) == lines


def test_a_long_line_is_somebodys_own_whatever_is_in_it() -> None:
    own = "On " + "and on " * 100 + "he wrote:"
    assert strip(f"{own}\nyes\n\n{INTRO}\n{quoted(NOTICE)}") == f"{own}\nyes"
    assert strip(f"yes\n\n{INTRO}\n> {'quoted ' * 200}\n") == "yes"


def test_the_address_of_the_shapes_is_one_of_ours() -> None:
    assert len(ADDRESS.partition("+")[2].partition("@")[0]) == 40
