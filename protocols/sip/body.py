"""What a MESSAGE carries: text, a receipt, a sign that somebody types, or something that cannot be an SMS.

Only text/plain, alone or inside multipart or message/cpim, is ever text; control payloads (RFC 5438, RFC
3994) are recognised so that they never become one.
"""

import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from quopri import decodestring

from protocols.sip import cpim, imdn
from protocols.sip.errors import BadValue
from protocols.sip.headers import parse_media_type
from protocols.sip.message import MAX_MESSAGE

ACCEPT = "text/plain, message/cpim, multipart/mixed, message/imdn+xml, application/im-iscomposing+xml"
ACCEPT_ENCODING = "identity, deflate"
COMPOSING = "application/im-iscomposing+xml"
BYTE_ORDER_MARK = "\ufeff"
MAX_DEPTH = 3
MAX_PARTS = 16

_CHARSET = re.compile(
    r"utf-?(8|16|32)([bl]e)?|(us-)?ascii|iso-?8859-?[0-9]{1,2}|latin-?[0-9]{1,2}|windows-?[0-9]{3,4}|cp[0-9]{3,4}"
    r"|koi8-[rut]|gb2312|gbk|gb18030|big5(-?hkscs)?|shift-?jis|euc-?(jp|kr|cn)|iso-?2022-?(jp|kr)(-[0-9])?|tis-?620"
)
_DASHES = re.compile(rb"(?:\A|\r?\n)--([^\r\n]*+)")
_LINE_END = re.compile(rb"\A\r?\n")


@dataclass(frozen=True, slots=True)
class Content:
    """Text for the other side. ``message_id`` and ``wants`` are what cpim said of receipts (see `imdn`)."""

    text: str
    message_id: str | None = None
    wants: frozenset[imdn.Wish] = frozenset()


@dataclass(frozen=True, slots=True)
class Composing:
    """Somebody types, or has stopped to."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Nothing of it can be used here; ``encoding`` when the Content-Encoding is why, else the type."""

    what: str
    encoding: bool = False


Read = Content | imdn.Receipt | Composing | Unsupported


def read_body(content_type: str | None, encoding: str | None, body: bytes) -> Read:
    """What a body says. No Content-Type is text/plain. Raises BadValue when it contradicts its own type."""
    if encoding is not None and encoding.lower() not in ("identity", ""):
        if encoding.lower() != "deflate":
            return Unsupported(encoding[:40], encoding=True)
        body = _inflate(body)
    return _read(content_type or "text/plain", body, MAX_DEPTH)


def _read(content_type: str, body: bytes, depth: int) -> Read:
    media = parse_media_type(content_type)
    if media.type == "text/plain":
        return _text(media.params.get("charset") or "utf-8", body)
    if media.type == imdn.TYPE:
        return imdn.parse_imdn(body)
    if media.type == COMPOSING:
        return Composing()
    if media.type == cpim.TYPE and depth:
        return _read_cpim(body, depth)
    if media.type.startswith("multipart/") and depth:
        return _read_multipart(media.params.get("boundary") or "", body, depth)
    return Unsupported(media.type)


def _text(charset: str, body: bytes) -> Read:
    name = charset.lower().replace("_", "-")
    if _CHARSET.fullmatch(name) is None:
        return Unsupported(f"charset {charset[:40]}")
    try:
        return Content(body.decode(name).removeprefix(BYTE_ORDER_MARK))
    except UnicodeDecodeError as error:
        raise BadValue("body", f"is not {charset}") from error
    except LookupError:
        return Unsupported(f"charset {charset[:40]}")


def _read_cpim(body: bytes, depth: int) -> Read:
    wrapped = cpim.parse_cpim(body)
    inner = _read(wrapped.content_type, _transferred(wrapped.transfer_encoding, wrapped.body), depth - 1)
    if not isinstance(inner, Content):
        return inner
    return Content(
        inner.text, wrapped.imdn("Message-ID"), imdn.wishes(wrapped.imdn("Disposition-Notification"))
    )


def _read_multipart(boundary: str, body: bytes, depth: int) -> Read:
    """The first part with text in it; when there is none, of the others what tells the most."""
    if not boundary:
        raise BadValue("Content-Type", "multipart without boundary")
    found: list[Read] = []
    for part in _parts(boundary.encode("utf-8", "surrogateescape"), body):
        headers, inner = cpim.split_headers(part)
        inner = _transferred(headers.get("Content-Transfer-Encoding"), inner)
        read = _read(headers.get("Content-Type") or "text/plain", inner, depth - 1)
        if isinstance(read, Content) and read.text.strip():
            return read
        found.append(read)
    return min(found, key=_rank, default=Unsupported("multipart"))


def _rank(read: Read) -> int:
    """A control payload beside an empty text is what was meant."""
    if isinstance(read, Unsupported):
        return 2
    return 1 if isinstance(read, Content) else 0


def _parts(boundary: bytes, body: bytes) -> Iterator[bytes]:
    """What stands between the delimiter lines (RFC 2046 §5.1.1), whose ends may be LF alone."""
    delimiters = (line for line in _DASHES.finditer(body) if _delimits(line[1], boundary))
    lines = list(islice(delimiters, MAX_PARTS + 1))
    ends = [line.start() for line in lines[1:]]
    for line, end in zip_longest(lines[:MAX_PARTS], ends):
        if line[1].startswith(boundary + b"--"):
            return
        yield _LINE_END.sub(b"", body[line.end() : end], count=1)


def _delimits(line: bytes, boundary: bytes) -> bool:
    rest = line.removeprefix(boundary)
    return line.startswith(boundary) and (rest.startswith(b"--") or not rest.strip(b" \t"))


def _transferred(encoding: str | None, body: bytes) -> bytes:
    name = (encoding or "8bit").lower()
    if name == "base64":
        try:
            return binascii.a2b_base64(body)
        except binascii.Error as error:
            raise BadValue("body", "is not base64") from error
    return decodestring(body) if name == "quoted-printable" else body


def _inflate(body: bytes) -> bytes:
    """zlib or raw deflate: both are sent under this name. At most a message's size comes out."""
    for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        worker = zlib.decompressobj(bits)
        try:
            found = worker.decompress(body, MAX_MESSAGE)
        except zlib.error:
            continue
        if worker.unconsumed_tail or not worker.eof:
            raise BadValue("body", "is too large or cut off when inflated")
        return found
    raise BadValue("body", "is not deflate")
