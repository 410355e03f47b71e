"""Counting, and the same counting done in another language from the rules alone."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.sms import Alphabet, Count, Encoding, Language, LongMessageMode, SegmentOptions, count, rules
from protocols.sms.errors import NotEncodable, TooLong
from protocols.sms.transliteration import Transliteration
from tests.unit.protocols.sms import texts

ROOT = Path(__file__).resolve().parents[4]
COUNTER = ROOT / "edge" / "web" / "static" / "counter.mjs"
ASK = f"""
import {{ readFileSync }} from "node:fs";
import {{ count }} from {json.dumps(COUNTER.as_uri())};
const asked = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(asked.map(([text, rules]) => count(text, rules))));
"""
NODE = shutil.which("node")
ROUTES = [
    SegmentOptions(mode=mode, default_alphabet=alphabet, strict_clusters=strict)
    for mode in LongMessageMode
    for alphabet in (Alphabet.GSM7, Alphabet.LATIN1, Alphabet.ASCII)
    for strict in (False, True)
]


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("", Count(Encoding.GSM7, 0, 1, 160, None)),
        ("Hi", Count(Encoding.GSM7, 2, 1, 158, None)),
        ("€" * 80, Count(Encoding.GSM7, 160, 1, 0, None)),
        ("€" * 81, Count(Encoding.GSM7, 162, 2, 143, None)),
        ("a" * 161, Count(Encoding.GSM7, 161, 2, 145, None)),
        ("ç", Count(Encoding.UCS2, 1, 1, 69, "ç")),
        ("naïve… ï", Count(Encoding.UCS2, 8, 1, 62, "ï…")),
        ("😀" * 35, Count(Encoding.UCS2, 70, 1, 0, "😀")),
        ("😀" * 36, Count(Encoding.UCS2, 72, 2, 61, "😀")),
    ],
)
def test_counting(text: str, counted: Count) -> None:
    assert count(text) == counted


@pytest.mark.parametrize(
    ("alphabet", "text", "offending"),
    [(Alphabet.LATIN1, "price “10”", "“”"), (Alphabet.ASCII, "a\u0300 中", "\u0300中")],
)
def test_an_alphabet_without_transliteration_is_offended_by_what_is_written(
    alphabet: Alphabet, text: str, offending: str
) -> None:
    options = SegmentOptions(default_alphabet=alphabet, transliterate=Transliteration.FULL)
    assert count(text, options).offending == offending


def test_the_rules_are_json() -> None:
    for route in ROUTES:
        assert json.loads(json.dumps(rules(route))) == rules(route)
        assert rules(route)["exact"] is True
    for unlike in (
        SegmentOptions(languages=(Language.TURKISH,)),
        SegmentOptions(default_alphabet=Alphabet.GSM7_PACKED),
        SegmentOptions(transliterate=Transliteration.FULL),
    ):
        assert rules(unlike)["exact"] is False


def elsewhere(cases: Sequence[tuple[str, SegmentOptions]]) -> list[dict[str, object]]:
    """What the counter in JavaScript makes of texts, with the rules of their routes."""
    assert NODE is not None
    asked = json.dumps([[text, rules(route)] for text, route in cases])
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", ASK],
        input=asked,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def here(text: str, route: SegmentOptions) -> dict[str, object]:
    """What `count` makes of it, in the same words."""
    try:
        counted = count(text, route)
    except TooLong as error:
        return {"too_long": error.parts}
    except NotEncodable as error:
        return {"not_encodable": error.position}
    return {
        "encoding": counted.encoding.name,
        "units": counted.units,
        "parts": counted.parts,
        "units_left": counted.units_left,
        "offending": counted.offending,
    }


BOUNDS = [
    *(
        "a" * n
        for n in (0, 1, 152, 153, 159, 160, 161, 304, 305, 306, 307, 152 * 255, 153 * 255, 153 * 255 + 1)
    ),
    *("€" * n for n in (79, 80, 81, 152, 153, 154)),
    *("я" * n for n in (69, 70, 71, 132, 133, 134, 135, 66 * 255 + 1, 67 * 255, 67 * 255 + 1)),
    *("я" * n + "😀" + "я" * 70 for n in range(60, 70)),
    *("a" * n + "€" + "b" * 160 for n in range(148, 156)),
    *("a" * n + "\r\n" + "b" * 160 for n in range(148, 156)),
    *("я" * n + "👩‍👩‍👧‍👦" + "я" * 66 for n in range(55, 70)),
    *("я" * n + "e\u0301" + "я" * 66 for n in range(62, 70)),
    "é" * 140,
    "é" * 141,
    "e" + "\u0301" * 200,
    "`[]`" * 40,
    "e\u0301" * 8670,
    "half \ud83d of it",
    "\udc00",
]


@pytest.mark.skipif(NODE is None, reason="the counter in JavaScript needs node")
def test_a_counter_elsewhere_agrees_at_every_bound() -> None:
    cases = [(text, route) for text in BOUNDS for route in ROUTES]
    for (text, route), found in zip(cases, elsewhere(cases), strict=True):
        assert found == here(text, route), (text[:80], len(text), route)


@pytest.mark.skipif(NODE is None, reason="the counter in JavaScript needs node")
@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(texts.gsm, texts.clusters), st.sampled_from(ROUTES)), min_size=20, max_size=40
    )
)
def test_a_counter_elsewhere_agrees(cases: list[tuple[str, SegmentOptions]]) -> None:
    for (text, route), found in zip(cases, elsewhere(cases), strict=True):
        assert found == here(text, route), (text, route)
