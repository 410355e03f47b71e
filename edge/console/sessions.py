"""What an operator does over SSH: a terminal, one command, or a script; each channel is a session of its own.

A script is what comes where no terminal is: ``ssh -T host < file``.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.conch.avatar import ConchUser
from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.interfaces import ISession
from twisted.conch.manhole_ssh import TerminalSessionTransport
from twisted.conch.ssh.session import SSHSession
from twisted.internet.defer import Deferred, ensureDeferred
from zope.interface import implementer

from edge.console.console import Operator, Reply
from edge.console.dialogue import LEAVING, spoken
from edge.console.language import LONGEST_LINE

MOST_LINE = 4 * LONGEST_LINE  # octets
MOST_OCTETS = 1 << 20  # of a script that wait
NO_COMMANDS = Reply(False, "there is only a terminal here", None)

Shell = Callable[[Operator], ServerProtocol]
"""Makes what serves a terminal of an operator."""

Execute = Callable[[str, Operator], Deferred[Reply]]
"""Carries out one line."""


class User(ConchUser):
    """Who has logged in; each of his channels is a session of its own."""

    def __init__(self, operator: Operator, shell: Shell, execute: Execute | None) -> None:
        super().__init__()
        self.channelLookup[b"session"] = SSHSession
        self._session = partial(Session, self, operator, shell, execute)

    def __conform__(self, interface: Any) -> Any:
        """What conch asks for when a channel is opened."""
        return self._session() if interface is ISession else None


@implementer(ISession)
class Session:
    """A terminal, one command, or a script."""

    def __init__(self, user: Any, operator: Operator, shell: Shell, execute: Execute | None) -> None:
        self._user = user
        self._operator = operator
        self._shell = shell
        self._execute = execute
        self._size: tuple[int, int] | None = None
        self._screen: Any = None
        self._script: Script | None = None

    def getPty(self, term: bytes, windowSize: tuple[int, int, int, int], attrs: object) -> None:
        """There is a terminal at the other end: rows, columns, and two in pixels."""
        self.windowChanged(windowSize)

    def windowChanged(self, newWindowSize: tuple[int, int, int, int]) -> None:
        """It has another size."""
        rows, columns = newWindowSize[:2]
        self._size = columns, rows
        if self._screen is not None and self._screen.terminalProtocol is not None:
            self._screen.terminalProtocol.terminalSize(columns, rows)

    def openShell(self, proto: Any) -> None:
        """`ssh host`: a terminal; without one (`ssh -T`), a command a line."""
        if self._size is not None:
            self._screen = self._shell(self._operator)
            TerminalSessionTransport(proto, self._screen, self._user, *self._size)
        elif self._execute is None:
            self._refuse(proto)
        else:
            self._script = Script(self._line(self._execute), proto.session)
            proto.makeConnection(self._script)

    def execCommand(self, proto: Any, cmd: bytes) -> None:
        """`ssh host status --json`: one command, its answer, its exit status."""
        if self._execute is None:
            self._refuse(proto)
        else:
            proto.makeConnection(Unheard())
            said = cmd.decode("utf-8", "surrogateescape")
            self._execute(said, self._operator).addCallback(partial(_end, proto.session))

    def _refuse(self, proto: Any) -> None:
        proto.makeConnection(Unheard())
        _end(proto.session, NO_COMMANDS)

    def _line(self, execute: Execute) -> Callable[[str], Deferred[Reply]]:
        return lambda line: execute(line, self._operator)

    def eofReceived(self) -> None:
        """The client has no more to say; what was asked is still answered."""
        if self._script is not None:
            self._script.end()

    def closed(self) -> None:
        """The channel is gone."""
        if self._script is not None:
            self._script.loseConnection()


class Unheard:
    """I am the standard input of a command, none of which reads any."""

    def write(self, octets: bytes) -> None:
        """What a client sends all the same: ssh in a loop of a script sends what was meant for the loop."""

    def loseConnection(self) -> None:
        """See `ITransport`."""


class Script:
    """I carry out lines as a channel brings them, one after another, until their end or `quit`.

    The exit status is 1 when one of them was refused. I am what conch takes for a program's standard input.
    """

    def __init__(self, execute: Callable[[str], Deferred[Reply]], channel: Any) -> None:
        self._execute = execute
        self._channel = channel
        self._buffer = b""
        self._lines: deque[bytes] = deque()
        self._waiting = 0
        self._busy = False
        self._ended = False
        self._closed = False
        self._refused = False

    def write(self, octets: bytes) -> None:
        """The client said something."""
        if self._ended:
            return
        *lines, self._buffer = (self._buffer + octets).split(b"\n")
        self._lines.extend(lines)
        self._waiting += sum(map(len, lines))
        if self._waiting > MOST_OCTETS or len(self._buffer) > MOST_LINE:
            self._lines.clear()
            self._ended = True
            self._answered(Reply(False, "Too many lines at once, or one too long.", None))
        self._go_on()

    def end(self) -> None:
        """The client has no more to say; the last line may lack its end."""
        if self._buffer and not self._ended:
            self.write(b"\n")
        self._ended = True
        self._go_on()

    def loseConnection(self) -> None:
        """Nobody listens any more: what is under way goes on unheard, what waits is not begun."""
        self._ended = self._closed = True
        self._lines.clear()

    def _go_on(self) -> None:
        if not self._busy:
            self._busy = True
            ensureDeferred(self._work())

    async def _work(self) -> None:
        while self._lines:
            octets = self._lines.popleft()
            self._waiting -= len(octets)
            line = octets.decode("utf-8", "surrogateescape").strip()
            if line in LEAVING:
                self._lines.clear()
                self._ended = True
            elif line:
                self._answered(await self._execute(line))
        self._busy = False
        if self._ended and not self._closed:
            self._closed = True
            _exit(self._channel, not self._refused)

    def _answered(self, reply: Reply) -> None:
        self._refused |= not reply.ok
        if not self._closed:
            self._channel.write(spoken(reply).encode())


def _end(channel: Any, reply: Reply) -> None:
    channel.write(spoken(reply).encode())
    _exit(channel, reply.ok)


def _exit(channel: Any, ok: bool) -> None:
    channel.conn.sendRequest(channel, b"exit-status", (0 if ok else 1).to_bytes(4, "big"))
    channel.loseConnection()
