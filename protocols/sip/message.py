"""Requests and responses: octets in, octets out (RFC 3261 §7, RFC 4475).

Reading is lazy: the header block is cut into (name, value) once, in time linear in its size and after its
limits were checked; values are read when somebody asks. Names are kept in the one spelling of `canonical`, so
compact and odd-case names are the same field. Text is UTF-8; octets that are not survive as surrogate
escapes.
"""

import re
from collections.abc import Iterable

from protocols.sip.errors import REASONS, BadValue, EncodeError, Malformed
from protocols.sip.headers import (
    TOKEN,
    CSeq,
    NameAddr,
    Via,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_via,
)

MAX_MESSAGE = 65_536
MAX_START_LINE = 2_048
MAX_HEADERS = 128
MAX_LINES = 512
MAX_HEADER = 8_192
_LEAST_LINE = len("a:\r\n")

COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""The one-letter names of header fields (RFC 3261 §7.3.3 and the registry that it began)."""

_SPELLED = (
    *COMPACT.values(),
    *(
        "Accept",
        "Accept-Encoding",
        "Allow",
        "Authorization",
        "Contact",
        "CSeq",
        "Date",
        "Expires",
        "Max-Forwards",
    ),
    *("Min-Expires", "P-Asserted-Identity", "Proxy-Authenticate", "Proxy-Authorization", "Record-Route"),
    *(
        "Require",
        "Retry-After",
        "Route",
        "Server",
        "Unsupported",
        "User-Agent",
        "WWW-Authenticate",
        "Warning",
    ),
    *("MIME-Version", "Path", "Proxy-Require", "SIP-ETag", "Content-Disposition", "X-SMS-To"),
)
_KNOWN: dict[str, str] = {}
for _name in _SPELLED:
    _KNOWN |= {_name: _name, _name.lower(): _name, _name.upper(): _name}
for _letter, _name in COMPACT.items():
    _KNOWN |= {_letter: _name, _letter.upper(): _name}

_LETTERS = {name: letter for letter, name in COMPACT.items()}
_NAME = re.compile(rf"{TOKEN}+", re.ASCII)
_FOLD = re.compile(r"\r\n[ \t]+")
_REQUEST_LINE = re.compile(rf"({TOKEN}++) ([^\x00-\x20<>\"\x7f]++) SIP/2\.0", re.ASCII | re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n\0]*+))?", re.ASCII | re.IGNORECASE)
_SOME_REQUEST = re.compile(
    rf"({TOKEN}++)[ \t].*?SIP/([0-9]++\.[0-9]++)[ \t]*+", re.ASCII | re.IGNORECASE | re.DOTALL
)
_UNSAFE = re.compile(r"[\r\n\0]")


def canonical(name: str) -> str:
    """The one spelling of a header field's name that this package uses."""
    known = _KNOWN.get(name) or _KNOWN.get(name.lower())
    return known or "-".join(part.capitalize() for part in name.split("-"))


class Headers:
    """The header fields of one message, in order, names canonical. Setters refuse what would end a line.

    ``_first`` has the first value of each field, ``_more`` all values of those that stand more than once.
    """

    __slots__ = ("_first", "_more", "items")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self.items: list[tuple[str, str]] = []
        self._first: dict[str, str] = {}
        self._more: dict[str, list[str]] = {}
        for name, value in items:
            self.add(name, value)

    @classmethod
    def of_wire(cls, block: str) -> "Headers | None":
        """From a header block, each line with its end; None when a line of it is no header field."""
        items = _fields(block)
        return None if items is None else cls.of_fields(items)

    @classmethod
    def of_fields(cls, items: list[tuple[str, str]]) -> "Headers":
        """From fields with canonical names whose values are known to hold no line end."""
        made = cls.__new__(cls)
        made.items = items
        made._first = dict(items)
        made._more = {}
        if len(made._first) != len(items):
            made._first = dict(items[::-1])
            made._more = _repeated(items)
        return made

    @property
    def single(self) -> bool:
        """No field stands there more than once."""
        return not self._more

    def get(self, name: str) -> str | None:
        """The first value of a field; ``name`` is canonical."""
        return self._first.get(name)

    def all(self, name: str) -> list[str]:
        """Every value of a field that may repeat, one item a line."""
        more = self._more.get(name)
        if more is not None:
            return more
        first = self._first.get(name)
        return [] if first is None else [first]

    def add(self, name: str, value: str) -> None:
        """Put a field at the end. Raises EncodeError for CR, LF, NUL, and for a name that is none."""
        name = self._checked(name, value)
        if name in self._first:
            self._more.setdefault(name, [self._first[name]]).append(value)
        else:
            self._first[name] = value
        self.items.append((name, value))

    def put_first(self, name: str, value: str) -> None:
        """Put a field before all others. Raises EncodeError as `add` does."""
        name = self._checked(name, value)
        if name in self._first:
            self._more.setdefault(name, [self._first[name]]).insert(0, value)
        self._first[name] = value
        self.items.insert(0, (name, value))

    def set_first(self, name: str, value: str) -> None:
        """Put another value in place of the first of a field that is there."""
        if _UNSAFE.search(value) is not None:
            raise EncodeError(f"{name}: a value may not hold CR, LF or NUL")
        place = next(place for place, item in enumerate(self.items) if item[0] == name)
        self.items[place] = (name, value)
        self._first[name] = value
        if name in self._more:
            self._more[name][0] = value

    def remove(self, name: str) -> None:
        """Take every value of a field away."""
        self._more.pop(name, None)
        if self._first.pop(name, None) is not None:
            self.items = [item for item in self.items if item[0] != name]

    def _checked(self, name: str, value: str) -> str:
        if _NAME.fullmatch(name) is None:
            raise EncodeError(f"{name!r} is not the name of a header field")
        if _UNSAFE.search(value) is not None:
            raise EncodeError(f"{name}: a value may not hold CR, LF or NUL")
        return canonical(name)


def _fields(block: str) -> list[tuple[str, str]] | None:
    """The fields of a block; None when a line of it is no header field."""
    lines = block.split("\r\n")
    del lines[-1]
    text = "".join(lines)
    if "\r" in text or "\n" in text:
        return None
    try:  # nearly always no line is folded, and all names are known and spelled as usual
        return [(_KNOWN[raw], value.strip(" \t")) for raw, value in [line.split(":", 1) for line in lines]]
    except (KeyError, ValueError):
        return _odd_fields(_FOLD.sub(" ", block).split("\r\n")[:-1])


def _odd_fields(lines: list[str]) -> list[tuple[str, str]] | None:
    items = []
    for line in lines:
        raw, colon, value = line.partition(":")
        raw = raw.rstrip(" \t")
        if not colon or _NAME.fullmatch(raw) is None:
            return None
        items.append((canonical(raw), value.strip(" \t")))
    return items


def _repeated(items: list[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of the fields that stand more than once."""
    found: dict[str, list[str]] = {}
    for name, value in items:
        found.setdefault(name, []).append(value)
    return {name: values for name, values in found.items() if len(values) > 1}


class Message:
    """What requests and responses have in common. ``body`` is octets, cut to Content-Length."""

    __slots__ = ("_via", "body", "headers")

    def __init__(self, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self._via: tuple[str, Via] | None = None  # as it was last read

    def require(self, name: str) -> str:
        """The value of a field that must be there once. Raises BadValue."""
        headers = self.headers
        value = headers._first.get(name)
        if value is None or (headers._more and name in headers._more):
            raise BadValue(name, "is missing" if value is None else "stands there more than once")
        return value

    @property
    def via(self) -> Via:
        """The topmost Via. Raises BadValue, as all of these do."""
        value = self.headers.get("Via")
        if value is None:
            raise BadValue("Via", "is missing")
        if self._via is None or self._via[0] is not value:
            self._via = value, parse_via(value)
        return self._via[1]

    def replace_via(self, via: Via) -> None:
        """Put another topmost Via in place of the one that is there."""
        value = str(via)
        self.headers.set_first("Via", value)
        self._via = value, via

    @property
    def from_(self) -> NameAddr:
        """From."""
        return parse_name_addr(self.require("From"), "From")

    @property
    def to(self) -> NameAddr:
        """To."""
        return parse_name_addr(self.require("To"), "To")

    @property
    def call_id(self) -> str:
        """Call-ID."""
        value = self.require("Call-ID")
        if not value or " " in value or "\t" in value:
            raise BadValue("Call-ID", "is not one word")
        return value

    @property
    def cseq(self) -> CSeq:
        """CSeq."""
        return parse_cseq(self.require("CSeq"))

    def _shortest(self, start_line: str) -> bytes:
        fields = [*self.headers.items, ("Content-Length", str(len(self.body)))]
        lines = [f"{_LETTERS.get(name, name)}:{value}\r\n" for name, value in fields]
        return f"{start_line}\r\n{''.join(lines)}\r\n".encode("utf-8", "surrogateescape") + self.body

    def _serialise(self, start_line: str) -> bytes:
        lines = [f"{name}: {value}\r\n" for name, value in self.headers.items if name != "Content-Length"]
        head = f"{start_line}\r\n{''.join(lines)}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body


class Request(Message):
    """A request. ``uri`` is the Request-URI as written."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri

    def serialise(self) -> bytes:
        """As it goes on the wire. Raises EncodeError when method or URI would break the start line."""
        line = f"{self.method} {self.uri} SIP/2.0"
        if _REQUEST_LINE.fullmatch(line) is None:
            raise EncodeError(f"{line[:80]!r} is not a request line")
        return self._serialise(line)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    @property
    def final(self) -> bool:
        """2xx to 6xx."""
        return self.status >= 200

    def serialise(self, short: bool = False) -> bytes:
        """As it goes on the wire; ``short``: in as few octets as can be (RFC 3261 §7.3.3). Raises EncodeError
        when the reason phrase would end the line."""
        if _UNSAFE.search(self.reason) is not None or not 100 <= self.status <= 699:
            raise EncodeError(f"{self.status} {self.reason!r} is not a status line")
        line = f"SIP/2.0 {self.status} {self.reason}"
        return self._shortest(line) if short else self._serialise(line)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


def parse(data: bytes) -> Request | Response:
    """One message, whole: a datagram, a WebSocket message, or what `framing` cut out of a stream.

    Octets behind Content-Length are left out (RFC 3261 §18.3). Raises Malformed.
    """
    if len(data) > MAX_MESSAGE:
        raise Malformed(513, REASONS[513])
    first = data.find(b"\r\n", 0, MAX_START_LINE + 2)
    if first < 0:
        raise Malformed(414, "Start line too long" if len(data) > MAX_START_LINE else "No start line")
    end = data.find(b"\r\n\r\n", first)
    if end < 0:
        if not data.endswith(b"\r\n"):
            raise Malformed(400, "No end of header fields")
        end = len(data) - 2  # the empty line was forgotten, and nothing follows
    if end - first > _LEAST_LINE * MAX_LINES and data.count(b"\r\n", first, end) > MAX_LINES:
        raise Malformed(400, "Too many header fields")
    start_line = data[:first].decode("utf-8", "surrogateescape")
    headers = Headers.of_wire(data[first + 2 : end + 2].decode("utf-8", "surrogateescape"))
    message = _start(start_line, headers or Headers(), data[end + 4 :])
    request = message if isinstance(message, Request) else None
    if headers is None:
        raise Malformed(400, "Bad header field")
    if len(headers.items) > MAX_HEADERS:
        raise Malformed(400, "Too many header fields", request)
    if end - first > MAX_HEADER and any(len(value) > MAX_HEADER for _, value in headers.items):
        raise Malformed(400, "Header field too long")
    _cut_body(message, request)
    return message


def _start(line: str, headers: Headers, body: bytes) -> Request | Response:
    found = _REQUEST_LINE.fullmatch(line)
    if found is not None:
        return Request(found[1], found[2], headers, body)
    status = _STATUS_LINE.fullmatch(line)
    if status is not None:
        return Response(int(status[1]), status[2] or "", headers, body)
    some = _SOME_REQUEST.fullmatch(line)
    if some is None or line[:4].upper() == "SIP/":
        raise Malformed(400, "Bad start line")
    request = Request(some[1], "", headers, body)
    if some[2] != "2.0":
        raise Malformed(505, REASONS[505], request)
    raise Malformed(400, "Bad Request-URI", request)


def _cut_body(message: Message, request: Request | None) -> None:
    value = message.headers.get("Content-Length")
    if value is None:
        return
    try:
        length = parse_number(value, "Content-Length")
    except BadValue as error:
        raise Malformed(400, "Bad Content-Length", request) from error
    if not message.headers.single and any(one != value for one in message.headers.all("Content-Length")):
        raise Malformed(400, "Content-Length is not one", request)
    if length > len(message.body):
        raise Malformed(400, "Content-Length is larger than the body", request)
    if length < len(message.body):
        message.body = message.body[:length]
