"""Replies of clients beyond the usual ones: no line that was written is lost, none that was not is kept."""

from pathlib import Path

import pytest

from protocols.mail.reply import MARKER, strip
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


REPLIES = {name: text.format(**FIELDS) for name, text in templates().items()}


@pytest.mark.parametrize("client", sorted(REPLIES))
@pytest.mark.parametrize("line_end", ["\n", " \n"], ids=["plain", "padded"])
def test_an_answer_comes_whole_and_alone(client: str, line_end: str) -> None:
    text = REPLIES[client]
    if line_end != "\n":  # as clients write whose paragraphs have a blank at their end
        text = text.replace(ANSWER, ANSWER.replace("\n", line_end))
    assert strip(text).replace(line_end, "\n") == ANSWER


def test_there_are_many() -> None:
    assert len(REPLIES) >= 75


@pytest.mark.parametrize(
    "line",
    [
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
