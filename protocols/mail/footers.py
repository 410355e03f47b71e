"""What a scanner or a list puts below a mail as a part of its own."""

import re

from protocols.mail import words

_MAX_LENGTH, _MAX_LINES = 1_000, 12
_RULE = re.compile(r"([_=*~#-])\1{9,}")
_PLACE = re.compile(r"https?://|\bwww\.|\S@\w", re.IGNORECASE)
_NOTICE = re.compile(words.FOOTER, re.IGNORECASE)
_MYSELF = re.compile(words.MYSELF, re.IGNORECASE)


def is_footer(text: str) -> bool:
    """Are these few lines one, by the words that they begin with, or a rule and words, an address or a link
    below it? Nobody says I in one."""
    if len(text) > _MAX_LENGTH or _MYSELF.search(text) is not None:
        return False
    rows = [row.strip() for row in text.split("\n") if row.strip()]
    if not 0 < len(rows) <= _MAX_LINES:
        return False
    if _NOTICE.match(rows[0]) is not None:
        return True
    ruled = _RULE.fullmatch(rows[0]) is not None
    return ruled and any(_NOTICE.match(row) or _PLACE.search(row) for row in rows[1:])
