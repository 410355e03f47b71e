"""message/cpim: a message in an envelope with headers of its own (RFC 3862)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocols.sip.errors import BadValue, EncodeError
from protocols.sip.message import Headers

TYPE = "message/cpim"
IMDN_NAMESPACE = "urn:ietf:params:imdn"

_LINE_END = re.compile(rb"\r?\n")
_BLANK = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(r"([^\s:]++): ?([^\r\n]*+)")
_NS = re.compile(r"(?:([^\s<]++)[ \t]*)?<([^<>]*+)>")


@dataclass(frozen=True, slots=True)
class Cpim:
    """One envelope. ``headers`` are those of the message, names as written; the rest is the content's."""

    headers: Mapping[str, str]
    prefixes: Mapping[str, str]
    content_type: str
    transfer_encoding: str | None
    body: bytes

    def imdn(self, name: str) -> str | None:
        """A header of the IMDN namespace, under whichever prefix it came."""
        prefix = self.prefixes.get(IMDN_NAMESPACE)
        return None if prefix is None else self.headers.get(f"{prefix}.{name}")


def parse_cpim(data: bytes) -> Cpim:
    """An envelope. Raises BadValue."""
    block, *rest = _BLANK.split(data, maxsplit=1)
    if not rest:
        raise BadValue("body", "is not message/cpim")
    headers: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    for line in _lines(block):
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadValue("body", "a cpim header that is none")
        namespace = _NS.fullmatch(found[2]) if found[1] == "NS" else None
        if namespace is not None:
            prefixes[namespace[2]] = namespace[1] or ""
        headers.setdefault(found[1], found[2])
    content, body = split_headers(rest[0])
    return Cpim(
        headers,
        prefixes,
        content.get("Content-Type") or "text/plain",
        content.get("Content-Transfer-Encoding"),
        body,
    )


def split_headers(data: bytes) -> tuple[Headers, bytes]:
    """MIME header fields, none when a blank line comes first, and what follows their blank line. Lines may
    end with LF alone. Raises BadValue."""
    first = _LINE_END.match(data)
    block, body = (b"", data[first.end() :]) if first else _cut(data)
    headers = Headers.of_wire("".join(f"{line}\r\n" for line in _lines(block)))
    if headers is None:
        raise BadValue("body", "a content header that is none")
    return headers, body


def _cut(data: bytes) -> tuple[bytes, bytes]:
    block, *rest = _BLANK.split(data, maxsplit=1)
    return (block, rest[0]) if rest else (data, b"")


def _lines(block: bytes) -> list[str]:
    """Lines as CRLF and LF end them: whatever else ends one for Python may stand in a value."""
    text = block.decode("utf-8", "surrogateescape").replace("\r\n", "\n").removesuffix("\n")
    return text.split("\n") if text else []


def make_cpim(headers: Sequence[tuple[str, str]], content: Sequence[tuple[str, str]], body: bytes) -> bytes:
    """An envelope around ``body``. Raises EncodeError for a value that would end its line."""
    lines = [*headers, ("", ""), *content, ("", "")]
    if any("\r" in value or "\n" in value for _, value in lines):
        raise EncodeError("a cpim header may not hold CR or LF")
    head = "".join(f"{name}: {value}\r\n" if name else "\r\n" for name, value in lines)
    return head.encode("utf-8", "surrogateescape") + body
