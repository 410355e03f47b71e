"""One line that is being edited, and where a terminal shows its characters; sans-I/O.

What an operator calls a character is a grapheme cluster: the cursor steps over it, backspace takes it whole.
How many cells it fills is what most terminals think: two for wide ones (UAX 11), none for marks that combine.
"""

from unicodedata import category, east_asian_width

from protocols.sms import clusters

MOST_HISTORY = 500
_NEAR = 64  # characters that are looked at to find the cluster beside the cursor
_NO_CELL = frozenset({"Mn", "Me", "Cf", "Cc"})


def cells(character: str) -> int:
    """How many cells a terminal fills with it."""
    if category(character) in _NO_CELL:
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def flow(text: str, at: int, columns: int) -> int:
    """Where the cursor is after a text that begins at cell ``at`` (row * columns + column): what does not fit
    into a row goes to the next one."""
    for character in text:
        width = cells(character)
        if width == 2 and at % columns == columns - 1:
            at += 1
        at += width
    return at


class Line:
    """What was typed so far, in front of the cursor (``before``) and behind it (``after``)."""

    def __init__(self) -> None:
        self.before = ""
        self.after = ""

    @property
    def text(self) -> str:
        """All of it."""
        return self.before + self.after

    def set(self, before: str, after: str = "") -> None:
        """Something else."""
        self.before, self.after = before, after

    def insert(self, text: str) -> None:
        """Something was typed."""
        self.before += text

    def left(self) -> None:
        """One character back."""
        taken = self._last()
        self.before, self.after = self.before[: len(self.before) - len(taken)], taken + self.after

    def right(self) -> None:
        """One character on."""
        taken = self._first()
        self.before, self.after = self.before + taken, self.after[len(taken) :]

    def home(self) -> None:
        """To the beginning."""
        self.before, self.after = "", self.text

    def end(self) -> None:
        """To the end."""
        self.before, self.after = self.text, ""

    def backspace(self) -> None:
        """Take back the character in front of the cursor."""
        self.before = self.before[: len(self.before) - len(self._last())]

    def delete(self) -> None:
        """Take away the character behind the cursor."""
        self.after = self.after[len(self._first()) :]

    def kill(self) -> None:
        """Take back all that stands in front of the cursor."""
        self.before = ""

    def _last(self) -> str:
        found = clusters.split(self.before[-_NEAR:])
        return found[-1] if found else ""

    def _first(self) -> str:
        found = clusters.split(self.after[:_NEAR])
        return found[0] if found else ""


class History:
    """The lines that were said, the newest last."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._at = 0
        self._draft = ""

    def add(self, line: str) -> None:
        """One more was said; twice the same is kept once."""
        if line and self._lines[-1:] != [line]:
            self._lines.append(line)
            del self._lines[:-MOST_HISTORY]
        self._at, self._draft = len(self._lines), ""

    def older(self, now: str) -> str | None:
        """The line before; ``now`` is what stands there. None when there is none."""
        if self._at == 0:
            return None
        if self._at == len(self._lines):
            self._draft = now
        self._at -= 1
        return self._lines[self._at]

    def newer(self) -> str | None:
        """The line after; in the end what was typed before any was looked for."""
        if self._at == len(self._lines):
            return None
        self._at += 1
        return self._draft if self._at == len(self._lines) else self._lines[self._at]
