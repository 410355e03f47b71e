"""The parameters of a program's request: from the query, and from a form (of either kind) or a JSON object.

A name that comes twice has its last value, the body's before the query's. Octets that are no UTF-8 become
surrogates, so that whoever needs a text notices.
"""

from dataclasses import dataclass, field

import orjson
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from edge.web.fields import MAX_FIELDS, TooManyFields, parse_fields
from edge.web.request import EdgeRequest
from storage.text import storable


class Unreadable(ValueError):
    """The request's form cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form."""

    content_type: str
    content: bytes


@dataclass(slots=True)
class Parameters:
    """``values`` by name; ``files`` by the name of their field."""

    values: dict[str, str] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Without white space around it, as the store can hold it; "" for one that is empty or missing."""
        return storable(self.values.get(name, "").strip())

    def given(self, name: str) -> bool:
        """Is it there, empty or not?"""
        return name in self.values

    def octets(self, name: str) -> bytes:
        """What was sent under this name, before it was taken for UTF-8."""
        return self.values.get(name, "").encode("utf-8", "surrogateescape")


def read(request: EdgeRequest) -> Parameters:
    """Everything that a request says. Raises Unreadable."""
    found = of_query(request)
    try:
        if request.method == b"POST":
            _take_body(found, request)
    except TooManyFields as error:
        raise Unreadable(str(error)) from error
    return found


def of_query(request: EdgeRequest) -> Parameters:
    """What stands in the address. Raises Unreadable."""
    found = Parameters()
    try:
        if b"?" in request.uri:
            _take(found, request.query)
    except TooManyFields as error:
        raise Unreadable(str(error)) from error
    return found


def option(request: EdgeRequest, wanted: bytes) -> bytes:
    """What the Content-Type says after its media type (RFC 9110, 8.3.1); b"" when it does not."""
    header = (request.requestHeaders.getRawHeaders(b"content-type") or [b""])[0]
    for written in header.split(b";")[1:]:
        name, _, value = written.partition(b"=")
        if name.strip().lower() == wanted:
            return value.strip().strip(b'"')
    return b""


def _take_body(found: Parameters, request: EdgeRequest) -> None:
    match request.content_type:
        case b"multipart/form-data":
            _take_parts(found, request)
        case b"application/json":
            _take_members(found, request.body)
        case b"text/plain" | b"text/xml" | b"application/octet-stream":
            pass  # whoever wants it looks at the body itself
        case _:
            _take(found, request.body)


def _take_members(found: Parameters, body: bytes) -> None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"The body is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise Unreadable("The body is not a JSON object.")
    for name, value in document.items():
        if isinstance(value, str):
            found.values[name] = value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.values[name] = str(value)


def _take(found: Parameters, octets: bytes) -> None:
    for name, values in parse_fields(octets).items():
        found.values[_text(name)] = _text(values[-1])


def _take_parts(found: Parameters, request: EdgeRequest) -> None:
    try:
        boundary = _boundary(request)
        with PushMultipartParser(boundary, max_segment_count=MAX_FIELDS) as parser:
            segment: MultipartSegment | None = None
            pieces = bytearray()
            for event in parser.parse(request.body):
                if isinstance(event, MultipartSegment):
                    segment, pieces = event, bytearray()
                elif event:
                    pieces += event
                elif segment is not None:
                    _take_part(found, segment, bytes(pieces))
    except MultipartError as error:
        raise Unreadable(f"The form cannot be read: {error}.") from error


def _take_part(found: Parameters, segment: MultipartSegment, content: bytes) -> None:
    if segment.filename is None:
        found.values[segment.name] = _text(content)
    elif content:
        found.files[segment.name] = Upload(segment.content_type or "", content)


def _boundary(request: EdgeRequest) -> bytes:
    boundary = option(request, b"boundary")
    if not boundary:
        raise Unreadable("The form names no boundary.")
    return boundary


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
