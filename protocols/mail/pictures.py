"""Which pictures of a mail stand in what was written, and which in what is cut.

Where a page shows a picture of the mail (`cid:`, RFC 2392) its text has a pin: a character of its own, in a
line in front of the picture's. It is cut with what is around it, so the pictures whose pins are left were put
into the answer. A text with pins is looked at only for that, and never sent.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote

_FIRST, _MOST = 0xD800, 1_000
"""The pins are lone surrogates, which no text has. Of more pictures than these the others have none."""

_PINS = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + _MOST - 1)}]")
_SCHEME = "cid:"
_MAX_ID = 1_000


class Pinned(NamedTuple):
    """A text, and the same with the pins of pictures."""

    text: str
    pinned: str


class Pictures:
    """I know the pins of those that a mail's pages name, by Content-ID."""

    def __init__(self) -> None:
        self._pins: dict[str, str] = {}

    def shown(self, source: str) -> str:
        """The pin of a picture by its address in a page, "" of one that is elsewhere."""
        if source[:4].lower() != _SCHEME:
            return ""
        content_id = unquote(source[4:_MAX_ID]).strip()
        if content_id and content_id not in self._pins and len(self._pins) < _MOST:
            self._pins[content_id] = chr(_FIRST + len(self._pins))
        return self.pin(content_id)

    def pin(self, content_id: str) -> str:
        """The pin of a part with this Content-ID, "" where no page names it."""
        return self._pins.get(content_id, "")


def pins(text: str) -> set[str]:
    """All that are in a text."""
    return set(_PINS.findall(text))


def without_pins(text: str) -> str:
    """The text as it is looked at."""
    return _PINS.sub("", text)
