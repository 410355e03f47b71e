"""Who wrote it, proven: by a server that we trust, by a DKIM signature of the author's domain, or by SPF.

The keys are asked for without blocking, then dkimpy judges the signature in a thread. A signature that covers
only the beginning of the body (l=) proves nothing about the rest, so it proves nothing here; nor does one of
SHA-1 (RFC 8301 §3.1).

A signature goes on proving for whoever has the mail, so it counts only over the header that names us, while
it is younger than what we remember of mails, and once. SPF holds only for what the author's own hosts bring.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import dkim
import structlog
from twisted.internet.defer import Deferred

from edge.mail.names import LookupFailed, MailNames
from protocols.mail import spf
from protocols.mail.address import Address
from protocols.mail.dkim import relaxed_body
from protocols.mail.results import aligned, believed, brought_by
from storage.retention import SEEN_MS

log = structlog.get_logger(__name__)

MAX_SIGNATURES = 5
MAX_HEADER = 10_000
MAX_SIGNATURE = 4_096
MAX_HEAD = 131_072
"""Octets of a signature, and of all headers, that dkimpy is given: it takes the square of them."""

AHEAD_SECONDS = 86_400  # so wrong may another's clock be
FRESH_SECONDS = SEEN_MS // 1_000 - AHEAD_SECONDS
"""A mail that is older than this cannot be told from one that came before."""

_NAME = re.compile(r"[a-z]+")
_KEY = re.compile(rb"(?:\A|;)\s*p\s*=")  # RFC 6376 §3.6.1
_UNHEARD = logging.getLogger(f"{__name__}.dkimpy")
_UNHEARD.disabled = True  # it tells of other people's mails as of errors of ours
_WHITE = re.compile(r"\s+")

InThread = Callable[[Callable[[], Any]], Deferred[Any]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a mail came. ``trusted``: from a server whose Authentication-Results count. Not ``whole``: these
    are its headers, the rest is too large. ``at``: when a mailbox got it, in seconds since the epoch; of a
    mail that is brought now it is not asked."""

    octets: bytes = field(repr=False)
    sender: str
    peer: str
    hello: str = ""
    trusted: bool = False
    whole: bool = True
    at: int | None = None


class _Signature(NamedTuple):
    place: int
    domain: str
    selector: str
    covers: frozenset[str]
    relaxed: bool
    at: int | None
    whole: bool
    value: bytes

    def holds_for(self, naming: str, now: int) -> bool:
        """Is it good, over the whole mail, over the header that names us, and of these days?"""
        fresh = self.at is not None and now - FRESH_SECONDS <= self.at <= now + AHEAD_SECONDS
        return self.whole and naming.lower() in self.covers and fresh


class Unproven(Exception):
    """It cannot be told now: no name server answered."""


class Authenticator:
    """I prove authors. ``authserv_id`` is the server that may do it for me, "" for none."""

    def __init__(self, authserv_id: str, names: MailNames, in_thread: InThread) -> None:
        self._authserv_id = authserv_id
        self._names = names
        self._in_thread = in_thread

    async def proves(
        self, arrival: Arrival, message: Message, author: Address, naming: str, by_host: bool, now: int
    ) -> bool:
        """Is the mail of its author's domain, and was it written to us?

        ``naming`` is the header in which it names us, ``by_host``: SPF is proof enough, ``now`` in seconds
        since the epoch. Raises Unproven when it cannot be told now.
        """
        if arrival.trusted and self._authserv_id:
            results = _headers(message, "Authentication-Results")
            if not believed(results, self._authserv_id, author.domain):
                return False
            ours = brought_by(results, self._authserv_id, author.domain)
            return ours or all(item.holds_for(naming, now) for item in signatures(message, author))
        try:
            if await self._signed(arrival, message, author, naming, now):
                return True
            return by_host and await self._from_there(arrival, author)
        except LookupFailed as error:
            raise Unproven(str(error)) from error

    async def _signed(
        self, arrival: Arrival, message: Message, author: Address, naming: str, now: int
    ) -> bool:
        for signature in signatures(message, author)[:MAX_SIGNATURES]:
            name = f"{signature.selector}._domainkey.{signature.domain}"
            if not signature.holds_for(naming, now) or not name.isascii():
                continue
            # A name may have other texts, as one that a wildcard gave it.
            key = next((text for text in await self._names.texts(name) if _KEY.search(text)), None)
            if key and await self._in_thread(lambda: _verified(arrival.octets, signature, key)):  # noqa: B023
                return True
        return False

    async def _from_there(self, arrival: Arrival, author: Address) -> bool:
        """What a server of ours hands over comes from that server: its address says nothing."""
        domain = arrival.sender.rpartition("@")[2].lower()
        if arrival.trusted or not domain or not aligned(author.domain, domain):
            return False
        return await spf.check(arrival.peer, arrival.sender, arrival.hello, self._names) == "pass"


class Proof:
    """I am the proof of one mail's author, made once however many recipients ask for it."""

    def __init__(self, authenticator: Authenticator, arrival: Arrival, message: Message, now: int) -> None:
        self._authenticator = authenticator
        self._arrival = arrival
        self._message = message
        self._now = now
        self._known: dict[tuple[str, bool], bool | Unproven] = {}

    async def holds(self, author: Address, naming: str, by_host: bool) -> bool:
        """See `Authenticator.proves`."""
        asked = naming, by_host
        if asked not in self._known:
            try:
                self._known[asked] = await self._authenticator.proves(
                    self._arrival, self._message, author, naming, by_host, self._now
                )
            except Unproven as error:
                self._known[asked] = error
        found = self._known[asked]
        if isinstance(found, Unproven):
            raise found
        return found

    def marks(self, author: Address, recipient: str) -> list[bytes]:
        """By what the mail is known to this recipient when somebody brings it again, whatever he changed of
        it that was not signed."""
        values = {item.value for item in signatures(self._message, author)[:MAX_SIGNATURES]} - {b""}
        about = f"signature\0{recipient.lower()}\0".encode("utf-8", "surrogatepass")
        return sorted(hashlib.sha256(about + value).digest() for value in values)


def signatures(message: Message, author: Address) -> list[_Signature]:
    """Those that speak for the author's domain. One that is too long to be read might, and is no good."""
    dates = _headers(message, "Date")
    found = [
        _signature(place, header, dates) for place, header in enumerate(_headers(message, "DKIM-Signature"))
    ]
    return [item for item in found if not item.domain or aligned(author.domain, item.domain)]


def _headers(message: Message, name: str) -> list[str]:
    """In their order; of one that is too long, which nobody writes, nothing but that it is there."""
    return ["" if len(str(value)) > MAX_HEADER else str(value) for value in message.get_all(name, [])]


def _signature(place: int, header: str, dates: Sequence[str]) -> _Signature:
    """What a signature says about itself, of a mail with these Dates."""
    tags = {}
    for piece in header.split(";") if len(header) <= MAX_SIGNATURE else ():
        name, equals, value = piece.partition("=")
        if equals and _NAME.fullmatch(name.strip()):
            tags[name.strip()] = _WHITE.sub("", value)
    covers = frozenset(tags.get("h", "").lower().split(":"))
    return _Signature(
        place=place,
        domain=tags.get("d", "").lower(),
        selector=tags.get("s", ""),
        covers=covers,
        relaxed=tags.get("c", "").lower().partition("/")[2] == "relaxed",
        at=_made_at(tags.get("t", ""), dates if "date" in covers else ()),
        whole="l" not in tags and "sha1" not in tags.get("a", "") and bool(tags.get("d") and tags.get("s")),
        value=_decoded(tags.get("b", "")),
    )


def _made_at(stamp: str, dates: Sequence[str]) -> int | None:
    """When it was made, in seconds since the epoch: as it says (t=), else the Date that it covers."""
    if stamp.isascii() and stamp.isdigit() and len(stamp) <= 12:
        return int(stamp)
    try:
        return int(parsedate_to_datetime(dates[0]).timestamp()) if len(dates) == 1 else None
    except (ValueError, TypeError, OverflowError):
        return None


def _decoded(written: str) -> bytes:
    """The octets, for these have more than one spelling."""
    try:
        return base64.b64decode(written)
    except ValueError:
        return b""


def _verified(octets: bytes, signature: _Signature, key: bytes) -> bool:
    """dkimpy's word; whatever it cannot read is not verified.

    A body that it would relax it is given relaxed, which is the same: it takes the square of a line's blanks.
    """
    head, border, body = octets.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD:
        return False
    if signature.relaxed:
        octets = head + border + relaxed_body(body)
    try:
        return bool(
            dkim.DKIM(octets, logger=_UNHEARD).verify(signature.place, dnsfunc=lambda name, timeout=5: key)
        )
    except Exception as error:  # it raises what its parsers raise, on what anybody may send
        log.debug("dkim_unreadable", error=str(error))
        return False
