"""The mails that we write: what is in their headers, that nobody else writes any, that replies find back."""

import base64
from datetime import UTC, datetime
from email import message_from_bytes, message_from_string
from email.message import EmailMessage, Message
from email.policy import default

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from protocols.mail import compose, reply, screening, token
from protocols.mail.address import Address
from protocols.mail.compose import Notice, Text, Thread
from protocols.mail.dkim import Signer, load_key
from protocols.mail.lines import MARKER

TOKEN = "mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dz"
ROOT = f"<{TOKEN}@sms.example.net>"
AT = datetime(2026, 11, 24, 15, 4, 5, tzinfo=UTC)
OWNER = Address("owner", "example.org")
DID, PEER = "+12025550100", "+12025550150"


def thread(name: str = "Anna", peer: str = PEER) -> Thread:
    return Thread(name, Address(f"sms+{TOKEN}", "sms.example.net"), ROOT, DID, peer)


def text(body: str = "Grüße 😀", html: bool = False, subject: str = "") -> Text:
    return Text(body, subject or f"[#US{TOKEN}] Message sent to 2025550100", AT, 7, html, ("It is late.",))


def written(octets: bytes) -> EmailMessage:
    assert octets.isascii()
    found = message_from_bytes(octets.replace(b"\r\n", b"\n"), policy=default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def mail_of(body: str = "Grüße 😀", html: bool = False, **who: str) -> EmailMessage:
    return written(compose.text_mail(thread(**who), OWNER, f"<{TOKEN}.a@x>", text(body, html), True))


def test_the_headers_of_a_text() -> None:
    mail = mail_of()
    assert mail["From"] == f'"Anna (SMS)" <sms+{TOKEN}@sms.example.net>'
    assert mail["Reply-To"] == mail["From"]
    assert mail["To"] == "owner@example.org"
    assert mail["Subject"] == f"[#US{TOKEN}] Message sent to 2025550100"
    assert mail["Date"] == "Tue, 24 Nov 2026 15:04:05 +0000"
    assert mail["Message-ID"] == f"<{TOKEN}.a@x>"
    assert mail["In-Reply-To"] == mail["References"] == ROOT
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "<sms.12025550100.sms.example.net>"
    assert (mail["X-SMS-DID"], mail["X-SMS-Peer"], mail["X-SMS-ID"]) == (DID, PEER, "7")
    assert screening.automatic(mail, "x@y") == "loop"


def test_the_text_is_first_and_html_is_the_same_words() -> None:
    mail = mail_of("1 < 2\n\n<b>bold</b> & so", html=True)
    assert mail.get_content_type() == "multipart/alternative"
    plain, rich = mail.iter_parts()
    assert plain.get_content().startswith(f"{MARKER}\n\n1 < 2\n\n<b>bold</b> & so\n")
    assert "It is late.\nFrom +12025550150 to +12025550100, 2026-11-24 15:04:05 UTC" in plain.get_content()
    assert "1 &lt; 2<br>\n<br>\n&lt;b&gt;bold&lt;/b&gt; &amp; so" in rich.get_content()
    assert "http" not in rich.get_content()


def test_one_that_wants_no_answer_does_not_ask_for_one() -> None:
    octets = compose.text_mail(thread(), OWNER, "<a@b>", text(), False)
    assert MARKER not in written(octets).get_content()


def test_a_reply_to_it_finds_its_conversation_and_is_cut_right() -> None:
    mail = mail_of("Are you at home?")
    answer = EmailMessage()
    answer["References"] = f"{mail['References']} {mail['Message-ID']}"
    quoted = "".join(f"> {line}\n" for line in mail.get_content().splitlines())
    answer.set_content(f"Yes.\n\nOn Tue, Anna (SMS) wrote at 15:04:\n{quoted}")
    assert reply.read(answer).text == "Yes."
    for place in (answer["References"], mail["Subject"], mail["From"]):
        (found,) = token.find([place])
        assert found == token.parse(TOKEN)


@pytest.mark.parametrize(
    "bad",
    [
        *("\r\nBcc: evil@example.net", "\nBcc: x@y", "\r", "\0", "\u2028", "\x85", "\r\n\r\nx"),
        *(" =?utf-8?q?=0D=0ABcc:_x@y?=", " =?us-ascii?b?DQpCY2M6IHhAeQ==?=", " é =?utf-8?q?=0D=0ABcc:_x@y?="),
    ],
)
@pytest.mark.parametrize("place", ["name", "peer", "subject", "in_reply_to"])
def test_what_others_wrote_is_never_a_header(bad: str, place: str) -> None:
    who = {place: f"Anna{bad}"} if place in ("name", "peer") else {}
    subject = f"Hi{bad}" if place == "subject" else "Hi"
    notice = Notice("No.", subject, "x", AT, f"<1@x>{bad}" if place == "in_reply_to" else "<1@x>", "empty")
    for octets in (
        compose.text_mail(thread(**who), OWNER, "<a@b>", text(subject=subject), True),
        compose.notice_mail(thread(**who), OWNER, "<a@b>", notice),
    ):
        mail = written(octets)
        assert mail["Bcc"] is None
        assert mail["To"] == "owner@example.org"
        assert b"\nBcc:" not in octets
        assert MARKER in mail.get_content()


def test_half_a_character_is_replaced() -> None:
    assert "a?b" in mail_of("a\ud83db").get_content()


def test_an_address_beyond_ascii_takes_a_mail_beyond_ascii() -> None:
    octets = compose.text_mail(thread(), Address("zoë", "example.org"), "<a@b>", text(), True)
    assert "To: zoë@example.org\r\n".encode() in octets


@pytest.mark.parametrize("name", ["Grüße, " * 12, "Jörg <a@b.c>, Zoë", "x" * 70 + 'ä"; b, c'])
def test_a_long_name_to_an_address_beyond_ascii_stays_one_name(name: str) -> None:
    octets = compose.text_mail(thread(name), Address("zoë", "example.org"), "<a@b>", text(), True)
    mail = message_from_string(octets.decode().replace("\r\n", "\n"), policy=default)
    for header in ("From", "Reply-To"):
        (sender,) = mail[header].addresses
        assert sender.addr_spec == f"sms+{TOKEN}@sms.example.net"
        assert sender.display_name == f"{name.strip()[:80]} (SMS)"


def test_a_notice_stands_in_the_thread_and_wants_no_answer() -> None:
    notice = Notice(
        "It was not sent.", f"Re: [#US{TOKEN}]", "Yes,\nplease", AT, "<mine@example.org>", "opted_out"
    )
    mail = written(compose.notice_mail(thread(), OWNER, "<n@x>", notice))
    assert mail["In-Reply-To"] == "<mine@example.org>"
    assert mail["References"] == f"{ROOT} <mine@example.org>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-SMS-Outcome"] == "opted_out"
    assert "It was not sent.\n\n> Yes,\n> please\n" in mail.get_content()
    assert screening.automatic(mail, "x@y") == "loop"


# -- DKIM -----------------------------------------------------------------------------------------

KEY = rsa.generate_private_key(65537, 2048)


def record(key: rsa.RSAPrivateKey = KEY) -> bytes:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def verified(octets: bytes, key: rsa.RSAPrivateKey = KEY) -> bool:
    asked: list[bytes] = []

    def answer(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record(key)

    good: bool = dkim.verify(octets, dnsfunc=answer)
    assert asked == [b"s1._domainkey.sms.example.net."]
    return good


def signed(octets: bytes) -> bytes:
    return Signer("sms.example.net", "s1", KEY).signed(octets, 1_700_000_000)


@pytest.mark.parametrize("html", [False, True])
def test_another_implementation_verifies_our_signature(html: bool) -> None:
    octets = signed(
        compose.text_mail(thread("Zoë " * 9), OWNER, "<a@b>", text("a  b \n\n.\n\n\n", html), True)
    )
    assert verified(octets)
    assert b":From;" in octets, "once more than it is there"
    assert not verified(octets.replace(b"To: owner@", b"To: other@"))
    assert not verified(octets.replace(b"It is late", b"It is soon"))
    assert not verified(b"From: evil@example.net\r\n" + octets)
    other = rsa.generate_private_key(65537, 1024)
    assert not verified(octets, other)


def test_a_mail_without_a_body_is_signed_too() -> None:
    assert verified(signed(b"From: a@sms.example.net\r\nSubject: x\r\n\r\n"))


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    how = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def test_which_keys_sign() -> None:
    assert load_key(pem(KEY)).key_size == 2048
    for bad in (b"", b"no key", pem(KEY, b"secret"), pem(ed25519.Ed25519PrivateKey.generate())):
        with pytest.raises(ValueError, match=r".+"):
            load_key(bad)


def test_the_mail_is_a_message_for_old_parsers_too() -> None:
    found: Message = message_from_bytes(signed(compose.text_mail(thread(), OWNER, "<a@b>", text(), True)))
    assert found["DKIM-Signature"].startswith("v=1; a=rsa-sha256; c=relaxed/relaxed; d=sms.example.net;")
