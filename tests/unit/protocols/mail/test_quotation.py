"""Where what was written ends: above our mail, a colleague's, the writer's own of before; with our marker and
without. And what only looks like it ends there."""

import sys
from email import message_from_bytes
from pathlib import Path
from types import FrameType

import pytest

from protocols.mail import reply
from protocols.mail.body import MAX_TEXT
from protocols.mail.lines import MARKER
from protocols.mail.quotation import written
from protocols.mail.reply import strip
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


NAMELESS = [
    "pt., 27 lis 2026 o 20:37 {n} napisał(a):",
    "27.11.2026 20:37, {n} пишет:",
    "пт, 27 лист. 2026 р. о 20:37 {n} пише:",
    "2026年11月27日(金) 20:37、{n}のメール:",
    "在 2026/11/27 20:37, {n} 写道:",
    "{n} 於 2026年11月27日 週五 下午8:37 寫道：",
    "2026년 11월 27일 (금) 오후 8:37, {n}님이 작성:",
    "2026-11-27 20:37에 {n} 이(가) 쓴 글:",
    "בתאריך 27.11.2026 20:37, מאת {n}:",
    "ב־27/11/2026 20:37, {n} כתב/ה:",
    "{n}, 27 Kas 2026 Cum, 20:37 tarihinde şunu yazdı:",
    "pe 27. marrask. 2026 klo 20.37 {n} kirjoitti:",
    "{n} ezt írta (időpont: 2026. nov. 27., P, 20:37):",
    "ในวันที่ ศ. 27 พ.ย. 2026 เวลา 20:37 {n} เขียนว่า:",
    "На пт, 27.11.2026 г. в 20:37 {n} написа:",
    "пет, 27. нов 2026. у 20:37 {n} је написао/ла:",
    "pet, 27. stu 2026. u 20:37 {n} napisao je:",
    "El dv., 27 nov. 2026, a les 20:37, {n} va escriure:",
    "در تاریخ جمعه ۲۷ نوامبر ۲۰۲۶، ۲۰:۳۷ {n} نوشت:",
    "शुक्र, 27 नव॰ 2026 को 20:37 बजे {n} ने लिखा:",
    "fre 27 nov. 2026 kl. 20:37 skrev {n}:",
    "2026-11-27 20:37, {n} rašė:",
    "27.11.2026 20:37 {n} kirjutas:",
    "vin., 27 nov. 2026 la 20:37, {n} a scris:",
    "pá 27. 11. 2026 v 20:37 odesílatel {n} napsal:",
    "On November 27, 2026, {n} wrote:",
    "On 27 Nov, 16:04, {n} wrote:",
    "Am 27. Nov. um 16:04 schrieb {n}:",
    "Ուրբ, 27 նոյ, 2026 թ. 16:04, {n} <desk@example.org> գրել է՝",
    "শুক্র, ২৭ নভেম্বর, ২০২৬, ১৬:০৪ তারিখে {n} <desk@example.org> লিখেছেন:",
    "{n} <desk@example.org> writes:",
]


@pytest.mark.parametrize("introduction", NAMELESS)
@pytest.mark.parametrize("below", ["gmail it", "outlook mobile", "samsung", "no marker gmail", "bare marker"])
def test_a_colleague_without_an_address_is_quoted_where_our_mail_is_below_him(
    introduction: str, below: str
) -> None:
    ours = NOTICE if below == "bare marker" else REPLIES[below].partition(ANSWER)[2]
    assert strip(f"{ANSWER}\n\n{introduction.format(n='Desk')}\n\n{SECRET}\n\n{ours}") == ANSWER
    assert strip(f"{introduction.format(n='Desk')}\n\n{SECRET}\n\n{ours}") == ""


HEADS = sorted(name for name in INTRODUCTIONS if name.startswith("outlook"))


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(
    "line",
    ["A: yes", "Date: tomorrow", "Note: bring it", "No: I cannot", "Time: 20:30", "Objet: x", "Cc: Ann"],
)
def test_a_line_with_a_colon_right_above_the_headers_was_written(name: str, line: str) -> None:
    head = introduced(name, COLLEAGUE, "x")
    assert strip(f"Hello\n{line}\n{head}\n\n{SECRET}") == f"Hello\n{line}"
    assert strip(f"{line}\n{introduced(name, (NAME, ADDRESS), SUBJECT)}\n\n{TRIMMED}") == line


@pytest.mark.parametrize("name", sorted({*HEADS} - {"outlook in a language that nobody told us"}))
def test_headers_that_name_nobody_by_his_address(name: str) -> None:
    head = introduced(name, COLLEAGUE, "Re: dinner").replace(f" <{COLLEAGUE[1]}>", "")
    assert strip(f"{ANSWER}\n\n{head.replace('owner@example.org', 'Owner')}\n\n{SECRET}") == ANSWER


PEOPLE = "; ".join(f"Person {number} <person{number}@example.org>" for number in range(9))
NAMES = "; ".join(f"Person {number} (Sales, High Street)" for number in range(20))
SENT = "Friday, November 27, 2026 4:04 PM"
LONG_HEADS = {
    "outlook": f"From: {{n}} <{{a}}>\nSent: {SENT}\nTo: {PEOPLE}\nCc: {PEOPLE}\nSubject: RE: x",
    "outlook web": f"{'_' * 32}\nFrom: {{n}} <{{a}}>\nSent: {SENT}\nTo: {PEOPLE}\nCc: {PEOPLE}\nSubject: x",
    "outlook de": f"Von: {{n}} <{{a}}>\nGesendet: {SENT}\nAn: {PEOPLE}\nCc: {PEOPLE}\nBetreff: AW: x",
    "names": f"From: {{n}}\nSent: {SENT}\nTo: {NAMES}\nCc: {NAMES}\nSubject: RE: x",
    "more": f"From: {{n}}\nSent: {SENT}\nTo: {PEOPLE}\nCc: {PEOPLE}\nSubject: RE: x\nImportance: High",
    "gmx": f'Gesendet: {SENT}\nVon: "{{n}}" <{{a}}>\nAn: {PEOPLE}\nCc: {PEOPLE}\nBetreff: Re: x',
    "notes": "From:   {n}/Office\nTo:     a@example.org,\n        b@example.org,\n        c@example.org\n"
    "Date:   27.11.2026 16:04\nSubject:        Re: x",
    "one a line": f"From: {{n}} <{{a}}>\nSent: {SENT}\nTo: " + PEOPLE.replace("; ", ";\n") + "\nSubject: x",
    "wrapped": "From: {n}\nTo: Person 1 <person1@example.org>; Person\n2 <person2@example.org>; Person 3\n"
    f"<person3@example.org>\nSent: {SENT}\nSubject: RE: x",
    "wrapped names": f"From: {{n}}\nSent: {SENT}\nTo: Ann; Bob\nLee; Jim\nDoe; Tom\nCc: Al; Jo\nRay; Max\n"
    "Poe\nSubject: RE: x",
    "paragraphs": f"From: {{n}}\n\nSent: {SENT}\n\nTo: Bob\n\nSubject: RE: x",
    "paragraphs gmx": f"Gesendet: {SENT}\n\nVon: {{n}} <{{a}}>\n\nAn: {PEOPLE}\n\nBetreff: RE: x",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(LONG_HEADS))
@pytest.mark.parametrize(
    "below", ["", f"\n\n{introduced('outlook en', (NAME, ADDRESS), SUBJECT)}\n\n{NOTICE}"]
)
def test_headers_of_a_mail_to_many(name: str, below: str) -> None:
    for by in (COLLEAGUE, (NAME, ADDRESS)):
        head = LONG_HEADS[name].format(n=by[0], a=by[1])
        assert strip(f"{ANSWER}\n\n{head}\n\n{SECRET}{below}") == ANSWER


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


def test_answers_between_marked_lines_that_nothing_introduces() -> None:
    assert (
        strip("> Are you at home?\nYes.\n> And then?\nAt five.\n> 5 or six?\n> And who?") == "Yes.\nAt five."
    )
    assert strip(f"{GMAIL}\n> When?\nNow.\n> 2. Where?\nHere.\n> 3. Who?\nI.") == "Now.\nHere.\nI."


def test_what_is_introduced_once_more_is_quoted_once_more() -> None:
    again = "On Wed, Nov 25, 2026 at 3:04 PM Desk <desk@example.org> wrote:\n> 5 of us know"
    assert strip(f"{GMAIL}\n> When?\n\nNow.\n\n{again}") == "Now."


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
    "> 5 apples\n> 6 pears",
    "Please bring\n> 5 apples\n> 6 pears",
    "Original message:\nplease call me",
    "Hello\nOriginal message:\nplease call me",
    "- Original message\n- my notes",
    "Von: Berlin\nNach: Hamburg",
    "Please take this ride:\nCustomer: Bob Hill\nFrom: Airport\nTo: Hotel Astoria\nDate: 28.11. 14:30\n"
    "Mail: bob@hill.example\nPrice: 40 EUR\nCall me when done.",
    "His data\nName: Bob Hill\nFrom: Rome\nTo: Paris\nDate: 3 May\nE-mail: bob@hill.example\nPrice: 5",
    "Trip\nFrom: Bob bob@hill.example\nTo: Rome\nDate: Monday\nok",
    "The rule:\n> 5 people must sign\nBye",
    "The rule:\n> five people must sign\nBye",
    "The rule:\n> five people must sign",
    "Prices:\n| small | 3 |\n| large | 5 |\nWhich one?",
    "Prices\n\n| small | 3 |\n\nWhich one?",
    "To: Paris\nwith Ann, Bob\nand their children\nDate: tomorrow",
    "From: Rome\n\nTo: Paris\n\nDate: 27.11.2026 15:30",
    "Note: " + "we all go to the town, " * 30 + "yes",
    "Hello\nFrom: Berlin\nTo: Hamburg\nSubject: trip on 27.11.2026 15:30",
    "Name: Ann <ann@example.org>\nWhen: 27.11.2026 20:30\nPlace: Rome",
    "Meeting 2026-11-30 10:00 <ann@example.org>:\nbring the papers",
    "Hello,\nMeeting 2026-11-30 10:00 <ann@example.org>:\nbring the papers",
    "Meeting 2026-11-30 10:00:\nbring the papers",
    "##- x -##\nhi",
    "Hello\n##- IMPORTANT -##\nhi",
    "one\n-----",
    "one\n==========",
]
LIKE_QUOTED = [
    "Call me:\n>> 555 <<",
    ">> go\n\nThanks",
    ">_< that hurt",
    "> 5 people are coming",
    "> 5 apples\n> 6 pears",
    "The rule:\n> five people must sign\nBye",
    "The rule:\n> five people must sign",
]
"""Below a quotation they cannot be told from its next lines."""

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


@pytest.mark.parametrize("text", sorted({*KEPT} - {*LIKE_QUOTED}))
def test_what_was_written_below_a_quotation_is_kept(text: str) -> None:
    assert strip(f"{GMAIL}\n\n{quoted(NOTICE)}\n\nBelow.\n{text}") == f"Below.\n{text}"


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


def test_what_somebody_wrote_on_no_day_is_kept_above_our_mail() -> None:
    text = "On Monday at 10:30 Bob wrote:\ncall me\nok?"
    assert strip(f"{text}\n\n{introduced('outlook en', (NAME, ADDRESS), SUBJECT)}\n\n{NOTICE}") == text


def test_a_citation_is_kept_where_no_mail_of_ours_is_below_it() -> None:
    for text in ("On 27.11.2026 at 10:30 Bob wrote:\ncall me", "> all of it\n> is marked"):
        assert strip(text) == text


@pytest.mark.parametrize("marks", ["", "> ", "> > "])
def test_our_marker_is_known_however_it_was_broken(marks: str) -> None:
    for words in range(1, 8):
        front, back = " ".join(MARKER.split()[:words]), " ".join(MARKER.split()[words:])
        assert strip(f"Yes.\n\n{marks}{front}\n{marks}{back}\n{marks}\n{marks}At home?") == "Yes."


def test_a_word_about_our_marker_is_no_quotation() -> None:
    line = f"the line {MARKER} is silly"
    assert strip(f"{line}\n\n{GMAIL}\n{quoted(NOTICE)}") == line
    assert strip(f"Yes {MARKER} Are you at home? From +12025550150") == "Yes"


def test_however_many_lines_were_written() -> None:
    lines = "\n".join(f"line {number}" for number in range(5_000))
    assert strip(f"{lines}\n\n{GMAIL}\n\n{quoted(TRIMMED)}") == lines
    assert written("") == []


# -- what it costs -----------------------------------------------------------------------------------

WORST = [
    "a:\n", "a: b\n", "From: x\n", "From: <a@b> 2024 12:30\n", "\n", "a\n", "> a\n", "> a\nb\n", "\n--\n",
    "--\n", "On 2024 12:30 <a@b> wrote: x\n", "x 2024 12:30:\n\n", "----- a -----\n", "Original message:\n",
    "To: a@b,\nb,\n", "From: a\nTo: a,\n" + "b,\n" * 58, "To: " + "a <a@b>, " * 9 + "\n", "From: a\n\n",
    "> 5\n| b\n",
    "Sent from my iPhone\n", "\n###x\n", f"{MARKER}\n", "1 ",
]  # fmt: skip
MAX_CALLS = 400_000
"""Of functions, for a mail of 256 KiB: each takes about a tenth of a microsecond."""


@pytest.mark.parametrize("unit", WORST)
def test_no_mail_takes_long(unit: str) -> None:
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    text = unit * (MAX_TEXT // len(unit))
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        strip(text)
    finally:
        sys.setprofile(before)
    assert 0 < calls < MAX_CALLS


def test_of_more_lines_than_are_looked_at_none_is_lost_and_no_marked_one_is_sent() -> None:
    lines = "\n".join(f"line {number}" for number in range(20_000))
    assert strip(lines) == lines
    assert strip(f"{ANSWER}\n\n{GMAIL}\n{quoted(lines)}\nBelow.") == f"{ANSWER}\n\nBelow."
