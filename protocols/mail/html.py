"""HTML mail as text: what a reader sees, line by line. Nothing is fetched, run or styled."""

import re

from lxml import etree

_BLOCKS = frozenset(
    """address article aside blockquote center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 h6 header hr
    li main nav ol p pre section table tbody td tfoot th thead tr ul""".split()  # noqa: SIM905  # a list is a page
)
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6"})
_SILENT = frozenset({"head", "script", "style", "title", "template", "object"})
_HIDDEN = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden)", re.IGNORECASE
)
_MAX_STYLE = 2_000
_SPACES = re.compile(r"[ \t\r\n\f]+")
_GAPS = re.compile(r"\n{3,}")
_MAX_DEPTH = 500
"""Elements within elements. Beyond that nobody wrote anything, and every end of one that never began is
looked for in all of them."""

_CHUNK = 4_096
_MAX_QUOTES = 20
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def to_text(html: str) -> str:
    """The text of a document or a piece of one; broken markup is read as far as it goes.

    Takes a time that grows with the length, whatever is in it.
    """
    reader = _Reader()
    parser = etree.HTMLParser(target=reader, recover=True, huge_tree=True)
    html = _SURROGATES.sub("\ufffd", html)
    try:
        for start in range(0, len(html), _CHUNK):
            parser.feed(html[start : start + _CHUNK])
            if reader.depth > _MAX_DEPTH:
                break
        if html:
            parser.close()
    except etree.LxmlError:
        pass  # what was read is what there is
    return reader.text()


class _Reader:
    """I gather lines; a blockquote's begin with "> ", as plain mail has them.

    libxml2 tells me each start, end and text, in order, and ends what was not ended.
    """

    def __init__(self) -> None:
        self.depth = 0
        self._lines: list[tuple[int, str]] = []
        self._line: list[str] = []
        self._quotes = 0
        self._silent = 0
        self._hidden_at = 0  # the depth of the element that hides all within it, 0 for none
        self._verbatim = 0

    def text(self) -> str:
        """All that was read."""
        self._end_line()
        lines = [f"{'> ' * min(depth, _MAX_QUOTES)}{_stripped(line)}" for depth, line in self._lines]
        return _GAPS.sub("\n\n", "\n".join(lines)).strip("\n")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self.depth += 1
        if not self._hidden_at and _is_hidden(attributes):
            self._hidden_at = self.depth
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self._break()
        elif tag in _BLOCKS:
            self._end_line()
            self._quotes += tag == "blockquote"
            self._verbatim += tag == "pre"
        elif tag == "img" and not self._silent and not self._hidden_at:
            self._add(attributes.get("alt", ""))  # emoji of webmail are pictures with their character

    def end(self, tag: str) -> None:
        """An element ends."""
        if self.depth == self._hidden_at:
            self._hidden_at = 0
        self.depth -= 1
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS:
            self._end_line()
            if tag in _PARAGRAPHS and self._lines and self._lines[-1][1]:
                self._lines.append((self._quotes, ""))
            self._quotes = max(0, self._quotes - (tag == "blockquote"))
            self._verbatim = max(0, self._verbatim - (tag == "pre"))

    def data(self, data: str) -> None:
        """Text, or a piece of it."""
        if self._silent or self._hidden_at:
            return
        if self._verbatim:
            first, *more = data.split("\n")
            self._add(first)
            for line in more:
                self._break()
                self._add(line)
            return
        piece = _SPACES.sub(" ", data)
        before = self._line[-1] if self._line else ""
        self._add(piece if before and not before.endswith(" ") else piece.lstrip(" "))

    def close(self) -> None:
        """See etree.HTMLParser."""

    def _add(self, piece: str) -> None:
        """A line holds no empty pieces, so the last one is what stands before the next."""
        if piece:
            self._line.append(piece)

    def _break(self) -> None:
        self._lines.append((self._quotes, "".join(self._line)))
        self._line = []

    def _end_line(self) -> None:
        if "".join(self._line).strip():
            self._break()
        self._line = []


def _stripped(line: str) -> str:
    """Without the blanks at both ends, but of what begins a signature (RFC 3676 §4.3)."""
    bare = line.strip()
    return "-- " if bare == "--" and line.lstrip() != bare else bare


def _is_hidden(attributes: dict[str, str]) -> bool:
    """Is it nothing that a reader sees?"""
    return "hidden" in attributes or _HIDDEN.search((attributes.get("style") or "")[:_MAX_STYLE]) is not None
