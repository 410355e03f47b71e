"""Grapheme clusters found by a look near by are those of the whole text."""

import re
from itertools import accumulate

import regex  # type: ignore[import-untyped,unused-ignore]
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.sms import clusters
from tests.unit.protocols.sms import texts

EVERYTHING = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]


def test_plain_characters_join_nothing() -> None:
    plain = [character for character in EVERYTHING if clusters.plain(character)]
    assert len(plain) > 40_000
    odd = regex.compile(
        r"[\p{GCB=Prepend}\p{GCB=SpacingMark}\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=RI}\p{GCB=Control}"
        r"\p{GCB=CR}\p{GCB=LF}\p{GCB=L}\p{GCB=V}\p{GCB=T}]"
    )
    assert [f"{ord(character):04X}" for character in plain if odd.match(character)] == []
    for other in ("a", "я", "각", "😀"):
        together = other.join(plain)
        assert len(regex.findall(r"\X", together)) == len(together)


def test_what_joins_a_space_is_known() -> None:
    joining = regex.findall(r"\p{GCB=Prepend}", "".join(EVERYTHING))
    known = re.compile(f"[{clusters.PREPENDED}]")
    assert [f"{ord(character):04X}" for character in joining if not known.match(character)] == []


@settings(max_examples=500)
@given(st.one_of(texts.clusters, texts.unicode), st.data())
def test_near_by_is_as_good_as_all_of_it(text: str, data: st.DataObject) -> None:
    ends = [0, *accumulate(map(len, regex.findall(r"\X", text)))]
    index = data.draw(st.integers(0, len(text)))
    floor = data.draw(st.sampled_from([end for end in ends if end <= index]))
    if floor < index:
        assert clusters.start_of(text, index, floor) == max(end for end in ends if end <= index)
