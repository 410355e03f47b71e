"""Is a mail proven to come from its author's domain? Alignment, and Authentication-Results (RFC 8601)."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from protocols.mail import comments

# A name is looked at from its beginning only, and a quotation without an end goes to the end of all.
_PROPERTY = re.compile(
    r'(?<![a-z0-9._-])([a-z0-9._-]++)\s*+=\s*+("(?:[^"\\]|\\.)*+("|\\?\Z)|[^\s;"]++)',
    re.IGNORECASE | re.DOTALL,
)


class Result(NamedTuple):
    """One method's verdict, and the properties that it is about, all in lower case."""

    method: str
    verdict: str
    properties: dict[str, str]


def aligned(author: str, other: str) -> bool:
    """Does what is proven of one domain speak for mail of the other? If one is, or is below, the other.

    That is the relaxed alignment of DMARC (RFC 7489 §3.1) without its brothers and sisters, for which one
    would have to know where registries end.
    """
    author, other = author.lower().rstrip("."), other.lower().rstrip(".")
    if "." not in author or "." not in other:
        return author == other != ""
    return author == other or author.endswith(f".{other}") or other.endswith(f".{author}")


def believed(headers: Iterable[str], authserv_id: str, author: str) -> bool:
    """Does our own server say so, in the first of its headers? It puts its own on top, and takes away those
    that pretend to be its own (RFC 8601 §5)."""
    for header in headers:
        identity, results = _read(header)
        if identity == authserv_id.lower():
            return any(_speaks(result, author) for result in results)
    return False


def brought_by(headers: Iterable[str], authserv_id: str, author: str) -> bool:
    """Does that server say that a host of the author's domain brought the mail (SPF)?"""
    return any(
        result.method == "spf" and _speaks(result, author)
        for identity, results in map(_read, headers)
        if identity == authserv_id.lower()
        for result in results
    )


def _speaks(result: Result, author: str) -> bool:
    if result.verdict != "pass":
        return False
    match result.method:
        case "dmarc":
            return result.properties.get("header.from", "").rpartition("@")[2] == author.lower()
        case "dkim":
            signer = result.properties.get("header.d") or result.properties.get("header.i", "")
            return aligned(author, signer.rpartition("@")[2])
        case "spf":
            return aligned(author, result.properties.get("smtp.mailfrom", "").rpartition("@")[2])
    return False


def _read(header: str) -> tuple[str, list[Result]]:
    first, *rest = _pieces(comments.removed(header))
    return first.split()[0].strip('"').lower() if first.split() else "", [*_results(rest)]


def _pieces(text: str) -> list[str]:
    """Split at semicolons outside of quotes."""
    pieces, quoted = [""], False
    for letter in text:
        quoted ^= letter == '"'
        if letter == ";" and not quoted:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def _results(pieces: list[str]) -> Iterator[Result]:
    for piece in pieces:
        found = [
            (name.lower(), value.strip('"').lower())
            for name, value, end in _PROPERTY.findall(piece)
            if end == '"' or not value.startswith('"')
        ]
        if found:
            (method, verdict), *properties = found
            yield Result(method.partition("/")[0], verdict, dict(properties))
