"""Telnet: the time that a log-in may take, and what is said before the terminal is agreed on."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from edge.console.telnet import IDLE_SECONDS, LOGIN_SECONDS, TelnetFactory
from tests.unit.edge.console.test_dialogue import Passwords, SlowConsole

PEER = IPv4Address("TCP", "127.0.0.1", 40023)
DO_ECHO = b"\xff\xfd\x01"


class Line:
    def __init__(self) -> None:
        self.clock = Clock()
        self.login = Passwords({"alice": "sesame"})
        self.transport = StringTransport(peerAddress=PEER)
        console: Any = SlowConsole()
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


def test_a_password_of_octets_that_are_no_utf8_is_explained() -> None:
    line = Line()
    line.say(b"alice\r\nses\xe4me\r\n")
    assert b"not UTF-8" in line.transport.value()
