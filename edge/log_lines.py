"""A log event as one line. Whatever could mislead the eye is a \\u escape in it, whoever sent it."""

import json
import re
from collections.abc import Mapping

import orjson

_FIRST = ("time", "level", "logger", "event")

# C0 (as far as JSON has not escaped them), DEL, C1, line and paragraph separators, bidirectional marks,
# embeddings and isolates, invisible operators, the byte order mark, interlinear annotation, tags, lone
# surrogates.
_MISLEADING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_PLAIN_VALUE = re.compile(r"[^\s\"=\\\x00-\x20]+")


def json_line(event: Mapping[str, object]) -> str:
    """One JSON object."""
    return _escaped(_json(event))


def text_line(event: Mapping[str, object]) -> str:
    """``time level logger event key=value …``; a value that is not one plain word is written as JSON."""
    head = " ".join(str(event[key]) for key in _FIRST)
    fields = "".join(f" {key}={_word(value)}" for key, value in event.items() if key not in _FIRST)
    return _escaped(head + fields)


def _word(value: object) -> str:
    if isinstance(value, str) and _PLAIN_VALUE.fullmatch(value):
        return value
    return _json(value)


def _json(value: object) -> str:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate, a whole number beyond 64 bits
        return json.dumps(value, default=str, ensure_ascii=False)


def _escaped(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line
    return _MISLEADING.sub(_escape, line)


def _escape(found: re.Match[str]) -> str:
    octets = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{octets[i : i + 2].hex()}" for i in range(0, len(octets), 2))
