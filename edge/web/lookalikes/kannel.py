"""Kannel's `/cgi-bin/sendsms`: by GET, or by POST with the text as the body and the rest in X-Kannel-…
headers.

Several receivers stand in `to`, with blanks between; each gets a message of its own. What a text cannot be
(a user data header, 8-bit data) and what would not be done (to be sent later) is refused, not half done.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from twisted.internet.defer import Deferred

from edge.handlers.reports import KANNEL, WANTED
from edge.outbound import Accepted
from edge.web import parameters
from edge.web.lookalikes.base import BAD_REQUEST, Answer, LookAlike, Visit, Wrong
from edge.web.parameters import Parameters
from edge.web.program import PLAIN
from edge.web.request import FORM, EdgeRequest

PATH = b"/cgi-bin/sendsms"
ACCEPTED = 202
SHOWN = 40  # characters of what is no number
MAX_RECEIVERS = 100
_URL = re.compile(r"https?://[!-~]+", re.ASCII | re.IGNORECASE)
SEVEN_BIT, EIGHT_BIT, UCS2 = "0", "1", "2"
CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "ascii": "ascii",
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "iso-8859-15": "iso8859-15",
    "windows-1252": "cp1252",
    "utf-16be": "utf-16-be",
    "utf-16-be": "utf-16-be",
    "ucs-2": "utf-16-be",
}
"""The charsets that are read. Python knows more, some of which take minutes for a long text."""
HEADER = b"x-kannel-"
MAX_URL = 2_000
BODIES = (b"text/plain", b"application/octet-stream")
UNSAID = (b"", FORM)
FIELDS = frozenset(
    (b"username", b"user", b"password", b"pass", b"from", b"to", b"text", b"charset", b"coding", b"udh")
)
"""What a form has that is one; without any of them it can send nothing."""

# Kannel's words, for what goes wrong here.
WORDS = {
    "denied_missing": "Authorization failed for sendsms",
    "denied_wrong": "Authorization failed for sendsms",
    "denied_guessing": "Authorization failed for sendsms",
    "denied_disabled": "Authorization failed for sendsms",
    "denied_address": "Authorization failed for sendsms",
    "receivers": "Missing receiver number, rejected",
    "receiver": "Number(s) has/have been denied by white- and/or black-lists.",
    "invalid_number": "Number(s) has/have been denied by white- and/or black-lists.",
    "no_sender": "Sender missing and no global set, rejected",
    "text_empty": "Empty text not allowed, rejected.",
    "udh": "UDH field misformed, rejected",
    "coding": "Coding field misformed, rejected",
    "charset": "Charset or body misformed, rejected",
    "text_not_unicode": "Charset or body misformed, rejected",
    "validity": "Validity field misformed, rejected",
    "dlr-mask": "DLR-Mask field misformed, rejected",
    "dlr-url": "DLR-URL field misformed, rejected",
    "deferred": "Deferred field misformed, rejected",
    "unavailable": "Temporal failure, try again later.",
}


class SendSms(LookAlike):
    """I answer 202 with `0: Accepted for delivery` once the messages are committed."""

    head = PLAIN
    leg = "kannel"
    username: ClassVar[tuple[str, ...]] = ("username", "user")
    password: ClassVar[tuple[str, ...]] = ("password", "pass")

    def read(self, request: EdgeRequest) -> Parameters:
        """The query, and of a POST the headers and the body."""
        bare = request.method == b"POST" and _is_text(request)
        found = parameters.of_query(request) if bare else parameters.read(request)
        for name, values in request.requestHeaders.getAllRawHeaders():
            if name.lower().startswith(HEADER):
                key = name[len(HEADER) :].lower().decode("latin-1")
                found.values[key] = values[-1].decode("utf-8", "surrogateescape")
        if bare and request.body:
            found.values["text"] = request.body.decode("utf-8", "surrogateescape")
            charset = parameters.option(request, b"charset").decode("latin-1")
            if charset:
                found.values.setdefault("charset", charset)
        return found

    def answer(self, visit: Visit) -> Deferred[Answer]:
        """See `LookAlike`."""
        given = visit.given
        written = given.text("to").split()
        if not written or len(written) > MAX_RECEIVERS:
            raise Wrong(BAD_REQUEST, "receivers")
        did = self.own_did(visit, given.text("from"))
        text = _text(given)
        more: dict[str, Any] = {"validity_seconds": _minutes(given, "validity"), "reports": _reports(given)}
        if _minutes(given, "deferred"):
            raise Wrong(BAD_REQUEST, "deferred")
        receivers, unreadable = self._read_receivers(written)
        if len(receivers) == 1:
            sending = self.send(visit, did, receivers[0], text, **more)
            return sending.addCallback(lambda _: _accepted(unreadable))
        drafts = [self.draft(visit, did, receiver, text, **more) for receiver in receivers]
        return self.send_many(visit, drafts).addCallback(_told, receivers, unreadable)

    def _read_receivers(self, written: list[str]) -> tuple[list[str], list[str]]:
        """Each number once, and what is none. Raises Wrong when there is no number at all."""
        numbers: dict[str, None] = {}
        unreadable: list[str] = []
        wrong: Wrong | None = None
        for word in written:
            try:
                numbers[self.destination(word)] = None
            except Wrong as error:
                wrong = error
                unreadable.append(word[:SHOWN])
        if wrong is not None and not numbers:
            raise wrong
        return list(numbers), unreadable

    def wrong(self, wrong: Wrong) -> Answer:
        """See `LookAlike`."""
        words = WORDS.get(wrong.reason) or wrong.sentence
        return Answer(wrong.status, words.encode())


def _is_text(request: EdgeRequest) -> bool:
    """Is the body the text itself? Tools call it a form without being told to (curl), or nothing at all: it
    is one when it has a parameter of ours, or the text stands elsewhere."""
    if request.content_type not in UNSAID:
        return request.content_type in BODIES
    if "text" in parameters.of_query(request).values:
        return False
    return FIELDS.isdisjoint(pair.partition(b"=")[0] for pair in request.body.split(b"&"))


def _told(outcomes: Sequence[Accepted | Exception], receivers: list[str], unreadable: list[str]) -> Answer:
    """Accepted when one is; those that are refused are named. Raises the first refusal when all are."""
    refused = [
        (receiver, outcome)
        for receiver, outcome in zip(receivers, outcomes, strict=True)
        if isinstance(outcome, Exception)
    ]
    if len(refused) == len(receivers):
        raise refused[0][1]
    return _accepted([*unreadable, *(receiver for receiver, _ in refused)])


def _accepted(denied: list[str] | None = None) -> Answer:
    body = "0: Accepted for delivery"
    if denied:
        body += f"\nDenied receivers list: {' '.join(denied)}"
    return Answer(ACCEPTED, body.encode())


def _text(given: Parameters) -> str:
    """The text, in the charset that is named; UTF-8, or UTF-16BE with coding 2, when none is."""
    if given.values.get("udh"):
        raise Wrong(BAD_REQUEST, "udh")
    coding = given.text("coding") or SEVEN_BIT
    if coding not in (SEVEN_BIT, UCS2):
        raise Wrong(BAD_REQUEST, "coding")
    named = given.text("charset") or ("utf-16be" if coding == UCS2 else "utf-8")
    codec = CHARSETS.get(named.lower().replace("_", "-"))
    if codec is None:
        raise Wrong(BAD_REQUEST, "charset")
    try:
        text = given.octets("text").decode(codec)
    except UnicodeError:
        raise Wrong(BAD_REQUEST, "charset") from None
    if not text:
        raise Wrong(BAD_REQUEST, "text_empty")
    return text


def _minutes(given: Parameters, name: str) -> float | None:
    written = given.text(name)
    if not written:
        return None
    if not (written.isascii() and written.isdigit() and len(written) < 7):
        raise Wrong(BAD_REQUEST, name)
    return int(written) * 60.0 or None


def _reports(given: Parameters) -> str | None:
    """Who is told of the message's states, if anybody wants to be."""
    mask, url = given.text("dlr-mask") or given.text("dlrmask"), given.text("dlr-url") or given.text("dlrurl")
    if mask and not (mask.isascii() and mask.isdigit() and len(mask) < 4):
        raise Wrong(BAD_REQUEST, "dlr-mask")
    if url and (len(url) > MAX_URL or not _URL.fullmatch(url)):
        raise Wrong(BAD_REQUEST, "dlr-url")
    wanted = int(mask or 0) & WANTED
    return f"{KANNEL}:{wanted}:{url}" if wanted and url else None
