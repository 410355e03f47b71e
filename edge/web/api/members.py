"""The members of a request: from a JSON body, a form, or the query, each once.

Query and body may be mixed (some tools can only fill URLs); a member in both is an error. What the members
must be is said by `edge.web.api.shapes`.
"""

import json
import re

import orjson

from edge.web.api.problems import Problem
from edge.web.api.shapes import MAX_ID, SHOWN, json_type
from edge.web.fields import TooManyFields, parse_fields
from edge.web.request import FORM, EdgeRequest

_IDENTIFIER = re.compile(r"[0-9]{1,16}", re.ASCII)
NO_NAMES = frozenset[str]()


def members(
    request: EdgeRequest, lists: frozenset[str] = NO_NAMES
) -> tuple[dict[str, object], frozenset[str]]:
    """Every member by name, and the names of those that came as text. One of ``lists`` that is written more
    than once has all that was written.

    Raises Problem for a body that is no JSON object.
    """
    found: dict[str, object] = {}
    written = NO_NAMES
    body = request.body
    if body:
        _is_plain(request)
    if body and request.content_type == FORM and not body.lstrip().startswith(b"{"):
        found = _of_form(body, lists)
        written = frozenset(found)
    elif body:
        found = _of_json(body)
    if b"?" in request.uri:
        asked = _of_form(request.query, lists)
        for name, value in asked.items():
            if name in found:
                raise _twice(name, "is in the query and in the body.")
            found[name] = value
        written |= asked.keys()
    return found, written


def parse_identifier(written: object) -> int | None:
    """The id that these digits are; None for anything else."""
    if not isinstance(written, str) or not _IDENTIFIER.fullmatch(written) or int(written) >= MAX_ID:
        return None
    return int(written)


def _of_form(octets: bytes, lists: frozenset[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    try:
        for name, values in parse_fields(octets).items():
            key = name.decode()
            if len(values) == 1:
                found[key] = values[0].decode()
            elif key in lists:
                found[key] = [value.decode() for value in values]
            else:
                raise _twice(key, f"is given {len(values)} times.")
    except TooManyFields as error:
        raise Problem(400, "too_many_fields", str(error)) from error
    except UnicodeDecodeError:
        detail = "Queries and forms must be percent-encoded UTF-8."
        raise Problem(400, "not_utf8", detail) from None
    return found


def _of_json(body: bytes) -> dict[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _not_json(error) from error
    if not isinstance(document, dict):
        detail = f"The body must be one JSON object, not {json_type(document)}."
        raise Problem(400, "not_an_object", detail)
    # A member has one colon; where there are more, they stand in texts, or a member is there twice.
    if body.count(b":") != _members_in(document):
        json.loads(body, object_pairs_hook=_each_once)
    return document


def _members_in(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_members_in(each) for each in value.values() if type(each) in (dict, list))
    if isinstance(value, list):
        return sum(_members_in(each) for each in value if type(each) in (dict, list))
    return 0


def _each_once(pairs: list[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _twice(name, "is there twice.")
        seen.add(name)


def _is_plain(request: EdgeRequest) -> None:
    """Raises Problem for a body that says that it is packed."""
    encodings = request.requestHeaders.getRawHeaders(b"content-encoding")
    if encodings and any(encoding.strip().lower() != b"identity" for encoding in encodings):
        raise Problem(415, "encoding_unsupported", "Send the body uncompressed.", "Content-Encoding")
    if request.content_type.startswith(b"multipart/"):
        detail = "Send application/json or application/x-www-form-urlencoded."
        raise Problem(415, "type_unsupported", detail, "Content-Type")


def _not_json(error: orjson.JSONDecodeError) -> Problem:
    """Why the body cannot be read, in the words that help most."""
    if "not valid UTF-8" in error.msg:
        return Problem(400, "not_utf8", "The body is not UTF-8.")
    if "surrogate" in error.msg:
        detail = f"A text has half a surrogate pair, which is no character: {error}."
        return Problem(400, "text_not_unicode", detail)
    return Problem(400, "bad_json", f"The body is not JSON in UTF-8: {error}.")


def _twice(name: str, how: str) -> Problem:
    return Problem(400, "member_twice", f"{name[:SHOWN]!r} {how}", name[:SHOWN])
