"""What must hold before a message means anything (RFC 3261 §8.1.1, §8.2, §18.1.2; RFC 4475 §3.1.2, §3.3).

`key_fields` reads what every message must have, once. What fails says how to answer.
"""

from typing import NamedTuple

from protocols.sip.errors import BadValue, Malformed
from protocols.sip.headers import CSeq, NameAddr, Via, parse_number
from protocols.sip.message import Message, Request, Response
from protocols.sip.uri import parse_uri

METHODS = frozenset(
    (
        *("ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY"),
        *("OPTIONS", "PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"),
    )
)
"""Every method that has been standardised: what is not here is answered 501."""

_AT_MOST_ONE = ("Content-Type", "Expires", "Date")


class KeyFields(NamedTuple):
    """The fields that identify a message and its transaction."""

    via: Via
    from_: NameAddr
    to: NameAddr
    call_id: str
    cseq: CSeq


def key_fields(message: Message) -> KeyFields:
    """The key fields. Raises BadValue."""
    return KeyFields(message.via, message.from_, message.to, message.call_id, message.cseq)


def check_request(request: Request) -> KeyFields:
    """The key fields of a request that may be processed. Raises Malformed with the answer."""
    try:
        keys = key_fields(request)
        _check_scalars(request)
        uri = parse_uri(request.uri)
    except BadValue as error:
        raise Malformed(400, f"Bad {error.field}", request) from error
    if uri.headers:
        raise Malformed(400, "Bad Request-URI", request)
    if keys.cseq.method != request.method:
        if request.method in METHODS:
            raise Malformed(400, "CSeq does not fit the method", request)
        raise Malformed(501, "Not Implemented", request)
    return keys


def check_response(response: Response) -> KeyFields:
    """The key fields of a response that may be matched. Raises Malformed: it is to be dropped."""
    try:
        keys = key_fields(response)
        for value in response.headers.all("Warning"):
            if len(value.partition(" ")[0]) != 3:
                raise BadValue("Warning", "the code has not three digits")
    except BadValue as error:
        raise Malformed(400, f"Bad {error.field}") from error
    return keys


def _check_scalars(request: Request) -> None:
    headers = request.headers
    if headers.get("Max-Forwards") is not None:
        parse_number(request.require("Max-Forwards"), "Max-Forwards")
    if headers.single:
        return
    for name in _AT_MOST_ONE:
        if len(headers.all(name)) > 1:
            raise BadValue(name, "stands there more than once")
