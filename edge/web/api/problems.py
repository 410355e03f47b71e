"""Errors as RFC 9457 problem details, with a stable ``code`` for programs and a sentence for people."""

from dataclasses import dataclass

import orjson
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from edge.errors import Refused, Unavailable
from edge.web.headers import PHRASES, Header, api_head, lines
from edge.web.request import EdgeRequest
from storage.errors import StoreUnavailable

PROBLEM_HEAD = api_head(b"application/problem+json")
JSON_HEAD = api_head(b"application/json")


@dataclass(frozen=True, slots=True)
class Problem(Exception):
    """What the client is told. ``field`` names the member, parameter or header at fault."""

    status: int
    code: str
    detail: str
    field: str | None = None
    headers: tuple[Header, ...] = ()


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
    document: dict[str, object] = {
        "type": "about:blank",
        "title": PHRASES[status],
        "status": status,
        "code": code,
        "detail": detail,
    }
    if field is not None:
        document["field"] = field
    return PROBLEM_HEAD, orjson.dumps(document)


def answer(request: EdgeRequest, status: int, body: object) -> None:
    """Finish a request with a JSON document."""
    request.respond(status, JSON_HEAD, orjson.dumps(body))


def refuse(request: EdgeRequest, problem: Problem) -> None:
    """Finish a request with a problem document."""
    head, body = problem_answer(problem.status, problem.code, problem.detail, problem.field)
    request.respond(problem.status, head + lines(problem.headers) if problem.headers else head, body)


def method_not_allowed(method: bytes, allowed: bytes) -> Problem:
    """405 with its Allow header."""
    detail = f"{method.decode('latin-1')[:20]} is not possible here; {allowed.decode()} would be."
    return Problem(405, "method_not_allowed", detail, headers=((b"Allow", allowed),))


class NotFoundEverywhere(Resource):
    """A branch of the API in which only what was put here exists."""

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """Anything else."""
        return NotFound()

    def render(self, request: EdgeRequest) -> int:
        """The branch itself is nothing."""
        return NotFound().render(request)


class NotFound(Resource):
    """404 in the API's language."""

    isLeaf = True

    def render(self, request: EdgeRequest) -> int:
        """For every method."""
        refuse(request, Problem(404, "not_found", "There is nothing at this address."))
        return NOT_DONE_YET
