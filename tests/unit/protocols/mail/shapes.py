"""Replies in the shapes that mail clients give them, written for these tests: none is anybody's mail.

A shape takes the answer, the language of the client and what is answered, and makes the octets of the whole
mail. What is answered is our notification, or a reply to it (`answered`).
"""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import NamedTuple, Protocol

from protocols.mail.lines import MARKER

NAME, ADDRESS = "+12025550150 (SMS)", "sms+mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dz@sms.example.net"
SUBJECT = "[#USmfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dz] Message sent to 2025550100"
NOTICE = f"""{MARKER}

Are you at home? I would bring the parcel: the big one, from 24.11. at 15:00.

From +12025550150 to 2025550100"""
LANGUAGES = ("en", "fr", "es", "de")


class Original(NamedTuple):
    """What is answered: who wrote it, and the text. ``html`` is the same for clients that write HTML."""

    name: str
    address: str
    subject: str
    text: str
    html: str


class Shape(Protocol):
    """A mail client."""

    def __call__(self, answer: str, language: str, original: Original = ..., /) -> bytes: ...


GMAIL = {
    "en": "On Tue, Nov 24, 2026 at 3:04 PM {n} <{a}> wrote:",
    "fr": "Le mar. 24 nov. 2026 à 15:04, {n} <{a}> a écrit :",
    "es": "El mar, 24 nov 2026 a las 15:04, {n} (<{a}>) escribió:",
    "de": "Am Di., 24. Nov. 2026 um 15:04 Uhr schrieb {n} <{a}>:",
}
APPLE = {
    "en": "On Nov 24, 2026, at 3:04 PM, {n} <{a}> wrote:",
    "fr": "Le 24 nov. 2026 à 15:04, {n} <{a}> a écrit :",
    "es": "El 24 nov 2026, a las 15:04, {n} <{a}> escribió:",
    "de": "Am 24.11.2026 um 15:04 schrieb {n} <{a}>:",
}
THUNDERBIRD = {
    "en": "On 11/24/26 3:04 PM, {n} wrote:",
    "fr": "Le 24/11/2026 à 15:04, {n} a écrit :",
    "es": "El 24/11/26 a las 15:04, {n} escribió:",
    "de": "Am 24.11.26 um 15:04 schrieb {n}:",
}
YAHOO = {
    "en": "    On Tuesday, November 24, 2026 at 03:04:05 PM EST, {n} <{a}> wrote:  ",
    "fr": "    Le mardi 24 novembre 2026 à 15:04:05 UTC+1, {n} <{a}> a écrit :  ",
    "es": "    En martes, 24 de noviembre de 2026, 15:04:05 CET, {n} <{a}> escribió:  ",
    "de": "    Am Dienstag, 24. November 2026 um 15:04:05 MEZ hat {n} <{a}> Folgendes geschrieben:  ",
}
K9 = {
    "en": 'On November 24, 2026 3:04:05 PM GMT+01:00, "{n}" <{a}> wrote:',
    "fr": 'Le 24 novembre 2026 15:04:05 GMT+01:00, "{n}" <{a}> a écrit :',
    "es": 'El 24 de noviembre de 2026 15:04:05 CET, "{n}" <{a}> escribió:',
    "de": 'Am 24. November 2026 15:04:05 MEZ schrieb "{n}" <{a}>:',
}
OUTLOOK = {
    "en": (
        ("From", "Sent", "To", "Subject"),
        "Tuesday, November 24, 2026 3:04 PM",
        "Get Outlook for iOS<https://aka.example/o>",
    ),
    "fr": (
        ("De", "Envoyé", "À", "Objet"),
        "mardi 24 novembre 2026 15:04",
        "Télécharger Outlook pour iOS<https://aka.example/o>",
    ),
    "es": (
        ("De", "Enviado el", "Para", "Asunto"),
        "martes, 24 de noviembre de 2026 15:04",
        "Obtener Outlook para iOS<https://aka.example/o>",
    ),
    "de": (
        ("Von", "Gesendet", "An", "Betreff"),
        "Dienstag, 24. November 2026 15:04",
        "Outlook für iOS beziehen<https://aka.example/o>",
    ),
}
IPHONE = {
    "en": "Sent from my iPhone",
    "fr": "Envoyé de mon iPhone",
    "es": "Enviado desde mi iPhone",
    "de": "Von meinem iPhone gesendet",
}
K9_SIGNATURE = {
    "en": "Sent from my Android device with K-9 Mail. Please excuse my brevity.",
    "fr": "Envoyé de mon appareil Android avec Courriel K-9 Mail. Veuillez excuser ma brièveté.",
    "es": "Enviado desde mi dispositivo Android con K-9 Mail. Por favor, disculpa mi brevedad.",
    "de": "Diese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.",
}


def intro(lines: dict[str, str], language: str, original: Original) -> str:
    return lines[language].format(n=original.name, a=original.address)


def quoted(text: str, mark: str = "> ") -> str:
    return "\n".join(f"{mark}{line}".rstrip() for line in text.split("\n"))


def mail(text: str, html: str | None = None, charset: str = "utf-8", cte: str | None = None) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Owner <owner@example.org>"
    message["To"] = ADDRESS
    message["Subject"] = f"Re: {SUBJECT}"
    message["Message-ID"] = "<1@example.org>"
    message.set_content(text, charset=charset, cte=cte)
    if html is not None:
        message.add_alternative(html)
    return message


def only_html(html: str) -> bytes:
    message = mail("")
    message.set_content(html, subtype="html")
    return message.as_bytes()


def paragraphs(text: str, tag: str = "div") -> str:
    return "".join(
        f"<{tag}>{escape(line) or '<br>'}</{tag}>" if line else "<div><br></div>" for line in text.split("\n")
    )


OURS = Original(NAME, ADDRESS, SUBJECT, NOTICE, paragraphs(NOTICE))


def answered(octets: bytes, name: str, address: str) -> Original:
    """A reply in one of the shapes, as what is answered."""
    message = message_from_bytes(octets)
    payload = message.get_payload(decode=True)
    assert isinstance(payload, bytes)
    text = payload.decode().replace("\r\n", "\n").strip("\n")
    html = text if message.get_content_type() == "text/html" else paragraphs(text)
    return Original(name, address, f"Re: {SUBJECT}", text, html)


def gmail(answer: str, language: str, original: Original = OURS) -> bytes:
    """The introduction broken before the address, as Gmail does at 80 characters."""
    lines = intro(GMAIL, language, original).replace(f" <{original.address}>", f" <\n{original.address}>")
    return mail(f"{answer}\n\n{lines}\n\n{quoted(original.text)}\n").as_bytes()


def gmail_html(answer: str, language: str, original: Original = OURS) -> bytes:
    body = (
        f'<div dir="ltr">{paragraphs(answer)}</div><br>'
        f'<div class="gmail_quote"><div dir="ltr" class="gmail_attr">'
        f"{escape(intro(GMAIL, language, original))}<br></div>"
        f'<blockquote class="gmail_quote" style="margin:0">{original.html}</blockquote></div>'
    )
    return only_html(body)


def headers(language: str, original: Original) -> str:
    names, date, _ = OUTLOOK[language]
    space = "\u00a0" if language == "fr" else ""
    values = (f"{original.name} <{original.address}>", date, "Owner <owner@example.org>", original.subject)
    return "\n".join(f"{name}{space}: {value}" for name, value in zip(names, values, strict=True))


def outlook_desktop(answer: str, language: str, original: Original = OURS) -> bytes:
    return mail(f"{answer}\n\n{headers(language, original)}\n\n{original.text}\n").as_bytes()


def outlook_desktop_html(answer: str, language: str, original: Original = OURS) -> bytes:
    rows = "<br>".join(escape(line) for line in headers(language, original).split("\n"))
    border = "border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"
    return only_html(
        f'<html><head><style>p.MsoNormal {{margin:0in}}</style></head><body><div class="WordSection1">'
        f'{paragraphs(answer, "p")}<div><div style="{border}"><p class="MsoNormal">{rows}</p></div></div>'
        f"{original.html}</div></body></html>"
    )


def outlook_web(answer: str, language: str, original: Original = OURS) -> bytes:
    rule = "_" * 32
    return mail(f"{answer}\n\n{rule}\n{headers(language, original)}\n\n{original.text}\n").as_bytes()


def outlook_ios(answer: str, language: str, original: Original = OURS) -> bytes:
    line = OUTLOOK[language][2]
    return mail(
        f"{answer}\n\n{line}\n{'_' * 32}\n{headers(language, original)}\n\n{original.text}\n"
    ).as_bytes()


def apple_mail(answer: str, language: str, original: Original = OURS) -> bytes:
    return mail(
        f"{answer}\n\n{quoted(intro(APPLE, language, original))}\n> \n{quoted(original.text)}\n"
    ).as_bytes()


def ios(answer: str, language: str, original: Original = OURS) -> bytes:
    introduced = f"{quoted(intro(APPLE, language, original))}\n> \n{quoted(original.text, '> ')}"
    return mail(f"{answer}\n\n{IPHONE[language]}\n\n{introduced}\n").as_bytes()


def ios_html(answer: str, language: str, original: Original = OURS) -> bytes:
    return only_html(
        f'<html><head></head><body dir="auto">{paragraphs(answer)}<br id="lineBreakAtBeginningOfSignature">'
        f'<div dir="ltr">{IPHONE[language]}</div><div dir="ltr"><br><blockquote type="cite">'
        f"{escape(intro(APPLE, language, original))}<br><br></blockquote></div>"
        f'<blockquote type="cite"><div dir="ltr">{original.html}</div></blockquote></body></html>'
    )


def thunderbird(answer: str, language: str, original: Original = OURS) -> bytes:
    """format=flowed: long lines end in a space and go on in the next one."""
    flowed = "\n".join(_soft(line) for line in answer.split("\n"))
    text = f"{flowed}\n\n{intro(THUNDERBIRD, language, original)}\n{quoted(original.text)}\n"
    message = mail("")
    message.set_content(text, params={"format": "flowed"})
    return message.as_bytes()


def yahoo(answer: str, language: str, original: Original = OURS) -> bytes:
    lines = quoted(original.text, " > ")
    return mail(f" {answer}\n\n{intro(YAHOO, language, original)}\n \n{lines}\n  ").as_bytes()


def k9(answer: str, language: str, original: Original = OURS) -> bytes:
    introduced = f"{intro(K9, language, original)}\n{quoted(original.text, '>')}"
    return mail(f"{answer}\n\n-- \n{K9_SIGNATURE[language]}\n\n{introduced}\n").as_bytes()


def _soft(line: str) -> str:
    words, rows = line.split(" "), [""]
    for word in words:
        if len(rows[-1]) + len(word) > 60:
            rows.append("")
        rows[-1] += f"{word} "
    return "\n".join(rows)[:-1]


SHAPES: dict[str, Shape] = {
    "gmail": gmail,
    "gmail_html": gmail_html,
    "outlook_desktop": outlook_desktop,
    "outlook_desktop_html": outlook_desktop_html,
    "outlook_web": outlook_web,
    "outlook_ios": outlook_ios,
    "apple_mail": apple_mail,
    "ios": ios,
    "ios_html": ios_html,
    "thunderbird": thunderbird,
    "yahoo": yahoo,
    "k9": k9,
}
