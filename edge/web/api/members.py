"""The members of a request: from a JSON body, a form, or the query, each once, each of its type.

Query and body may be mixed (some tools can only fill URLs); a member in both is an error.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import orjson

from edge.web.api.problems import Problem
from edge.web.fields import TooManyFields, parse_fields
from edge.web.request import FORM, EdgeRequest

MAX_URL = 2_000
MAX_LIMIT = 1_000
MAX_ID = 1 << 53
IDENTIFIER = re.compile(r"[0-9]{1,16}", re.ASCII)
SHOWN = 40  # characters of a name that the client made up


def members(request: EdgeRequest, known: frozenset[str]) -> dict[str, object]:
    """Every member by name. Raises Problem for a body that is not JSON and for an unknown member."""
    found: dict[str, object] = {}
    body = request.body
    if body and request.content_type == FORM and not body.lstrip().startswith(b"{"):
        found = _of_form(body)
    elif body:
        found = _of_json(body, request)
    if b"?" in request.uri:
        for name, value in _of_form(request.query).items():
            if name in found:
                raise _twice(name, "is in the query and in the body.")
            found[name] = value
    if not found.keys() <= known:
        name = min(found.keys() - known)[:SHOWN]
        expected = ", ".join(sorted(known)) or "no members at all"
        raise Problem(422, "member_unknown", f"{name!r} is not known; expected: {expected}.", name)
    return found


def text(found: Mapping[str, object], name: str) -> str:
    """A member that must be there and be a string."""
    value = found.get(name)
    if isinstance(value, str):
        return value
    if value is None:
        raise Problem(422, "member_missing", f"{name!r} is missing.", name)
    raise Problem(422, "member_type", f"{name!r} must be a string, not {_json_type(value)}.", name)


def url(found: Mapping[str, object], name: str) -> str | None:
    """A member that may be there, and then is an http or https URL."""
    if found.get(name) is None:
        return None
    value = text(found, name)
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or len(value) > MAX_URL or not value.isascii() or not value.isprintable() or " " in value:
        detail = f"{name!r} must be an http or https URL of at most {MAX_URL} ASCII characters."
        raise Problem(422, "url_invalid", detail, name)
    return value


def identifier(found: Mapping[str, object], name: str) -> int | None:
    """A query parameter that may be there, and then is an id."""
    value = found.get(name)
    if value is None:
        return None
    identity = parse_identifier(value)
    if identity is None:
        raise Problem(422, "id_invalid", f"{name!r} must be the id of a message, in digits.", name)
    return identity


def parse_identifier(written: object) -> int | None:
    """The id that these digits are; None for anything else."""
    if not isinstance(written, str) or not IDENTIFIER.fullmatch(written) or int(written) >= MAX_ID:
        return None
    return int(written)


def limit(found: Mapping[str, object], default: int) -> int:
    """How many rows: 1 to MAX_LIMIT."""
    value = found.get("limit", str(default))
    if not isinstance(value, str) or not IDENTIFIER.fullmatch(value) or not 1 <= int(value) <= MAX_LIMIT:
        raise Problem(422, "limit_invalid", f"'limit' must be 1 to {MAX_LIMIT}.", "limit")
    return int(value)


def _of_form(octets: bytes) -> dict[str, object]:
    found: dict[str, object] = {}
    try:
        for name, values in parse_fields(octets).items():
            key = name.decode()
            if len(values) > 1:
                raise _twice(key, f"is given {len(values)} times.")
            found[key] = values[0].decode()
    except TooManyFields as error:
        raise Problem(400, "too_many_fields", str(error)) from error
    except UnicodeDecodeError:
        detail = "Queries and forms must be percent-encoded UTF-8."
        raise Problem(400, "not_utf8", detail) from None
    return found


def _of_json(body: bytes, request: EdgeRequest) -> dict[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _not_json(request, error) from error
    if not isinstance(document, dict):
        detail = f"The body must be one JSON object, not {_json_type(document)}."
        raise Problem(400, "not_an_object", detail)
    return document


def _not_json(request: EdgeRequest, error: orjson.JSONDecodeError) -> Problem:
    """Why the body cannot be read, in the words that help most."""
    encoding = request.requestHeaders.getRawHeaders(b"content-encoding")
    if encoding:
        return Problem(415, "encoding_unsupported", "Send the body uncompressed.", "Content-Encoding")
    if request.content_type.startswith(b"multipart/"):
        detail = "Send application/json or application/x-www-form-urlencoded."
        return Problem(415, "type_unsupported", detail, "Content-Type")
    if "not valid UTF-8" in error.msg:
        return Problem(400, "not_utf8", "The body is not UTF-8.")
    if "surrogate" in error.msg:
        detail = f"A text has half a surrogate pair, which is no character: {error}."
        return Problem(400, "text_not_unicode", detail)
    return Problem(400, "bad_json", f"The body is not JSON in UTF-8: {error}.")


def _twice(name: str, how: str) -> Problem:
    return Problem(400, "member_twice", f"{name[:SHOWN]!r} {how}", name[:SHOWN])


def _json_type(value: object) -> str:
    """What JSON calls it, with its article."""
    for kind, name in ((bool, "a boolean"), (dict, "an object"), (list, "an array"), (str, "a string")):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "a number"
