"""Replies of clients beyond the usual ones: no line that was written is lost, none that was not is kept."""

from pathlib import Path

import pytest

from protocols.mail.lines import MARKER
from protocols.mail.reply import strip
from tests.unit.protocols.mail.shapes import ADDRESS, NAME, NOTICE, SUBJECT, quoted

FILE = Path(__file__).resolve().parents[3] / "data" / "replies.txt"
ANSWER = "Yes, I am at home until 17:30.\n\nPlease ring twice: the bell is weak."
INTRO = f"On Tue, Nov 24, 2026 at 3:04 PM {NAME} <{ADDRESS}> wrote:"
SAID = NOTICE.split("\n")[2]
FIELDS = {
    "answer": ANSWER, "notice": NOTICE, "quoted": quoted(NOTICE), "plain": quoted(f"{SAID}\n\nAnd so on."),
    "said": SAID, "n": NAME, "a": ADDRESS, "s": SUBJECT,
}  # fmt: skip


def templates() -> dict[str, str]:
    _, *pieces = FILE.read_text("utf-8").split("\n== ")
    named = (piece.partition("\n")[::2] for piece in pieces)
    return {name: text.replace("␠", " ") for name, text in named}


TAGLINES = (FILE.parent / "taglines.txt").read_text("utf-8").partition("\n\n")[2].splitlines()
DISCLAIMERS = [
    "This e-mail and any attachments are confidential and intended solely for the addressee. If you are "
    "not he, please delete it.",
    "The content of this message is\nintended for the recipient specified in it only. It is strictly "
    "forbidden to share any part of it.",
    "Diese E-Mail enthält vertrauliche und rechtlich geschützte Informationen. Wenn Sie nicht der richtige "
    "Adressat sind, löschen Sie sie bitte.",
    "Ce message et ses pièces jointes sont confidentiels et établis à l'intention exclusive de ses "
    "destinataires, et de personne d'autre.",
    "Este mensaje y sus adjuntos son confidenciales y se dirigen exclusivamente a su destinatario, y a nadie "
    "más que a él.",
    "Настоящее сообщение и вложения к нему содержат конфиденциальную информацию и предназначены только для "
    "адресата.",
]  # fmt: skip


REPLIES = {name: text.format(**FIELDS) for name, text in templates().items()}


@pytest.mark.parametrize("client", sorted(REPLIES))
@pytest.mark.parametrize("line_end", ["\n", " \n"], ids=["plain", "padded"])
def test_an_answer_comes_whole_and_alone(client: str, line_end: str) -> None:
    text = REPLIES[client]
    if line_end != "\n":  # as clients write whose paragraphs have a blank at their end
        text = text.replace(ANSWER, ANSWER.replace("\n", line_end))
    assert strip(text).replace(line_end, "\n") == ANSWER


@pytest.mark.parametrize("line", TAGLINES)
def test_the_line_of_a_telephone_is_cut(line: str) -> None:
    assert strip(f"{ANSWER}\n\n{line}\n") == ANSWER
    assert strip(f"{ANSWER}\n\n{line}\n\n{INTRO}\n{quoted(NOTICE)}") == ANSWER
    assert strip(f"{INTRO}\n{quoted(NOTICE)}\n\n{ANSWER}\n\n{line}") == ANSWER
    assert strip(f"{INTRO}\n> At home?\n\n{ANSWER}\n\n{line}\n\n> And then?\n\n") == ANSWER


@pytest.mark.parametrize("disclaimer", DISCLAIMERS)
@pytest.mark.parametrize("rest", ["", "\n\nOwner and Sons, High Street 5"], ids=["alone", "with more"])
def test_what_a_company_puts_below_a_quotation_is_cut_and_nothing_below_it(
    disclaimer: str, rest: str
) -> None:
    below = f"{disclaimer}{rest}"
    assert strip(f"{ANSWER}\n\n{INTRO}\n{quoted(NOTICE)}\n\n{below}") == ANSWER + rest
    assert strip(f"{INTRO}\n{quoted(NOTICE)}\n\n{ANSWER}\n\n{below}") == ANSWER + rest
    assert strip(f"{INTRO}\n{quoted(NOTICE)}\n\n{disclaimer}\n\n{disclaimer}\n\n{ANSWER}") == ANSWER


OFFERS = [
    "The mail is confidential!",
    f"Not a word: {'it is a long text.' * 9}",
    "I got the e-mail with the confidential offer from the bank, and I think that we should take it before "
    "Friday.\n\nCan you come at five?",
    "We have sent you a message with confidential papers, please read it before our meeting on Monday at the "
    "bank.\n\nCiao",
    "Today I got a confidential message of a bank by mistake, the recipient is somebody in Rome: what shall "
    "I do with it?",
]


@pytest.mark.parametrize("line", OFFERS)
def test_an_answer_below_a_quotation_is_no_disclaimer(line: str) -> None:
    assert strip(f"First.\n\n{INTRO}\n{quoted(NOTICE)}\n\n{line}") == f"First.\n\n{line}"
    assert strip(f"{INTRO}\n{quoted(NOTICE)}\n\nFirst.\n\n{line}") == f"First.\n\n{line}"


@pytest.mark.parametrize(
    "intro",
    [
        f'"{NAME}"\n<{ADDRESS}> writes:', f"{NAME}\n<{ADDRESS}> 于2026年11月27日周五 20:37写道：",
        f"{NAME}\n<{ADDRESS}> ezt írta (időpont: 2026. nov. 27., P, 20:37):",
        f"+12025550150\n(SMS) <{ADDRESS}>, 27 Kas 2026 Cum, 20:37 tarihinde şunu yazdı:",
        f"{NAME} <{ADDRESS}>\nschrieb am 24.11.2026 um 15:04:",
        f"Am 24.11.2026 um 15:04 schrieb\n{NAME}\n<{ADDRESS}>:",
    ],
)  # fmt: skip
def test_no_name_is_left_of_an_introduction_that_was_broken(intro: str) -> None:
    for shown in (quoted(NOTICE), NOTICE):
        assert strip(f"{ANSWER}\n\n{intro}\n{shown}") == ANSWER


def test_there_are_many() -> None:
    assert len(REPLIES) >= 75


@pytest.mark.parametrize(
    "line",
    [
        "Sent via DHL to my phone", "Sent via DHL to my office, call my mobile",
        "Sent via Outlook yesterday", "Sent via Outlook W2 yesterday",
        "Sent from my phone because the laptop broke",
        "Sent with Gmail twice", "Sent via DHL, call my mobile", "Sent from my phone number 555123",
        "Sent from my iPhone. Call me tomorrow please.",
        "Von meinem Konto habe ich 50 Euro gesendet.", "Das iPhone habe ich gestern gesendet.",
        "I sent it from my iPhone", "Get the iPhone for me", "Download Outlook", "Wysłane z Warszawy",
        "Sent with DHL, number 12345.", "Sent from the airport, be there soon.", "Sent with the orange van.",
        "Von mir aus schick mir die Mail.", "Von meinem Konto wurde es abgebucht.",
        "Gesendet habe ich es gestern mit DHL.", "Gesendet mit GLS, Nummer 4711",
        "Envoyé depuis Paris hier, tu le reçois demain.", "Enviado con MRW, llega mañana.",
        "Inviato da Roma ieri.", "Excuse the typos, I am on the road: call me at 5.",
        "I use Outlook for iOS.", "Send it to jane@example.org, 15:30:", "We wrote (SMS):",
        "Is it at 15:30? Then write to jane@example.org", "--> this way", "-- no, two!", "#1 of 3",
    ],
)  # fmt: skip
@pytest.mark.parametrize("quotation", ["", f"\n\n{INTRO}\n\n{quoted(NOTICE)}"], ids=["alone", "above"])
def test_what_only_looks_like_a_clients_own_is_kept(line: str, quotation: str) -> None:
    written = f"First line.\n{line}"
    assert strip(written + quotation) == written


def test_more_lines_than_a_signature_has_are_none() -> None:
    rest = "\n".join(f"{number}. house" for number in range(12))
    assert strip(f"The list:\n--\n{rest}\n\n{INTRO}\n{quoted(NOTICE)}") == f"The list:\n--\n{rest}"
    assert strip(f"The list:\n-- \n{rest}\n\n{INTRO}\n{quoted(NOTICE)}") == "The list:"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            f"Am 24.11.26 um 15:04 schrieb {NAME}:\n> {MARKER}\n>\n> Are you at home?\n\nYes.\n\n"
            "> I would bring the parcel.\n\nPlease do.\n\n> From +12025550150 to 2025550100\n\n-- \nJane\n",
            "Yes.\n\nPlease do.",
        ),
        (
            f"See below.\n\nOn Tue, Nov 24, 2026 at 3:04 PM {NAME} <\n{ADDRESS}> wrote:\n\n> {MARKER}\n>\n"
            "> Are you at home?\nYes!\n> I would bring it.\nGood.\n",
            "See below.\n\nYes!\nGood.",
        ),
    ],
)
def test_answers_between_the_lines(text: str, answer: str) -> None:
    assert strip(text) == answer
