"""Who may come in by SSH, how long he may take, and what a script is answered."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from twisted.conch.ssh.service import SSHService
from twisted.conch.ssh.transport import DISCONNECT_BY_APPLICATION, DISCONNECT_PROTOCOL_ERROR
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from edge.console.console import Reply
from edge.console.sessions import MOST_LINE, MOST_OCTETS, Script
from edge.console.ssh import LOGIN_SECONDS, MOST_KEYS, Connection, Listener, LogIn, host_key
from edge.crowd import AtMost

PEER = IPv4Address("TCP", "127.0.0.1", 40022)


class Door:
    """A listener for two, with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        keys = folder / "authorized_keys"
        keys.write_text("")
        listener = Listener(host_key(folder / "key"), keys, "ssh", self.clock, lambda operator: None)  # type: ignore[arg-type,return-value]
        self.factory = AtMost(2, listener)
        self.factory.doStart()

    def connect(self) -> "tuple[Any, StringTransport] | None":
        wrapper = self.factory.buildProtocol(PEER)
        if wrapper is None:
            return None
        transport = StringTransport(peerAddress=PEER)
        wrapper.makeConnection(transport)
        return wrapper, transport


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_the_silent_make_room_for_others(door: Door) -> None:
    first, second = door.connect(), door.connect()
    assert first is not None
    assert second is not None
    assert door.connect() is None
    door.clock.advance(LOGIN_SECONDS - 1)
    assert not first[1].disconnecting
    with capture_logs() as logs:
        door.clock.advance(1)
    assert [entry["where"] for entry in logs if entry["event"] == "console_login_refused"] == [
        "ssh 127.0.0.1:40022",
        "ssh 127.0.0.1:40022",
    ]
    for wrapper, transport in (first, second):
        assert transport.disconnecting
        wrapper.connectionLost(Failure(connectionDone.value))
    assert door.connect() is not None


class LoggedIn(SSHService):
    name = b"ssh-connection"


def test_who_has_logged_in_may_stay(door: Door) -> None:
    connected = door.connect()
    assert connected is not None
    wrapper, transport = connected
    wrapper.wrappedProtocol.setService(LoggedIn())
    door.clock.advance(LOGIN_SECONDS * 10)
    assert not transport.disconnecting
    wrapper.connectionLost(Failure(connectionDone.value))
    assert door.clock.getDelayedCalls() == []


def test_who_goes_leaves_no_timer(door: Door) -> None:
    connected = door.connect()
    assert connected is not None
    connected[0].connectionLost(Failure(connectionDone.value))
    assert door.clock.getDelayedCalls() == []


def test_a_few_keys_are_tried() -> None:
    assert LogIn.attemptsBeforeDisconnect == MOST_KEYS == 6


class Noisy:
    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, message: str, **values: object) -> None:
        self.errors.append(message)


def test_a_goodbye_is_no_error_and_an_error_is_one() -> None:
    connection: Any = Connection()
    connection._log = Noisy()
    connection.receiveError(DISCONNECT_BY_APPLICATION, b"disconnected by user")
    assert connection._log.errors == []
    connection.receiveError(DISCONNECT_PROTOCOL_ERROR, b"nonsense")
    assert len(connection._log.errors) == 1


class Channel:
    """What a script writes to."""

    def __init__(self) -> None:
        self.conn = self
        self.written = b""
        self.status: int | None = None
        self.closed = 0

    def write(self, octets: bytes) -> None:
        self.written += octets

    def sendRequest(self, channel: object, kind: bytes, data: bytes) -> None:
        assert kind == b"exit-status"
        self.status = int.from_bytes(data)

    def loseConnection(self) -> None:
        self.closed += 1


class Scripted:
    def __init__(self) -> None:
        self.channel = Channel()
        self.asked: list[str] = []
        self.waiting: list[Deferred[Reply]] = []
        self.script = Script(self.execute, self.channel)

    def execute(self, line: str) -> Deferred[Reply]:
        self.asked.append(line)
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def answer(self, text: str, ok: bool = True) -> None:
        self.waiting.pop(0).callback(Reply(ok, text, None))


def test_lines_of_a_script_are_answered_in_order_also_after_its_end() -> None:
    talk = Scripted()
    talk.script.write(b"stat")
    talk.script.write("us\n\nsend 1 2 über €".encode())
    talk.script.end()
    assert talk.asked == ["status"]
    talk.answer("fine")
    assert talk.asked == ["status", "send 1 2 über €"]
    assert talk.channel.closed == 0
    talk.answer("queued")
    assert (talk.channel.written, talk.channel.status, talk.channel.closed) == (b"fine\nqueued\n", 0, 1)


def test_a_script_with_something_refused_fails_in_the_end() -> None:
    talk = Scripted()
    talk.script.write(b"nonsense\nstatus\nquit\nbinds\n")
    talk.answer("no such", ok=False)
    talk.answer("fine")
    assert (talk.asked, talk.channel.status) == (["nonsense", "status"], 1)
    assert talk.channel.written == b"error: no such\nfine\n"


@pytest.mark.parametrize("said", [b"x" * (MOST_LINE + 1), b"status\n" * (MOST_OCTETS // 6 + 2)])
def test_a_script_is_bounded(said: bytes) -> None:
    talk = Scripted()
    talk.script.write(said)
    assert (talk.asked, talk.channel.status, talk.channel.closed) == ([], 1, 1)


def test_a_script_whose_operator_has_gone_is_not_gone_on_with() -> None:
    talk = Scripted()
    talk.script.write(b"status\nbinds\n")
    talk.script.loseConnection()
    talk.answer("fine")
    assert (talk.asked, talk.channel.written, talk.channel.closed) == (["status"], b"", 0)
