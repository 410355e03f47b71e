"""Who an answer from the owner's phone is for."""

import pytest

from edge.handlers.replies import CROSSING_MS, Note, Reply, choose, tagged
from storage.forwards import Talk

NOW = 1_769_860_800_000
ANNA, BERT = "+12025550150", "+447911123456"
ONE = [Talk(ANNA, 1, NOW - 3_600_000)]
TWO = [Talk(BERT, 2, NOW - 600_000), Talk(ANNA, 1, NOW - 3_600_000)]
CROSSED = [Talk(BERT, 2, NOW - CROSSING_MS + 1), Talk(ANNA, 1, NOW - 3_600_000)]


@pytest.mark.parametrize(
    ("text", "talks", "ask", "chosen"),
    [
        ("yes", ONE, False, Reply(ANNA, "yes")),
        ("yes", ONE, True, Reply(ANNA, "yes")),
        ("yes", TWO, False, Reply(BERT, "yes")),
        ("#1 yes\nof course", TWO, False, Reply(ANNA, "yes\nof course")),
        (" #2  yes ", TWO, True, Reply(BERT, "yes")),
        ("#1 yes", CROSSED, False, Reply(ANNA, "yes")),
        ("# yes", TWO, False, Reply(BERT, "# yes")),
        ("#yes", TWO, False, Reply(BERT, "#yes")),
        ("we are #1 here", TWO, False, Reply(BERT, "we are #1 here")),
    ],
)
def test_it_is_for_one(text: str, talks: list[Talk], ask: bool, chosen: Reply) -> None:
    assert choose(text, talks, NOW, ask, tags=True) == chosen


@pytest.mark.parametrize(
    "text",
    [
        "#1: yes",
        "#1, yes",
        "#1yes",
        "#1.yes",
        "#1. yes",
        "# 1 yes",
        "\uff031 yes",
        "\uff03\uff11\u3000yes",
        "(#1) yes",
        "(# 1): yes",
        "[#1] yes",
        "#1 - yes",
        "#1\u2014yes",
        "#1\nyes",
        "\u200e#1 yes",
        "#\ufe0f\u20e3 1 yes",
        "#\u0661 yes",
        "#01 yes",
    ],
)
@pytest.mark.parametrize("ask", [False, True])
def test_a_tag_is_read_however_it_is_spelled(text: str, ask: bool) -> None:
    assert choose(text, TWO, NOW, ask, tags=True) == Reply(ANNA, "yes")


@pytest.mark.parametrize(
    "text", ["#3: yes", "#12yes", "(#7) yes", "\uff039 x", "#1.5 million", "#1,2 yes", "#" + "1" * 5000]
)
def test_what_begins_like_a_tag_and_is_none_goes_to_nobody(text: str) -> None:
    found = choose(text, TWO, NOW, ask=False, tags=True)
    assert isinstance(found, Note)
    assert "#2 +447911123456, #1 +12025550150" in found.sentence


@pytest.mark.parametrize("text", ["#1 fan", "#2 yes", "#1", " #7  x "])
def test_where_no_tags_were_shown_there_are_none(text: str) -> None:
    assert choose(text, ONE, NOW, ask=True, tags=False) == Reply(ANNA, text)


@pytest.mark.parametrize(
    ("text", "talks", "ask", "says"),
    [
        ("yes", [], False, "nobody has written"),
        ("#1 yes", [], False, "nobody has written"),
        ("yes", TWO, True, "2 people are talking. Begin with a tag: #2 +447911123456, #1 +12025550150"),
        ("yes", CROSSED, False, "2 people are talking"),
        ("#7 yes", TWO, False, "no #7"),
        ("#2 yes", ONE, False, "no #2"),
        ("#2", TWO, False, "#2 is +447911123456; write a text"),
    ],
)
def test_it_is_for_nobody_and_the_owner_is_told_why(
    text: str, talks: list[Talk], ask: bool, says: str
) -> None:
    chosen = choose(text, talks, NOW, ask, tags=True)
    assert isinstance(chosen, Note)
    assert says in chosen.sentence
    assert chosen.sentence.startswith("Not sent")


def test_a_note_names_only_a_few() -> None:
    many = [Talk(f"+1202555{number:04d}", number, NOW) for number in range(1, 9)]
    note = choose("yes", many, NOW, ask=False, tags=True)
    assert isinstance(note, Note)
    assert note.sentence.endswith("#5 +12025550005 and 3 more.")


def test_what_the_owner_reads() -> None:
    assert tagged("hi", ANNA, [], prefix=False) == "hi"
    assert tagged("hi", ANNA, ONE, prefix=False) == "hi"
    assert tagged("hi", ANNA, ONE, prefix=True) == f"{ANNA}: hi"
    assert tagged("hi", ANNA, TWO, prefix=False) == f"#1 {ANNA}: hi"
