"""The console over a UNIX socket that only its owner may open: `trunkline ctl`.

A request is a line of JSON, {"line": "queue ls"} or {"complete": "que"}; so is the answer: {"ok", "text",
"document"} or {"words"}. Who speaks is the peer's user on this machine, as the kernel says (SO_PEERCRED).
"""

import pwd
import socket
import struct
from pathlib import Path
from typing import Any

import orjson
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from edge.console.console import Console, Operator, Reply
from edge.console.dialogue import MOST_WAITING
from edge.console.language import NOT_UTF8, TOO_LONG

LONGEST_LINE = 65_536
CLIENT_SECONDS = 600.0
_UCRED = struct.Struct("3i")


class CtlProtocol(LineOnlyReceiver):
    """One connection: answers come in the order of the questions."""

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_LINE

    def __init__(self, console: Console) -> None:
        self._console = console
        self._turn = DeferredLock()
        self._ended = False

    def lineReceived(self, line: bytes) -> None:
        """One request."""
        if self._ended:
            return
        if len(self._turn.waiting) >= MOST_WAITING:
            self._reply(Reply(False, "Too many lines at once.", None))
            self._ended = True
            self.transport.loseConnection()  # type: ignore[union-attr]
            return
        self._turn.run(self._one, line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """No request is so long: say so, and read no more."""
        if not self._ended:
            self._reply(Reply(False, TOO_LONG, None))
            self._ended = True
        self.transport.loseConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """What is under way goes on unheard; what waits is not begun."""
        self._ended = True

    def _one(self, line: bytes) -> Deferred[None] | None:
        """Answered when it fires: what is answered after the lock is let go comes behind the next answer."""
        if self._ended:
            return None
        try:
            asked = orjson.loads(line)
            if "complete" in asked:
                self._answer({"words": self._console.complete(str(asked["complete"]))})
                return None
            said = str(asked["line"])
        except (ValueError, KeyError, TypeError):
            self._reply(Reply(False, "expected a line of JSON with 'line'", None))
            return None
        return self._console.execute(said, self._operator()).addCallback(self._reply)

    def _reply(self, reply: Reply) -> None:
        self._answer({"ok": reply.ok, "text": reply.text, "document": reply.document})

    def _answer(self, document: dict[str, Any]) -> None:
        if not self._ended:
            self.sendLine(orjson.dumps(document, default=str))

    def _operator(self) -> Operator:
        """Who the kernel says it is."""
        handle = self.transport.getHandle()  # type: ignore[union-attr]
        raw = handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, _ = _UCRED.unpack(raw)
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        return Operator(name, f"ctl pid {pid}")


class CtlFactory(Factory):
    """What listens at the socket."""

    noisy = False

    def __init__(self, console: Console) -> None:
        self._console = console

    def buildProtocol(self, address: Any) -> CtlProtocol:
        """See `IProtocolFactory`."""
        protocol = CtlProtocol(self._console)
        protocol.factory = self
        return protocol


class Client:
    """I ask a running server; for programs without a reactor. Raises OSError when there is none."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(CLIENT_SECONDS)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def ask(self, question: dict[str, str]) -> dict[str, Any]:
        """One request, one answer. Raises OSError when the server is gone, ValueError for no Unicode."""
        try:
            asked = orjson.dumps(question)
        except TypeError as error:
            raise ValueError(NOT_UTF8) from error
        self._socket.sendall(asked + b"\n")
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server has closed the connection")
        answer: dict[str, Any] = orjson.loads(line)
        return answer

    def close(self) -> None:
        """No more questions."""
        self._file.close()
        self._socket.close()
