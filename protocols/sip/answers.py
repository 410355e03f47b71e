"""Responses to a request (RFC 3261 §8.2.6), and where they go (RFC 3261 §18.2, RFC 3581)."""

import re
from collections.abc import Iterable

from protocols.sip.errors import REASONS, BadValue
from protocols.sip.headers import parse_name_addr
from protocols.sip.message import Headers, Request, Response

_NOT_A_REASON = re.compile(r"[^\w\-.!~*'();/?:@&=+$, \u0080-\U0010ffff]")
_BRACKETS = str.maketrans('<>[]{}"', "()()()'")
MAX_REASON = 200

COPIED_ONCE = ("From", "To", "Call-ID", "CSeq")


def response_to(
    request: Request,
    status: int,
    tag: str,
    reason: str | None = None,
    fields: Iterable[tuple[str, str]] = (),
) -> Response:
    """A response with what it must copy; ``tag`` is ours, for a To that has none.

    Works for a malformed request too: what is missing in it is missing in the answer.
    """
    given = request.headers
    copied = [("Via", _clean(value)) for value in given.all("Via")]
    for name in COPIED_ONCE:
        value = given.get(name)
        if value is not None:
            copied.append((name, _tagged(_clean(value), tag) if name == "To" else _clean(value)))
    headers = Headers.of_fields(copied)  # they came on lines of their own
    for name, value in fields:
        headers.add(name, value)
    return Response(status, REASONS[status] if reason is None else reason, headers)


def reason_phrase(sentence: str) -> str:
    """A sentence as a Reason-Phrase: one line of the characters of RFC 3261 §25.1 (phones drop answers with
    others)."""
    line = " ".join(sentence.split()).translate(_BRACKETS)
    return _NOT_A_REASON.sub("_", line)[:MAX_REASON]


def _clean(value: str) -> str:
    return value.replace("\0", "") if "\0" in value else value


def _tagged(value: str, tag: str) -> str:
    if "tag" not in value.lower():
        return f"{value};tag={tag}"
    try:
        tagged = parse_name_addr(value, "To").tag is not None
    except BadValue:
        tagged = True
    return value if tagged else f"{value};tag={tag}"


def stamp(request: Request, host: str, port: int) -> None:
    """Note in the topmost Via where the request really came from, as server of RFC 3261 §18.2.1 and RFC 3581
    §4.

    An answer then finds its way through a NAT, and over us again. A Via that cannot be read stays as it is.
    """
    try:
        via = request.via
    except BadValue:
        return
    params = dict(via.params)
    if "rport" in params and params["rport"] is None:
        params["rport"] = str(port)
        params["received"] = host
    elif via.host.strip("[]") != host:
        params["received"] = host
    request.replace_via(via._replace(params=params))


def reply_address(request: Request, source: tuple[str, int]) -> tuple[str, int]:
    """Where the answer to a datagram goes: ``source`` with rport, else the port that the Via names (or
    5060)."""
    try:
        via = request.via
    except BadValue:
        return source
    if "rport" in via.params:
        return source
    return source[0], via.port or 5060
