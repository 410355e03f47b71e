"""The client on a memory reactor: whose turn it is, one deadline for the whole, whose answer it is."""

from socket import SHUT_WR, socketpair
from typing import Any, cast

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError, ConnectionAborted, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from edge.http.addresses import policy
from edge.http.answer import Answer
from edge.http.client import HTTPClient, HTTPSettings
from edge.http.connecting import NEXT_SECONDS
from edge.http.connection import MAX_BODY_OCTETS, Connection
from edge.http.errors import NoAnswer
from edge.http.pool import CLOSES_SECONDS, IDLE_SECONDS, REST_SECONDS
from tests.deferreds import failure, pending, success

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FIRST = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
TIMEOUT = 30.0
URL = "http://192.0.2.1/"


class Wire(StringTransport):
    """A transport that notes its end; `gone` is the network's word that it is over."""

    def __init__(self, host: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 80))
        self.protocol: Any = None
        self.ended = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """As TCP's."""

    def abortConnection(self) -> None:
        """Not yet the end: Twisted tells of that a turn of the reactor later."""
        self.ended = True

    def gone(self, reason: Exception | None = None) -> None:
        """Now it is."""
        self.protocol.connectionLost(Failure(reason or ConnectionAborted()))

    def asked(self) -> list[bytes]:
        """The paths of the requests that were written."""
        lines = self.value().split(b"\r\n")
        return [line.split(b" ")[1] for line in lines if line.endswith(b" HTTP/1.1")]


class Rig:
    """A client whose connections the test makes."""

    def __init__(self, **settings: Any) -> None:
        self.reactor: Any = MemoryReactorClock()
        settings = {"timeout": TIMEOUT, "addresses": policy(["0.0.0.0/0"]), **settings}
        self.client = HTTPClient(self.reactor, HTTPSettings(**settings), cast(Any, None))

    @property
    def connecting(self) -> int:
        """Connections that were begun so far."""
        return len(self.reactor.tcpClients)

    def get(self, path: str = "", url: str = URL) -> Deferred[Answer]:
        """A request."""
        return self.client.get(url + path)

    def connect(self, number: int = -1) -> Wire:
        """Let a connection be made."""
        host, _, factory, _, _ = self.reactor.tcpClients[number]
        wire = Wire(host)
        wire.protocol = factory.buildProtocol(None)
        wire.protocol.makeConnection(wire)
        return wire

    def refuse(self, number: int = -1) -> None:
        """Let a connection fail."""
        factory = self.reactor.tcpClients[number][2]
        factory.clientConnectionFailed(None, Failure(ConnectError()))


def answer(wire: Wire, octets: bytes = OK) -> None:
    """The server writes."""
    wire.protocol.dataReceived(octets)


def kept(rig: Rig) -> Wire:
    """A connection that was used once and is idle."""
    asked = rig.get()
    wire = rig.connect()
    answer(wire)
    assert success(asked).body == b"ok"
    rig.reactor.advance(REST_SECONDS)
    return wire


# -- addresses ------------------------------------------------------------------------------------


class Two:
    """A name server: every name has two addresses."""

    def addresses(self, host: str) -> Deferred[list[str]]:
        return succeed(["192.0.2.1", "192.0.2.2"])


def test_a_silent_address_does_not_keep_the_next_one_of_its_name_from_being_tried() -> None:
    rig = Rig()
    settings = HTTPSettings(timeout=TIMEOUT, addresses=policy(["0.0.0.0/0"]))
    rig.client = HTTPClient(rig.reactor, settings, Two())
    asked = rig.get(url="http://two.example/")
    rig.reactor.advance(NEXT_SECONDS - 0.1)
    assert rig.connecting == 1
    rig.reactor.advance(0.1)
    assert [host for host, *_ in rig.reactor.tcpClients] == ["192.0.2.1", "192.0.2.2"]
    answer(rig.connect(1))
    assert success(asked).status == 200
    assert rig.reactor.connectors[0].stoppedConnecting, "the silent one is given up"


# -- places ---------------------------------------------------------------------------------------


def test_an_idle_connection_that_cannot_be_used_takes_no_place() -> None:
    """The server spoke unasked: the connection is being closed when the next request comes."""
    rig = Rig(connections_per_host=1)
    wire = kept(rig)
    answer(wire, b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert wire.ended
    asked = rig.get()
    assert rig.connecting == 2
    wire.gone()
    answer(rig.connect())
    assert success(asked).body == b"ok"
    assert rig.client.pool.connections == 1


def test_the_same_when_it_was_swept_away() -> None:
    rig = Rig(connections_per_host=1)
    wire = kept(rig)
    rig.reactor.advance(IDLE_SECONDS)
    assert wire.ended
    asked = rig.get()
    wire.gone()
    answer(rig.connect())
    assert success(asked).body == b"ok"


@pytest.mark.parametrize("rounds", [60])
def test_no_place_is_lost_however_a_request_ends(rounds: int) -> None:
    rig = Rig(connections_per_host=2)
    for number in range(rounds):
        asked = rig.get()
        match number % 4:
            case 0:
                rig.refuse()
                assert failure(asked, NoAnswer).reason == "connect_failed"
            case 1:
                rig.connect().gone(ConnectionDone())
                assert failure(asked, NoAnswer).reason == "connection_lost"
            case 2:
                asked.cancel()
                assert failure(asked, NoAnswer).reason == "timeout"
                answer(rig.connect())  # nobody asked on it
            case _:
                wire = rig.connect()
                rig.reactor.advance(TIMEOUT)
                assert failure(asked, NoAnswer).reason == "timeout"
                wire.gone()
    rig.reactor.advance(IDLE_SECONDS)
    asked = rig.get()
    answer(rig.connect())
    assert success(asked).body == b"ok"


def test_who_waits_longest_is_told_of_a_connection_that_failed_and_the_next_one_tries_himself() -> None:
    rig = Rig(connections_per_host=1)
    first, second = rig.get("1"), rig.get("2")
    assert rig.connecting == 1
    rig.refuse()
    assert failure(first, NoAnswer).reason == "connect_failed"
    pending(second)
    assert rig.connecting == 2
    answer(rig.connect())
    assert success(second).body == b"ok"


def test_nothing_is_remembered_of_an_origin_that_has_no_connection() -> None:
    rig = Rig()
    kept(rig).gone()
    rig.get()
    rig.refuse()
    assert cast(Any, rig.client.pool)._lanes == {}


def test_with_other_settings_no_connection_of_before_serves_a_request_again() -> None:
    rig = Rig(connections_per_host=3)
    idle = kept(rig)
    busy = rig.get("busy")
    assert idle.asked()[-1] == b"/busy"
    made, waits = rig.get("made"), rig.get("waits")
    wire = rig.connect(1)
    assert rig.connecting == 3, "the third is being made"
    rig.client.configure(HTTPSettings(timeout=TIMEOUT, addresses=policy(["192.0.2.0/24"])))
    answer(idle)
    answer(wire)
    assert (success(busy).body, success(made).body) == (b"ok", b"ok"), "what was asked is answered"
    assert (idle.ended, wire.ended) == (True, True)
    late = rig.connect(2)
    assert (late.ended, late.asked()) == (True, [])
    pending(waits)
    assert rig.connecting == 4
    fresh = rig.connect(3)
    answer(fresh)
    assert success(waits).body == b"ok"
    rig.reactor.advance(REST_SECONDS)
    rig.get("again")
    assert fresh.asked() == [b"/waits", b"/again"]


# -- one deadline ---------------------------------------------------------------------------------


def test_the_wait_for_a_turn_counts() -> None:
    rig = Rig(connections_per_host=1)
    rig.get("hangs")
    wire = rig.connect()
    rig.reactor.advance(1)
    waits = rig.get("waits")
    rig.reactor.advance(TIMEOUT - 2)
    pending(waits)
    rig.reactor.advance(1)  # the first one's time is over: the second one's turn
    wire.gone()
    second = rig.connect()
    assert second.asked() == [b"/waits"]
    pending(waits)
    rig.reactor.advance(1)
    assert failure(waits, NoAnswer).reason == "timeout"
    assert second.ended


def test_who_is_out_of_time_before_his_turn_gives_it_up() -> None:
    rig = Rig(connections_per_host=1, timeout=5.0, connect_timeout=60.0)
    late, later = rig.get("1"), rig.get("2")
    rig.reactor.advance(5)
    assert [failure(one, NoAnswer).reason for one in (late, later)] == ["timeout", "timeout"]
    third = rig.get("3")
    wire = rig.connect(0)
    assert wire.asked() == [b"/3"]
    answer(wire)
    assert success(third).body == b"ok"


def test_redirects_have_no_time_of_their_own() -> None:
    rig = Rig(max_redirects=3)
    asked = rig.get()
    for hop in range(3):
        wire = rig.connect()
        rig.reactor.advance(9)
        location = f"http://192.0.2.{hop + 2}/".encode()
        answer(wire, b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location)
    last = rig.connect()
    rig.reactor.advance(2.9)
    pending(asked)
    rig.reactor.advance(0.1)
    assert failure(asked, NoAnswer).reason == "timeout"
    assert last.ended


# -- redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("location", [b"http://[", b"http://[::1", b"//[x]/", b"http://a]/"])
def test_a_redirect_to_what_is_no_url_is_no_answer(location: bytes) -> None:
    rig = Rig(max_redirects=3)
    asked = rig.get()
    answer(rig.connect(), b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location)
    assert failure(asked, NoAnswer).reason == "redirect_refused"
    assert rig.client.pool.connections == 1  # kept, and free


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "HttpS"])
def test_no_spelling_of_https_is_redirected_to_http(scheme: str) -> None:
    client = cast(Any, Rig().client)
    with pytest.raises(NoAnswer, match="leads to something else"):
        client._target(f"{scheme}://example.net/", "http://example.net/")
    assert client._target(f"{scheme}://example.net/", "HTTPS://example.org/x").endswith("example.org/x")


# -- whose answer it is ---------------------------------------------------------------------------


def test_a_request_that_waits_is_not_written_to_a_connection_that_a_cut_answer_ends() -> None:
    rig = Rig(connections_per_host=1)
    big, waits = rig.get("big"), rig.get("waits")
    wire = rig.connect()
    answer(wire, b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * (MAX_BODY_OCTETS + 1))
    found = success(big)
    assert (found.status, found.cut, len(found.body)) == (200, True, MAX_BODY_OCTETS)
    assert wire.asked() == [b"/big"]
    assert wire.ended
    wire.gone()
    second = rig.connect()
    assert second.asked() == [b"/waits"]
    answer(second)
    assert success(waits).body == b"ok"


def test_a_body_that_just_fits_is_whole_and_its_connection_kept() -> None:
    rig = Rig()
    asked = rig.get()
    wire = rig.connect()
    answer(wire, b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + b"x" * MAX_BODY_OCTETS)
    found = success(asked)
    assert (found.cut, len(found.body), wire.ended) == (False, MAX_BODY_OCTETS, False)
    assert rig.client.pool.connections == 1


@pytest.mark.parametrize("stray", [SECOND, SECOND[:20], b"H", b"\0\0", b"garbage\r\n\r\n"])
def test_what_follows_an_answer_is_nobodys(stray: bytes) -> None:
    """Two answers to one request: whoever asks next must not get the second."""
    rig = Rig(connections_per_host=1)
    first, waits = rig.get("1"), rig.get("2")
    wire = rig.connect()
    answer(wire, FIRST + stray)
    assert success(first).body == b"first"
    pending(waits)
    assert wire.ended
    assert wire.asked() == [b"/1"]
    wire.gone()
    answer(rig.connect())
    assert success(waits).body == b"ok"


def test_the_next_request_goes_out_when_the_answer_is_parsed_to_its_end() -> None:
    rig = Rig(connections_per_host=1)
    first, second = rig.get("1"), rig.get("2")
    wire = rig.connect()
    for octet in FIRST:
        answer(wire, bytes([octet]))
    rig.reactor.advance(REST_SECONDS)
    for octet in SECOND:
        answer(wire, bytes([octet]))
    assert (success(first).body, success(second).body) == (b"first", b"second")
    assert wire.asked() == [b"/1", b"/2"]


def test_who_asks_again_from_within_the_answer_gets_his_own() -> None:
    rig = Rig(connections_per_host=1)
    wire = kept(rig)
    again: list[Deferred[Answer]] = []

    def ask_again(found: Answer) -> Answer:
        again.append(rig.get("2"))
        return found

    first = rig.get("1").addCallback(ask_again)
    answer(wire, FIRST)
    assert success(first).body == b"first"
    answer(wire, SECOND)
    assert success(again[0]).body == b"second"
    assert wire.asked() == [b"/", b"/1", b"/2"]


# -- servers that close -----------------------------------------------------------------------------


def test_a_server_that_closes_after_its_answer_without_a_word_loses_no_request() -> None:
    rig = Rig(connections_per_host=2)
    asked = [rig.get(str(number)) for number in range(20)]
    for number in range(20):
        wire = rig.connect(number)
        answer(wire)
        rig.reactor.advance(REST_SECONDS / 10)
        wire.gone(ConnectionDone())
    assert [success(one).body for one in asked] == [b"ok"] * 20


def test_of_one_that_closes_under_a_request_that_is_remembered() -> None:
    rig = Rig(connections_per_host=1)
    wire = kept(rig)
    lost = rig.get()
    wire.gone(ConnectionDone())
    assert failure(lost, NoAnswer).reason == "connection_lost"
    for number in range(2, 5):
        asked = rig.get()
        assert rig.connecting == number
        wire = rig.connect()
        answer(wire)
        assert success(asked).body == b"ok"
        assert wire.ended  # by this side, before anybody waits for it
        wire.gone()
    rig.reactor.advance(CLOSES_SECONDS)
    wire, before = kept(rig), rig.connecting
    rig.get()
    assert (rig.connecting, len(wire.asked())) == (before, 2)


def test_a_request_is_never_sent_twice() -> None:
    rig = Rig(connections_per_host=1)
    wire = kept(rig)
    lost, before = rig.get(), rig.connecting
    wire.gone(ConnectionDone())
    assert failure(lost, NoAnswer).reason == "connection_lost"
    assert rig.connecting == before


@pytest.mark.parametrize(("octets", "quiet"), [(None, True), (b"", False), (b"HTTP/1.1 408 ", False)])
def test_an_end_that_has_come_but_was_not_read_yet_is_seen(octets: bytes | None, quiet: bool) -> None:
    rig = Rig(connections_per_host=1)
    wire, before = kept(rig), rig.connecting
    ours, theirs = socketpair()
    ours.setblocking(False)
    cast(Any, wire).getHandle = lambda: ours
    with ours, theirs:
        if octets is not None:
            theirs.sendall(octets)
            theirs.shutdown(SHUT_WR)
        rig.get("next")
    assert (b"/next" in wire.asked()) is quiet
    assert rig.connecting == before + (not quiet)


def test_a_connection_that_may_not_be_used_is_not_asked() -> None:
    ended: list[Connection] = []

    def refuse(_: object) -> None:
        raise NoAnswer("address_refused", "no")

    connection = Connection(refuse, ended.append)
    wire = Wire("192.0.2.1")
    wire.protocol = connection
    connection.makeConnection(wire)
    assert wire.ended
    assert failure(connection.ask(b"GET"), NoAnswer).reason == "connection_lost"
    wire.gone()
    assert ended == [connection]
