"""Who wrote it, proven: by a server that we trust, by a DKIM signature of the author's domain, or by SPF.

The keys are asked for without blocking, then dkimpy judges the signature in a thread. A signature that covers
only the beginning of the body (l=) proves nothing about the rest, so it proves nothing here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, NamedTuple

import dkim
import structlog
from twisted.internet.defer import Deferred

from edge.mail.names import LookupFailed, MailNames
from protocols.mail import spf
from protocols.mail.address import Address
from protocols.mail.dkim import relaxed_body
from protocols.mail.results import aligned, believed

log = structlog.get_logger(__name__)

MAX_SIGNATURES = 5
MAX_HEADER = 10_000
MAX_SIGNATURE = 4_096
MAX_HEAD = 131_072
"""Octets of a signature, and of all headers, that dkimpy is given: it takes the square of them."""

_NAME = re.compile(r"[a-z]+")
_WHITE = re.compile(r"\s+")

InThread = Callable[[Callable[[], Any]], Deferred[Any]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a mail came. ``trusted``: from a server whose Authentication-Results count."""

    octets: bytes = field(repr=False)
    sender: str
    peer: str
    hello: str = ""
    trusted: bool = False


class _Signature(NamedTuple):
    place: int
    domain: str
    selector: str
    covers: frozenset[str]
    relaxed: bool


class Unproven(Exception):
    """It cannot be told now: no name server answered."""


class Authenticator:
    """I prove authors. ``authserv_id`` is the server that may do it for me, "" for none."""

    def __init__(self, authserv_id: str, names: MailNames, in_thread: InThread) -> None:
        self._authserv_id = authserv_id
        self._names = names
        self._in_thread = in_thread

    async def proves(
        self, arrival: Arrival, message: Message, author: Address, covered: Sequence[str] = ()
    ) -> bool:
        """Is the mail of its author's domain? A signature must cover the headers ``covered`` too.

        Raises Unproven when that cannot be told now.
        """
        if arrival.trusted and self._authserv_id:
            results = _headers(message, "Authentication-Results")
            return believed(results, self._authserv_id, author.domain)
        try:
            if await self._signed(arrival, message, author, covered):
                return True
            return not covered and await self._from_there(arrival, author)
        except LookupFailed as error:
            raise Unproven(str(error)) from error

    async def _signed(
        self, arrival: Arrival, message: Message, author: Address, covered: Sequence[str]
    ) -> bool:
        headers = _headers(message, "DKIM-Signature")
        for index, header in enumerate(headers[:MAX_SIGNATURES]):
            signature = _signature(index, header)
            if signature is None or not aligned(author.domain, signature.domain):
                continue
            if not signature.covers.issuperset(name.lower() for name in covered):
                continue
            name = f"{signature.selector}._domainkey.{signature.domain}"
            if not name.isascii():
                continue
            keys = await self._names.texts(name)
            if keys and await self._in_thread(lambda: _verified(arrival.octets, signature, keys[0])):  # noqa: B023
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

    def __init__(self, authenticator: Authenticator, arrival: Arrival, message: Message) -> None:
        self._authenticator = authenticator
        self._arrival = arrival
        self._message = message
        self._known: dict[tuple[str, ...], bool | Unproven] = {}

    async def holds(self, author: Address, covered: tuple[str, ...] = ()) -> bool:
        """See `Authenticator.proves`."""
        if covered not in self._known:
            try:
                self._known[covered] = await self._authenticator.proves(
                    self._arrival, self._message, author, covered
                )
            except Unproven as error:
                self._known[covered] = error
        found = self._known[covered]
        if isinstance(found, Unproven):
            raise found
        return found


def _headers(message: Message, name: str) -> list[str]:
    """In their order; of one that is too long, which nobody writes, nothing but that it is there."""
    return ["" if len(str(value)) > MAX_HEADER else str(value) for value in message.get_all(name, [])]


def _signature(place: int, header: str) -> _Signature | None:
    """What a signature says about itself; None for one that cannot prove anything."""
    if len(header) > MAX_SIGNATURE:
        return None
    tags = {}
    for piece in header.split(";"):
        name, equals, value = piece.partition("=")
        if equals and _NAME.fullmatch(name.strip()):
            tags[name.strip()] = _WHITE.sub("", value)
    if "l" in tags or not tags.get("d") or not tags.get("s"):
        return None
    covers = frozenset(tags.get("h", "").lower().split(":"))
    relaxed = tags.get("c", "").lower().partition("/")[2] == "relaxed"
    return _Signature(place, tags["d"].lower(), tags["s"], covers, relaxed)


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
        return bool(dkim.DKIM(octets).verify(signature.place, dnsfunc=lambda name, timeout=5: key))
    except Exception as error:  # it raises what its parsers raise, on what anybody may send
        log.debug("dkim_unreadable", error=str(error))
        return False
