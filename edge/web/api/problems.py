"""Errors as RFC 9457 problem details, with a stable ``code`` for programs and a sentence for people."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from edge.errors import Refused, Unavailable
from edge.web.headers import PHRASES, Header, api_head, lines
from edge.web.request import EdgeRequest
from storage.errors import StoreUnavailable

PROBLEM_HEAD = api_head(b"application/problem+json")
JSON_HEAD = api_head(b"application/json")


@dataclass(slots=True, eq=False)  # not frozen: Python writes into an exception that it passes on
class Problem(Exception):
    """What the client is told. ``field`` names the member, parameter or header at fault."""

    status: int
    code: str
    detail: str
    field: str | None = None
    headers: tuple[Header, ...] = ()
    more: Mapping[str, object] | None = None
    """Further members of the document (RFC 9457 §3.2)."""


def problem_of(error: BaseException) -> Problem | None:
    """An error of the pipelines as a problem; None for one that is our own fault."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refused):
        return Problem(error.http_status, error.code, error.sentence, error.field)
    if isinstance(error, StoreUnavailable):
        error = Unavailable("The store cannot be asked now; try again.")
    if isinstance(error, Unavailable):
        retry_after = b"%d" % max(1, round(error.retry_after))
        return Problem(503, "unavailable", error.sentence, headers=((b"Retry-After", retry_after),))
    return None


def problem_answer(status: int, code: str, detail: str, field: str | None = None) -> tuple[bytes, bytes]:
    """Header lines and body of a problem document."""
    return PROBLEM_HEAD, orjson.dumps(document(Problem(status, code, detail, field)))


def document(problem: Problem) -> dict[str, object]:
    """The members of RFC 9457, and ours."""
    found: dict[str, object] = {
        "type": "about:blank",
        "title": PHRASES[problem.status],
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.field is not None:
        found["field"] = problem.field
    if problem.more is not None:
        found.update(problem.more)
    return found


def answer(request: EdgeRequest, status: int, body: object, more: bytes = b"") -> None:
    """Finish a request with a JSON document, or with the octets of one; ``more`` are header lines."""
    octets = body if isinstance(body, bytes) else orjson.dumps(body)
    request.respond(status, JSON_HEAD + more if more else JSON_HEAD, octets)


def refuse(request: EdgeRequest, problem: Problem, more: bytes = b"") -> None:
    """Finish a request with a problem document; ``more`` are header lines."""
    head = PROBLEM_HEAD + more
    if problem.headers:
        head += lines(problem.headers)
    request.respond(problem.status, head, orjson.dumps(document(problem)))


def method_not_allowed(method: bytes, allowed: bytes) -> Problem:
    """405 with its Allow header."""
    detail = f"{method.decode('latin-1')[:20]} is not possible here; {allowed.decode()} would be."
    return Problem(405, "method_not_allowed", detail, headers=((b"Allow", allowed),))


def not_found() -> Problem:
    """404 for an address that is none."""
    return Problem(404, "not_found", "There is nothing at this address.")
