"""HTML mail as text: what a reader sees, line by line. Nothing is fetched, run or styled."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    """address article aside blockquote center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 h6 header hr
    li main nav ol p pre section table tbody td tfoot th thead tr ul""".split()  # noqa: SIM905  # a list is a page
)
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6"})
_SILENT = frozenset({"head", "script", "style", "title", "template", "object"})
_SPACES = re.compile(r"[ \t\r\n\f]+")
_GAPS = re.compile(r"\n{3,}")


def to_text(html: str) -> str:
    """The text of a document or a piece of one; broken markup is read as far as it goes."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    """I gather lines; a blockquote's begin with "> ", as plain mail has them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[tuple[int, str]] = []
        self._line = ""
        self._quotes = 0
        self._silent = 0
        self._verbatim = 0

    def text(self) -> str:
        """All that was read."""
        self._end_line()
        lines = [f"{'> ' * depth}{line.strip()}".rstrip() for depth, line in self._lines]
        return _GAPS.sub("\n\n", "\n".join(lines)).strip("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self._break()
        elif tag in _BLOCKS:
            self._end_line()
            self._quotes += tag == "blockquote"
            self._verbatim += tag == "pre"
        elif tag == "img" and not self._silent:
            self._line += dict(attrs).get("alt") or ""  # emoji of webmail are pictures with their character

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS:
            self._end_line()
            if tag in _PARAGRAPHS and self._lines and self._lines[-1][1]:
                self._lines.append((self._quotes, ""))
            self._quotes = max(0, self._quotes - (tag == "blockquote"))
            self._verbatim = max(0, self._verbatim - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        if self._silent:
            return
        if self._verbatim:
            first, *more = data.split("\n")
            self._line += first
            for line in more:
                self._break()
                self._line = line
            return
        piece = _SPACES.sub(" ", data)
        self._line += piece.lstrip(" ") if not self._line or self._line.endswith(" ") else piece

    def _break(self) -> None:
        self._lines.append((self._quotes, self._line))
        self._line = ""

    def _end_line(self) -> None:
        if self._line.strip():
            self._break()
        self._line = ""
