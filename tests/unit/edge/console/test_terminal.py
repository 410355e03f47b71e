"""The terminal: octets of keys in, lines and what is on the screen out, as a small VT100 shows it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from edge.console.dialogue import PROMPT, Dialogue
from edge.console.editor import cells
from edge.console.language import LONGEST_LINE
from edge.console.terminal import Screen, Terminal
from protocols.sms import clusters
from tests.unit.edge.console.test_dialogue import ALICE, Passwords, SlowConsole

CLUSTERS = ["👨\u200d👩\u200d👧", "👍🏽", "🇩🇪", "❤\ufe0f", "1\ufe0f\u20e3", "🏳\ufe0f\u200d🌈", "u\u0308"]
LEFT, RIGHT, UP, DOWN, DELETE, BACKSPACE = b"\x1b[D", b"\x1b[C", b"\x1b[A", b"\x1b[B", b"\x1b[3~", b"\x7f"


class VT100:
    """As much of a terminal as is needed: characters, CR, LF, cursor movements, erasing."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        for found in re.finditer("\x1b\\[([0-9;?]*)([A-Za-z])|\x1b.|.", text, re.DOTALL):
            if found[2]:
                self.sequence(found[2], int(found[1] or 1))
            elif found[0] == "\r":
                self.column = 0
            elif found[0] == "\n":
                self.down(1)
            elif found[0] == "\a":
                pass
            elif found[0][0] == "\x1b":
                raise AssertionError(f"unexpected {found[0]!r}")
            else:
                self.put(found[0])

    def down(self, by: int) -> None:
        self.row += by
        while len(self.rows) <= self.row:
            self.rows.append([])

    def put(self, character: str) -> None:
        """Beside what it joins into one character it takes that one's cells, not its own."""
        row = self.rows[self.row]
        first = max((at for at in range(self.column) if row[at]), default=0)
        if self.column and len(clusters.split(row[first] + character)) == 1:
            character = row[first] + character
            self.column = first
        width = cells(character)
        if width and self.column + width > self.columns:
            self.column = 0
            self.down(1)
            row = self.rows[self.row]
        row.extend(" " * (self.column + width - len(row)))
        row[self.column : self.column + width] = [character, *[""] * (width - 1)][:width]
        self.column += width

    def sequence(self, kind: str, by: int) -> None:
        match kind:
            case "A":
                self.row -= by
            case "B":
                self.row += by
            case "C":
                self.column += by
            case "J":
                del self.rows[self.row][self.column :]
                del self.rows[self.row + 1 :]
            case _:
                raise AssertionError(f"unexpected {kind}")

    @property
    def shown(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self.rows)


class Seat:
    """An operator at a terminal of this width; ``lines`` is what the console was asked."""

    def __init__(self, columns: int = 80, **how: Any) -> None:
        self.console = SlowConsole()
        self.transport = StringTransport()
        self.vt = VT100(columns)
        self.screen = Screen(b"\r\n", Terminal, self.dialogue(**(how or {"operator": ALICE})))
        self.screen.makeConnection(self.transport)
        self.screen.terminalProtocol.terminalSize(columns, 24)

    def dialogue(self, **how: Any) -> Callable[..., Dialogue]:
        return lambda write, close: Dialogue(self.console, "test", write, close, **how)  # type: ignore[arg-type]

    def keys(self, *keys: bytes) -> None:
        for key in keys:
            self.screen.dataReceived(key)

    @property
    def lines(self) -> list[str]:
        return [line for line, _ in self.console.asked]

    @property
    def raw(self) -> bytes:
        return bytes(self.transport.value())

    @property
    def shown(self) -> str:
        self.vt.feed(self.transport.value().decode())
        self.transport.clear()
        return self.vt.shown

    @property
    def last(self) -> str:
        return self.shown.rpartition("\n")[2]


def test_the_greeting_and_the_prompt_are_there_at_once() -> None:
    seat = Seat()
    assert b"\x1bc" not in seat.raw
    assert b">>>" not in seat.raw
    assert seat.shown == f"Trunkline. `help` lists the commands, `quit` ends.\n{PROMPT.rstrip()}"


def test_every_newline_is_one() -> None:
    seat = Seat()
    seat.keys(b"status\r")
    seat.console.answer("two\nlines")
    assert seat.raw.count(b"\n") == seat.raw.count(b"\r\n")
    assert b"\r\r" not in seat.raw


SENTENCE = "send 1 2 cost 5€ über 漢字 😀 u\u0308"


def test_utf8_is_taken_octet_by_octet() -> None:
    seat = Seat()
    for octet in SENTENCE.encode():
        seat.keys(bytes((octet,)))
    assert seat.last == PROMPT + SENTENCE
    seat.keys(b"\r")
    assert seat.lines == [SENTENCE]


def test_utf8_is_taken_in_one_read() -> None:
    seat = Seat()
    seat.keys(SENTENCE.encode() + b"\r")
    assert seat.lines == [SENTENCE]


def test_backspace_takes_a_character_from_line_and_screen() -> None:
    seat = Seat()
    seat.keys("5€".encode(), BACKSPACE, "ü😀".encode(), BACKSPACE)
    assert seat.last == f"{PROMPT}5ü"
    seat.keys(b"\r")
    assert seat.lines == ["5ü"]


def test_editing_in_the_middle() -> None:
    seat = Seat()
    seat.keys("漢b€".encode(), LEFT, LEFT, LEFT, b"a", RIGHT, DELETE)
    assert seat.last == f"{PROMPT}a漢€"
    seat.keys(b"\x05!", b"\x01?")
    assert seat.last == f"{PROMPT}?a漢€!"
    seat.keys(b"\r")
    assert seat.lines == ["?a漢€!"]


@pytest.mark.parametrize("columns", [11, 20, 21, 22])
def test_a_line_of_several_rows_is_edited(columns: int) -> None:
    seat = Seat(columns)
    text = "send 漢字漢字 with a text that is long €€€"
    seat.keys(text.encode())
    whole = "".join(seat.shown.split("\n"))
    seat.keys(*[LEFT] * 8, "ü".encode(), BACKSPACE, b"\x01", b"x", BACKSPACE, b"\x05")
    assert "".join(seat.shown.split("\n")) == whole, "as before"
    for _ in range(len(text)):
        seat.keys(BACKSPACE)
    assert "".join(seat.shown.split("\n")).endswith(PROMPT.strip())
    seat.keys(b"status\r")
    assert seat.lines == ["status"]


@pytest.mark.parametrize("character", CLUSTERS)
@pytest.mark.parametrize("columns", [80, 17, 16, 15])
def test_what_a_reader_sees_as_one_character_is_one(character: str, columns: int) -> None:
    seat = Seat(columns)
    seat.keys(f"a{character}bcd".encode())
    assert "".join(seat.shown.split("\n")).endswith(f"{PROMPT}a{character}bcd")
    seat.keys(LEFT, LEFT, LEFT, b"x", BACKSPACE, b"\x05!")
    assert "".join(seat.shown.split("\n")).endswith(f"{PROMPT}a{character}bcd!")
    seat.keys(*[BACKSPACE] * 5, b"b")
    assert "".join(seat.shown.split("\n")).endswith(f"{PROMPT}ab")


@pytest.mark.parametrize("character", CLUSTERS)
def test_a_character_that_comes_octet_by_octet_is_one(character: str) -> None:
    seat = Seat()
    for octet in f"a{character}bcd".encode():
        seat.keys(bytes((octet,)))
    seat.keys(LEFT, LEFT, b"x")
    assert seat.last == f"{PROMPT}a{character}bxcd"
    assert seat.vt.column == len(PROMPT) + 1 + cells(character) + 2


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (b"\x1bb\x1bb\x15", "two  three"),
        (b"\x1bb\x1bb\x15\x05 \x19", "two  three send bob-"),
        (b"\x17x", "send bob-two  x"),
        (b"\x17\x17x", "send x"),
        (b"\x17\x17\x17\x17x", "x"),
        (b"\x17\x19\x19", "send bob-two  threethree"),
        (b"\x1b\x7f\x1b\x7f", "send bob-"),
        (b"\x1b\x08x", "send bob-two  x"),
        (b"\x01\x1bf\x1bf_", "send bob_-two  three"),
        (b"\x01\x1bd", " bob-two  three"),
        (b"\x01\x1bf\x1bd\x1bd\x1bd", "send"),
        (b"\x1b[1;5D\x1b[1;3Dx\x1b[1;5Cy\x1b[1;3Cz", "send bob-xtwoy  threez"),
        (b"\x02\x02\x0b\x01\x19 ", "ee send bob-two  thr"),
        (b"\x01\x06\x04", "snd bob-two  three"),
    ],
)
def test_keys_of_readline(keys: bytes, line: str) -> None:
    seat = Seat()
    seat.keys(b"send bob-two  three", keys)
    assert seat.last == f"{PROMPT}{line}".rstrip()
    seat.keys(b"\r")
    assert seat.lines == [line.strip()]


def test_the_history_by_letters() -> None:
    seat = Seat()
    seat.keys(b"one\r", b"two\r", b"\x10\x10\x0e!\r")
    for _ in range(3):
        seat.console.answer("fine")
    assert seat.lines == ["one", "two", "two!"]


def test_a_word_has_letters_of_any_script() -> None:
    seat = Seat()
    seat.keys("für größe".encode(), b"\x1bbx\x1bb\x1bby\r")
    assert seat.lines == ["yfür xgröße"]


def test_what_was_cut_comes_back_on_another_line_but_no_password_does() -> None:
    seat = Seat()
    seat.keys(b"status\x15\r", b"\x19\r")
    assert seat.lines[-1:] == ["status"]
    seat = Seat(login=Passwords({"alice": "secret"}))
    seat.keys(b"alice\r", b"nonsense\x15", b"secret\r", b"\x19")
    assert seat.last == PROMPT.rstrip()


def test_return_in_the_middle_leaves_the_whole_line_on_the_screen() -> None:
    seat = Seat(20)
    seat.keys(b"x" * 30, b"\x01", b"\r")
    seat.console.answer("fine")
    assert seat.lines == ["x" * 30]
    assert seat.shown.endswith(f"{PROMPT}{'x' * 9}\n{'x' * 20}\n{'x'}\nfine\n{PROMPT.rstrip()}")


def test_octets_that_are_no_utf8_are_seen_and_not_lost() -> None:
    seat = Seat()
    seat.keys(b"gr\xfc\xdfe")
    assert b"\a" in seat.raw
    assert seat.last == f"{PROMPT}gr\ufffd\ufffde"
    seat.keys(b"\r")
    assert seat.lines == ["gr\udcfc\udcdfe"], "as the language refuses it"


def test_a_character_that_is_cut_off_is_seen_too() -> None:
    seat = Seat()
    seat.keys(b"\xe2\x82", b"\r")
    assert seat.lines == ["\udce2\udc82"]


def test_control_characters_are_not_typed() -> None:
    seat = Seat()
    seat.keys(b"a\x00\x16\x1a\x1c", "\x9b".encode(), b"b\r")
    assert seat.lines == ["ab"]


def test_a_line_has_an_end() -> None:
    seat = Seat()
    seat.keys(b"x" * (LONGEST_LINE + 10), b"\r")
    assert seat.lines == [], "what was cut is not carried out"
    seat.keys(b"version", b"\r")
    assert seat.lines == ["version"]


def test_a_paste_into_a_long_line_is_drawn_once() -> None:
    seat = Seat()
    seat.keys(b"x" * 2_000, b"\x01")
    written = len(seat.transport.value())
    seat.keys(b"ab" * 500)
    assert len(seat.transport.value()) - written < 10_000
    seat.keys(b"\r")
    assert seat.lines == ["ab" * 500 + "x" * 2_000]


def test_a_key_without_end_is_the_end() -> None:
    seat = Seat()
    seat.keys(b"\x1b[" + b"1" * 100)
    assert seat.transport.disconnecting


def test_a_key_in_two_reads() -> None:
    seat = Seat()
    seat.keys(b"ab\x1b", b"[", b"D", b"\x1b[200~c\x1b[201~\x1b[5~\r")
    assert seat.lines == ["acb"]


def test_the_history_comes_back_whole() -> None:
    seat = Seat()
    seat.keys("für\r".encode(), b"nonsense\r")
    seat.console.answer("fine")
    seat.console.answer("fine")
    seat.keys(b"dra", UP, UP)
    assert seat.last == f"{PROMPT}für"
    seat.keys(DOWN, DOWN)
    assert seat.last == f"{PROMPT}dra"


def test_an_answer_does_not_tear_what_is_being_typed() -> None:
    seat = Seat()
    seat.keys(b"status\r", "bünd".encode())
    seat.console.answer("fine")
    assert seat.shown.endswith(f"\nfine\n{PROMPT}bünd")
    seat.keys(BACKSPACE, b"\r")
    seat.console.answer("well")
    assert seat.lines == ["status", "bün"]


def test_another_width() -> None:
    seat = Seat(80)
    seat.keys("größer".encode())
    seat.screen.terminalProtocol.terminalSize(40, 24)
    seat.keys(BACKSPACE)
    assert seat.last == f"{PROMPT}größe"


def test_a_password_is_not_shown_and_may_be_of_any_characters() -> None:
    passwords = Passwords({"jürgen": "schlüssel"})
    seat = Seat(login=passwords)
    seat.keys("jürgen\r".encode(), "schlüx".encode(), BACKSPACE, b"ssel")
    assert seat.last == "password:"
    seat.keys(b"\r")
    assert passwords.asked == [("jürgen", "schlüssel", "test")]
    assert seat.last == PROMPT.rstrip()
    seat.keys(UP)
    assert seat.last == PROMPT.rstrip(), "neither is in the history"


def test_a_password_in_another_coding_is_explained() -> None:
    seat = Seat(login=Passwords({"alice": "schlüssel"}))
    seat.keys(b"alice\rschl\xfcssel\r")
    assert "not UTF-8" in seat.shown


def test_the_screen_is_left_as_it_is() -> None:
    seat = Seat()
    seat.keys(b"\x04")
    assert b"\x1bc" not in seat.raw
    assert seat.transport.disconnecting
