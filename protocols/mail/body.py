"""The text of a mail as its writer sees it: parts, encodings, charsets, format=flowed (RFC 2045, 3676)."""

import codecs
import re
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple

from protocols.mail import html

MAX_PARTS = 200
MAX_TEXT = 1 << 20
MAX_HTML = 1 << 18
"""Octets of one part that are read: far more than an SMS takes, and soon done with whatever they are."""

_LAST_RESORT = "windows-1252"


_SIGNATURES = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
)
_SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"})
_PGP_SEALED = "-----BEGIN PGP MESSAGE-----"
_PGP_SIGNED = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:[A-Za-z]+:.*\n)*\n(?P<text>.*?)\n?"
    r"-----BEGIN PGP SIGNATURE-----.*?(?:-----END PGP SIGNATURE-----|\Z)",
    re.DOTALL,
)


class Body(NamedTuple):
    """``text`` has the newlines of Unix; ``attachments`` are the names of what is no text, as sent.

    ``sealed``: the text is encrypted, or within a signature of S/MIME that hides it (RFC 8551 §3.5.2).
    The signature beside a text is no attachment.
    """

    text: str
    attachments: tuple[str, ...]
    sealed: bool = False


def read(message: Message) -> Body:
    """The text/plain parts in order; where there are none, the HTML ones as text. Never raises."""
    plain, rich, attachments = [], [], []
    sealed = False
    for part in _leaves(message):
        kind = part.get_content_type()
        if kind in _SEALED:
            sealed = True
        elif kind in _SIGNATURES:
            continue
        elif part.get_content_disposition() == "attachment" or kind not in ("text/plain", "text/html"):
            attachments.append(part.get_filename() or kind)
        elif kind == "text/plain":
            plain.append(_plain(part))
        else:
            rich.append(html.to_text(_decoded(part, MAX_HTML)))
    pieces = plain if any(piece.strip() for piece in plain) else rich
    text = "\n".join(piece.strip("\n") for piece in pieces)
    sealed = sealed or text.lstrip().startswith(_PGP_SEALED)
    return Body("" if sealed else _PGP_SIGNED.sub(_unarmoured, text), tuple(attachments), sealed)


def _unarmoured(signed: re.Match[str]) -> str:
    """The text within a signature of PGP, without the dashes that it escapes (RFC 9580 §7.2)."""
    return re.sub("^- ", "", signed["text"], flags=re.MULTILINE)


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold something; of a mail in a mail nothing but that it is there."""
    waiting = [message]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        inner = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(inner, list):
            waiting[:0] = [piece for piece in inner if isinstance(piece, Message)]
        else:
            yield part


def _decoded(part: Message, limit: int) -> str:
    whole = part.get_payload(decode=True)
    if not isinstance(whole, bytes):
        return ""
    octets = whole if len(whole) <= limit else whole[: whole.rfind(b"\n", 0, limit) + 1 or limit]
    for charset in (str(part.get_content_charset() or "utf-8"), "utf-8"):
        try:
            codecs.lookup(charset)
            return _unix(octets.decode(charset))
        except (LookupError, ValueError):
            continue
    return _unix(octets.decode(_LAST_RESORT, "replace"))


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(part: Message) -> str:
    text = _decoded(part, MAX_TEXT)
    if str(part.get_param("format", "")).lower() != "flowed":
        return text
    return "\n".join(_flowed(text.split("\n"), str(part.get_param("delsp", "")).lower() == "yes"))


def _flowed(lines: list[str], delsp: bool) -> Iterator[str]:
    """Lines that were broken for the wire put together again (RFC 3676 §4), the quoting of each kept."""
    held, held_depth = "", -1
    for line in lines:
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")  # space-stuffing
        if held_depth >= 0 and depth != held_depth:
            yield _quoted(held_depth, held)
            held, held_depth = "", -1
        soft = content.endswith(" ") and content != "-- "
        held += content.removesuffix(" ") if soft and delsp else content
        held_depth = depth
        if not soft:
            yield _quoted(depth, held)
            held, held_depth = "", -1
    if held_depth >= 0:
        yield _quoted(held_depth, held)


def _quoted(depth: int, content: str) -> str:
    return f"{'>' * depth} {content}" if depth else content
