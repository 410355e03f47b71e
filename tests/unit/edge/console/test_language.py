"""The command language: what is understood, what is said about what is not, completion."""

import re
import shlex

import pytest

from edge.console.commands import language
from edge.console.language import Answer, Command, Given, Language, Misused, Parameter, without_url_secrets


def run(server: object, given: Given) -> Answer:
    return Answer("", dict(given))


NAME = Parameter("name", "whose", values=lambda server: ["alice", "albert", "bob"])
LIMIT = Parameter("limit", "how many", named=True)
COLOUR = Parameter("colour", "which", named=True, values=lambda server: ["red", "green"])
WORDS = Parameter("text", "what", rest=True, secret=True)
QUOTED = Parameter("settings", "what", rest=True, quoted=True, mask=lambda value: value.replace("c", "*"))
SMALL = Language(
    (
        Command(("queue", "ls"), "list", run, (LIMIT, COLOUR)),
        Command(("queue", "show"), "show", run, (NAME,)),
        Command(("query",), "ask", run, (Parameter("what", "it", required=False),)),
        Command(("send",), "say", run, (NAME, WORDS)),
        Command(("set",), "change", run, (NAME, QUOTED)),
    )
)


@pytest.mark.parametrize(
    ("line", "name", "given"),
    [
        ("queue ls", "queue ls", {}),
        ("queue ls limit=3", "queue ls", {"limit": "3"}),
        ("queu l colour=red limit=3", "queue ls", {"limit": "3", "colour": "red"}),
        ("queue show bob", "queue show", {"name": "bob"}),
        ("queue show name=bob", "queue show", {"name": "name=bob"}),
        ("query", "query", {}),
        ("query 'two words'", "query", {"what": "two words"}),
        ("send bob hello  you 'and me'", "send", {"name": "bob", "text": "hello you and me"}),
        ("  send   bob é😀 ", "send", {"name": "bob", "text": "é😀"}),
        ("send bob 'two\nlines\tof it'", "send", {"name": "bob", "text": "two\nlines\tof it"}),
        ("set bob x='a b' y=c", "set", {"name": "bob", "settings": "'x=a b' y=c"}),
    ],
)
def test_a_line_is_understood(line: str, name: str, given: dict[str, str]) -> None:
    invocation = SMALL.parse(line)
    assert (invocation.command.name, invocation.given) == (name, given)
    assert not invocation.as_json
    assert SMALL.parse(f"{line} --json").as_json


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "There is no command"),
        ("delete", "'delete' is no command: queue, query, send, set"),
        ("que", "'que' is no command: queue, query"),
        ("queue", "'queue' needs one more word: ls, show"),
        ("queue drop", "'drop' after 'queue' is no command: ls, show"),
        ("queue show", "NAME is missing. Usage: queue show NAME"),
        ("queue show bob alice", "'alice' is one word too many"),
        ("queue ls size=3", "'size=3' is one word too many"),
        ("queue ls limit=3 colour=red limit=4", "limit= is there twice"),
        ("send 'bob", "quotes do not match"),
        ("x" * 10_000, "at most 8192 characters"),
        ("send bob 'nul \x00'", "a control character in it: U+0000"),
        ("send bob \x1b[2J", "U+001B"),
        ("send bob \x9b", "U+009B"),
        ("send bob gr\udcfc\udcdfe", "not UTF-8"),
    ],
)
def test_what_is_not_understood_is_explained(line: str, sentence: str) -> None:
    with pytest.raises(Misused, match=re.escape(sentence)):
        SMALL.parse(line)


def test_what_is_secret_is_not_shown() -> None:
    assert SMALL.parse("send bob my pin is 1234").shown() == "send name=bob 'text=***'"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://u:hush@x.example/?token=hush", "https://***@x.example/?token=***"),
        (
            "https://x.example/a?k=hush&to={TO}&hush;s=hu?sh",
            "https://x.example/a?k=***&to={TO}&***;s=***?***",
        ),
        ("https://x.example/a#hush", "https://x.example/a#***"),
        (
            "see https://x.example/?k=hush and HTTP://y/?hush, too",
            "see https://x.example/?k=*** and HTTP://y/?*** too",
        ),
        ("https://x.example/a?", "https://x.example/a?"),
        ("is it 1/2? a=b", "is it 1/2? a=b"),
    ],
)
def test_what_may_be_secret_in_a_url_is_not_shown(said: str, shown: str) -> None:
    assert without_url_secrets(said) == shown


@pytest.mark.parametrize(
    "line",
    [
        "target pause webhook 'https://u:hush@x/?token=hush'",
        "target pause webhook https://x/ why='as https://x/?token=hush says'",
        "target resume webhook https://x/?token=hush",
        "callback pause https://x/?token=hush",
        "callback resume https://x/?token=hush",
        "did set +12025550100 'callback_url=https://u:hush@x/?token=hush' sms=on",
    ],
)
def test_no_command_has_secrets_of_urls_written_down(line: str) -> None:
    shown = language().parse(line).shown()
    assert "hush" not in shown
    assert ("sms=on" in shlex.split(shlex.split(shown)[-1].partition("=")[2])) == ("sms=on" in line)


def test_what_is_masked_is_shown_in_part() -> None:
    assert SMALL.parse("set bob x='a b' y=c").shown() == "set name=bob 'settings='\"'\"'x=a b'\"'\"' y=*'"


def test_a_password_in_a_url_is_not_shown() -> None:
    line = "queue show https://user:p@ss@shop.example/x?a=b@c"
    assert SMALL.parse(line).shown() == "queue show 'name=https://***@shop.example/x?a=***'"


@pytest.mark.parametrize(
    ("line", "secret", "rest"),
    [
        ("did set 1 webhook_secret=hunter22 sms=on", "hunter22", "sms=on"),
        ("did set 1 'callback_secret=two words'", "two words", "callback_secret="),
        ("did set 1 callback_url=http://bob:hunter22@a.example/x?y=z", "hunter22", "a.example/x?y=***"),
        ("did set 1 webhok_secrets=hunter22", "hunter22", "webhok_secrets="),
        ("did set 1 Webhook_Secret=hunter22 sms=on", "hunter22", "Webhook_Secret="),
        ("did set 1 webhook_sercet=hunter22", "hunter22", "webhook_sercet="),
        ("did set 1 WEBHOOK_SECRET=hunter22", "hunter22", "WEBHOOK_SECRET="),
        ("did set 1 ' webhook_secret=hunter22'", "hunter22", "webhook_secret="),
        ("did set 1 webhook_secret = hunter22 webhook=on", "hunter22", "webhook=on"),
        ("did set 1 webhook_secret hunter22", "hunter22", "settings="),
        ("did set webhook_secret=hunter22 webhook=on", "hunter22", "number=webhook_secret="),
        ("did set 1 email=on email_to=a@b.example", "hunter22", "email=on email_to=a@b.example"),
    ],
)
def test_secrets_of_handlers_are_not_shown(line: str, secret: str, rest: str) -> None:
    shown = language().parse(line).shown()
    assert secret not in shown
    assert rest in shown


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", ["query", "queue", "send", "set"]),
        ("qu", ["query", "queue"]),
        ("queue ", ["ls", "show"]),
        ("queue s", ["show"]),
        ("queue show al", ["albert", "alice"]),
        ("queue show ", ["albert", "alice", "bob"]),
        ("queue show bob ", []),
        ("queue ls ", ["colour=", "limit="]),
        ("queue ls colour=g", ["colour=green"]),
        ("queue ls limit=", []),
        ("nonsense ", []),
        ("send 'al", []),
    ],
)
def test_completion(line: str, found: list[str]) -> None:
    assert SMALL.complete(line) == found


def test_help_shows_all_or_one() -> None:
    assert SMALL.help().splitlines()[0] == "queue ls [limit=…] [colour=…]  list"
    assert len(SMALL.help("queue").splitlines()) == 2
    assert SMALL.help("send").splitlines() == [
        "send NAME TEXT…",
        "",
        "  say",
        "  name        whose",
        "  text        what",
    ]
    with pytest.raises(Misused):
        SMALL.help("queue drop")


def test_two_commands_of_the_same_words_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="same words"):
        Language((*SMALL.commands, SMALL.commands[0]))


def test_the_short_form_that_the_page_names_is_clear() -> None:
    assert language().parse("del l").command.name == "delivery ls"


def test_every_command_can_be_said_by_its_own_words_and_has_help() -> None:
    whole = language()
    for command in whole.commands:
        words = " ".join(
            ["x" for parameter in command.parameters if not parameter.named and parameter.required]
        )
        assert whole.parse(f"{command.name} {words}").command is command
        assert command.help
        assert all(parameter.help for parameter in command.parameters)
