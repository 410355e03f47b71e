"""What a scanner or a list puts below a mail as a part of its own."""

import re

from protocols.mail import words

_MAX_LENGTH, _MAX_LINES = 1_000, 12
_RULE = re.compile(r"([_=*~#-])\1{9,}")
_NOTICE = re.compile(words.FOOTER, re.IGNORECASE)
_MYSELF = re.compile(words.MYSELF, re.IGNORECASE)


def is_footer(text: str) -> bool:
    """Are these few lines one, by the rule or the words that they begin with? Nobody says I in one."""
    if len(text) > _MAX_LENGTH or _MYSELF.search(text) is not None:
        return False
    rows = [row.strip() for row in text.split("\n") if row.strip()]
    if not 0 < len(rows) <= _MAX_LINES:
        return False
    ruled = len(rows) > 1 and _RULE.fullmatch(rows[0]) is not None
    return ruled or _NOTICE.match(rows[0]) is not None
