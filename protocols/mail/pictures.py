"""Which pictures of a mail stand in what was written, and which in what is cut.

Where a page shows a picture of the mail (`cid:`, RFC 2392) its text has a mark: a character of its own, in
front of the line. It is cut with what is around it, so the pictures whose marks are left were put into the
answer. A text with marks is looked at only for that, and never sent.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote

_FIRST, _MOST = 0xD800, 1_000
"""The marks are lone surrogates, which no text has. Of more pictures the others are known as none."""

_MARKS = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + _MOST - 1)}]")
_SCHEME = "cid:"
_MAX_ID = 1_000


class Marked(NamedTuple):
    """A text, and the same with the marks of pictures."""

    text: str
    marked: str


class Pictures:
    """I know the marks of those that a mail's pages name, by Content-ID."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def shown(self, source: str) -> str:
        """The mark of a picture by its address in a page, "" of one that is elsewhere."""
        if source[:4].lower() != _SCHEME:
            return ""
        content_id = unquote(source[4:_MAX_ID]).strip()
        if content_id and content_id not in self._marks and len(self._marks) < _MOST:
            self._marks[content_id] = chr(_FIRST + len(self._marks))
        return self.mark(content_id)

    def mark(self, content_id: str) -> str:
        """The mark of a part with this Content-ID, "" where no page names it."""
        return self._marks.get(content_id, "")


def marks(text: str) -> set[str]:
    """All that are in a text."""
    return set(_MARKS.findall(text))


def without_marks(text: str) -> str:
    """The text as it is looked at."""
    return _MARKS.sub("", text)
