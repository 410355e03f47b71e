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
    r"(?:^|;)\s*(?:display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*(?:hidden|collapse)"
    r"|opacity\s*:\s*0(?:\.0*)?%?\s*(?:!|;|$))",
    re.IGNORECASE,
)
_FONT_SIZE = re.compile(r"(?:^|;)\s*font-size\s*:\s*(?P<size>[^;!]*)", re.IGNORECASE)
_NO_SIZE = re.compile(r"(?:0+(?:\.0*)?|\.0+)(?:[a-z]{1,4}|%)?", re.IGNORECASE)
_MAX_STYLE = 2_000
_SPACES = re.compile(r"[ \t\r\n\f]+")
_GAPS = re.compile(r"\n{3,}")
_MAX_DEPTH = 500
"""Elements within elements, of which libxml2 looks through all at every end of one that never began."""

_SHALLOW = 400
_CHUNK = 4_096
_MAX_QUOTES = 20
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_TAG = re.compile(r"<(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9:-]{0,30})(?P<rest>[^<>]*)>")
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)


def to_text(html: str, end: str = "") -> str:
    """The text of a document or a piece of one; broken markup is read as far as it goes.

    ``end`` is put where a document that was cut off ends, within whatever is open there. Takes a time that
    grows with the length, whatever is in it.
    """
    html = _SURROGATES.sub("\ufffd", html)
    reader = _read(html, end)
    return (reader if reader.depth <= _MAX_DEPTH else _read(_shallow(html), end)).text()


def _read(html: str, end: str) -> "_Reader":
    """All of it, or what is in front of where it is too deep."""
    reader = _Reader()
    parser = etree.HTMLParser(target=reader, recover=True, huge_tree=True)
    try:
        for start in range(0, len(html), _CHUNK):
            parser.feed(html[start : start + _CHUNK])
            if reader.depth > _MAX_DEPTH:
                return reader
        reader.add(end)
        if html:
            parser.close()
    except etree.LxmlError:
        pass  # what was read is what there is
    return reader


def _shallow(html: str) -> str:
    """The same without what is deeper than anybody's: of such elements what is in them stays, each in a line
    of its own if it was a block."""
    depth = 0

    def kept(match: re.Match[str]) -> str:
        nonlocal depth
        name = match["name"].lower()
        if name in _VOID or match["rest"].endswith("/"):
            return match[0]
        depth = max(0, depth - 1) if match["end"] else depth + 1
        if depth + bool(match["end"]) <= _SHALLOW:
            return match[0]
        return "<br>" if name in _BLOCKS else ""

    return _TAG.sub(kept, html)


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
        self._sizes: list[tuple[int, bool]] = []  # the depths that say how large letters are, and if at all
        self._verbatim = 0

    def text(self) -> str:
        """All that was read."""
        self._end_line()
        lines = [f"{'> ' * min(depth, _MAX_QUOTES)}{_stripped(line)}" for depth, line in self._lines]
        return _GAPS.sub("\n\n", "\n".join(lines)).strip("\n")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self.depth += 1
        style = (attributes.get("style") or "")[:_MAX_STYLE]
        if not self._hidden_at and ("hidden" in attributes or _HIDDEN.search(style)):
            self._hidden_at = self.depth
        if (size := _FONT_SIZE.search(style)) is not None:
            self._sizes.append((self.depth, not _NO_SIZE.fullmatch(size["size"].strip())))
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self._break()
        elif tag in _BLOCKS:
            self._end_line()
            self._quotes += tag == "blockquote"
            self._verbatim += tag == "pre"
        elif tag == "img" and not self._unseen:
            self.add(attributes.get("alt", ""))  # emoji of webmail are pictures with their character

    def end(self, tag: str) -> None:
        """An element ends."""
        if self.depth == self._hidden_at:
            self._hidden_at = 0
        if self._sizes and self._sizes[-1][0] == self.depth:
            self._sizes.pop()
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
        if self._unseen or (self._sizes and not self._sizes[-1][1]):
            return
        if self._verbatim:
            first, *more = data.split("\n")
            self.add(first)
            for line in more:
                self._break()
                self.add(line)
            return
        piece = _SPACES.sub(" ", data)
        before = self._line[-1] if self._line else ""
        self.add(piece if before and not before.endswith(" ") else piece.lstrip(" "))

    def close(self) -> None:
        """See etree.HTMLParser."""

    @property
    def _unseen(self) -> bool:
        return bool(self._silent or self._hidden_at)

    def add(self, piece: str) -> None:
        """One more piece of the line. It holds no empty ones: the last one is what stands before the next."""
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
