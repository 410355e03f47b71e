"""One line that is being edited, and where a terminal shows its characters; sans-I/O.

What an operator calls a character is a grapheme cluster: the cursor steps over it, backspace takes it whole,
and it is what fills cells: a family of emoji two, like each of its members.
"""

import re

from wcwidth import wcswidth

from protocols.sms import clusters

MOST_HISTORY = 500
_NEAR = 64  # characters that are looked at to find the cluster beside the cursor
_BETWEEN = r"\s!-/:-@\[-`{-~"  # words
_WORD = re.compile(f"[{_BETWEEN}]*[^{_BETWEEN}]*")


def cells(cluster: str) -> int:
    """How many cells a terminal fills with what a reader sees as one character."""
    return max(wcswidth(cluster), 0)


def flow(text: str, at: int, columns: int) -> int:
    """Where the cursor is after a text that begins at cell ``at`` (row * columns + column): what does not fit
    into a row goes to the next one."""
    if text.isascii() and text.isprintable():
        return at + len(text)
    for cluster in clusters.split(text):
        width = cells(cluster)
        if at % columns + width > columns:
            at += columns - at % columns
        at += width
    return at


class Line:
    """What was typed so far, in front of the cursor (``before``) and behind it (``after``).

    Words are readline's: ``cut_word`` goes back to a space, the others see letters and digits. ``taken`` is
    what was cut last, to be put elsewhere.
    """

    def __init__(self, taken: str = "") -> None:
        self.before = ""
        self.after = ""
        self.taken = taken

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

    def joins(self, text: str) -> bool:
        """Would this text, put in, be one character with what stands in front of it?"""
        return len(clusters.split(self._last() + text[:1])) == 1 and bool(self.before)

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

    def word_left(self) -> None:
        """To the beginning of this word, or of the one before."""
        begin = self._begin()
        self.before, self.after = self.before[:begin], self.before[begin:] + self.after

    def word_right(self) -> None:
        """To the end of this word, or of the next one."""
        end = _word(self.after)
        self.before, self.after = self.before + self.after[:end], self.after[end:]

    def cut_to_start(self) -> None:
        """Cut what stands in front of the cursor."""
        self._cut_before(0)

    def cut_to_end(self) -> None:
        """Cut what stands behind the cursor."""
        self._cut_after(len(self.after))

    def cut_word(self) -> None:
        """Cut back to the space in front of this word, or of the one before."""
        self._cut_before(self.before.rstrip().rfind(" ") + 1)

    def cut_word_left(self) -> None:
        """Cut what `word_left` would step over."""
        self._cut_before(self._begin())

    def cut_word_right(self) -> None:
        """Cut what `word_right` would step over."""
        self._cut_after(_word(self.after))

    def _begin(self) -> int:
        """Where the word in front of the cursor begins."""
        return len(self.before) - _word(self.before[::-1])

    def _cut_before(self, begin: int) -> None:
        self.taken, self.before = self.before[begin:] or self.taken, self.before[:begin]

    def _cut_after(self, end: int) -> None:
        self.taken, self.after = self.after[:end] or self.taken, self.after[end:]

    def _last(self) -> str:
        found = clusters.split(self.before[-_NEAR:])
        return found[-1] if found else ""

    def _first(self) -> str:
        found = clusters.split(self.after[:_NEAR])
        return found[0] if found else ""


def _word(text: str) -> int:
    """How long the first word is, with what stands in front of it."""
    found = _WORD.match(text)
    return found.end() if found else 0


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
