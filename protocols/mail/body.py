"""The text of a mail as its writer sees it: parts, encodings, charsets, format=flowed (RFC 2045, 3676)."""

import codecs
import re
from collections.abc import Callable, Iterator
from email.message import Message
from typing import NamedTuple

from protocols.mail import html

MAX_PARTS = 200
MAX_TEXT = 1 << 18
"""Octets of text that are read, and of HTML, of all parts together: far more than an SMS takes, and soon done
with whatever they are."""

_LAST_RESORT = "windows-1252"
# Codecs that are no charset of mail; decoding the first two takes the square of the length.
_NO_CHARSETS = frozenset({"punycode", "idna", "undefined", "unicode-escape", "raw-unicode-escape"})


_SIGNATURES = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
)
_SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"})
_PGP_SEALED = "-----BEGIN PGP MESSAGE-----"
_PGP_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\n"
_PGP_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
_PGP_END = "-----END PGP SIGNATURE-----"
_PGP_HEADERS = re.compile(r"(?:[A-Za-z]++:[^\n]*\n)*+\n")


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
    plain, rich, attachments = _Pieces(), _Pieces(), []
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
            plain.add(part, _plain)
        else:
            rich.add(part, _rich)
    pieces = plain.found if any(piece.strip() for piece in plain.found) else rich.found
    text = "\n".join(piece.strip("\n") for piece in pieces)
    sealed = sealed or text.lstrip().startswith(_PGP_SEALED)
    return Body("" if sealed else _unarmoured(text), tuple(attachments), sealed)


class _Pieces:
    """The text of parts of one kind, of not more than MAX_TEXT octets in all."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._left = MAX_TEXT

    def add(self, part: Message, text_of: Callable[[Message, str], str]) -> None:
        """One part more, as ``text_of`` reads what it holds."""
        if self._left <= 0:
            return
        octets = part.get_payload(decode=True)
        if not isinstance(octets, bytes):
            return
        if len(octets) > self._left:
            octets = octets[: octets.rfind(b"\n", 0, self._left) + 1 or self._left]
            self._left = 0
        self._left -= len(octets)
        self.found.append(text_of(part, _decoded(part, octets)))


def _unarmoured(text: str) -> str:
    """The text without signatures of PGP, their headers and the dashes that they escape (RFC 9580 §7.2).

    From each armour's front to its end, once: an armour without a signature is no armour.
    """
    pieces, place = [], 0
    while (start := text.find(_PGP_SIGNED, place)) >= 0:
        headers = _PGP_HEADERS.match(text, start + len(_PGP_SIGNED))
        if headers is None:
            pieces.append(text[place : start + len(_PGP_SIGNED)])
            place = start + len(_PGP_SIGNED)
            continue
        signature = text.find(_PGP_SIGNATURE, headers.end())
        if signature < 0:
            break
        end = text.find(_PGP_END, signature)
        signed = text[headers.end() : signature].removesuffix("\n")
        pieces += [text[place:start], re.sub("^- ", "", signed, flags=re.MULTILINE)]
        place = len(text) if end < 0 else end + len(_PGP_END)
    return "".join([*pieces, text[place:]])


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold something; of a mail in a mail nothing but that it is there."""
    waiting = [message]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            inner: object = part.get_payload()
            assert isinstance(inner, list)
            waiting[:0] = [piece for piece in inner if isinstance(piece, Message)]
        else:
            yield part


def is_charset(name: str) -> bool:
    """May a text be in it?"""
    try:
        return codecs.lookup(name).name not in _NO_CHARSETS
    except (LookupError, ValueError):
        return False


def _decoded(part: Message, octets: bytes) -> str:
    """In the charset that the part names, if there is one and it can be; else in one that can."""
    for charset in (str(part.get_content_charset() or "utf-8"), "utf-8"):
        try:
            if is_charset(charset):
                return _unix(octets.decode(charset))
        except (LookupError, ValueError):
            continue
    return _unix(octets.decode(_LAST_RESORT, "replace"))


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _rich(part: Message, text: str) -> str:
    return html.to_text(text)


def _plain(part: Message, text: str) -> str:
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
