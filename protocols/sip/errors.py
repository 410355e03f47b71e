"""The errors of this package, and the reason phrases.

`Malformed` is the peer's fault and says what to answer; `FramingLost` says moreover that the stream it came
on cannot be followed any further; `BadValue` is one header field that cannot be read. `EncodeError` is ours:
the caller asked for something that must not stand on the wire.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocols.sip.message import Request

REASONS = {
    100: "Trying",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    423: "Interval Too Brief",
    430: "Flow Failed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    488: "Not Acceptable Here",
    489: "Bad Event",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "Version Not Supported",
    513: "Message Too Large",
}
"""Status codes that this server uses (RFC 3261 §21, RFC 6665, RFC 5626)."""


class SIPError(Exception):
    """The base of every error raised by protocols.sip."""


class BadValue(SIPError, ValueError):
    """A header field, or the URI in it, does not follow its grammar; ``field`` says which."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Malformed(SIPError):
    """A message is wrong: answer it with ``status``, or drop it when ``request`` is None.

    ``request`` is what could be read of a bad request, enough to address the answer; a bad response has none.
    """

    def __init__(self, status: int, reason: str, request: "Request | None" = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.request = request


class FramingLost(Malformed):
    """Where the next message begins cannot be known: answer if ``request`` is there, then close the
    stream."""


class EncodeError(SIPError, ValueError):
    """A header or start line of ours does not fit the wire. Nothing has been sent."""
