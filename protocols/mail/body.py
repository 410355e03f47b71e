"""The text of a mail as its writer sees it: parts, encodings, charsets, format=flowed (RFC 2045, 3676)."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from typing import NamedTuple

from protocols.mail import charsets, comments, footers, html, prescan, versions
from protocols.mail.address import one_line
from protocols.mail.pictures import Pictures, Pinned
from protocols.mail.versions import BEGIN, End, Found, Group, Kind, Piece

MAX_TEXT = 1 << 18
"""Octets of text that are read, and of HTML, of all parts together. Soon done with, and far more than an SMS
takes: the answer may stand below all that is quoted, and between all that HTML says of its looks."""

CUT = "\ufdd1"
"""Where more than that followed. What has it when all that is quoted is gone is not the whole answer."""

STUFFED = "\u2060"
"""In front of a line that begins with ">" and is no quotation, as format=flowed can say (RFC 3676 §4.4)."""

_SIGNATURES = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}
)
_SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"})
_PICTURE = re.compile(rb"data:image/[a-z0-9.+-]{1,40};base64,[A-Za-z0-9+/=%\s]*+", re.IGNORECASE)
_PARAMETERS = re.compile(r"<param>[^<]{0,500}</param>", re.IGNORECASE)
_COMMAND = re.compile(r"<<|</?[A-Za-z0-9-]{1,60}>")
_NEWLINES = re.compile(r"\n+")
_MAX_FOOTERS = 3
_MAX_ENCODING = 200  # characters in which a transfer encoding is looked for
_PGP_SEALED = "-----BEGIN PGP MESSAGE-----"
_PGP_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\n"
_PGP_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
_PGP_END = "-----END PGP SIGNATURE-----"
_BORDER = rb"^--(?=[^\r\n]*[A-Za-z0-9])([A-Za-z0-9'()+_,./:=?-]{1,70})[ \t]*\r?\n"
_SURE_BORDER = re.compile(_BORDER + rb"(?=Content-[a-z-]{1,40}:)", re.MULTILINE | re.IGNORECASE)
_LIKELY_BORDER = re.compile(_BORDER + rb"(?=[A-Za-z-]{1,40}:|\r?\n)", re.MULTILINE)
_PART = re.compile(rb"^--[^\n]*\nContent-[a-z-]{1,40}:", re.MULTILINE | re.IGNORECASE)
_PLAINLY = frozenset({"", "7bit", "8bit", "binary"})
_PREAMBLE = re.compile(r"\s*This is an? (?:[\w-]{1,20} ){0,4}message in MIME format\b[^\n]*", re.IGNORECASE)
_PGP_HEADERS = re.compile(r"(?:[A-Za-z]++:[^\n]*\n)*+\n")


class Attachment(NamedTuple):
    """What is no text: its name, as sent, and the pin that stands for it if a page names it, else ""."""

    name: str
    pin: str = ""


class Body(NamedTuple):
    """``text`` has the newlines of Unix.

    ``other`` is the same text as the mail's HTML has it, where it has both. ``pinned`` is that of the HTML
    with a pin where each of the ``attachments`` is seen in it (`pictures`), "" where it names none.
    ``sealed``: the text is encrypted, or within a signature of S/MIME that hides it (RFC 8551 §3.5.2).
    The signature beside a text is no attachment.
    """

    text: str
    attachments: tuple[Attachment, ...]
    sealed: bool = False
    other: str = ""
    pinned: str = ""


def read(message: Message) -> Body:
    """The text of all parts in order, of each the plain version if there are two. Never raises."""
    reader = _Reader()
    reader.read(message)
    text, other = (versions.joined(reader.found, plain_first) for plain_first in (True, False))
    attachments = reader.attachments()
    if reader.sealed or text.lstrip().startswith(_PGP_SEALED):
        return Body("", attachments, sealed=True)
    shown = any(attachment.pin for attachment in attachments)
    return Body(
        _unarmoured(text),
        attachments,
        other="" if other == text else other,
        pinned=versions.joined(reader.found, plain_first=False, pinned=True) if shown else "",
    )


class _Waiting(NamedTuple):
    """A part that is still to be read, and the group of versions that it is in. ``mended``: it is in what was
    read by another border than it names. ``below``: it may be the footer of the whole mail."""

    part: Message
    group: Group | None = None
    mended: bool = False
    root: bool = False
    below: bool = False


class _Reader:
    """I gather the texts of a mail, of each kind not more than MAX_TEXT octets, and what else it has."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.sealed = False
        self._attached: list[tuple[str, str]] = []  # names and Content-IDs
        self._pictures = Pictures()
        self._left = dict.fromkeys(Kind, MAX_TEXT)

    def attachments(self) -> tuple[Attachment, ...]:
        """What is no text. A Content-ID that two have is nobody's."""
        ids = Counter(identity for _, identity in self._attached)
        return tuple(
            Attachment(name, self._pictures.pin(identity) if ids[identity] == 1 else "")
            for name, identity in self._attached
        )

    def read(self, message: Message) -> None:
        """All parts; of a mail in a mail nothing but that it is there.

        What names no border that it has is read by another one, but not what is within that: the time grows
        with the length.
        """
        waiting: list[_Waiting | End] = [_Waiting(message, root=True)]  # the next one last
        while waiting:
            item = waiting.pop()
            if isinstance(item, End):
                self.found.append(item)
            elif item.part.get_content_maintype() != "multipart":
                self._leaf(item)
            else:
                part, mended = (item.part, True) if item.mended else _bounded(item.part)
                if part.is_multipart():
                    waiting += self._inner(item._replace(part=part, mended=mended))
                else:
                    self._leaf(item)

    def _inner(self, outer: _Waiting) -> Iterator[_Waiting | End]:
        """What is in a multipart, the first part last. It begins a group where it is another one than that in
        which it is; outside of all versions there is none to begin."""
        kind = outer.part.get_content_type()
        group = Group.VERSIONS if kind == "multipart/alternative" else outer.group and Group.SEQUENCE
        if group is not outer.group and group is not None:
            self.found.append(BEGIN)
            yield End(group)
        inner: object = outer.part.get_payload()
        assert isinstance(inner, list)
        pieces = [piece for piece in inner if isinstance(piece, Message)]
        below = _last_texts(pieces) if outer.root and kind == "multipart/mixed" else 0
        for number, piece in enumerate(reversed(pieces)):
            yield _Waiting(piece, group, outer.mended, below=number < below)

    def _leaf(self, item: "_Waiting") -> None:
        part, versioned = item.part, item.group is not None
        kind = part.get_content_type()
        version = _VERSIONS.get(kind)
        if version is None and _is_no_multipart(part):
            version = Kind.GUESSED, _unbounded
        if kind in _SEALED:
            self.sealed = True
        elif kind in _SIGNATURES or _is_another_version(part, versioned):
            return
        elif version is None or _is_attached(part, versioned, item.root):
            self._attached.append((_name_of(part) or kind, _identity(part)))
        else:
            found = self._decoded(part, *version)
            if found is not None and not (item.below and self._is_footer(found.text)):
                self.found.append(Piece(*found, version[0]))

    def _is_footer(self, text: str) -> bool:
        """Is it one, with something above it?"""
        above = (piece.text for piece in self.found if isinstance(piece, Piece))
        return footers.is_footer(text) and any(map(versions.is_seen, above))

    def _decoded(self, part: Message, kind: Kind, text_of: "_TextOf") -> Pinned | None:
        left = self._left[kind]
        octets = _octets(part) if left > 0 else None
        if octets is None:
            return None
        if text_of is _rich:
            octets = _PICTURE.sub(b"", octets)
        end = ""
        if len(octets) > left:
            octets = octets[: octets.rfind(b"\n", 0, left) + 1 or left]
            left, end = 0, CUT
        self._left[kind] = max(0, left - len(octets))
        named = prescan.charset(octets) if text_of is _rich else ""
        text = _unix(charsets.decoded(octets, str(part.get_content_charset() or ""), named))
        return text_of(part, text.rstrip("\n") + end if end else text, self._pictures)


def _is_another_version(part: Message, versioned: bool) -> bool:
    """Is it the same text for programs that we are not, as AMP, or an invitation that the text tells of?"""
    nameless = part.get_content_disposition() is None and _name_of(part) is None
    return (
        versioned
        and nameless
        and part.get_content_maintype() == "text"
        and part.get_content_type() not in _VERSIONS
    )


def _last_texts(pieces: list[Message]) -> int:
    """How many texts stand at a mail's end, a few at most, that no client put there: clients divide what is
    written where a file is within it, and nowhere else."""
    texts = [
        piece.get_content_type() in _VERSIONS and not _is_attached(piece, versioned=False, root=False)
        for piece in pieces
    ]
    count = 0
    for piece, text, above in zip(pieces[-2::-1], texts[:0:-1], texts[-2::-1], strict=True):
        if count == _MAX_FOOTERS or not text or not (above or piece.get_content_maintype() == "multipart"):
            break
        count += 1
    return count


def _name_of(part: Message) -> str | None:
    """The name of a file, in one line; of one that says that it is in what is no charset, only that there is
    one."""
    try:
        name = part.get_filename()
    except ValueError:  # Python decodes with any codec that is named
        return "file"
    return None if name is None else " ".join(one_line(_without_words(" ".join(name.split()))).split())


def _without_words(name: str) -> str:
    """A name whose encoded words (RFC 2047) are read: no standard has them there, and many programs do."""
    try:
        pieces = decode_header(name)
    except HeaderParseError:
        return name
    return "".join(
        piece
        if isinstance(piece, str)
        else charsets.decoded(piece, charset)
        if charset
        else piece.decode("raw-unicode-escape", "replace")  # as Python gives what stands between them
        for piece, charset in pieces
    )


def _identity(part: Message) -> str:
    """Its Content-ID, "" for none (RFC 2392)."""
    return str(part.get("Content-ID", "")).strip().removeprefix("<").removesuffix(">").strip()


def _is_attached(part: Message, versioned: bool, root: bool) -> bool:
    """Is it a file? What has a name is, but for a version of a text and for the whole mail."""
    disposition = part.get_content_disposition()
    if root or (disposition is None and versioned):
        return disposition == "attachment"
    return disposition == "attachment" or _name_of(part) is not None


def _octets(part: Message) -> bytes | None:
    """What a part holds; its transfer encoding may be in quotes, and have comments or blanks around it."""
    encoding = _encoding(part)
    if encoding != part.get("Content-Transfer-Encoding", ""):
        part = copy(part)  # its payload as it is: to ask for it would decode what is 8bit
        del part["Content-Transfer-Encoding"]
        part["Content-Transfer-Encoding"] = encoding
    octets = part.get_payload(decode=True)
    return octets if isinstance(octets, bytes) else None


def _encoding(part: Message) -> str:
    named = str(part.get("Content-Transfer-Encoding", ""))
    return comments.removed(named[:_MAX_ENCODING]).partition(";")[0].strip("\"' \t\r\n")


def _bounded(message: Message) -> tuple[Message, bool]:
    """A multipart, read by the border that its parts have where it names none, or another one; was it?

    None has a transfer encoding (RFC 2045 §6.4): within one there may be more than was counted in the mail
    (`edge.mail.reading`).
    """
    if message.is_multipart() or _encoding(message).lower() not in _PLAINLY:
        return message, False
    payload = _octets(message) or b""
    border = _border(payload)
    if border is None:
        return message, False
    head = b'Content-Type: %s; boundary="%s"\n\n' % (message.get_content_type().encode(), border)
    try:
        return message_from_bytes(head + payload, _class=type(message)), True
    except RecursionError:
        return message, False


def _border(payload: bytes) -> bytes | None:
    """What is one surely, or what looks like one and is there again: no rule, nor a name below "--"."""
    border = _SURE_BORDER.search(payload)
    if border is None:
        border = _LIKELY_BORDER.search(payload)
        if border is not None and payload.find(b"\n--" + border[1], border.end() - 1) < 0:
            return None
    return None if border is None else border[1]


def _is_no_multipart(part: Message) -> bool:
    """Is it called one and has no parts? Then it is what all clients show: a text."""
    if part.get_content_maintype() != "multipart":
        return False
    octets = _octets(part) or b""
    return _PART.search(octets) is None and bool(octets.strip())


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


def _unix(text: str) -> str:
    """Its lines as Unix has them, without NUL, which no mail may hold (RFC 5322 §4)."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _enriched(part: Message, text: str, pictures: Pictures) -> Pinned:
    """RFC 1896: one newline is a blank, more are one less; "<<" is "<"."""
    text = _PARAMETERS.sub("", text)
    text = _COMMAND.sub(lambda found: "<" if found[0] == "<<" else "", text)
    text = _NEWLINES.sub(lambda found: found[0][1:] or " ", text)
    return Pinned(text, text)


def _rich(part: Message, text: str, pictures: Pictures) -> Pinned:
    page = text.removesuffix(CUT)
    return html.to_text(page, pictures, CUT if page != text else "")


def _unbounded(part: Message, text: str, pictures: Pictures) -> Pinned:
    """A multipart without parts. What it says to programs of before MIME was not written."""
    preamble = _PREAMBLE.match(text)
    if preamble is not None:
        text = text[preamble.end() :]
    return Pinned(text, text)


def _plain(part: Message, text: str, pictures: Pictures) -> Pinned:
    if str(part.get_param("format", "")).lower() == "flowed":
        delsp = str(part.get_param("delsp", "")).lower() == "yes"
        text = "\n".join(_set_apart(_flowed(text.split("\n"), delsp)))
    return Pinned(text, text)


def _flowed(lines: list[str], delsp: bool) -> Iterator[str]:
    """Lines that were broken for the wire put together again (RFC 3676 §4), the quoting of each kept."""
    held, held_depth = "", -1
    for line in lines:
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")  # space-stuffing
        if not depth and content.startswith(">"):
            content = STUFFED + content
        # A line that begins a signature belongs to no other (§4.3).
        if held_depth >= 0 and (depth != held_depth or content == "-- "):
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


def _set_apart(lines: Iterable[str]) -> Iterator[str]:
    """What is quoted here is known to be: it does not stand as if the line above went on with it."""
    above = ">"
    for line in lines:
        if line.startswith(">") and not above.startswith(">") and above.strip():
            yield ""
        yield line
        above = line


def _quoted(depth: int, content: str) -> str:
    return f"{'>' * depth} {content}" if depth else content


_TextOf = Callable[[Message, str, Pictures], Pinned]
_VERSIONS: dict[str, tuple[Kind, _TextOf]] = {
    "text/plain": (Kind.PLAIN, _plain),
    **dict.fromkeys(("text/markdown", "text/x-markdown"), (Kind.MARKDOWN, _plain)),
    **dict.fromkeys(("text/enriched", "text/richtext"), (Kind.RICH, _enriched)),
    "text/html": (Kind.RICH, _rich),
}
