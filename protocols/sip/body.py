"""What a MESSAGE carries: text, a receipt, a sign that somebody types, or something that cannot be an SMS.

Only text/plain, alone or inside multipart or message/cpim, is ever text; control payloads (RFC 5438, RFC
3994) are recognised so that they never become one.
"""

import binascii
import re
import zlib
from dataclasses import dataclass
from quopri import decodestring

from protocols.sip import cpim, imdn
from protocols.sip.errors import BadValue
from protocols.sip.headers import parse_media_type
from protocols.sip.message import MAX_MESSAGE, Headers

ACCEPT = "text/plain, message/cpim, multipart/mixed, message/imdn+xml, application/im-iscomposing+xml"
ACCEPT_ENCODING = "identity, deflate"
COMPOSING = "application/im-iscomposing+xml"
MAX_DEPTH = 3
MAX_PARTS = 16

_CHARSET = re.compile(
    r"utf-?(8|16|32)([bl]e)?|(us-)?ascii|iso-?8859-?[0-9]{1,2}|latin-?[0-9]{1,2}|windows-?[0-9]{3,4}|cp[0-9]{3,4}"
    r"|koi8-[rut]|gb2312|gbk|gb18030|big5(-?hkscs)?|shift-?jis|euc-?(jp|kr|cn)|iso-?2022-?(jp|kr)(-[0-9])?|tis-?620"
)


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
        return Content(body.decode(name))
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
    """The first part that can be used; what the first cannot tell when none can."""
    if not boundary:
        raise BadValue("Content-Type", "multipart without boundary")
    found: Read = Unsupported("multipart")
    marker = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    for part in (b"\r\n" + body).split(marker, MAX_PARTS)[1:MAX_PARTS]:
        if part.startswith(b"--"):
            break
        read = _read_part(part, depth)
        if isinstance(read, Content):
            return read
        found = read if isinstance(found, Unsupported) else found
    return found


def _read_part(part: bytes, depth: int) -> Read:
    _, _, rest = part.partition(b"\r\n")
    head, blank, body = (b"\r\n" + rest).partition(b"\r\n\r\n")
    block = head[2:].decode("utf-8", "surrogateescape")
    headers = Headers.of_wire(f"{block}\r\n" if block else "")
    if headers is None or not blank:
        raise BadValue("body", "a part without a header block")
    body = _transferred(headers.get("Content-Transfer-Encoding"), body)
    return _read(headers.get("Content-Type") or "text/plain", body, depth - 1)


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
