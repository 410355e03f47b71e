"""A line that is edited by characters, whatever octets they take, and where they are on a screen."""

import pytest

from edge.console.editor import MOST_HISTORY, History, Line, cells, flow

FAMILY = "👨\u200d👩\u200d👧"
FLAG = "🇩🇪"


def typed(text: str) -> Line:
    line = Line()
    line.insert(text)
    return line


@pytest.mark.parametrize("last", ["5", "€", "ü", "u\u0308", "漢", "😀", FAMILY, FLAG, "👍🏽"])
def test_backspace_takes_a_whole_character(last: str) -> None:
    line = typed(f"cost {last}")
    line.backspace()
    assert line.text == "cost "


@pytest.mark.parametrize("last", ["€", "u\u0308", FAMILY, FLAG])
def test_the_cursor_steps_over_a_whole_character(last: str) -> None:
    line = typed(f"a{last}b")
    line.left()
    line.left()
    assert (line.before, line.after) == ("a", f"{last}b")
    line.delete()
    assert line.text == "ab"
    line.right()
    line.right()
    assert (line.before, line.after) == ("ab", "")


def test_the_ends_are_ends() -> None:
    line = typed("ü")
    line.right()
    line.delete()
    line.home()
    line.left()
    line.backspace()
    assert (line.before, line.after) == ("", "ü")
    line.end()
    line.cut_to_start()
    assert line.text == ""


def test_something_is_put_in_between() -> None:
    line = typed("cost €")
    line.left()
    line.insert("5")
    assert line.text == "cost 5€"


@pytest.mark.parametrize(
    ("character", "width"),
    [
        *[("a", 1), ("é", 1), ("漢", 2), ("😀", 2), ("\u0308", 0), ("u\u0308", 1), ("\u200d", 0)],
        *[(FAMILY, 2), (FLAG, 2), ("👍🏽", 2), ("❤", 1), ("❤\ufe0f", 2), ("1\ufe0f\u20e3", 2), ("\n", 0)],
    ],
)
def test_how_wide_characters_are(character: str, width: int) -> None:
    assert cells(character) == width


def test_a_wide_character_does_not_fit_into_one_cell() -> None:
    assert flow("abc", 0, 4) == 3
    assert flow("abc漢", 0, 4) == 6, "it is in the second row"
    assert flow("ab漢", 0, 4) == 4
    assert flow("漢", 7, 4) == 10
    assert flow(f"a{FAMILY}b", 0, 4) == 4
    assert flow(f"abc{FLAG}", 0, 4) == 6


def test_the_history_keeps_what_was_being_typed() -> None:
    history = History()
    assert (history.older(""), history.newer()) == (None, None)
    for line in ("one", "two", "two", ""):
        history.add(line)
    assert history.older("dra") == "two"
    assert history.older("two") == "one"
    assert history.older("one") is None
    assert history.newer() == "two"
    assert history.newer() == "dra"
    assert history.newer() is None


def test_the_history_is_bounded() -> None:
    history = History()
    for number in range(MOST_HISTORY + 5):
        history.add(str(number))
    found = []
    while (line := history.older("")) is not None:
        found.append(line)
    assert (len(found), found[-1]) == (MOST_HISTORY, "5")
