"""Where what was written ends: above our mail, a colleague's, the writer's own of before; with our marker and
without. And what only looks like it ends there."""

from email import message_from_bytes
from pathlib import Path

import pytest

from protocols.mail import reply
from protocols.mail.quotation import written
from protocols.mail.reply import MARKER, strip
from tests.unit.protocols.mail.shapes import (
    ADDRESS,
    LANGUAGES,
    NAME,
    NOTICE,
    SHAPES,
    SUBJECT,
    answered,
    quoted,
)
from tests.unit.protocols.mail.test_odd_replies import ANSWER, FIELDS, REPLIES, templates
from tests.unit.protocols.mail.test_reply import ANSWERS

FILE = Path(__file__).resolve().parents[3] / "data" / "introductions.txt"
SECRET = "Between us: he owes us money, code 4711.\n\nMore of what is nobody's business."
COLLEAGUE = ("Desk", "desk@example.org")
GMAIL = f"On Tue, Nov 24, 2026 at 3:04 PM {NAME} <{ADDRESS}> wrote:"
TRIMMED = NOTICE.partition("\n\n")[2]


def introductions() -> dict[str, str]:
    _, *pieces = FILE.read_text("utf-8").split("\n== ")
    named = (piece.partition("\n")[::2] for piece in pieces)
    return {name: text.strip("\n") for name, text in named}


INTRODUCTIONS = introductions()


def introduced(name: str, by: tuple[str, str], subject: str) -> str:
    return INTRODUCTIONS[name].format(n=by[0], a=by[1], s=subject)


# -- a conversation of three -------------------------------------------------------------------------


@pytest.mark.parametrize("first", sorted(SHAPES))
@pytest.mark.parametrize("second", sorted(SHAPES))
def test_an_answer_to_an_answer_is_sent_alone(first: str, second: str) -> None:
    for language in LANGUAGES:
        original = answered(SHAPES[first](SECRET, language), *COLLEAGUE)
        octets = SHAPES[second](ANSWERS[language], language, original)
        assert reply.read(message_from_bytes(octets)).text == ANSWERS[language]


@pytest.mark.parametrize("first", ["gmail it", "outlook mobile", "samsung", "notes2"])
@pytest.mark.parametrize("second", sorted(REPLIES))
def test_an_answer_to_an_answer_of_any_client(first: str, second: str) -> None:
    original = templates()[first].format(**{**FIELDS, "answer": SECRET}).strip("\n")
    n, a = COLLEAGUE
    fields = {"notice": original, "quoted": quoted(original), "plain": quoted(original), "said": SECRET[:40]}
    text = templates()[second].format(**fields, answer=ANSWER, n=n, a=a, s=f"Re: {SUBJECT}")
    assert strip(text) == ANSWER


@pytest.mark.parametrize("name", sorted(INTRODUCTIONS))
@pytest.mark.parametrize("marks", [True, False], ids=["marked", "unmarked"])
def test_ones_own_mail_of_before_in_every_language(name: str, marks: bool) -> None:
    before = f"{SECRET}\n\n{introduced(name, (NAME, ADDRESS), SUBJECT)}\n\n{quoted(NOTICE)}"
    head = introduced(name, COLLEAGUE, f"Re: {SUBJECT}")
    assert strip(f"{ANSWER}\n\n{head}\n\n{quoted(before) if marks else before}") == ANSWER


# -- with and without our marker ---------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(INTRODUCTIONS))
@pytest.mark.parametrize("rule", ["", "_" * 32 + "\n"], ids=["alone", "ruled"])
@pytest.mark.parametrize("shown", [NOTICE, TRIMMED], ids=["marker", "no marker"])
@pytest.mark.parametrize("marks", [True, False], ids=["marked", "unmarked"])
def test_our_mail_in_every_language(name: str, rule: str, shown: str, marks: bool) -> None:
    head = introduced(name, (NAME, ADDRESS), SUBJECT)
    assert strip(f"{ANSWER}\n\n{rule}{head}\n\n{quoted(shown) if marks else shown}") == ANSWER


@pytest.mark.parametrize(
    "intro",
    [
        f"Il 27/11/2026 20:37, {NAME} ha scritto:", f"27.11.2026 20:37, {NAME} пишет:",
        f"W dniu 27.11.2026 o 20:37, {NAME} pisze:", f"Den 2026-11-27 kl. 20:37, skrev {NAME}:",
        f"2026/11/27 20:37、{NAME} <{ADDRESS}>のメール:", f"\u202bבתאריך 27.11.2026 20:37, מאת {NAME}:\u202c",
    ],
)  # fmt: skip
def test_answers_between_the_lines_in_more_languages(intro: str) -> None:
    assert strip(f"{intro}\n> Are you at home?\nYes.\n> And then?\nAt five.\n") == "Yes.\nAt five."
    assert strip(f"{intro}\n\n> Are you at home?\n\nYes.\n") == "Yes."
    assert strip(f"Yes.\n\n{intro}\n> Are you at home?\n") == "Yes."


def test_a_signature_above_the_quotation_takes_no_answer_below_it() -> None:
    text = f"Inline.\n-- \nJane\n\n{GMAIL}\n> Are you at home?\nYes.\n> When?\nAt five.\n"
    assert strip(text) == "Inline.\nYes.\nAt five."


def test_a_mail_below_an_answer_that_is_below_a_quotation() -> None:
    older = introduced("outlook en", COLLEAGUE, "x")
    assert strip(f"{GMAIL}\n{quoted(NOTICE)}\n\n{ANSWER}\n\n{older}\n\n{SECRET}") == ANSWER


# -- what was written and only looks like it ---------------------------------------------------------

KEPT = [
    "Here is it\nName: Ann\nStreet: 5 Main St\nCity: Rome",
    "Name: Ann Lee\nStreet: 5 Main St\nCity: Rome",
    "Address: 5 Main St\nTime: 20:30\nCode: 1234",
    "Trip\nFrom: Rome\nTo: Paris\nSubject: holidays",
    "From: Rome\nTo: Paris\nDate: 27.11.2026 15:30",
    "see you\nWrite me at owner@example.org before 12:30:",
    "one\n-----\ntwo",
    "one\n--\ntwo\nthree",
    "one\n—\ntwo",
    "one\n__________\ntwo",
    "Sign here\n________\nthanks",
    "use\n>5 items please",
    "Call me:\n>> 555 <<",
    ">> go\n\nThanks",
    ">_< that hurt",
    "| a | b |\n| 1 | 2 |",
    "> 5 people are coming",
    "From: me\nTo: you\nSubject: dinner\nlet us eat",
    "**Important**",
    "Hello Ann,\n\n==== ORDER ====\n2 pizzas\n1 cola",
    "----- IMPORTANT -----\nDo not come today.",
    "Hello\n----- my address -----\nAnn <ann@example.org>\nHigh Street 5",
    "On Monday at 10:30 Bob wrote: call me",
]
QUOTATIONS = {
    "nothing": "",
    "gmail": f"\n\n{GMAIL}\n\n{quoted(NOTICE)}",
    "gmail without marker": f"\n\n{GMAIL}\n\n{quoted(TRIMMED)}",
    "outlook": f"\n\n{introduced('outlook en', (NAME, ADDRESS), SUBJECT)}\n\n{NOTICE}",
    "ruled": f"\n\n{'_' * 32}\n{introduced('outlook en', (NAME, ADDRESS), SUBJECT)}\n\n{TRIMMED}",
    "bare marker": f"\n\n{NOTICE}",
    "marks alone": f"\n\n{quoted(NOTICE)}",
}


@pytest.mark.parametrize("quotation", sorted(QUOTATIONS))
@pytest.mark.parametrize("text", KEPT)
def test_what_was_written_is_kept(text: str, quotation: str) -> None:
    assert strip(text + QUOTATIONS[quotation]) == text


@pytest.mark.parametrize(
    "text",
    [
        f"I wrote to bob@example.org at 20:30:\n\n{quoted(NOTICE)}",
        f"The mail of bob@example.org, at 12:30 today:\n\n{quoted(NOTICE)}",
        "On Monday at 10:30 Bob wrote:\ncall me\nok?",
    ],
)
def test_a_sentence_that_could_be_a_clients_is_kept_where_nothing_else_is_left(text: str) -> None:
    assert strip(text) == text.partition("\n\n> ")[0]


def test_a_word_about_our_marker_is_no_quotation() -> None:
    line = f"the line {MARKER} is silly"
    assert strip(f"{line}\n\n{GMAIL}\n{quoted(NOTICE)}") == line
    assert strip(f"Yes {MARKER} Are you at home? From +12025550150") == "Yes"


def test_however_many_lines_were_written() -> None:
    lines = "\n".join(f"line {number}" for number in range(5_000))
    assert strip(f"{lines}\n\n{GMAIL}\n\n{quoted(TRIMMED)}") == lines
    assert written("") == []
