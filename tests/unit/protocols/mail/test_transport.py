"""Sessions of mail on connections: time, number, back-pressure, and what is said when a server stops."""

from collections.abc import Sequence
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from protocols.mail.smtp import TLS, Client, Envelope, Reply, Verdict
from protocols.mail.smtp_server import Mail, Settings
from protocols.mail.transport import (
    COMMAND_SECONDS,
    DATA_SECONDS,
    END_SECONDS,
    LINGER,
    ClientProtocol,
    ServerFactory,
)
from tests.deferreds import failure, pending, success

ENVELOPE = b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@y>\r\nDATA\r\n"


class Wire(StringTransport):
    """A TCP connection without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False
        self.encrypted_with: object = None

    def abortConnection(self) -> None:
        self.aborted = True

    def startTLS(self, options: object) -> None:
        self.encrypted_with = options

    @property
    def codes(self) -> list[str]:
        return [line[:3] for line in self.value().decode().splitlines() if line[3] == " "]


class Receiver:
    """Takes everything, and answers when it is told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[Mail, str, Deferred[Sequence[Reply]]]] = []

    def accepts(self, recipient: str) -> Reply | None:
        return None

    def take(self, mail: Mail, peer: str) -> Deferred[Sequence[Reply]]:
        answer: Deferred[Sequence[Reply]] = Deferred()
        self.taken.append((mail, peer, answer))
        return answer


class Door:
    """A listener without a socket."""

    def __init__(self, **limits: int) -> None:
        self.clock = Clock()
        self.receiver = Receiver()
        self.factory = ServerFactory(
            Settings("mx", 100_000, tls=True), self.receiver, self.clock, "context", **limits
        )

    def connect(self, host: str = "192.0.2.1") -> tuple[object, Wire]:
        protocol = self.factory.buildProtocol(IPv4Address("TCP", host, 1))
        wire = Wire()
        protocol.makeConnection(wire)
        return protocol, wire


@pytest.fixture
def door() -> Door:
    return Door()


def feed(protocol: object, octets: bytes) -> None:
    protocol.dataReceived(octets)  # type: ignore[attr-defined]


def lose(protocol: object) -> None:
    protocol.connectionLost(Failure(ConnectionDone()))  # type: ignore[attr-defined]


def test_nothing_is_read_while_a_mail_is_taken(door: Door) -> None:
    protocol, wire = door.connect()
    feed(protocol, ENVELOPE + b"hi\r\n.\r\nNOOP\r\n")
    ((mail, peer, answer),) = door.receiver.taken
    assert (mail.octets, peer) == (b"hi\r\n", "192.0.2.1")
    assert wire.producerState == "paused"
    assert wire.codes == ["220", "250", "250", "250", "354"]
    door.clock.advance(10_000)
    assert not wire.disconnecting, "the sender waits for us, not we for him"
    answer.callback([Reply(250, "2.0.0 Taken")])
    assert wire.producerState == "producing"
    assert wire.codes[5:] == ["250", "250"]


def test_an_answer_that_nobody_hears_any_more(door: Door) -> None:
    protocol, wire = door.connect()
    feed(protocol, ENVELOPE + b"hi\r\n.\r\n")
    lose(protocol)
    door.receiver.taken[0][2].callback([Reply(250, "x")])
    assert wire.codes[-1] == "354"
    assert door.factory.open == set()


def test_who_says_an_octet_now_and_then_gets_nowhere(door: Door) -> None:
    protocol, wire = door.connect()
    for _ in range(int(COMMAND_SECONDS // 60)):
        feed(protocol, b"N")
        door.clock.advance(60)
    assert wire.codes == ["220", "421"]
    assert wire.disconnecting
    door.clock.advance(LINGER)
    assert wire.aborted


def test_a_whole_mail_has_its_time(door: Door) -> None:
    protocol, wire = door.connect()
    feed(protocol, ENVELOPE)
    for _ in range(int(DATA_SECONDS // 60)):
        assert not wire.disconnecting
        feed(protocol, b"slowly\r\n")
        door.clock.advance(60)
    assert wire.codes[-1] == "421"


def test_a_command_gives_new_time(door: Door) -> None:
    protocol, wire = door.connect()
    for _ in range(5):
        door.clock.advance(COMMAND_SECONDS - 1)
        feed(protocol, b"NOOP\r\n")
    assert wire.codes == ["220"] + ["250"] * 5


def test_starttls_takes_the_certificate(door: Door) -> None:
    protocol, wire = door.connect()
    feed(protocol, b"EHLO me\r\nSTARTTLS\r\nNOOP\r\n")
    assert wire.encrypted_with == "context"
    assert wire.codes == ["220", "250", "220"]


def test_connections_are_counted() -> None:
    door = Door(most=3, most_of_one=2)
    first, _ = door.connect()
    door.connect()
    _, turned = door.connect()
    assert turned.value() == b"421 mx 4.7.0 Too many connections\r\n"
    assert turned.disconnecting
    door.connect("192.0.2.2")
    _, turned = door.connect("192.0.2.3")
    assert turned.codes == ["421"]
    lose(first)
    _, wire = door.connect("192.0.2.3")
    assert wire.codes == ["220"]


def test_a_server_that_stops_answers_what_it_has_taken(door: Door) -> None:
    idle, busy = door.connect(), door.connect()
    feed(busy[0], ENVELOPE + b"hi\r\n.\r\n")
    door.factory.stop()
    assert idle[1].codes == ["220", "421"]
    assert busy[1].codes[-1] == "354"
    door.receiver.taken[0][2].callback([Reply(250, "2.0.0 Taken")])
    assert busy[1].codes[-2:] == ["250", "421"]
    assert door.connect()[1].codes == ["421"]


# -- the client -----------------------------------------------------------------------------------


class Call:
    """A client on a connection."""

    def __init__(self, tls: TLS = TLS.OFF) -> None:
        self.clock = Clock()
        self.wire = Wire()
        client = Client("me", Envelope("a@b", "x@y", b"hi\n"), tls)
        self.protocol = ClientProtocol(client, self.clock, lambda: "options")
        self.protocol.makeConnection(self.wire)

    def says(self, *lines: str) -> None:
        self.protocol.dataReceived("".join(f"{line}\r\n" for line in lines).encode())


def test_a_mail_goes_out_and_the_connection_ends() -> None:
    call = Call()
    for line in ("220 x", "250 x", "250 x", "250 x", "354 x"):
        call.says(line)
        pending(call.protocol.done)
    call.says("250 queued")
    assert success(call.protocol.done).outcome == "sent"
    assert call.wire.value().endswith(b"hi\r\n.\r\nQUIT\r\n")
    assert call.wire.disconnecting
    lose(call.protocol)
    assert call.clock.getDelayedCalls() == []


def test_a_server_that_hangs_up_or_says_nothing() -> None:
    call = Call()
    lose(call.protocol)
    assert success(call.protocol.done) == Verdict("connection_lost", None, False, "greeting")
    call = Call()
    call.clock.advance(COMMAND_SECONDS)
    assert success(call.protocol.done) == Verdict("timeout", None, False, "greeting")
    assert call.wire.aborted


def test_the_answer_to_the_whole_mail_may_take_longer() -> None:
    call = Call()
    call.says("220 x", "250 x", "250 x", "250 x", "354 x")
    call.clock.advance(END_SECONDS - 1)
    pending(call.protocol.done)
    call.clock.advance(1)
    assert success(call.protocol.done) == Verdict("timeout", None, False, "end")


def test_starttls_is_followed_by_ehlo() -> None:
    call = Call(TLS.REQUIRED)
    call.says("220 x")
    call.says("250-x", "250 STARTTLS")
    call.says("220 go")
    assert call.wire.encrypted_with == "options"
    assert call.wire.value().endswith(b"STARTTLS\r\nEHLO me\r\n")


def test_tls_fails_before_the_server_has_spoken_and_not_after() -> None:
    """What opportunistic TLS is tried without next: never a mail that may have arrived."""
    for heard, verdict in (
        ((), Verdict("tls_failed", None, False, "ehlo")),
        (("250 x",), Verdict("connection_lost", None, False, "mail")),
        (("250 x", "250 x", "250 x", "354 x"), Verdict("connection_lost", None, False, "end")),
    ):
        call = Call(TLS.OPPORTUNISTIC)
        call.says("220 x")
        call.says("250-x", "250 STARTTLS")
        call.says("220 go")
        for line in heard:
            call.says(line)
        call.protocol.connectionLost(Failure(SSL.Error([("SSL routines", "", "bad record mac")])))
        assert success(call.protocol.done) == verdict


def test_who_waits_no_longer_ends_the_session() -> None:
    call = Call()
    call.says("220 x", "250 x", "250 x", "250 x")
    call.protocol.done.cancel()
    failure(call.protocol.done, CancelledError)
    assert call.wire.aborted
    call.says("354 x")
    assert not call.wire.value().endswith(b"hi\r\n.\r\n")
    lose(call.protocol)
    assert call.clock.getDelayedCalls() == []


def test_a_client_that_does_not_read_is_not_read_from(door: Door) -> None:
    protocol: Any
    protocol, wire = door.connect()
    assert wire.producerState == "producing"
    protocol.pauseProducing()
    assert wire.producerState == "paused"
    protocol.resumeProducing()
    assert wire.producerState == "producing"
    feed(protocol, ENVELOPE + b"hi\r\n.\r\n")
    assert wire.producerState == "paused", "a mail is being taken"
    protocol.pauseProducing()
    protocol.resumeProducing()
    assert wire.producerState == "paused"
    door.receiver.taken[0][2].callback([Reply(250, "2.0.0 Taken")])
    assert wire.producerState == "producing"
    feed(protocol, b"QUIT\r\n")
    assert wire.producer is None
    assert wire.disconnecting
