"""Telnet: the time that a log-in may take, and what is said before the terminal is agreed on."""

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from edge.console.console import Operator, Reply
from edge.console.telnet import IDLE_SECONDS, LOGIN_SECONDS, TelnetFactory
from tests.unit.edge.console.test_dialogue import Passwords

PEER = IPv4Address("TCP", "127.0.0.1", 40023)
DO_ECHO = b"\xff\xfd\x01"
LATIN = b"first\ngr\xff\xdfe\r\n\xff\nlast\n"


class Console:
    """Answers at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def execute(self, line: str, operator: Operator) -> Deferred[Reply]:
        self.lines.append(line)
        return succeed(Reply(True, "done", None))


class Line:
    def __init__(self) -> None:
        self.clock = Clock()
        self.login = Passwords({"alice": "sesame"})
        self.transport = StringTransport(peerAddress=PEER)
        self.console = Console()
        console: Any = self.console
        login: Any = self.login
        factory = TelnetFactory(console, login, self.clock)
        self.protocol: Any = factory.buildProtocol(PEER)
        self.protocol.makeConnection(self.transport)

    def say(self, octets: bytes) -> None:
        self.protocol.dataReceived(octets)


def test_a_login_takes_its_time_once() -> None:
    line = Line()
    for _ in range(5):
        line.clock.advance(LOGIN_SECONDS / 6)
        line.say(b"a")
    assert not line.transport.disconnecting
    line.clock.advance(LOGIN_SECONDS / 6)
    assert line.transport.disconnecting, "who says a letter now and then keeps no place"


def test_who_has_logged_in_may_be_silent_for_longer() -> None:
    line = Line()
    line.clock.advance(LOGIN_SECONDS - 1)
    line.say(b"alice\r\nsesame\r\n")
    line.clock.advance(IDLE_SECONDS - 1)
    assert not line.transport.disconnecting
    line.say(b"\r\n")
    line.clock.advance(2)
    assert not line.transport.disconnecting
    line.clock.advance(IDLE_SECONDS)
    assert line.transport.disconnecting


def test_what_was_said_before_the_terminal_is_not_lost() -> None:
    line = Line()
    line.say(b"ali")
    line.say(DO_ECHO)
    line.say(b"ce\r\0sesame\r\0")
    assert line.login.asked == [("alice", "sesame", "telnet 127.0.0.1:40023")]


@pytest.mark.parametrize("cut", range(len(LATIN)))
def test_an_octet_that_telnet_means_itself_is_one_of_its_line(cut: int) -> None:
    """\xff of Latin-1, which is IAC, from a client that knows no telnet; wherever a segment ends."""
    line = Line()
    line.say(b"alice\nsesame\n")
    line.say(LATIN[:cut])
    line.say(LATIN[cut:])
    assert line.console.lines == ["first", "gr\udcff\udcdfe", "\udcff", "last"]
    assert not line.transport.disconnecting


def test_before_the_log_in_too() -> None:
    line = Line()
    line.say(b"al\xfffred\nses\xffame\nalice\nsesame\n")
    assert b"not UTF-8" in line.transport.value()
    assert [name for name, _, _ in line.login.asked] == ["al\udcfffred", "alice"]


def test_a_subnegotiation_of_nothing_is_nothing() -> None:
    line = Line()
    line.say(b"ali\xff\xfa\xff\xf0ce\nsesame\n")
    assert line.login.asked == [("alice", "sesame", "telnet 127.0.0.1:40023")]


def test_a_password_of_octets_that_are_no_utf8_is_explained() -> None:
    line = Line()
    line.say(b"alice\r\nses\xe4me\r\n")
    assert b"not UTF-8" in line.transport.value()
