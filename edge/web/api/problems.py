"""Errors as RFC 9457 problem details, with a stable ``code`` for programs and a sentence for people."""

from dataclasses import dataclass
from http import HTTPStatus

import orjson
from twisted.web.resource import Resource
from twisted.web.server import Request

from edge.errors import Refused, Unavailable
from storage.errors import StoreUnavailable

PROBLEM = [b"application/problem+json"]
JSON = [b"application/json"]
NO_STORE = [b"no-store"]
NOSNIFF = [b"nosniff"]


@dataclass(frozen=True, slots=True)
class Problem(Exception):
    """What the client is told. ``field`` names the member, parameter or header at fault."""

    status: int
    code: str
    detail: str
    field: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


def problem_of(error: BaseException) -> Problem | None:
    """An error of the pipelines as a problem; None for one that is our own fault."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refused):
        return Problem(error.http_status, error.code, error.sentence, error.field)
    if isinstance(error, StoreUnavailable):
        error = Unavailable("The store cannot be asked now; try again.")
    if isinstance(error, Unavailable):
        retry_after = str(max(1, round(error.retry_after))).encode()
        return Problem(503, "unavailable", error.sentence, headers=((b"Retry-After", retry_after),))
    return None


def answer(request: Request, status: int, body: object) -> None:
    """Finish a request with a JSON document."""
    _finish(request, status, orjson.dumps(body), JSON)


def refuse(request: Request, problem: Problem) -> None:
    """Finish a request with a problem document."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.field is not None:
        document["field"] = problem.field
    for name, value in problem.headers:
        request.setHeader(name, value)
    _finish(request, problem.status, orjson.dumps(document), PROBLEM)


def _finish(request: Request, status: int, body: bytes, content_type: list[bytes]) -> None:
    request.setResponseCode(status)
    headers = request.responseHeaders
    headers.setRawHeaders(b"content-type", content_type)
    headers.setRawHeaders(b"content-length", [b"%d" % len(body)])
    headers.setRawHeaders(b"cache-control", NO_STORE)
    headers.setRawHeaders(b"x-content-type-options", NOSNIFF)
    request.write(body)
    request.finish()


class NotFoundEverywhere(Resource):
    """A branch of the API in which only what was put here exists."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Anything else."""
        return NotFound()

    def render(self, request: Request) -> bytes:
        """The branch itself is nothing."""
        return NotFound().render(request)


class NotFound(Resource):
    """404 in the API's language."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """For every method."""
        refuse(request, Problem(404, "not_found", "There is nothing at this address."))
        return b""
