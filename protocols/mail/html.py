"""HTML mail as text: what a reader sees, line by line. Nothing is fetched, run or styled."""

import re
from collections.abc import Iterable, Iterator

from lxml import etree

from protocols.mail.pictures import Pictures, Pinned

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
_NO_PICTURE = re.compile(
    r"(?:^|;)\s*(?:max-)?(?:width|height)\s*:\s*[01](?:px|pt)?\s*(?:!|;|$)", re.IGNORECASE
)
_SIGNATURES = frozenset({"gmail_signature", "moz-signature", "protonmail_signature_block", "Signature"})
"""Classes, and Outlook's id, of the elements that clients make for one. Those of telephones are not among
them: people write in these."""

_SIGNATURE_BEGINS = frozenset({"_MailAutoSig", "lineBreakAtBeginningOfSignature"})
"""What Outlook and Apple's mail put in front of one that has no element of its own."""
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


def to_text(html: str, pictures: Pictures, end: str = "") -> Pinned:
    """The text of a document or a piece of one; broken markup is read as far as it goes.

    Pinned are those ``pictures`` that somebody sees, but for a signature's. ``end`` is put where a document
    that was cut off ends, within whatever is open there. Takes a time that grows with the length, whatever is
    in it.
    """
    html = _SURROGATES.sub("\ufffd", html)
    reader = _read(html, pictures, end)
    if reader.depth > _MAX_DEPTH:
        reader = _read(_shallow(html), pictures, end)
    return reader.text()


def _read(html: str, pictures: Pictures, end: str) -> "_Reader":
    """All of it, or what is in front of where it is too deep."""
    reader = _Reader(pictures)
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

    def __init__(self, pictures: Pictures) -> None:
        self.depth = 0
        self._pictures = pictures
        self._pins: list[tuple[int, int, str]] = []  # the number and depth of a picture's line, and its pin
        self._lines: list[tuple[int, str]] = []
        self._line: list[str] = []
        self._quotes = 0
        self._silent = 0
        self._hidden_at = 0  # the depth of the element that hides all within it, 0 for none
        self._sizes: list[tuple[int, bool]] = []  # the depths that say how large letters are, and if at all
        self._signature_at = 0  # the depth of the element with whose end a signature ends, 0 for none
        self._said = False  # has anything been seen?
        self._verbatim = 0

    def text(self) -> Pinned:
        """All that was read."""
        self._end_line()
        text = _page(self._lines)
        return Pinned(text, _page(self._with_pins()) if self._pins else text)

    def _with_pins(self) -> Iterator[tuple[int, str]]:
        """The lines, with one for each pin."""
        last = 0
        for number, depth, pin in self._pins:
            yield from self._lines[last:number]
            yield depth, pin
            last = number
        yield from self._lines[last:]

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self.depth += 1
        style = (attributes.get("style") or "")[:_MAX_STYLE]
        if not self._hidden_at and ("hidden" in attributes or _HIDDEN.search(style)):
            self._hidden_at = self.depth
        if (size := _FONT_SIZE.search(style)) is not None:
            self._sizes.append((self.depth, not _NO_SIZE.fullmatch(size["size"].strip())))
        if attributes and self._said and not self._signature_at:
            self._find_signature(attributes)
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self._break()
        elif tag in _BLOCKS:
            self._end_line()
            self._verbatim += tag == "pre"
            if tag == "blockquote":
                self._quotes += 1
                self._signature_at = 0
        elif tag == "img":
            self._picture(attributes, style)

    def _find_signature(self, attributes: dict[str, str]) -> None:
        """Does this element hold a signature, or begin one that goes on to the quotation, or to the end?

        What stands above everything else is none: there somebody wrote his answer in it.
        """
        names = {*(attributes.get("class") or "").split(), attributes.get("id"), attributes.get("name")}
        if names & _SIGNATURE_BEGINS:
            self._signature_at = 1  # the page itself
        elif names & _SIGNATURES:
            self._signature_at = self.depth

    def _picture(self, attributes: dict[str, str], style: str) -> None:
        """Each is asked for, for one that nobody sees is no attachment either."""
        pin = self._pictures.shown(attributes.get("src") or "")
        if self._unseen:
            return
        self.add(attributes.get("alt", ""))  # emoji of webmail are pictures with their character
        if pin and not self._signature_at and _has_size(attributes, style):
            self._pins.append((len(self._lines), self._quotes, pin))
            self._said = True

    def end(self, tag: str) -> None:
        """An element ends."""
        if self.depth == self._hidden_at:
            self._hidden_at = 0
        if self.depth == self._signature_at:
            self._signature_at = 0
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
            self._said = self._said or not piece.isspace()

    def _break(self) -> None:
        self._lines.append((self._quotes, "".join(self._line)))
        self._line = []

    def _end_line(self) -> None:
        if "".join(self._line).strip():
            self._break()
        self._line = []


def _has_size(attributes: dict[str, str], style: str) -> bool:
    """Is a picture larger than those that only tell a sender that his mail is read?"""
    size = f"width:{attributes.get('width')};height:{attributes.get('height')};{style}"
    return _NO_PICTURE.search(size) is None


def _page(lines: Iterable[tuple[int, str]]) -> str:
    rows = [f"{'> ' * min(depth, _MAX_QUOTES)}{_stripped(line)}" for depth, line in lines]
    return _GAPS.sub("\n\n", "\n".join(rows)).strip("\n")


def _stripped(line: str) -> str:
    """Without the blanks at both ends, but of what begins a signature (RFC 3676 §4.3)."""
    bare = line.strip()
    return "-- " if bare == "--" and line.lstrip() != bare else bare
