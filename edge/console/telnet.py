"""Telnet, on loopback only: plain clients that negotiate nothing get plain lines, others a terminal.

The server offers to echo (RFC 857) and to suppress go-ahead (RFC 858) and waits for no answer. A client that
agrees to the echo edits its lines with us; one that says nothing (nc, a script) sends whole lines and shows
them itself.
"""

from collections.abc import Callable
from typing import Any

from twisted.conch.telnet import (
    AO,
    AYT,
    BRK,
    DM,
    DO,
    DONT,
    EC,
    ECHO,
    EL,
    EOR,
    GA,
    IAC,
    IP,
    NAWS,
    NOP,
    SB,
    SGA,
    WILL,
    WONT,
    TelnetProtocol,
    TelnetTransport,
)
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure

from edge.console.console import Console
from edge.console.dialogue import Dialogue
from edge.console.login import Login
from edge.console.terminal import Screen, Terminal
from edge.crowd import place

LONGEST_LINE = 16_384
IDLE_SECONDS = 3_600.0
LOGIN_SECONDS = 60.0
COMMANDS = frozenset({IAC, SB, WILL, WONT, DO, DONT, NOP, DM, BRK, IP, AO, AYT, EC, EL, GA, EOR})
"""What may follow an IAC (RFC 854, EOR of RFC 885)."""


class PlainTransport(TelnetTransport):
    """I take the 0xFF of a client that knows no telnet, such as the ÿ of a terminal set to Latin-1, for an
    octet of its line. Twisted's transport raises, and what came before it in the same read is lost."""

    def dataReceived(self, data: bytes) -> None:
        """Octets; an IAC ends a piece, and what follows it says whether it is one."""
        begin = 0
        while begin < len(data):
            if self.state == "escaped" and data[begin : begin + 1] not in COMMANDS:
                super().dataReceived(IAC)  # doubled it is data
            end = data.find(IAC, begin) + 1 or len(data)
            super().dataReceived(data[begin:end])
            begin = end

    def negotiate(self, data: list[bytes]) -> None:
        """A subnegotiation; one of nothing is about nothing."""
        if data:
            super().negotiate(data)


class TelnetConsole(TelnetProtocol):
    """One connection; I begin with lines and become a terminal when the client lets us echo."""

    transport: Any

    def __init__(self, make: Callable[..., Dialogue], clock: IReactorTime) -> None:
        self._make = make
        self._clock = clock
        self._buffer = b""
        self._dialogue: Dialogue | None = None
        self._terminal: Screen | None = None
        self._size = (0, 0)
        self._heard = clock.seconds()
        self._idle = clock.callLater(LOGIN_SECONDS, self._too_long)

    def connectionMade(self) -> None:
        """Greet, and offer what makes a terminal."""
        self.transport.negotiationMap[NAWS] = self._resized
        self._dialogue = self._make(self._say, self.transport.loseConnection)
        self._dialogue.begin()
        for option in (ECHO, SGA):
            self.transport.will(option).addErrback(_refused)
        self.transport.do(NAWS).addErrback(_refused)

    def enableLocal(self, option: bytes) -> bool:
        """The client asks for, or agrees to, what we do."""
        if option == ECHO and self._terminal is None and self._dialogue is not None:
            self._become_terminal(self._dialogue)
        return option in (ECHO, SGA)

    def enableRemote(self, option: bytes) -> bool:
        """What the client offers to do."""
        return option == NAWS

    def disableLocal(self, option: bytes) -> None:
        """It wants no echo after all: it shows its lines itself, and may see them twice."""

    def disableRemote(self, option: bytes) -> None:
        """It will not tell its size."""

    def dataReceived(self, data: bytes) -> None:
        """What is no telnet command."""
        self._heard = self._clock.seconds()
        if self._terminal is not None:
            self._terminal.dataReceived(_newlines(data, b"\r"))
            return
        self._buffer += _newlines(data, b"\n")
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            if self._dialogue is not None:
                self._dialogue.line(line.decode("utf-8", "surrogateescape"))
        if len(self._buffer) > LONGEST_LINE:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """See `IProtocol`."""
        if self._idle.active():
            self._idle.cancel()
        if self._terminal is not None:
            self._terminal.connectionLost(reason)
        elif self._dialogue is not None:
            self._dialogue.closed()

    def _say(self, text: str) -> None:
        self.transport.write(text.encode("utf-8", "replace"))  # which makes CR LF of a newline

    def _too_long(self) -> None:
        """The time for the log-in is over, whatever was said meanwhile; after it, silence counts."""
        if self._dialogue is not None and self._dialogue.operator is not None:
            left = self._heard + IDLE_SECONDS - self._clock.seconds()
            if left > 0:
                self._idle = self._clock.callLater(left, self._too_long)
                return
        self._say("\nNothing was said for too long.\n")
        self.transport.loseConnection()

    def _become_terminal(self, dialogue: Dialogue) -> None:
        """What was said before it was agreed stands behind the prompt."""
        said, self._buffer = self._buffer, b""
        self._terminal = Screen(b"\n", Terminal, dialogue.over, len(dialogue.prompt))
        self._terminal.makeConnection(self.transport)
        self._terminal.terminalProtocol.terminalSize(*self._size)
        self._terminal.dataReceived(said)

    def _resized(self, octets: list[bytes]) -> None:
        """Columns and rows, two octets each (RFC 1073)."""
        if len(octets) != 4:
            return
        size = b"".join(octets)
        self._size = int.from_bytes(size[:2]), int.from_bytes(size[2:])
        if self._terminal is not None:
            self._terminal.terminalProtocol.terminalSize(*self._size)


class TelnetFactory(ServerFactory):
    """What listens."""

    noisy = False

    def __init__(self, console: Console, login: Login, reactor: Any) -> None:
        self._console = console
        self._login = login
        self._reactor = reactor

    def buildProtocol(self, address: Any) -> PlainTransport:
        """See `IProtocolFactory`."""
        where = f"telnet {place(address)}"

        def make(write: Callable[[str], None], close: Callable[[], None]) -> Dialogue:
            return Dialogue(self._console, where, write, close, login=self._login)

        return PlainTransport(TelnetConsole, make, self._reactor)


def _newlines(data: bytes, newline: bytes) -> bytes:
    """Whatever a client sends for Return (RFC 854: CR LF or CR NUL), as one octet."""
    return data.replace(b"\r\n", b"\n").replace(b"\r\0", b"\n").replace(b"\r", b"\n").replace(b"\n", newline)


def _refused(failure: Failure) -> None:
    """The client does not want it, or went before it said so."""
