"""`media1` to `media3` of sendMMS: a URL, base64, a `data:` URL with base64 in it, or a file of a form."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from edge.web.media import OCTETS, new_token
from edge.web.parameters import Parameters
from edge.web.voipms.statuses import Rejected
from storage.media import MediaRecord

NAMES = ("media1", "media2", "media3")
MAX_OCTETS = 1_258_291  # 1.2 MiB
MAX_URL = 2_000
_DATA = re.compile(r"data:([^;,]*)(?:;[^;,]*)*?;base64,", re.IGNORECASE)
_KIND = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,60}", re.ASCII)
_URL = re.compile(r"https?://[!-~]+", re.ASCII | re.IGNORECASE)
_NOT_BASE64 = re.compile(r"[\r\n\t]")
_URL_SAFE = str.maketrans("-_ ", "+/+")  # a "+" that nobody encoded arrives as a blank

_MAGIC = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (4, b"ftyp3g", "video/3gpp"),
    (4, b"ftyp", "video/mp4"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"BEGIN:VCARD", "text/vcard"),
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a program attached: octets of a type, or a URL."""

    kind: str
    content: bytes | None
    url: str | None


def read(given: Parameters) -> list[Attachment]:
    """Those that are there, in order. Raises Rejected."""
    found = []
    for name in NAMES:
        upload, written = given.files.get(name), given.text(name)
        if upload is not None:
            found.append(_octets(name, upload.content_type, upload.content))
        elif written:
            found.append(_read(name, written))
    return found


def records(
    found: list[Attachment],
    message_id: int,
    account_id: int,
    tokens: list[str | None],
    next_id: Callable[[], int],
) -> list[MediaRecord]:
    """The rows of a message's attachments; ``tokens`` has one for each that we serve."""
    return [
        MediaRecord(next_id(), message_id, account_id, position, token, item.kind, item.content, item.url)
        for position, (item, token) in enumerate(zip(found, tokens, strict=True), 1)
    ]


def tokens(found: list[Attachment]) -> list[str | None]:
    """A new token for each that we serve."""
    return [None if item.content is None else new_token() for item in found]


def _read(name: str, written: str) -> Attachment:
    if written.lower().startswith(("http:", "https:")):
        if len(written) > MAX_URL or not _URL.fullmatch(written):
            raise Rejected("sms_failed", f"{name} is not a URL of at most {MAX_URL} ASCII characters.")
        return Attachment("", None, written)
    data = _DATA.match(written)
    body = written[data.end() :] if data else written
    try:
        content = base64.b64decode(_padded(_NOT_BASE64.sub("", body).translate(_URL_SAFE)), validate=True)
    except (binascii.Error, ValueError):
        raise Rejected("sms_failed", f"{name} is neither a URL nor base64.") from None
    return _octets(name, data[1] if data else "", content)


def _padded(text: str) -> str:
    text = text.rstrip("=")
    return text + "=" * (-len(text) % 4)


def _octets(name: str, kind: str, content: bytes) -> Attachment:
    if not content:
        raise Rejected("sms_failed", f"{name} is empty.")
    if len(content) > MAX_OCTETS:
        raise Rejected("sms_failed", f"{name} has {len(content)} octets; the limit is {MAX_OCTETS}.")
    kind = kind.strip().lower()
    return Attachment(kind if _KIND.fullmatch(kind) and kind != OCTETS else _sniffed(content), content, None)


def _sniffed(content: bytes) -> str:
    return next((kind for at, magic, kind in _MAGIC if content.startswith(magic, at)), OCTETS)
