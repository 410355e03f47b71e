"""Cutting a stream into messages by Content-Length (RFC 3261 §18.3), and the keep-alives between them (RFC
5626 §3.5.1).

Sizes are checked before anything is kept: a header block may not exceed its limit, nor a body. A message
without Content-Length has no body.
"""

import re
from collections.abc import Iterator
from enum import Enum

from protocols.sip.errors import FramingLost, Malformed
from protocols.sip.message import MAX_MESSAGE, MAX_START_LINE, Request, parse

_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:[ \t]*+(?:\r\n[ \t]++)*+([^\r\n]*+)", re.IGNORECASE)
_CRLFS = re.compile(rb"(?:\r\n)++")
_DIGITS = re.compile(rb"[0-9]{1,20}[ \t]*+")


class Sign(Enum):
    """What a peer sends beside messages: a ping wants a pong."""

    PING = b"\r\n\r\n"
    PONG = b"\r\n"


class Framer:
    """I hold what has come of one message on one stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._needed = 0

    @property
    def waiting(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes | Sign]:
        """The messages and signs that ``data`` completes, in order. Raises FramingLost; then feed me no
        more."""
        self._buffer += data
        while self._buffer and (item := self._next()) is not None:
            yield item

    def _next(self) -> bytes | Sign | None:
        buffer = self._buffer
        if buffer[0] in b"\r\n":
            return self._sign()
        if not self._needed:
            end = buffer.find(b"\r\n\r\n", self._searched)
            if end < 0:
                self._check_size(len(buffer))
                self._searched = max(0, len(buffer) - 3)
                return None
            self._needed = self._whole(bytes(buffer[:end]))
        if len(buffer) < self._needed:
            return None
        whole = bytes(buffer[: self._needed])
        del buffer[: self._needed]
        self._searched = self._needed = 0
        return whole

    def _sign(self) -> Sign | None:
        """However many line ends stand here, they are one sign: a flood of them costs one answer."""
        buffer = self._buffer
        if buffer == b"\r":
            return None
        found = _CRLFS.match(buffer)
        if found is None:
            raise FramingLost(400, "Bad start line")
        size = found.end()
        del buffer[:size]
        return Sign.PING if size >= len(Sign.PING.value) else Sign.PONG

    def _check_size(self, size: int) -> None:
        if size > MAX_MESSAGE:
            raise FramingLost(513, "Message Too Large")
        if size > MAX_START_LINE + 2 and self._buffer.find(b"\r\n", 0, MAX_START_LINE + 2) < 0:
            raise FramingLost(414, "Start line too long")

    def _whole(self, head: bytes) -> int:
        """The size of the message with this head."""
        self._check_size(len(head))
        lengths = {value.strip() for value in _LENGTH.findall(head)}
        if not lengths:
            return len(head) + 4
        if len(lengths) > 1 or _DIGITS.fullmatch(next(iter(lengths))) is None:
            raise FramingLost(400, "Bad Content-Length", _salvage(head))
        size = len(head) + 4 + int(next(iter(lengths)))
        if size > MAX_MESSAGE:
            raise FramingLost(513, "Message Too Large", _salvage(head))
        return size


def _salvage(head: bytes) -> Request | None:
    """The request of a head whose length cannot be trusted, to be answered before the stream is closed."""
    try:
        message = parse(head + b"\r\n\r\n")
    except Malformed as error:
        return error.request
    return message if isinstance(message, Request) else None
