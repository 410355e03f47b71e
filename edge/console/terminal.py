"""A terminal: the dialogue with line editing, history and completion, over SSH or telnet."""

from collections.abc import Callable
from os.path import commonprefix

from twisted.conch.recvline import HistoricRecvLine

from edge.console.dialogue import Dialogue

CTRL_C, CTRL_D, CTRL_L, CTRL_U = b"\x03", b"\x04", b"\x0c", b"\x15"
MOST_HISTORY = 500

MakeDialogue = Callable[[Callable[[str], None], Callable[[], None]], Dialogue]
"""Builds a dialogue from how to write and how to close."""


class Terminal(HistoricRecvLine):
    """I edit lines for a `Dialogue`, which ``make`` builds from how to write and how to close."""

    def __init__(self, make: MakeDialogue) -> None:
        super().__init__()
        self._make = make
        self._dialogue: Dialogue

    def connectionMade(self) -> None:
        """The terminal is there."""
        super().connectionMade()
        self.keyHandlers.update(
            {
                CTRL_C: self.handle_INT,
                CTRL_D: self.handle_EOF,
                CTRL_L: self.handle_CLEAR,
                CTRL_U: self.handle_KILL,
            }
        )
        self._dialogue = self._make(self.say, self.terminal.loseConnection)
        self.terminal.reset()
        self._dialogue.begin()

    def connectionLost(self, reason: object) -> None:
        """The terminal is gone."""
        self._dialogue.closed()
        super().connectionLost(reason)

    def say(self, text: str) -> None:
        """Write text with plain newlines."""
        self.terminal.write(text.replace("\n", "\r\n").encode())

    # -- what conch calls -------------------------------------------------------------------------

    def drawInputLine(self) -> None:
        """The prompt is the dialogue's business; here only what was typed so far."""
        if not self._dialogue.hidden:
            self.terminal.write(b"".join(self.lineBuffer))

    def characterReceived(self, ch: bytes, moreCharactersComing: bool) -> None:
        """A key that is a character; a password is kept, not shown."""
        if self._dialogue.hidden:
            self.lineBuffer[self.lineBufferIndex : self.lineBufferIndex + 1] = [ch]
            self.lineBufferIndex += 1
        else:
            super().characterReceived(ch, moreCharactersComing)

    def handle_BACKSPACE(self) -> None:
        """Also in a password."""
        if self._dialogue.hidden:
            if self.lineBufferIndex:
                self.lineBufferIndex -= 1
                del self.lineBuffer[self.lineBufferIndex]
        else:
            super().handle_BACKSPACE()

    def handle_RETURN(self) -> None:
        """A line is done; a password never gets into the history."""
        if self._dialogue.hidden:
            line = b"".join(self.lineBuffer)
            self.lineBuffer, self.lineBufferIndex = [], 0
            self.terminal.nextLine()
            self.lineReceived(line)
        else:
            del self.historyLines[:-MOST_HISTORY]
            super().handle_RETURN()

    def lineReceived(self, line: bytes) -> None:
        """See `HistoricRecvLine`."""
        self._dialogue.line(line.decode("utf-8", "replace"))

    def handle_TAB(self) -> None:
        """Complete as far as it is clear, else show what there is."""
        begun = b"".join(self.lineBuffer[: self.lineBufferIndex]).decode("utf-8", "replace")
        found = self._dialogue.complete(begun)
        if not found:
            return
        last = "" if not begun or begun[-1].isspace() else begun.split()[-1]
        common = commonprefix(found)  # noqa: RUF071 - of words, not of paths
        more = common[len(last) :] if common.startswith(last) else ""
        if len(found) == 1 and not common.endswith("="):
            more += " "
        if more:
            for character in more.encode():
                self.characterReceived(bytes((character,)), True)
        else:
            self.terminal.nextLine()
            self.say("  ".join(found) + "\n" + self._dialogue.prompt)
            self.drawInputLine()

    def handle_INT(self) -> None:
        """Forget the line."""
        self.lineBuffer, self.lineBufferIndex = [], 0
        self.terminal.nextLine()
        self.say(self._dialogue.prompt)

    def handle_EOF(self) -> None:
        """On an empty line: the end."""
        if not self.lineBuffer:
            self.terminal.nextLine()
            self.terminal.loseConnection()

    def handle_CLEAR(self) -> None:
        """A clean screen."""
        self.terminal.reset()
        self.say(self._dialogue.prompt)
        self.drawInputLine()

    def handle_KILL(self) -> None:
        """Take back what stands before the cursor."""
        for _ in range(self.lineBufferIndex):
            self.handle_BACKSPACE()
