"""Text of others where people read it: whatever could mislead the eye, or a terminal, is a \\u escape."""

import re

# C0, DEL, C1, line and paragraph separators, bidirectional marks, embeddings and isolates, invisible
# operators, the byte order mark, interlinear annotation, tags, lone surrogates.
_MISLEADING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def escaped(text: str) -> str:
    """The text in one line; JSON stays the same JSON."""
    if text.isascii() and text.isprintable():
        return text
    return _MISLEADING.sub(_escape, text)


def escaped_lines(text: str) -> str:
    """The same for what has several lines, which it keeps."""
    return "\n".join(map(escaped, text.split("\n")))


def _escape(found: re.Match[str]) -> str:
    octets = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{octets[i : i + 2].hex()}" for i in range(0, len(octets), 2))
