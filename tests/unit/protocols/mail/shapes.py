"""Replies in the shapes that mail clients give them, written for these tests: none is anybody's mail.

A shape takes the answer and the language of the client and makes the octets of the whole mail.
"""

from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from html import escape

from protocols.mail.reply import MARKER

NAME, ADDRESS = "+12025550150 (SMS)", "sms+mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dz@sms.example.net"
SUBJECT = "[#USmfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dz] Message sent to 2025550100"
NOTICE = f"""{MARKER}

Are you at home? I would bring the parcel: the big one, from 24.11. at 15:00.

From +12025550150 to 2025550100"""
LANGUAGES = ("en", "fr", "es", "de")

Shape = Callable[[str, str], bytes]

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


def intro(lines: dict[str, str], language: str) -> str:
    return lines[language].format(n=NAME, a=ADDRESS)


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


def notice_html() -> str:
    return paragraphs(NOTICE)


def gmail(answer: str, language: str) -> bytes:
    """The introduction broken before the address, as Gmail does at 80 characters."""
    lines = intro(GMAIL, language).replace(f" <{ADDRESS}>", f" <\n{ADDRESS}>")
    return mail(f"{answer}\n\n{lines}\n\n{quoted(NOTICE)}\n").as_bytes()


def gmail_html(answer: str, language: str) -> bytes:
    body = (
        f'<div dir="ltr">{paragraphs(answer)}</div><br>'
        f'<div class="gmail_quote"><div dir="ltr" class="gmail_attr">'
        f'{escape(intro(GMAIL, language))}<br></div><blockquote class="gmail_quote" style="margin:0">'
        f"{notice_html()}</blockquote></div>"
    )
    return only_html(body)


def headers(language: str, bold: str = "") -> str:
    names, date, _ = OUTLOOK[language]
    space = "\u00a0" if language == "fr" else ""
    values = (f"{NAME} <{ADDRESS}>", date, "Owner <owner@example.org>", SUBJECT)
    return "\n".join(f"{bold}{name}{space}:{bold} {value}" for name, value in zip(names, values, strict=True))


def outlook_desktop(answer: str, language: str) -> bytes:
    return mail(f"{answer}\n\n{headers(language)}\n\n{NOTICE}\n").as_bytes()


def outlook_desktop_html(answer: str, language: str) -> bytes:
    rows = "<br>".join(escape(line) for line in headers(language).split("\n"))
    border = "border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"
    return only_html(
        f'<html><head><style>p.MsoNormal {{margin:0in}}</style></head><body><div class="WordSection1">'
        f'{paragraphs(answer, "p")}<div><div style="{border}"><p class="MsoNormal">{rows}</p></div></div>'
        f"{notice_html()}</div></body></html>"
    )


def outlook_web(answer: str, language: str) -> bytes:
    rule = "_" * 32
    return mail(f"{answer}\n\n{rule}\n{headers(language)}\n\n{NOTICE}\n").as_bytes()


def outlook_ios(answer: str, language: str) -> bytes:
    line = OUTLOOK[language][2]
    return mail(f"{answer}\n\n{line}\n{'_' * 32}\n{headers(language)}\n\n{NOTICE}\n").as_bytes()


def apple_mail(answer: str, language: str) -> bytes:
    return mail(f"{answer}\n\n{quoted(intro(APPLE, language))}\n> \n{quoted(NOTICE)}\n").as_bytes()


def ios(answer: str, language: str) -> bytes:
    return mail(
        f"{answer}\n\n{IPHONE[language]}\n\n{quoted(intro(APPLE, language))}\n> \n{quoted(NOTICE, '> ')}\n"
    ).as_bytes()


def ios_html(answer: str, language: str) -> bytes:
    return only_html(
        f'<html><head></head><body dir="auto">{paragraphs(answer)}<br id="lineBreakAtBeginningOfSignature">'
        f'<div dir="ltr">{IPHONE[language]}</div><div dir="ltr"><br><blockquote type="cite">'
        f"{escape(intro(APPLE, language))}<br><br></blockquote></div>"
        f'<blockquote type="cite"><div dir="ltr">{notice_html()}</div></blockquote></body></html>'
    )


def thunderbird(answer: str, language: str) -> bytes:
    """format=flowed: long lines end in a space and go on in the next one."""
    flowed = "\n".join(_soft(line) for line in answer.split("\n"))
    text = f"{flowed}\n\n{intro(THUNDERBIRD, language)}\n{quoted(NOTICE)}\n"
    message = mail("")
    message.set_content(text, params={"format": "flowed"})
    return message.as_bytes()


def yahoo(answer: str, language: str) -> bytes:
    lines = quoted(NOTICE, " > ")
    return mail(f" {answer}\n\n{intro(YAHOO, language)}\n \n{lines}\n  ").as_bytes()


def k9(answer: str, language: str) -> bytes:
    return mail(
        f"{answer}\n\n-- \n{K9_SIGNATURE[language]}\n\n{intro(K9, language)}\n{quoted(NOTICE, '>')}\n"
    ).as_bytes()


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
