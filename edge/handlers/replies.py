"""Who an answer from the owner's phone is for. Pure: the text and who has been talking decide.

A text that begins with a tag goes to whoever the tag stands for, however a phone or a hurry spells it
(`#2 yes`, `#2: yes`, `(#2) yes`, full-width); what begins like a tag and is none goes to nobody. Where nobody
else has been talking, no tags were shown, and `#1 fan` is what it says. Without one it goes to the last
sender, unless that may be somebody else than the owner thinks: when several are talking and the last one
wrote only a moment ago, or when the owner wants to be asked each time. Then nothing is sent on, and the owner
is told whom the tags stand for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from storage.forwards import Talk

CROSSING_MS = 60_000
"""An answer that comes so soon after a message may have been written before it was seen."""

_UNSEEN = (
    "\\s\u200b-\u200f\u2060\ufe0f\u20e3\ufeff"  # white space, joiners, marks; what makes a key of a digit
)
_TAGGED = re.compile(
    rf"[{_UNSEEN}]*[(\[\uff08]?[{_UNSEEN}]*[#\uff03][{_UNSEEN}]*(\d+)"
    rf"(?![.,:/-]\d)[{_UNSEEN}]*[)\]\uff09]?[{_UNSEEN}]*[:;.,!\uff1a\uff0c\u3001\u2013\u2014-]*[{_UNSEEN}]*(.*)",
    re.DOTALL,
)
_LIKE_A_TAG = re.compile(rf"[{_UNSEEN}(\[\uff08]*[#\uff03][{_UNSEEN}]*\d")
LONGEST_TAG = 6  # digits
_NAMED = 5  # senders that a note names


@dataclass(frozen=True, slots=True)
class Reply:
    """It is for ``peer``; ``text`` is without the tag."""

    peer: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """It is for nobody that can be told; ``sentence`` is for the owner."""

    sentence: str


def choose(text: str, talks: Sequence[Talk], at_ms: int, ask: bool, tags: bool) -> Reply | Note:
    """``talks``, the last one first, are those of the last day; ``at_ms`` is when the answer came.

    ``ask``: without a tag it is for nobody while several are talking. ``tags``: the owner may have read of
    tags, since several were talking at some time not long ago.
    """
    if not talks:
        return Note("Not sent: nobody has written here in the last 24 hours.")
    if tags and _LIKE_A_TAG.match(text):
        tagged = _TAGGED.fullmatch(text)
        if tagged is None or len(tagged[1]) > LONGEST_TAG:
            return Note(f"Not sent: it begins like a tag, but there are only {named(talks)}.")
        return _tagged(int(tagged[1]), tagged[2].strip(), talks)
    if len(talks) > 1 and (ask or talks[0].last_at > at_ms - CROSSING_MS):
        return Note(f"Not sent: {len(talks)} people are talking. Begin with a tag: {named(talks)}.")
    return Reply(talks[0].peer, text)


def tagged(text: str, peer: str, talks: Sequence[Talk], prefix: bool) -> str:
    """What the owner reads: with tag and sender when several are talking, else with the sender if wanted, or
    when there is nothing else to read."""
    if len(talks) > 1:
        tag = next(talk.tag for talk in talks if talk.peer == peer)
        return f"#{tag} {peer}: {text}"
    return f"{peer}: {text}" if prefix or not text else text


def named(talks: Sequence[Talk]) -> str:
    """The tags and whom they stand for."""
    shown = ", ".join(f"#{talk.tag} {talk.peer}" for talk in talks[:_NAMED])
    return shown if len(talks) <= _NAMED else f"{shown} and {len(talks) - _NAMED} more"


def _tagged(tag: int, body: str, talks: Sequence[Talk]) -> Reply | Note:
    talk = next((talk for talk in talks if talk.tag == tag), None)
    if talk is None:
        return Note(f"Not sent: there is no #{tag} in the last 24 hours, but {named(talks)}.")
    if not body:
        return Note(f"Not sent: #{tag} is {talk.peer}; write a text after the tag.")
    return Reply(talk.peer, body)
