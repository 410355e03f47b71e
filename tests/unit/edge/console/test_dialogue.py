"""The talk with an operator: log-in, order, the end."""

from collections.abc import Mapping
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from edge.console.console import Operator, Reply
from edge.console.dialogue import MOST_WAITING, Dialogue
from edge.console.login import FREE_TRIES, Login, Verdict
from edge.passwords import hash_password


class SlowConsole:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Operator]] = []
        self.waiting: list[Deferred[Reply]] = []

    def execute(self, line: str, operator: Operator) -> Deferred[Reply]:
        self.asked.append((line, operator))
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def answer(self, text: str, ok: bool = True, as_json: bool = False) -> None:
        self.waiting.pop(0).callback(Reply(ok, text, {"said": text}, as_json))


class Passwords:
    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = known
        self.asked: list[tuple[str, str, str]] = []

    def check(self, name: str, password: str, where: str) -> Deferred[Verdict]:
        self.asked.append((name, password, where))
        return succeed(Verdict(self.known.get(name) == password))


class Talk:
    def __init__(self, **how: Any) -> None:
        self.console = SlowConsole()
        self.said = ""
        self.ended = 0
        self.dialogue = Dialogue(self.console, "test", self.write, self.close, **how)  # type: ignore[arg-type]
        self.dialogue.begin()

    def write(self, text: str) -> None:
        self.said += text

    def close(self) -> None:
        self.ended += 1

    def heard(self) -> str:
        said, self.said = self.said, ""
        return said


ALICE = Operator("alice", "test")


def test_lines_are_carried_out_one_after_another() -> None:
    talk = Talk(operator=ALICE)
    assert talk.heard().endswith("trunkline> ")
    talk.dialogue.line("status")
    talk.dialogue.line("binds")
    assert talk.console.asked == [("status", ALICE)]
    talk.console.answer("fine")
    assert talk.heard() == "fine\ntrunkline> "
    talk.console.answer("no such", ok=False)
    assert talk.heard() == "error: no such\ntrunkline> "
    talk.dialogue.line("status --json")
    talk.console.answer("é", as_json=True)
    assert talk.heard() == '{"said":"é"}\ntrunkline> '


def test_an_empty_line_is_only_a_prompt_and_quit_is_the_end() -> None:
    talk = Talk(operator=ALICE)
    talk.heard()
    talk.dialogue.line("   ")
    assert talk.heard() == "trunkline> "
    talk.dialogue.line("quit")
    talk.dialogue.line("status")
    assert (talk.ended, talk.console.asked, talk.heard()) == (1, [], "")


def test_an_answer_after_the_end_is_heard_by_nobody() -> None:
    talk = Talk(operator=ALICE)
    talk.dialogue.line("status")
    talk.heard()
    talk.dialogue.closed()
    talk.console.answer("fine")
    assert talk.heard() == ""


def test_too_many_lines_at_once_end_it() -> None:
    talk = Talk(operator=ALICE)
    for _ in range(MOST_WAITING + 2):
        talk.dialogue.line("status")
    assert (talk.ended, len(talk.console.asked)) == (1, 1)


def test_nothing_is_done_before_the_password_is_right() -> None:
    passwords = Passwords({"alice": "sesame"})
    talk = Talk(login=passwords)
    assert talk.heard().endswith("operator: ")
    assert talk.dialogue.complete("sta") == []
    talk.dialogue.line("alice")
    assert (talk.heard(), talk.dialogue.hidden) == ("password: ", True)
    talk.dialogue.line("wrong")
    assert talk.heard() == "That is not right.\noperator: "
    talk.dialogue.line("alice")
    talk.dialogue.line("sesame")
    assert talk.dialogue.operator == ALICE
    assert talk.heard().endswith("trunkline> ")
    assert talk.console.asked == []


def test_three_wrong_passwords_are_the_end() -> None:
    talk = Talk(login=Passwords({}))
    for _ in range(3):
        talk.dialogue.line("alice")
        talk.dialogue.line("guess")
    assert talk.said.endswith("Too many wrong passwords.\n")
    assert talk.ended == 1


class Threads(Clock):
    """A reactor whose threads are this one."""

    def getThreadPool(self) -> "Threads":
        return self

    def callInThreadWithCallback(self, done: Any, work: Any, *arguments: Any) -> None:
        done(True, work(*arguments))

    def callFromThread(self, work: Any, *arguments: Any) -> None:
        work(*arguments)


@pytest.fixture(scope="module")
def hashed() -> str:
    return hash_password("sesame")


def answer(login: Login, name: str, password: str, where: str = "telnet 127.0.0.1:1") -> bool:
    return verdict(login, name, password, where).right


def verdict(login: Login, name: str, password: str, where: str = "telnet 127.0.0.1:1") -> Verdict:
    found: list[Verdict] = []
    login.check(name, password, where).addCallback(found.append)
    return found[0]


def test_passwords_are_checked(hashed: str) -> None:
    login = Login(lambda: {"alice": hashed}, Threads())
    assert answer(login, "alice", "sesame")
    assert not answer(login, "alice", "other")
    assert not answer(login, "bob", "sesame")


def test_who_guesses_wrong_waits_longer_and_longer(hashed: str) -> None:
    clock = Threads()
    login = Login(lambda: {"alice": hashed}, clock)
    for _ in range(FREE_TRIES + 1):
        assert not answer(login, "alice", "guess", "telnet 10.0.0.9:1")
    assert not answer(login, "alice", "sesame", "telnet 10.0.0.9:2"), (
        "the right one too: it may be a lucky guess"
    )
    assert not answer(login, "alice", "sesame", "telnet 10.0.0.8:1"), "nor from another place"
    clock.advance(1.1)
    assert answer(login, "alice", "sesame", "telnet 10.0.0.9:3")
    assert answer(login, "alice", "sesame", "telnet 10.0.0.9:4")


def test_an_ipv6_address_that_guesses_is_not_every_ipv6_address(hashed: str) -> None:
    login = Login(lambda: {"alice": hashed}, Threads())
    for number in range(FREE_TRIES + 1):
        assert not answer(login, f"nobody{number}", "guess", f"telnet [::1]:{number}")
    assert not answer(login, "alice", "sesame", "telnet [::1]:9")
    assert answer(login, "alice", "sesame", "telnet [2001:db8::1]:9")


def test_who_must_wait_is_told_so(hashed: str) -> None:
    clock = Threads()
    login = Login(lambda: {"alice": hashed}, clock)
    for _ in range(FREE_TRIES + 1):
        assert verdict(login, "alice", "guess") == Verdict(False)
    clock.advance(0.5)
    assert verdict(login, "alice", "sesame") == Verdict(False, 0.5)
    talk = Talk(login=login)
    talk.heard()
    talk.dialogue.line("alice")
    talk.dialogue.line("sesame")
    assert "this one was not looked at. Wait 1 s." in talk.said


def test_a_document_cannot_move_the_cursor() -> None:
    talk = Talk(operator=ALICE)
    talk.heard()
    talk.dialogue.line("x --json")
    talk.console.answer("\x9b2J\u202e", as_json=True)
    assert talk.heard() == '{"said":"\\u009b2J\\u202e"}\ntrunkline> '
