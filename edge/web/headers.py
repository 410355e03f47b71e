"""Header lines that many answers share, ready for the wire, and the Date of an answer."""

from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus

Header = tuple[bytes, bytes]

# Not "no-referrer": with it browsers send `Origin: null` even with our own forms.
REFERRER_POLICY = b"same-origin"
CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

GUARDS: tuple[Header, ...] = (
    (b"Content-Security-Policy", CONTENT_SECURITY_POLICY),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", REFERRER_POLICY),
    (b"X-Frame-Options", b"DENY"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
)
NO_STORE: Header = (b"Cache-Control", b"no-store")


def lines(headers: Iterable[Header]) -> bytes:
    """Header lines, each with its CR LF. Raises ValueError for a value that would be more than one line."""
    written = b""
    for name, value in headers:
        line = name + b": " + value
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise ValueError(f"a header must be one line: {line!r}")
        written += line + b"\r\n"
    return written


PAGE_HEAD = lines((*GUARDS, NO_STORE, (b"Content-Type", b"text/html; charset=utf-8")))
"""What every page says, its type included."""


def api_head(content_type: bytes) -> bytes:
    """What every answer of the API says."""
    return lines(((b"Content-Type", content_type), NO_STORE, (b"X-Content-Type-Options", b"nosniff")))


# As RFC 9110 has them; older Pythons say otherwise.
PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    422: "Unprocessable Content",
}
STATUS_LINES = {status: f"HTTP/1.1 {status} {phrase}\r\n".encode() for status, phrase in PHRASES.items()}


class HTTPDate:
    """The Date header's value (RFC 9110 §5.6.7), made once a second from the wall clock."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._second = -1
        self._text = b""

    def __call__(self) -> bytes:
        """For now."""
        second = self._wall_ms() // 1000
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True).encode()
        return self._text
