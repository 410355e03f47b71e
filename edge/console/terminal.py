"""A terminal: the dialogue with line editing, history and completion, over SSH or telnet, in UTF-8.

What conch calls a terminal (keys, the screen) is used; its lines (`RecvLine`) are not: they drop what is not
ASCII, count octets for characters, and clear the screen.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from os.path import commonprefix
from typing import Any

from twisted.conch.insults.insults import ServerProtocol, TerminalProtocol

from edge.console.dialogue import Dialogue
from edge.console.editor import History, Line, flow
from edge.console.language import LONGEST_LINE, TOO_LONG
from edge.visible import escaped

CTRL_LEFT, CTRL_RIGHT = (b"\x1b[1;5D", b"\x1b[5D"), (b"\x1b[1;5C", b"\x1b[5C")
ALT_LEFT, ALT_RIGHT = b"\x1b[1;3D", b"\x1b[1;3C"
BELL = b"\a"
MOST_OF_A_KEY = 64  # octets of what a terminal sends for one
COLUMNS = 80  # of a terminal that does not say

MakeDialogue = Callable[[Callable[[str], None], Callable[[], None]], Dialogue]
"""Builds a dialogue from how to write and how to close."""

_NOT_TYPED = re.compile("[\x00-\x1f\x7f-\x9f]")
_OCTETS = re.compile("[\udc80-\udcff]")


class Characters:
    """I make characters of octets as they come, UTF-8 over as many reads as it takes.

    Octets that are something else become lone surrogates, as ``surrogateescape`` has them: whoever reads the
    line can tell, and refuse it, rather than lose them.
    """

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")

    def more(self, octets: bytes) -> str:
        """What is whole now."""
        return self._decoder.decode(octets)

    def rest(self) -> str:
        """What never became whole, since something else follows."""
        return self._decoder.decode(b"", final=True)


class Screen(ServerProtocol):
    """The operator's screen: it is his, so it is not cleared when he comes or goes.

    ``newline`` is what the way there wants for one: telnet's transport makes CR LF of LF by itself.
    """

    terminalProtocol: Any

    def __init__(self, newline: bytes, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._newline = newline

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`. A key that has no end is no key."""
        talk = self.terminalProtocol if isinstance(self.terminalProtocol, Terminal) else None
        if talk is not None:
            talk.gather()
        super().dataReceived(data)
        if talk is not None:
            talk.settle()
        if self.state == b"bracket-escaped" and len(self.escBuf) > MOST_OF_A_KEY:
            self.loseConnection()

    def write(self, data: bytes) -> None:
        """See `ITransport`."""
        self.lastWrite = data
        self.transport.write(data.replace(b"\n", self._newline))  # type: ignore[union-attr]

    def loseConnection(self) -> None:
        """See `ITransport`. What is on the screen stays to be read."""
        self.transport.loseConnection()  # type: ignore[union-attr]


class Terminal(TerminalProtocol):
    """I edit lines for a `Dialogue`, which ``make`` builds from how to write and how to close.

    ``column`` is where the cursor stands when I come in the middle of a talk: behind its prompt.
    """

    terminal: Any

    def __init__(self, make: MakeDialogue, column: int = 0) -> None:
        self._make = make
        self._dialogue: Dialogue
        self._line = Line()
        self._history = History()
        self._characters = Characters()
        self._columns = COLUMNS
        self._start = column  # the cell where the line begins, and where its cursor is
        self._at = column
        self._gathering = self._undrawn = self._cut = False

    def gather(self) -> None:
        """Many keys come at once, as of a paste: what stands behind the cursor is drawn when all are here."""
        self._gathering = True

    def settle(self) -> None:
        """That were all."""
        self._gathering = False
        self._draw_again()

    def connectionMade(self) -> None:
        """The terminal is there."""
        self._keys = self._own_keys()
        self._words = self._word_keys()
        self._dialogue = self._make(self.say, self.terminal.loseConnection)
        self._dialogue.begin()

    def connectionLost(self, reason: object) -> None:
        """The terminal is gone."""
        self._dialogue.closed()

    def terminalSize(self, width: int, height: int) -> None:
        """What is on the screen stays there; what is typed next is placed by the new width."""
        self._draw_again()
        columns = width or COLUMNS
        self._start %= columns
        self._columns = columns
        self._at = flow(self._shown(self._line.before), self._start, columns)

    def say(self, text: str) -> None:
        """Write text with plain newlines; what is being typed moves behind it."""
        self._erase()
        self._undrawn = False
        self.terminal.write(text.encode("utf-8", "replace"))
        *lines, last = text.split("\n")
        self._start = flow(last, 0 if lines else self._start, self._columns) % self._columns
        self._at = self._start
        self._draw()

    # -- keys -------------------------------------------------------------------------------------

    def _own_keys(self) -> dict[bytes, Callable[[], None]]:
        """The keys as readline has them, by conch's names."""
        screen, line = self.terminal, self._editing
        back, back_space = line(Line.left), line(Line.backspace)
        return {
            screen.LEFT_ARROW: back,
            screen.RIGHT_ARROW: line(Line.right),
            screen.HOME: line(Line.home),
            screen.END: line(Line.end),
            screen.DELETE: line(Line.delete),
            screen.BACKSPACE: back_space,
            screen.UP_ARROW: self._older,
            screen.DOWN_ARROW: self._newer,
            screen.TAB: self._complete,
            _control("A"): line(Line.home),
            _control("B"): back,
            _control("C"): self._forget,
            _control("D"): self._leave_or_delete,
            _control("E"): line(Line.end),
            _control("F"): line(Line.right),
            _control("H"): back_space,
            _control("K"): line(Line.cut_to_end),
            _control("L"): self._clear,
            _control("N"): self._newer,
            _control("P"): self._older,
            _control("U"): line(Line.cut_to_start),
            _control("W"): line(Line.cut_word),
            _control("Y"): lambda: self._typed(self._line.taken),
            b"\r": self._return,
            b"\n": self._return,
        }

    def _word_keys(self) -> dict[bytes, Callable[[], None]]:
        """What is typed with Alt, or what a terminal sends for an arrow with Ctrl or Alt."""
        left, right = self._editing(Line.word_left), self._editing(Line.word_right)
        cut_left = self._editing(Line.cut_word_left)
        return {
            b"b": left,
            b"f": right,
            b"d": self._editing(Line.cut_word_right),
            self.terminal.BACKSPACE: cut_left,
            _control("H"): cut_left,
            **dict.fromkeys((*CTRL_LEFT, ALT_LEFT), left),
            **dict.fromkeys((*CTRL_RIGHT, ALT_RIGHT), right),
        }

    def _editing(self, change: Callable[[Line], None]) -> Callable[[], None]:
        return lambda: self._edit(lambda: change(self._line))

    def keystrokeReceived(self, keyID: bytes, modifier: object) -> None:
        """See `ITerminalProtocol`: a key by its name, or one octet of a character."""
        if len(keyID) == 1 and keyID[0] >= 0x80:
            self._typed(self._characters.more(keyID))
            return
        self._typed(self._characters.rest())
        keys = self._keys if modifier is None else self._words if modifier == self.terminal.ALT else {}
        key = keys.get(keyID)
        if key is not None:
            key()
        elif len(keyID) == 1 and modifier is None:
            self._typed(keyID.decode("ascii"))

    def unhandledControlSequence(self, seq: bytes) -> None:
        """A key that conch has no name for: an arrow with Ctrl or Alt, or one without a meaning here."""
        key = self._words.get(seq)
        if key is not None:
            key()

    def _typed(self, text: str) -> None:
        if not text:
            return
        too_long = len(self._line.text) + len(text) > LONGEST_LINE
        if too_long or _NOT_TYPED.search(text):
            self._cut = self._cut or too_long
            self.terminal.write(BELL)
            return
        if _OCTETS.search(text):
            self.terminal.write(BELL)
        if (self._line.after or self._line.joins(text)) and not self._dialogue.hidden:
            self._edit(lambda: self._line.insert(text))
            return
        self._line.insert(text)
        if not self._undrawn:
            self._show(self._shown(text))

    def _edit(self, change: Callable[[], None]) -> None:
        if not self._undrawn:
            self._erase()
        change()
        self._undrawn = True
        if not self._gathering:
            self._draw_again()

    def _older(self) -> None:
        self._recall(self._history.older(self._line.text))

    def _newer(self) -> None:
        self._recall(self._history.newer())

    def _recall(self, line: str | None) -> None:
        if line is not None and not self._dialogue.hidden:
            self._edit(lambda: self._line.set(line))

    def _return(self) -> None:
        """A line is done; a password never gets into the history. What was cut is not carried out."""
        self._to_end()
        line, hidden, cut = self._line.text, self._dialogue.hidden, self._cut
        self._new_line()
        if cut:
            self.say(f"{TOO_LONG}\n{self._dialogue.prompt}")
            return
        if not hidden and self._dialogue.operator is not None:
            self._history.add(line)
        self._dialogue.line(line)

    def _complete(self) -> None:
        """Complete as far as it is clear, else show what there is."""
        begun = self._line.before
        found = [] if self._dialogue.hidden else self._dialogue.complete(begun)
        if not found:
            return
        last = "" if not begun or begun[-1].isspace() else begun.split()[-1]
        common = commonprefix(found)  # noqa: RUF071 - of words, not of paths
        more = common[len(last) :] if common.startswith(last) else ""
        if len(found) == 1 and not common.endswith("="):
            more += " "
        if more:
            self._typed(more)
        else:
            after = self._line.after
            self._to_end()
            self._new_line()
            self.say(f"{escaped('  '.join(found))}\n{self._dialogue.prompt}")
            self._edit(lambda: self._line.set(begun, after))

    def _forget(self) -> None:
        """Another line instead of this one."""
        self._to_end()
        self._new_line()
        self.say(self._dialogue.prompt)

    def _leave_or_delete(self) -> None:
        """On an empty line: the end."""
        if self._line.text:
            self._edit(self._line.delete)
            return
        self._new_line()
        self.terminal.loseConnection()

    def _clear(self) -> None:
        """A clean screen."""
        self._erase()
        self.terminal.eraseDisplay()
        self.terminal.cursorHome()
        self._start = self._at = 0
        self.say(self._dialogue.prompt)

    # -- the screen -------------------------------------------------------------------------------

    def _shown(self, text: str) -> str:
        """Nothing of a password; what is no character as the one for that."""
        return "" if self._dialogue.hidden else _OCTETS.sub("\ufffd", text)

    def _show(self, text: str) -> None:
        """Write at the cursor."""
        self.terminal.write(text.encode())
        before, self._at = self._at, flow(text, self._at, self._columns)
        if self._at > before and self._at % self._columns == 0:
            self.terminal.write(b"\n")  # the cursor hangs behind the last column: into the next row with it

    def _draw_again(self) -> None:
        if self._undrawn:
            self._undrawn = False
            self._draw()

    def _draw(self) -> None:
        """The line from its beginning, and the cursor into its place."""
        before, after = self._shown(self._line.before), self._shown(self._line.after)
        self._show(before + after)
        if after:
            self._go(flow(before, self._start, self._columns))

    def _erase(self) -> None:
        """The cursor to the beginning of the line, and nothing behind it."""
        if self._line.text and not self._dialogue.hidden:
            self._go(self._start)
            self.terminal.eraseToDisplayEnd()

    def _go(self, cell: int) -> None:
        """The cursor to a cell of the line."""
        rows, column = self._at // self._columns - cell // self._columns, cell % self._columns
        if rows > 0:
            self.terminal.cursorUp(rows)
        elif rows < 0:
            self.terminal.cursorDown(-rows)
        self.terminal.write(b"\r")
        if column:
            self.terminal.cursorForward(column)
        self._at = cell

    def _to_end(self) -> None:
        """The cursor behind the line."""
        self._draw_again()
        if self._line.after and not self._dialogue.hidden:
            self._line.end()
            self._go(flow(self._shown(self._line.text), self._start, self._columns))

    def _new_line(self) -> None:
        """Below the line, which is done with; its cursor must be at its end. What was cut of a password is
        gone with it."""
        self._line = Line("" if self._dialogue.hidden else self._line.taken)
        self._undrawn = self._cut = False
        self.terminal.write(b"\n")
        self._start = self._at = 0


def _control(letter: str) -> bytes:
    """What Ctrl makes of a key."""
    return bytes((ord(letter) - 64,))
