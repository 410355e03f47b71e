"""Jasmin's `/send`: by GET or POST (a form or a JSON object); the answer is `Success "<id>"` or `Error
"<why>"`.

`content` is UTF-8 with coding 0, and in the coding's own octets with 3 (Latin-1) and 8 (UCS-2);
`hex-content` is always those octets. Other codings are no text, and are refused.
"""

import binascii
import re
from collections.abc import Mapping

from twisted.internet.defer import Deferred

from edge.handlers.reports import JASMIN
from edge.outbound import Accepted
from edge.web import parameters
from edge.web.lookalikes.base import BAD_REQUEST, FORBIDDEN, UNPROCESSABLE, Answer, LookAlike, Visit, Wrong
from edge.web.parameters import Parameters
from edge.web.program import PLAIN
from edge.web.request import EdgeRequest
from protocols.sms import decode

PATH = b"/send"
SUCCESS = 200
NO_ROUTE = 412
PATTERNS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.ASCII | re.IGNORECASE)
    for name, pattern in {
        "to": r"\+?[0-9]+",
        "from": r".*",
        "coding": r"[0-9]|10|13|14",
        "username": r".+",
        "password": r".+",
        "priority": r"[0-3]",
        "sdt": r"[0-9]{15}[+R-]",
        "validity-period": r"[0-9]{1,6}",
        "dlr": r"yes|no",
        "dlr-url": r"https?://[!-~]{1,2000}",
        "dlr-level": r"[1-3]",
        "dlr-method": r"get|post",
        "tags": r"[-a-z0-9,]*",
        "content": r"[\s\S]*",
        "hex-content": r".*",
        "custom_tlvs": r".*",
    }.items()
}
MANDATORY = ("to", "username", "password")
CHARSETS = {"0": "utf-8", "3": "latin-1", "8": "utf-16-be"}
HEX_CHARSETS = {"3": "latin-1", "8": "utf-16-be"}


class Send(LookAlike):
    """I answer `Success` once the message is committed."""

    head = PLAIN
    leg = "jasmin"

    def read(self, request: EdgeRequest) -> Parameters:
        """Every argument must be one that is known, and of its form."""
        found = parameters.read(request)
        if not found.values:
            raise Wrong(
                BAD_REQUEST,
                "arguments",
                "Mandatory arguments not found, please refer to the HTTPAPI specifications.",
            )
        for name, value in found.values.items():
            pattern = PATTERNS.get(name)
            if pattern is None:
                raise Wrong(BAD_REQUEST, "argument", f"Argument [{name[:40]}] is unknown.")
            if not pattern.fullmatch(value):
                sentence = f"Argument [{name}] has an invalid value: [{value[:40]}]."
                raise Wrong(BAD_REQUEST, "argument", sentence)
        for name in MANDATORY:
            if name not in found.values:
                raise Wrong(BAD_REQUEST, "argument", f"Mandatory argument [{name}] is not found.")
        return found

    def answer(self, visit: Visit) -> Deferred[Answer]:
        """See `LookAlike`."""
        given = visit.given
        if given.text("sdt"):
            raise Wrong(
                BAD_REQUEST, "argument", "Argument [sdt] is not supported: nothing is sent later here."
            )
        text = _text(given)
        did = self.own_did(visit, given.text("from"))
        destination = self.destination(given.text("to"))
        minutes = int(given.text("validity-period") or 0)
        sending = self.send(
            visit, did, destination, text, validity_seconds=minutes * 60.0 or None, reports=_reports(given)
        )
        return sending.addCallback(_success)

    def wrong(self, wrong: Wrong) -> Answer:
        """See `LookAlike`."""
        sentence = wrong.sentence.replace('"', "'")
        match wrong.reason:
            case "denied_too_often":
                sentence = "User throughput exceeded"
            case reason if reason.startswith("denied_"):
                sentence = f"Authentication failure: {sentence}"
            case "no_route":
                return Answer(NO_ROUTE, b'Error "No route found"')
        status = FORBIDDEN if wrong.reason.startswith("denied_") else wrong.status
        if status == UNPROCESSABLE:  # Jasmin has no such status
            status = BAD_REQUEST
        return Answer(status, f'Error "{sentence}"'.encode("utf-8", "replace"))


def _success(accepted: Accepted) -> Answer:
    return Answer(SUCCESS, b'Success "%d"' % accepted.message_id)


def _text(given: Parameters) -> str:
    if given.given("content") and given.given("hex-content"):
        raise Wrong(BAD_REQUEST, "content", "content and hex-content cannot be used both in same request.")
    coding = given.text("coding") or "0"
    if given.given("hex-content"):
        charset = HEX_CHARSETS.get(coding)
        try:
            octets = binascii.unhexlify(given.text("hex-content"))
            if coding == "0":  # octets as SMPP has them: a septet of GSM 03.38 in each
                return decode(octets, 0).text
        except ValueError:
            sentence = f"Invalid hex-content data: '{given.text('hex-content')[:40]}'"
            raise Wrong(BAD_REQUEST, "content", sentence) from None
    elif given.given("content"):
        charset, octets = CHARSETS.get(coding), given.octets("content")
    else:
        raise Wrong(BAD_REQUEST, "content", "content or hex-content not present.")
    if charset is None:
        raise Wrong(
            BAD_REQUEST, "coding", f"Argument [coding] has an invalid value: [{coding}] is no text here."
        )
    try:
        return octets.decode(charset)
    except UnicodeError:
        raise Wrong(BAD_REQUEST, "content", f"The content is not {charset}.") from None


def _reports(given: Parameters) -> str | None:
    """Who is told of the message's states: a URL alone asks for level 1 by POST."""
    url = given.text("dlr-url")
    if not url or given.text("dlr").lower() == "no":
        return None
    return f"{JASMIN}:{given.text('dlr-level') or '1'}:{(given.text('dlr-method') or 'post').lower()}:{url}"
