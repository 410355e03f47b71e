"""What could mislead the eye is written out."""

from edge.tabular import table
from edge.visible import escaped, escaped_lines


def test_plain_text_stays() -> None:
    for text in ("", "plain", "über €5 漢字 😀 👨\u200d👩\u200d👧 e\u0301"):
        assert escaped(text) == text


def test_what_moves_or_turns_is_written_out() -> None:
    assert escaped("a\x1b[2J\x9b\u202e\u2066\n\U000e0041") == (
        "a\\u001b[2J\\u009b\\u202e\\u2066\\u000a\\udb40\\udc41"
    )
    assert escaped_lines("a\nb\x1b") == "a\nb\\u001b"


def test_a_cell_of_a_table_is_one_line() -> None:
    assert table([["head", "x"], ["a\nb\x1b[1m", "y"]]).split("\n")[1:] == ["a\\u000ab\\u001b[1m  y"]
