"""The parameters of a call: from the query, and from a form in either of its two encodings.

A name that comes twice has its last value, the body's before the query's. Octets that are no UTF-8 become
surrogates, so that whoever needs a text notices.
"""

from dataclasses import dataclass, field

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from edge.web.fields import MAX_FIELDS, TooManyFields, parse_fields
from edge.web.request import EdgeRequest
from edge.web.voipms.statuses import Rejected

MULTIPART = b"multipart/form-data"


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
        """Without white space around it; "" for one that is empty or missing."""
        return self.values.get(name, "").strip()

    def given(self, name: str) -> bool:
        """Is it there, empty or not?"""
        return name in self.values

    def required(self, name: str, status: str) -> str:
        """One that must not be empty. Raises Rejected."""
        value = self.text(name)
        if not value:
            raise Rejected(status)
        return value

    def flag(self, name: str, status: str) -> bool | None:
        """1 or 0; None when it is empty or missing. Raises Rejected."""
        value = self.text(name).lower()
        if not value:
            return None
        if value in ("1", "true", "yes"):
            return True
        if value in ("0", "false", "no"):
            return False
        raise Rejected(status)


def read(request: EdgeRequest) -> Parameters:
    """Everything that a request says. Raises Rejected."""
    found = Parameters()
    try:
        if b"?" in request.uri:
            _take(found, request.query)
        if request.method == b"POST":
            if request.content_type == MULTIPART:
                _take_parts(found, request)
            else:
                _take(found, request.body)
    except TooManyFields as error:
        raise Rejected("missing_params", str(error)) from error
    return found


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
        raise Rejected("missing_params", f"The form cannot be read: {error}.") from error


def _take_part(found: Parameters, segment: MultipartSegment, content: bytes) -> None:
    if segment.filename is None:
        found.values[segment.name] = _text(content)
    elif content:
        found.files[segment.name] = Upload(segment.content_type or "", content)


def _boundary(request: EdgeRequest) -> bytes:
    header = (request.requestHeaders.getRawHeaders(b"content-type") or [b""])[0]
    for option in header.split(b";")[1:]:
        name, _, value = option.partition(b"=")
        boundary = value.strip().strip(b'"')
        if name.strip().lower() == b"boundary" and boundary:
            return boundary
    raise Rejected("missing_params", "The form names no boundary.")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
