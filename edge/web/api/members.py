"""The members of a request: from a JSON body, a form, or the query, each once, each of its type.

Query and body may be mixed (some tools can only fill URLs); a member in both is an error.
"""

import re
from urllib.parse import urlsplit

import orjson
from twisted.web.server import Request

from edge.web.api.problems import Problem

FORM = b"application/x-www-form-urlencoded"
MAX_URL = 2_000
IDENTIFIER = re.compile(r"[0-9]{1,16}", re.ASCII)
MAX_LIMIT = 1_000


def members(request: Request, known: frozenset[str]) -> dict[str, object]:
    """Every member by name. Raises Problem for a body that is not JSON and for an unknown member."""
    found = _from_arguments(request)
    content_type: bytes = request.requestHeaders.getRawHeaders(b"content-type", [b""])[0]
    if not content_type.lower().startswith(FORM):
        for name, value in _from_json(request).items():
            if name in found:
                raise Problem(400, "member_twice", f"{name!r} is in the query and in the body.", name)
            found[name] = value
    for name in found:
        if name not in known:
            expected = ", ".join(sorted(known))
            raise Problem(
                422, "member_unknown", f"{name[:40]!r} is not known; expected {expected}.", name[:40]
            )
    return found


def text(found: dict[str, object], name: str) -> str:
    """A member that must be there and be a string."""
    value = found.get(name)
    if value is None:
        raise Problem(422, "member_missing", f"{name!r} is missing.", name)
    if not isinstance(value, str):
        raise Problem(422, "member_type", f"{name!r} must be a string.", name)
    return value


def url(found: dict[str, object], name: str) -> str | None:
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
        raise Problem(
            422,
            "url_invalid",
            f"{name!r} must be an http or https URL of at most {MAX_URL} characters.",
            name,
        )
    return value


def identifier(found: dict[str, object], name: str) -> int | None:
    """A query parameter that may be there, and then is an id."""
    value = found.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not IDENTIFIER.fullmatch(value):
        raise Problem(422, "id_invalid", f"{name!r} must be the id of a message.", name)
    return int(value)


def limit(found: dict[str, object], default: int) -> int:
    """How many rows: 1 to MAX_LIMIT."""
    value = found.get("limit", str(default))
    if not isinstance(value, str) or not IDENTIFIER.fullmatch(value) or not 1 <= int(value) <= MAX_LIMIT:
        raise Problem(422, "limit_invalid", f"'limit' must be 1 to {MAX_LIMIT}.", "limit")
    return int(value)


def _from_arguments(request: Request) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, values in request.args.items():
        try:
            key, value = name.decode("utf-8"), values[0].decode("utf-8")
        except UnicodeDecodeError:
            raise Problem(400, "not_utf8", "The query and forms must be percent-encoded UTF-8.") from None
        if len(values) > 1:
            raise Problem(400, "member_twice", f"{key[:40]!r} is given {len(values)} times.", key[:40])
        found[key] = value
    return found


def _from_json(request: Request) -> dict[str, object]:
    body = b"" if request.content is None else request.content.read()
    if not body:
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "bad_json", f"The body is not JSON in UTF-8: {error}") from error
    if not isinstance(document, dict):
        raise Problem(400, "bad_json", "The body must be one JSON object.")
    return document
