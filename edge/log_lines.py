"""A log event as one line. Whatever could mislead the eye is a \\u escape in it, whoever sent it."""

import json
import re
from collections.abc import Mapping

import orjson

from edge.visible import escaped

_FIRST = ("time", "level", "logger", "event")

_PLAIN_VALUE = re.compile(r"[^\s\"=\\\x00-\x20]+")


def json_line(event: Mapping[str, object]) -> str:
    """One JSON object."""
    return escaped(_json(event))


def text_line(event: Mapping[str, object]) -> str:
    """``time level logger event key=value …``; a value that is not one plain word is written as JSON."""
    head = " ".join(str(event[key]) for key in _FIRST)
    fields = "".join(f" {key}={_word(value)}" for key, value in event.items() if key not in _FIRST)
    return escaped(head + fields)


def _word(value: object) -> str:
    if isinstance(value, str) and _PLAIN_VALUE.fullmatch(value):
        return value
    return _json(value)


def _json(value: object) -> str:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate, a whole number beyond 64 bits
        return json.dumps(value, default=str, ensure_ascii=False)
