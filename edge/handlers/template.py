"""URL templates of callbacks: parsed, checked, filled.

A template is an http or https URL with variables, those of VARIABLES, in its path and query. What is filled
in is percent-encoded as UTF-8 (RFC 3986 §2.3: only unreserved characters stay as they are; in the path a dot
does not either), so no value can leave its place: scheme, host, port and the path's segments are always the
template's own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from edge.http import urls
from edge.http.errors import URLRefused

VARIABLES = (
    "ID",
    "TIMESTAMP",
    "FROM",
    "TO",
    "MESSAGE",
    "MEDIA",
    "FROM_E164",
    "TO_E164",
    "TIMESTAMP_UTC",
    "ATTEMPT",
    "SIGNATURE",
)
MAX_CHARACTERS = 2_000
_CACHED = 4_096

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_AUTHORITY = re.compile(r"[^/?#]*//[^/?#]*")
# RFC 3986 §3.3, §3.4: what may stand in a path or query, "%" with its two digits apart.
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LEFT_ALONE = "%!$&'()*+,;=:@/?-._~[]|^`\\\""


class TemplateError(ValueError):
    """The template cannot be used; the text says why, for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was checked.

    ``pieces`` are literal text and variables in turn, beginning with text; before ``query`` is the path.
    """

    pieces: tuple[str, ...]
    query: int

    @property
    def names(self) -> tuple[str, ...]:
        """The variables in it."""
        return self.pieces[1::2]

    def fill(self, values: Mapping[str, str]) -> str:
        """The URL, in ASCII. Raises KeyError for a variable without a value."""
        filled = list(self.pieces)
        for index in range(1, len(filled), 2):
            filled[index] = _encoded(values[filled[index]], index < self.query)
        return "".join(filled)


@lru_cache(_CACHED)
def parse(template: str) -> Template:
    """Check a template. Raises TemplateError."""
    if len(template) > MAX_CHARACTERS:
        raise TemplateError(f"a callback URL has at most {MAX_CHARACTERS} characters, not {len(template)}")
    origin, rest = _split(template)
    pieces = _VARIABLE.split(rest)
    for literal in pieces[::2]:
        if "{" in literal or "}" in literal:
            raise TemplateError("a brace in a callback URL is not closed or not opened")
    for name in pieces[1::2]:
        if name not in VARIABLES:
            raise TemplateError(f"{{{name}}} is not a variable: they are {_list()}")
    pieces[::2] = [_ascii(literal) for literal in pieces[::2]]
    query = next(
        (index for index, piece in enumerate(pieces) if index % 2 == 0 and "?" in piece), len(pieces)
    )
    pieces[0] = origin + pieces[0]
    return Template(tuple(pieces), query)


def fill(template: str, values: Mapping[str, str]) -> str:
    """`parse` and `Template.fill` in one."""
    return parse(template).fill(values)


def _split(template: str) -> tuple[str, str]:
    """Origin (scheme, host, port) and the rest (path and query, without fragment)."""
    authority = _AUTHORITY.match(template)
    if authority is not None and ("{" in authority[0] or "}" in authority[0]):
        raise TemplateError("variables may stand in the path and the query of a callback URL, nowhere else")
    try:
        origin, rest = urls.split(template)
    except URLRefused as error:
        raise TemplateError(error.detail) from error
    if "{" in template.partition("#")[2]:
        raise TemplateError("a variable after # would never be sent; write %23 for a # that is meant")
    return str(origin), rest


def _ascii(literal: str) -> str:
    """A "%" without digits of its own is meant as such: left alone it would take those that are filled in."""
    return quote(_PERCENT.sub("%25", literal), safe=_LEFT_ALONE, errors="replace")


def _encoded(value: str, in_path: bool) -> str:
    # A lone surrogate cannot be written in UTF-8: it becomes a question mark rather than an error.
    encoded = quote(value, safe="", errors="replace")
    return encoded.replace(".", "%2E") if in_path else encoded


def _list() -> str:
    return " ".join(f"{{{name}}}" for name in VARIABLES)
