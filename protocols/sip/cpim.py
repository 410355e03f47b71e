"""message/cpim: a message in an envelope with headers of its own (RFC 3862)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocols.sip.errors import BadValue, EncodeError
from protocols.sip.message import Headers

TYPE = "message/cpim"
IMDN_NAMESPACE = "urn:ietf:params:imdn"

_BLANK = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(r"([^\s:]++): ?([^\r\n]*+)\r?\n?")
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
    pieces = _BLANK.split(data, maxsplit=2)
    if len(pieces) != 3:
        raise BadValue("body", "is not message/cpim")
    headers: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    for line in pieces[0].decode("utf-8", "surrogateescape").splitlines(keepends=True):
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadValue("body", "a cpim header that is none")
        namespace = _NS.fullmatch(found[2]) if found[1] == "NS" else None
        if namespace is not None:
            prefixes[namespace[2]] = namespace[1] or ""
        headers.setdefault(found[1], found[2])
    content = Headers.of_wire(_with_crlf(pieces[1]))
    if content is None:
        raise BadValue("body", "a content header that is none")
    return Cpim(
        headers,
        prefixes,
        content.get("Content-Type") or "text/plain",
        content.get("Content-Transfer-Encoding"),
        pieces[2],
    )


def _with_crlf(block: bytes) -> str:
    text = block.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    return "".join(f"{line}\r\n" for line in text.split("\n"))


def make_cpim(headers: Sequence[tuple[str, str]], content: Sequence[tuple[str, str]], body: bytes) -> bytes:
    """An envelope around ``body``. Raises EncodeError for a value that would end its line."""
    lines = [*headers, ("", ""), *content, ("", "")]
    if any("\r" in value or "\n" in value for _, value in lines):
        raise EncodeError("a cpim header may not hold CR or LF")
    head = "".join(f"{name}: {value}\r\n" if name else "\r\n" for name, value in lines)
    return head.encode("utf-8", "surrogateescape") + body
